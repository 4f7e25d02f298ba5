//! How a session ends: with its time, with the right to act of either side, with the device's
//! connection, or because somebody says so; and that it has.

use std::sync::{Arc, Weak};

use rusqlite::Connection;
use serde_json::json;

use super::live::Live;
use super::record::{Recorded, State, SupportSession};
use super::{Inner, Support, table};
use crate::audit;
use crate::clock::Timestamp;
use crate::refusal::Refusal;
use crate::sessions::Pass;

impl Support {
    /// Ends a session: at once for both, then in the store. What said so first is the reason. It
    /// runs on a task of its own, so that nobody who hangs up leaves it half done.
    pub(super) async fn finish(&self, live: &Arc<Live>, state: State, by: &str, why: &str) {
        if !live.finish(by, why) {
            return;
        }
        let (support, live) = (self.clone(), Arc::clone(live));
        let (by, why) = (by.to_owned(), why.to_owned());
        let noted = tokio::spawn(async move {
            let recorded = live.recorded().await;
            let kept = support.note(&live, state, (by, why), recorded).await;
            support.0.live.lock().remove(&live.id);
            live.noted();
            if let Err(error) = kept {
                tracing::error!(%error, session = %live.id, "the end of support is not written down");
            }
        });
        // It has been reported if it stopped.
        let _ = noted.await;
    }

    async fn note(
        &self,
        live: &Live,
        state: State,
        (by, why): (String, String),
        recorded: Option<Recorded>,
    ) -> Result<(), Refusal> {
        let (id, now) = (live.id.clone(), self.0.clock.now());
        self.0
            .store
            .write(move |connection| {
                let Some(session) = table::find(connection, &id)? else {
                    return Ok(());
                };
                let ended = (by.as_str(), why.as_str());
                table::over(connection, &id, (state, now), ended, recorded.as_ref())?;
                audit_end(connection, &session, now, ended, recorded.as_ref())
            })
            .await
    }
}

pub(super) fn audit_end(
    connection: &Connection,
    session: &SupportSession,
    now: Timestamp,
    (by, why): (&str, &str),
    recorded: Option<&Recorded>,
) -> Result<(), Refusal> {
    let on = format!("device/{}", session.device);
    let detail = json!({
        "session": session.id.as_str(), "why": why,
        "recorded": recorded.map(|recorded| recorded.bytes),
        "sha256": recorded.map(|recorded| recorded.digest.as_str()),
    });
    // Who is at the device is said by the device, so it is the device who says it.
    audit::append_as(connection, now, by, None, "support.end", &on, &detail)
}

/// Ends the session with its time, with the operator's right to act, or when they have gone. Who
/// watches does not keep the store open.
pub(super) async fn watch(support: Weak<Inner>, live: Arc<Live>, operator: Pass) {
    let Some(clock) = support.upgrade().map(|inner| inner.clock.clone()) else {
        return;
    };
    let why = tokio::select! {
        () = live.over() => return,
        () = operator.withdrawn() => "the operator's access has ended",
        () = live.late(&clock) => "its time is over",
        () = live.left_alone() => "the operator has gone",
    };
    if let Some(inner) = support.upgrade() {
        Support(inner).finish(&live, State::Ended, "hub", why).await;
    }
}

/// Ends the session with the connection by which the device has joined.
pub(super) async fn watch_device(support: Weak<Inner>, live: Arc<Live>, device: Pass) {
    tokio::select! {
        () = live.over() => return,
        () = device.gone() => {}
    }
    if let Some(inner) = support.upgrade() {
        let why = "the device's connection has ended";
        Support(inner).finish(&live, State::Ended, "hub", why).await;
    }
}
