//! A disk that fills up: a small one, in a mount namespace of its own.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use outgate_testbed::{SmallDisk, on_small_disk};

use outgate_core::identity::{Actor, Page};
use outgate_core::sessions::Session;
use outgate_core::{Core, Refusal};

use crate::devices::{come_in, device_with_token, events_after, open, said};

/// What is left to revocations on a disk of 4 MiB.
const RESERVE: u64 = 1 << 20;

#[test]
fn a_full_disk_refuses_events_takes_revocations_and_recovers() {
    on_small_disk(|disk| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(fill_and_recover(disk));
    })
    .unwrap();
}

async fn fill_and_recover(disk: &SmallDisk) {
    let data = disk.path().join("data");
    let core = open(&data, RESERVE);
    let session = come_in(&core, &device_with_token(&core, "till-1").await).await;
    let mut kept = fill(&core, &session).await;
    assert!(kept.len() > 50, "{}", kept.len());

    // What people do still works, and is noted.
    for number in 0..20 {
        let device = format!("spare-{number}");
        device_with_token(&core, &device).await;
        revoke(&core, &device).await.unwrap();
    }
    assert!(matches!(say(&core, &session, 0).await, Err(Refusal::Full)));

    // Somebody else takes the reserve: everything is refused, and nothing breaks.
    let ballast = disk.path().join("ballast");
    take_the_rest(&ballast);
    assert!(matches!(say(&core, &session, 0).await, Err(Refusal::Full)));
    let refused = revoke_until_refused(&core).await;
    assert!(matches!(refused, Refusal::Full), "{refused:?}");
    assert_eq!(events_after(&core, 0).await.len(), kept.len());

    // It recovers by itself.
    std::fs::remove_file(&ballast).unwrap();
    revoke(&core, "spare-0").await.unwrap();
    assert!(matches!(say(&core, &session, 0).await, Err(Refusal::Full)));
    disk.grow().unwrap();
    kept.extend(fill(&core, &session).await);

    // What was acknowledged is there, also after a restart.
    drop((session, core));
    let core = open(&data, RESERVE);
    let there = events_after(&core, 0).await;
    let there: Vec<_> = there
        .iter()
        .map(|event| (event.seq, event.name.clone()))
        .collect();
    assert_eq!(there, kept);
    assert_eq!(core.store.check().await.unwrap(), Vec::<String>::new());

    // What is cleared away makes room, although the file does not get smaller.
    let session = come_in(&core, &device_with_token(&core, "till-2").await).await;
    assert!(matches!(say(&core, &session, 0).await, Err(Refusal::Full)));
    core.clock.advance(Duration::from_hours(31 * 24));
    core.tidy().await.unwrap();
    assert!(fill(&core, &session).await.len() > 50);
}

/// Says events until one is refused. Gives those that were acknowledged.
async fn fill(core: &Core, session: &Session) -> Vec<(u64, String)> {
    let mut kept = Vec::new();
    for number in 0.. {
        match say(core, session, number).await {
            Ok(seq) => kept.push((seq, number.to_string())),
            Err(Refusal::Full) => break,
            Err(refusal) => panic!("{refusal:?}"),
        }
    }
    kept
}

async fn say(core: &Core, session: &Session, number: u64) -> Result<u64, Refusal> {
    let event = said(number.to_string(), Bytes::from_static(&[7; 4_000]));
    core.events.append(session, event).await
}

async fn revoke(core: &Core, device: &str) -> Result<(), Refusal> {
    let device = device.parse().unwrap();
    core.identity
        .revoke_device(&Actor::hub(), &device)
        .await
        .map(|_| ())
}

/// The log has some room of its own, so a few revocations go through even now.
async fn revoke_until_refused(core: &Core) -> Refusal {
    let before = entries(core).await;
    let mut revoked = 0;
    loop {
        if let Err(refusal) = revoke(core, "spare-0").await {
            assert_eq!(
                entries(core).await,
                before + revoked,
                "no more and no less is noted"
            );
            return refusal;
        }
        revoked += 1;
    }
}

/// How many entries the audit log has.
async fn entries(core: &Core) -> u64 {
    let newest = Page {
        after: None,
        limit: 1,
    };
    core.audit
        .entries(&Actor::hub(), &newest)
        .await
        .unwrap()
        .items[0]
        .seq
}

fn take_the_rest(ballast: &Path) {
    let mut ballast = File::create(ballast).unwrap();
    loop {
        if let Err(error) = ballast.write_all(&[0; 4_096]) {
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            return;
        }
    }
}
