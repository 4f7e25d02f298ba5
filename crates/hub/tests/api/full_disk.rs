//! What is told of a disk that is full: a small one, in a mount namespace of its own.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use outgate_core::events::NewEvent;
use outgate_core::{Clock, Limits, Refusal, Settings, Timestamp};

use crate::hub::{Answer, Hub};

/// What is left to revocations on a disk of 4 MiB.
const RESERVE: u64 = 1 << 20;

/// Tells a process of this test that it stands in the namespace, and where the disk is.
const DISK: &str = "OUTGATE_FULL_DISK";

#[test]
fn a_hub_whose_disk_is_full_is_not_ready_until_there_is_room() {
    let Some(disk) = std::env::var_os(DISK) else {
        return run_in_a_namespace();
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(fill_and_recover(Path::new(&disk)));
}

async fn fill_and_recover(disk: &Path) {
    let hub = Hub::on(&Settings {
        clock: Clock::held(Timestamp::from_millis(1_790_000_000_000)),
        limits: Limits {
            reserve: RESERVE,
            ..Limits::default()
        },
        ..Settings::new(disk.join("data"))
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

    let mut remount = Command::new("mount");
    run(remount.args(["-o", "remount,size=8m"]).arg(disk));
    hub.core.clock.advance(Duration::from_secs(1));
    assert_eq!(ready(&hub).await.status, StatusCode::OK);
}

async fn ready(hub: &Hub) -> Answer {
    hub.tell(Request::get("/readyz").body(Body::empty()).unwrap())
        .await
}

/// Runs this test again where only it sees the disk.
fn run_in_a_namespace() {
    let disk = tempfile::tempdir().unwrap();
    let mut inside = Command::new("unshare");
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        inside.args(["--user", "--map-root-user"]);
    }
    let script = r#"mount -t tmpfs -o size=4m,mode=700 tmpfs "$0" && exec "$@""#;
    run(inside
        .args(["--mount", "sh", "-c", script])
        .arg(disk.path())
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            std::thread::current().name().unwrap(),
            "--nocapture",
        ])
        .env(DISK, disk.path()));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
