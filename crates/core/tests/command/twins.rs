//! Twins.

use std::time::Duration;

use outgate_core::Refusal;
use outgate_core::identity::{Actor, Role, Scope};
use outgate_core::sessions::{Ending, Selector, Signal};
use serde_json::{Value, json};

use crate::hub::{Hub, actor, id, till};

#[tokio::test]
async fn what_is_desired_reaches_the_device_and_what_it_reports_is_seen() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let mut changes = hub.core.twins.changes();
    let half = hub
        .desire(json!({"colour": "blue", "size": {"x": 1, "y": 2}}))
        .await;
    assert_eq!(half.unwrap().version, 1);
    assert!(matches!(session.signal().await, Signal::Desired));
    assert_eq!(&changes.recv().await.unwrap(), till());
    let own = hub.core.twins.own(&session).await.unwrap();
    assert_eq!(own.desired.document["size"]["y"], 2);
    assert_eq!((own.reported.version, own.reported.changed), (0, None));
    let reported = hub.core.twins.report(&session, json!({"size": {"x": 1}}));
    assert_eq!(reported.await.unwrap().version, 1);
    assert_eq!(&changes.recv().await.unwrap(), till());
    let half = hub.desire(json!({"size": {"x": null}})).await.unwrap();
    assert_eq!(half.document, json!({"colour": "blue", "size": {"y": 2}}));
    let hub = hub.restarted();
    let twin = hub.core.twins.get(&hub.operator, till()).await.unwrap();
    assert_eq!((twin.desired.version, twin.reported.version), (2, 1));
    assert_eq!(twin.reported.document, json!({"size": {"x": 1}}));
    assert_eq!(twin.desired.changed, Some(hub.core.clock.now()));
}

#[tokio::test]
async fn a_patch_over_another_version_is_refused_and_changes_nothing() {
    let hub = Hub::new().await;
    hub.desire(json!({"a": 1})).await.unwrap();
    let desire = |version| {
        let (twins, operator) = (&hub.core.twins, &hub.operator);
        async move {
            let patch = json!({"a": 2});
            twins.desire(operator, till(), patch, Some(version)).await
        }
    };
    for wrong in [0, 2] {
        assert!(matches!(desire(wrong).await, Err(Refusal::Conflict { .. })));
    }
    assert_eq!(desire(1).await.unwrap().version, 2);
}

#[tokio::test]
async fn a_patch_that_changes_nothing_is_no_news() {
    let hub = Hub::new().await;
    hub.desire(json!({"a": 1})).await.unwrap();
    let session = hub.session("till-1").await;
    let mut changes = hub.core.twins.changes();
    for patch in [json!({}), json!({"a": 1}), json!({"b": null})] {
        assert_eq!(hub.desire(patch).await.unwrap().version, 1);
    }
    assert!(changes.try_recv().is_err());
    session.remind(&Signal::Commands);
    assert!(matches!(session.signal().await, Signal::Commands));
}

#[tokio::test]
async fn documents_have_bounds_however_they_grow() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let half = "x".repeat(16 * 1024);
    for (name, fits) in [("a", true), ("b", false)] {
        let patch = json!({ name: half });
        let reported = hub.core.twins.report(&session, patch.clone()).await;
        let desired = hub.desire(patch).await;
        for done in [reported, desired] {
            assert_eq!(done.is_ok(), fits, "{name}: {done:?}");
        }
    }
    let deep = (0..200).fold(json!({}), |inner, _| json!({ "a": inner }));
    for wrong in [deep, json!([1]), json!("text"), Value::Null] {
        assert!(
            hub.core
                .twins
                .report(&session, wrong.clone())
                .await
                .is_err()
        );
        assert!(hub.desire(wrong).await.is_err());
    }
    let twin = hub.core.twins.get(&hub.operator, till()).await.unwrap();
    assert_eq!((twin.desired.version, twin.reported.version), (1, 1));
}

#[tokio::test]
async fn a_session_that_was_ended_neither_reads_nor_reports() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let sessions = &hub.core.sessions;
    sessions
        .end(&Selector::All, Ending::Revoked, Duration::ZERO)
        .await;
    let reported = hub.core.twins.report(&session, json!({"a": 1})).await;
    assert!(matches!(reported, Err(Refusal::Revoked)));
    let read = hub.core.twins.own(&session).await;
    assert!(matches!(read, Err(Refusal::Revoked)));
    let twin = hub.core.twins.get(&hub.operator, till()).await.unwrap();
    assert_eq!(twin.reported.version, 0);
}

#[tokio::test]
async fn only_operators_who_see_the_device_desire_and_each_act_is_written_down() {
    let hub = Hub::new().await;
    let desire = |actor: Actor| {
        let twins = &hub.core.twins;
        async move { twins.desire(&actor, till(), json!({"a": 1}), None).await }
    };
    let viewer = actor(Role::Viewer, Scope::All);
    let refused = desire(viewer.clone()).await;
    assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
    hub.core.twins.get(&viewer, till()).await.unwrap();
    let stranger = actor(Role::Admin, Scope::Site(id("mill")));
    let refused = desire(stranger.clone()).await;
    assert!(matches!(refused, Err(Refusal::NotFound { .. })));
    let seen = hub.core.twins.get(&stranger, till()).await;
    assert!(matches!(seen, Err(Refusal::NotFound { .. })));
    desire(hub.operator.clone()).await.unwrap();
    let (who, act, on) = hub.audited().await.swap_remove(0);
    assert_eq!(
        (who.as_str(), act.as_str(), on.as_str()),
        ("op-test", "twin.desire", "device/till-1")
    );
}

impl Hub {
    async fn desire(&self, patch: Value) -> Result<outgate_core::twin::Half, Refusal> {
        let twins = &self.core.twins;
        twins.desire(&self.operator, till(), patch, None).await
    }
}
