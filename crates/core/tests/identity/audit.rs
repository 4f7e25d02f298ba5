//! The audit log: complete, without secrets, and found out when somebody changes it.

use outgate_core::audit::{Entry, Verified};
use outgate_core::identity::{Actor, Page, Role, Scope};
use outgate_core::{Core, Refusal};

use crate::hub::{Hub, id};

const ALL: Page = Page {
    after: None,
    limit: 1_000,
};

#[tokio::test]
async fn each_act_is_there_with_who_did_it_and_without_the_secret() {
    let hub = Hub::with_device("shop", "till-1").await;
    let ann = Actor {
        operator: Some(id("ann")),
        from: Some([192, 0, 2, 7].into()),
        ..hub.admin.clone()
    };
    let made = hub
        .core
        .identity
        .add_keys(&ann, &id("till-1"))
        .await
        .unwrap();
    let token = hub.device_token("till-1").await;
    let entries = entries(&hub).await;
    let acts: Vec<_> = entries
        .iter()
        .rev()
        .map(|entry| entry.act.as_str())
        .collect();
    assert_eq!(
        acts,
        [
            "site.create",
            "device.create",
            "credential.add-keys",
            "credential.add-token"
        ]
    );
    assert_eq!(entries[1].who, "ann");
    assert_eq!(entries[1].from.as_deref(), Some("192.0.2.7"));
    assert_eq!(entries[1].on, "device/till-1");
    let told = serde_json::to_string(&entries).unwrap();
    assert!(told.contains(made[0].credential.id.as_str()));
    assert!(!told.contains(str::from_utf8(token.expose()).unwrap()));
}

#[tokio::test]
async fn what_an_operator_may_not_is_written_down_but_not_without_end() {
    let hub = Hub::with_device("shop", "till-1").await;
    let viewer = Actor {
        operator: Some(id("vic")),
        role: Role::Viewer,
        ..hub.admin.clone()
    };
    for _ in 0..30 {
        let refused = hub
            .core
            .identity
            .revoke_device(&viewer, &id("till-1"))
            .await;
        assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
    }
    let entries = entries(&hub).await;
    let refused = entries
        .iter()
        .filter(|entry| entry.act == "refused")
        .count();
    assert_eq!(refused, 10);
}

#[tokio::test]
async fn only_who_sees_all_sites_reads_it() {
    let hub = Hub::with_device("shop", "till-1").await;
    let ann = Actor {
        scope: Scope::Site(id("shop")),
        ..hub.admin.clone()
    };
    let refused = hub.core.audit.entries(&ann, &ALL).await;
    assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
    let refused = hub.core.audit.verify(&ann).await;
    assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
}

#[tokio::test]
async fn it_is_appended_only() {
    let hub = Hub::with_device("shop", "till-1").await;
    for statement in ["UPDATE audit SET who = 'bob'", "DELETE FROM audit"] {
        let changed = hub.core.store.write(move |connection| {
            connection.execute(statement, [])?;
            Ok(())
        });
        assert!(changed.await.is_err(), "{statement}");
    }
    assert!(matches!(
        whole(&hub.core).await,
        Verified::Whole { entries: 2, .. }
    ));
}

#[tokio::test]
async fn any_change_behind_its_back_is_found_at_its_place() {
    for (change, at) in [
        ("UPDATE audit SET who = 'bob' WHERE seq = 2", 2),
        ("UPDATE audit SET at = at + 1 WHERE seq = 3", 3),
        ("UPDATE audit SET detail = '{}' WHERE seq = 1", 1),
        ("UPDATE audit SET source = '192.0.2.1' WHERE seq = 2", 2),
        ("DELETE FROM audit WHERE seq = 2", 2),
        ("DELETE FROM audit WHERE seq = 1", 1),
    ] {
        let hub = Hub::with_device("shop", "till-1").await;
        hub.device_token("till-1").await;
        assert!(matches!(
            whole(&hub.core).await,
            Verified::Whole { entries: 3, .. }
        ));
        let changed = hub.core.store.write(move |connection| {
            connection.execute_batch(
                "DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_cleared;",
            )?;
            connection.execute(change, [])?;
            Ok(())
        });
        changed.await.unwrap();
        assert_eq!(whole(&hub.core).await, Verified::Broken { at }, "{change}");
    }
}

async fn whole(core: &Core) -> Verified {
    core.audit.verify(&Actor::hub()).await.unwrap()
}

/// The entries of the log, the newest first.
async fn entries(hub: &Hub) -> Vec<Entry> {
    let entries = hub.core.audit.entries(&hub.admin, &ALL).await;
    entries.unwrap().items
}
