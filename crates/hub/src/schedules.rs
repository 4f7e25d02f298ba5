//! Lets schedules come when they are due, until the hub goes down.

use std::time::Duration;

use outgate_core::Core;
use tokio::sync::watch;

use crate::http::begun;
use crate::webhooks::{STORE_WAIT, Timer};

/// The longest time until the clock is looked at again: somebody may have set it.
const AT_MOST: Duration = Duration::from_secs(30);

/// Does what is due, and waits for what comes next or for a change.
pub(crate) async fn run(core: Core, timer: Timer, draining: watch::Receiver<bool>) {
    tokio::select! {
        () = fire(&core, &timer) => {}
        // What is left out now is due at the next start.
        () = begun(draining) => {}
    }
}

async fn fire(core: &Core, timer: &Timer) {
    let mut changes = core.schedules.changes();
    loop {
        // Noted before the store is asked, so that nothing falls in between.
        changes.borrow_and_update();
        let next = match core.schedules.fire().await {
            Ok(next) => next.unwrap_or(AT_MOST).min(AT_MOST),
            Err(refusal) => {
                tracing::error!(error = %refusal, "schedules must wait");
                STORE_WAIT
            }
        };
        tokio::select! {
            () = timer.wait(next) => {}
            // An error means that there will be no more news.
            _ = changes.changed() => {}
        }
    }
}
