//! The signals that what runs for long heeds.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::output::Failure;

/// The signals that are heeded.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What a signal says.
pub(crate) enum Heard {
    /// Read everything again.
    HangUp,
    /// Come to an end.
    End,
}

impl Signals {
    /// Listens from now on, so that none is lost however early it comes.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind)
                .context("failed to listen for signals")
                .map_err(Failure::Internal)
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.hang_up.recv() => Heard::HangUp,
            _ = self.terminate.recv() => Heard::End,
            _ = self.interrupt.recv() => Heard::End,
        }
    }
}
