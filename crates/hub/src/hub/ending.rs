//! How a hub goes down: everybody goes first, then what was begun is finished.

use std::time::Duration;

use outgate_core::Core;
use outgate_core::sessions::{Ending, Selector, Sessions};
use outgate_door::Door;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::dialects::DIALECTS;

/// How long connections may take to go once the hub goes down.
pub const GONE_WITHIN: Duration = Duration::from_secs(15);

/// How long requests to webhooks, and the last writes, may take after that.
pub const FINISHED_WITHIN: Duration = Duration::from_secs(10);

/// How often those are told to go who came in while others were told.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Tells everybody to go elsewhere and waits until they have gone. Requests over HTTP are not cut
/// off: their connections end with the answer.
pub(super) async fn let_go(sessions: &Sessions, door: &Door) {
    let telling = async {
        let mut again = tokio::time::interval(TELL_EVERY);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            again.tick().await;
            for dialect in DIALECTS {
                let all = Selector::Via(dialect);
                sessions.end(&all, Ending::Draining, Duration::ZERO).await;
            }
        }
    };
    let gone = async {
        tokio::select! {
            () = door.emptied() => {}
            () = telling => {}
        }
    };
    if tokio::time::timeout(GONE_WITHIN, gone).await.is_err() {
        let left = door.connections();
        tracing::warn!(left, "some connections had not gone in time");
    }
    sessions
        .end(&Selector::All, Ending::Draining, Duration::ZERO)
        .await;
}

/// Waits until upkeep has ended, and writes down what is only in memory.
pub(super) async fn finish(upkeep: &mut JoinSet<()>, core: &Core) {
    let finished = async {
        while upkeep.join_next().await.is_some() {}
        // Only now has everybody been seen for the last time.
        if let Err(error) = core.identity.write_seen().await {
            tracing::warn!(%error, "when devices were last seen could not be written down");
        }
    };
    if tokio::time::timeout(FINISHED_WITHIN, finished)
        .await
        .is_err()
    {
        tracing::warn!("something was still under way when the hub went down");
    }
}
