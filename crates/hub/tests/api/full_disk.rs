//! What is told of a disk that is full: a small one, in a mount namespace of its own.

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use outgate_core::events::NewEvent;
use outgate_core::{Clock, Limits, Refusal, Settings, Timestamp};
use outgate_testbed::{SmallDisk, on_small_disk};

use crate::hub::{Answer, Hub};

/// What is left to revocations on a disk of 4 MiB.
const RESERVE: u64 = 1 << 20;

#[test]
fn a_hub_whose_disk_is_full_is_not_ready_until_there_is_room() {
    on_small_disk(|disk| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(fill_and_recover(disk));
    })
    .unwrap();
}

async fn fill_and_recover(disk: &SmallDisk) {
    let hub = Hub::on(&Settings {
        clock: Clock::held(Timestamp::from_millis(1_790_000_000_000)),
        limits: Limits {
            reserve: RESERVE,
            ..Limits::default()
        },
        ..Settings::new(disk.path().join("data"))
    })
    .await;
    hub.furnish().await;
    let session = hub.session("till").await;
    assert_eq!(ready(&hub).await.status, StatusCode::OK);
    loop {
        let event = NewEvent {
            name: "x".to_owned(),
            content_type: String::new(),
            properties: std::collections::BTreeMap::new(),
            payload: vec![7; 4_000].into(),
        };
        match hub.core.events.append(&session, event).await {
            Ok(_) => {}
            Err(Refusal::Full) => break,
            Err(refusal) => panic!("{refusal:?}"),
        }
    }
    // What was found out holds for a moment.
    assert_eq!(ready(&hub).await.status, StatusCode::OK);
    hub.core.clock.advance(Duration::from_secs(1));
    let full = ready(&hub).await;
    assert_eq!(full.status, StatusCode::INSUFFICIENT_STORAGE, "{full:?}");
    assert_eq!(full.body["type"], "/problems/full");

    disk.grow().unwrap();
    hub.core.clock.advance(Duration::from_secs(1));
    assert_eq!(ready(&hub).await.status, StatusCode::OK);
}

async fn ready(hub: &Hub) -> Answer {
    hub.tell(Request::get("/readyz").body(Body::empty()).unwrap())
        .await
}
