//! Keeps a client connected: climbs, serves the connection, comes back.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use outgate_signalr::ladder::{Ladder, Memory};
use outgate_signalr::retry::Retries;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::client::Core;
use crate::climb::climb;
use crate::error::Cause;
use crate::http::locked;
use crate::serving::{Ended, serve};
use crate::state::State;

/// Runs until the client is stopped or gives up.
pub(crate) async fn run(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    let cause = keep_connected(&core, &mut stop).await;
    core.state.send_replace(State::Closed { cause });
}

async fn keep_connected(core: &Core, stop: &mut watch::Receiver<bool>) -> Option<Cause> {
    let settings = &core.settings;
    let mut ladder = Ladder::new(settings.rules.clone(), Memory::default());
    let mut retries = Retries::new(settings.retry.clone());
    let mut come_back = settings.retry_start;
    loop {
        ladder.set_memory(locked(&core.memory).clone());
        let climbed = tokio::select! {
            biased;
            () = stopped(stop) => return None,
            climbed = climb(settings, &mut ladder) => climbed,
        };
        let cause = match climbed {
            Err(cause) => cause,
            Ok(link) => {
                come_back = true;
                remember(core, &ladder);
                let start = Instant::now();
                let ended = serve(core, link, stop).await;
                let stood = start.elapsed();
                retries.on_lost(stood);
                match ended {
                    Ended::Stopped => return None,
                    Ended::Closed {
                        error,
                        allow_reconnect,
                    } => {
                        come_back = allow_reconnect || settings.return_always;
                        Cause::Closed {
                            error,
                            allow_reconnect,
                        }
                    }
                    Ended::Lost(cause) => {
                        ladder.set_memory(locked(&core.memory).clone());
                        ladder.on_cut_off(stood, Instant::now().into_std());
                        remember(core, &ladder);
                        cause
                    }
                }
            }
        };
        debug!(%cause, "not connected");
        if !come_back {
            return Some(cause);
        }
        let Some(delay) = retries.next(cause.retry_after(), random()) else {
            return Some(cause);
        };
        let attempt = retries.count();
        core.state
            .send_replace(State::Reconnecting { attempt, cause });
        tokio::select! {
            biased;
            () = stopped(stop) => return None,
            () = sleep(delay) => {}
        }
    }
}

fn remember(core: &Core, ladder: &Ladder) {
    *locked(&core.memory) = ladder.memory().clone();
}

/// Whoever told it to stop may be gone by then.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Any number: the keys of a hash come from the system's randomness.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}
