//! Twins that a device has beside its own, and what it writes into its twins itself.

use std::time::Duration;

use outgate_core::Refusal;
use outgate_core::identity::{Actor, Role, Scope};
use outgate_core::sessions::{Ending, Selector, Session, Signal};
use outgate_core::twin::{Change, Changed, Edit, Half, MAX_NAMED, MAX_NAMED_BYTES};
use serde_json::{Value, json};

use crate::hub::{Hub, actor, id, till};

fn reports(document: Value) -> Change {
    Change::Edit {
        desired: None,
        reported: Some(Edit::Merge(document)),
    }
}

fn wants(document: Value) -> Change {
    Change::Edit {
        desired: Some(Edit::Merge(document)),
        reported: None,
    }
}

impl Hub {
    async fn changes(
        &self,
        session: &Session,
        name: Option<&str>,
        change: Change,
    ) -> Result<Changed, Refusal> {
        let twins = &self.core.twins;
        let name = name.map(id);
        twins.change(session.pass(), name, change, None).await
    }

    async fn wants(
        &self,
        name: &str,
        patch: Value,
        if_version: Option<u64>,
    ) -> Result<Half, Refusal> {
        let twins = &self.core.twins;
        let name = id(name);
        let desired = twins.desire_of(&self.operator, till(), &name, patch, if_version);
        desired.await
    }

    async fn names(&self) -> Vec<String> {
        let all = self.core.twins.named(&self.operator, till()).await;
        let names = all.unwrap().into_iter().map(|one| one.name.into());
        names.collect()
    }
}

#[tokio::test]
async fn a_device_writes_both_halves_at_once_and_is_given_what_was_and_what_is() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    for name in [None, Some("config")] {
        let first = hub.changes(&session, name, wants(json!({"a": 1}))).await;
        assert_eq!(first.unwrap().after.version(), 1);
        let both = Change::Edit {
            desired: Some(Edit::Replace(json!({}))),
            reported: Some(Edit::Merge(json!({"a": 1, "b": null}))),
        };
        let changed = hub.changes(&session, name, both).await.unwrap();
        assert_eq!(changed.before.desired.document, json!({"a": 1}));
        assert_eq!(changed.after.desired.document, json!({}));
        assert_eq!(changed.after.reported.document, json!({"a": 1}));
        assert_eq!((changed.before.version(), changed.after.version()), (1, 3));
        let same = hub.changes(&session, name, reports(json!({"a": 1}))).await;
        assert_eq!(same.unwrap().after.version(), 3);
    }
    let own = hub.core.twins.get(&hub.operator, till()).await.unwrap();
    assert_eq!(own.version(), 3);
    let hub = hub.restarted();
    assert_eq!(hub.names().await, ["config"]);
}

#[tokio::test]
async fn a_change_of_another_version_is_refused_and_changes_nothing() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let twins = &hub.core.twins;
    for name in [None, Some(id("config"))] {
        let patch = || reports(json!({"a": 1}));
        let wrong = twins.change(session.pass(), name.clone(), patch(), Some(1));
        assert!(matches!(wrong.await, Err(Refusal::Conflict { .. })));
        let right = twins.change(session.pass(), name.clone(), patch(), Some(0));
        right.await.unwrap();
        let cleared = twins.change(session.pass(), name, Change::Clear, Some(2));
        assert!(matches!(cleared.await, Err(Refusal::Conflict { .. })));
    }
}

#[tokio::test]
async fn what_is_cleared_is_not_there_and_its_versions_go_on() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    for name in [None, Some("config")] {
        let nothing = hub.changes(&session, name, Change::Clear).await;
        assert!(matches!(nothing, Err(Refusal::NotFound { .. })));
        let written = hub.changes(&session, name, reports(json!({"a": 1})));
        written.await.unwrap();
        let cleared = hub.changes(&session, name, Change::Clear).await.unwrap();
        assert!(cleared.after.is_empty());
        let again = hub.changes(&session, name, Change::Clear).await;
        assert!(matches!(again, Err(Refusal::NotFound { .. })));
        assert!(hub.names().await.is_empty());
        let written = hub.changes(&session, name, reports(json!({"a": 1})));
        assert_eq!(written.await.unwrap().after.version(), 3);
    }
}

#[tokio::test]
async fn a_device_has_so_many_named_twins_and_what_was_cleared_makes_room() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let write = async |name: usize| {
        let name = format!("twin-{name}");
        let change = reports(json!({"a": 1}));
        hub.changes(&session, Some(&name), change).await
    };
    for name in 0..MAX_NAMED {
        write(name).await.unwrap();
    }
    let refused = write(MAX_NAMED).await;
    assert!(matches!(refused, Err(Refusal::TooMany { .. })));
    let twins = &hub.core.twins;
    let patch = json!({"a": 1});
    let desired = hub.wants("more", patch, None).await;
    assert!(matches!(desired, Err(Refusal::TooMany { .. })));
    write(0).await.unwrap();
    let cleared = hub.changes(&session, Some("twin-3"), Change::Clear).await;
    cleared.unwrap();
    write(MAX_NAMED).await.unwrap();
    assert_eq!(hub.names().await.len(), MAX_NAMED);
    let other = hub.session("clock-1").await;
    assert!(twins.own_named(&other).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_named_twin_has_its_bound_for_both_halves_together() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let half = "x".repeat(MAX_NAMED_BYTES / 2 - 8);
    let written = hub.changes(&session, Some("a"), reports(json!({"a": half})));
    written.await.unwrap();
    let more = "x".repeat(MAX_NAMED_BYTES / 2);
    let refused = hub.changes(&session, Some("a"), wants(json!({"a": more})));
    assert!(matches!(refused.await, Err(Refusal::TooLarge { .. })));
    let twins = &hub.core.twins;
    let desired = hub.wants("a", json!({"a": more}), None).await;
    assert!(matches!(desired, Err(Refusal::TooLarge { .. })));
    let deep = (0..200).fold(json!({}), |inner, _| json!({ "a": inner }));
    for wrong in [deep, json!([1])] {
        let refused = hub.changes(&session, Some("a"), reports(wrong)).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    let own = twins.own_of(&session, Some(&id("a"))).await.unwrap();
    assert_eq!(own.version(), 1);
}

#[tokio::test]
async fn what_is_desired_of_a_named_twin_is_told_by_its_name() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let twins = &hub.core.twins;
    for (name, version) in [("b", 1), ("a", 1), ("a", 2)] {
        let patch = json!({"version": version});
        let half = hub.wants(name, patch, Some(version - 1)).await;
        assert_eq!(half.unwrap().version, version);
    }
    let stale = hub.wants("a", json!({}), Some(1)).await;
    assert!(matches!(stale, Err(Refusal::Conflict { .. })));
    for name in ["a", "b"] {
        let Signal::DesiredOf(told) = session.signal().await else {
            panic!("another signal");
        };
        assert_eq!(told.as_str(), name);
    }
    let own = twins.own_named(&session).await.unwrap();
    assert_eq!(own[0].twin.desired.document, json!({"version": 2}));
    let (_, act, on) = hub.audited().await.swap_remove(0);
    assert_eq!(
        (act.as_str(), on.as_str()),
        ("twin.desire", "device/till-1")
    );
}

#[tokio::test]
async fn only_operators_who_see_the_device_desire_of_its_named_twins() {
    let hub = Hub::new().await;
    let desire = |actor: Actor| {
        let twins = &hub.core.twins;
        async move {
            let patch = json!({"a": 1});
            twins.desire_of(&actor, till(), &id("a"), patch, None).await
        }
    };
    let viewer = actor(Role::Viewer, Scope::All);
    let refused = desire(viewer.clone()).await;
    assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
    let stranger = actor(Role::Admin, Scope::Site(id("mill")));
    let refused = desire(stranger.clone()).await;
    assert!(matches!(refused, Err(Refusal::NotFound { .. })));
    let seen = hub.core.twins.named(&stranger, till()).await;
    assert!(matches!(seen, Err(Refusal::NotFound { .. })));
    assert!(hub.names().await.is_empty());
}

#[tokio::test]
async fn a_session_that_was_ended_changes_none_of_its_twins() {
    let hub = Hub::new().await;
    let session = hub.session("till-1").await;
    let sessions = &hub.core.sessions;
    sessions
        .end(&Selector::All, Ending::Revoked, Duration::ZERO)
        .await;
    for name in [None, Some("a")] {
        let changed = hub.changes(&session, name, reports(json!({"a": 1}))).await;
        assert!(matches!(changed, Err(Refusal::Revoked)));
        let name = name.map(id);
        let read = hub.core.twins.own_of(&session, name.as_ref()).await;
        assert!(matches!(read, Err(Refusal::Revoked)));
    }
    let read = hub.core.twins.own_named(&session).await;
    assert!(matches!(read, Err(Refusal::Revoked)));
    assert!(hub.names().await.is_empty());
}
