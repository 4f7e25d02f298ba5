//! Everything that is due, for all connections of a hub: pings, time-outs, and forgetting those
//! that nobody came for. One task does it, as long as there are connections.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use outgate_signalr::connection::Event;
use outgate_signalr::negotiate::Transport;

use crate::Disconnected;
use crate::hub::Inner;
use crate::shared::Shared;

/// How often it looks: what ASP.NET Core does.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often it looks at most, where times are set shorter.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// Makes sure that it is done.
pub(crate) fn ensure(hub: &Arc<Inner>) {
    if hub.sweeping.swap(true, Ordering::AcqRel) {
        return;
    }
    let hub = Arc::clone(hub);
    tokio::spawn(async move {
        let interval = interval(&hub);
        loop {
            tokio::time::sleep(interval).await;
            sweep(&hub);
            if hub.registry.len() == 0 {
                hub.sweeping.store(false, Ordering::Release);
                // One may have come before the store and seen that it is done.
                if hub.registry.len() == 0 || hub.sweeping.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
        }
    });
}

/// Often enough for the shortest of the times.
fn interval(hub: &Inner) -> Duration {
    let options = &hub.options;
    let shortest = options
        .link
        .handshake_timeout
        .min(options.link.keep_alive)
        .min(options.link.client_timeout)
        .min(options.disconnect_timeout);
    (shortest / 4).clamp(INTERVAL_MIN, INTERVAL)
}

fn sweep(hub: &Arc<Inner>) {
    let now = hub.now();
    for shared in hub.registry.known() {
        if !keep(&shared, now) {
            hub.registry.forget(&shared);
        }
    }
}

/// Does what is due for a connection; false when it is to be forgotten.
fn keep(shared: &Arc<Shared>, now: Duration) -> bool {
    let timeout = shared.hub.options.disconnect_timeout;
    let mut state = shared.state();
    // Whoever does not read does not see the end either, and is not waited for.
    if state.over.is_some_and(|over| over + timeout <= now) {
        return false;
    }
    if let Some(left) = state.left {
        if state.over.is_some() && state.transport != Some(Transport::LongPolling) {
            return false;
        }
        if left + timeout > now {
            return true;
        }
        drop(state);
        shared.end(Disconnected::TransportLost);
        return false;
    }
    if state.held.is_some() {
        state.link.handle_pause(now);
    }
    if !state.link.is_ended() {
        state.link.handle_timeout(now);
    }
    let end = if state.link.is_ended() {
        state.link.poll_event(now)
    } else {
        None
    };
    let speaks = state.link.has_output();
    drop(state);
    match end {
        Some(Event::Ended(end)) => {
            shared.end(Disconnected::Ended(end));
        }
        // Idle tasks sleep on.
        Some(_) | None if speaks => shared.outgoing.notify_one(),
        Some(_) | None => {}
    }
    true
}
