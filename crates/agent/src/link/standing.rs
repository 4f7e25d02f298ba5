//! A connection over which the hub has answered the handshake: what it has been asked since, and
//! whether it has proved itself.

use std::time::{Duration, Instant};

use outgate_signalr::negotiate::Transport;

use super::{Dial, Settings};

#[derive(Debug)]
pub(super) struct Standing {
    pub(super) dial: Dial,
    pub(super) transport: Transport,
    pub(super) since: Instant,
    /// When the hub was last heard.
    heard: Instant,
    /// Since when the hub owes an answer.
    asked: Option<Instant>,
    proved: bool,
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The hub is to be asked for an answer.
    Ask,
    /// It has not answered in time: one end of the connection is gone.
    Silent,
}

impl Standing {
    pub(super) fn new(dial: Dial, transport: Transport, now: Instant) -> Self {
        Self {
            dial,
            transport,
            since: now,
            heard: now,
            asked: None,
            proved: false,
        }
    }

    /// Whether it has held traffic.
    pub(super) fn is_proved(&self) -> bool {
        self.proved
    }

    /// How long nothing was said on it, up to the question that is not answered yet.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        let end = self.asked.unwrap_or(now);
        end.saturating_duration_since(self.heard)
    }

    /// Asks the hub, unless it owes an answer already.
    pub(super) fn ask(&mut self, now: Instant) -> bool {
        let asks = self.asked.is_none();
        self.asked.get_or_insert(now);
        asks
    }

    /// The hub has answered: after which silence, if it was asked. What is asked once the connection
    /// has stood for `hold` proves it.
    pub(super) fn on_answer(&mut self, hold: Duration, now: Instant) -> Option<Duration> {
        let silence = self.silence(now);
        let asked = self.asked.take()?;
        self.heard = now;
        self.proved |= asked.saturating_duration_since(self.since) >= hold;
        Some(silence)
    }

    /// When something is due.
    pub(super) fn due(&self, silence: Duration, settings: &Settings) -> Instant {
        if let Some(asked) = self.asked {
            return asked + settings.answer;
        }
        let beat = self.heard + silence;
        let hold = self.since + settings.hold;
        if self.proved { beat } else { beat.min(hold) }
    }

    /// What is due by now.
    pub(super) fn handle_timeout(
        &mut self,
        silence: Duration,
        settings: &Settings,
        now: Instant,
    ) -> Option<Due> {
        if self.due(silence, settings) > now {
            return None;
        }
        if self.ask(now) {
            Some(Due::Ask)
        } else {
            Some(Due::Silent)
        }
    }
}
