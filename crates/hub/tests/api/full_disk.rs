//! What is told of a disk that is full: a small one, in a mount namespace of its own.

use std::time::Duration;

use axum::body::Body;
use http::header::RETRY_AFTER;
use http::{Request, StatusCode};
use outgate_core::events::NewEvent;
use outgate_core::{Clock, Limits, Refusal, Settings, Timestamp};
use outgate_testbed::{SmallDisk, on_small_disk};

use crate::hub::{Answer, Hub};
use crate::logs::{Logging, said};

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
        match hub.core.events.append(&session, event()).await {
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

#[test]
fn logs_on_a_full_disk_are_put_off_until_there_is_room_and_none_that_was_taken_is_lost() {
    on_small_disk(|disk| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(fill_with_logs(disk));
    })
    .unwrap();
}

async fn fill_with_logs(disk: &SmallDisk) {
    let settings = Settings {
        limits: Limits {
            reserve: RESERVE / 4,
            log_burst: u32::MAX,
            ..Limits::default()
        },
        ..Settings::new(disk.path().join("data"))
    };
    let hub = Hub::on(&settings).await;
    hub.furnish().await;
    let session = hub.session("till").await;
    let device = Logging::on(hub).await;
    let mut taken = Vec::new();
    let send = async |number: usize| {
        let texts: Vec<String> = (0..20).map(|record| format!("{number}.{record}")).collect();
        let padded = |text: &String| said(&format!("{text} {}", "x".repeat(2_000)), 9);
        let answer = device.send_json(texts.iter().map(padded).collect()).await;
        (answer, texts)
    };
    let refused = loop {
        let (answer, texts) = send(taken.len()).await;
        if answer.status != StatusCode::OK {
            break answer;
        }
        taken.extend(texts);
    };
    assert!(taken.len() > 200, "{}", taken.len());
    assert_eq!(
        refused.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{refused:?}"
    );
    assert_eq!(refused.headers[RETRY_AFTER], "60");
    // UNAVAILABLE, after which senders send again.
    assert_eq!(refused.body["code"], 14, "{refused:?}");
    // What is acted on still has room, and what was refused left nothing behind.
    device
        .hub
        .core
        .events
        .append(&session, event())
        .await
        .unwrap();
    assert_eq!(kept(&device).await, taken);

    disk.grow().unwrap();
    let (answer, texts) = send(taken.len()).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    taken.extend(texts);
    assert_eq!(kept(&device).await, taken);
    let records = device.hub.get("/api/devices/till").await.body["logs"]["records"].clone();
    assert_eq!(records, taken.len());
}

/// The first words of all that is kept of what the device logs.
async fn kept(device: &Logging) -> Vec<String> {
    let (mut all, mut place) = (Vec::new(), 0);
    loop {
        let (items, next) = device.listed(&format!("?limit=1000&after={place}")).await;
        if items.is_empty() {
            return all;
        }
        let words = items.iter().map(|item| {
            let text = item["body"].as_str().unwrap();
            text.split(' ').next().unwrap().to_owned()
        });
        all.extend(words);
        place = next;
    }
}

fn event() -> NewEvent {
    NewEvent {
        name: "x".to_owned(),
        content_type: String::new(),
        properties: std::collections::BTreeMap::new(),
        payload: vec![7; 4_000].into(),
    }
}

async fn ready(hub: &Hub) -> Answer {
    hub.tell(Request::get("/readyz").body(Body::empty()).unwrap())
        .await
}
