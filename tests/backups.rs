//! A backup, and what it is made for.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use tempfile::TempDir;

use crate::device::Device;
use crate::hub::Hub;
use crate::support::{stderr, stdout, text};

/// How many events are acknowledged before the backup begins, at the least.
const BEFORE: u32 = 20;

#[test]
fn a_hub_that_is_restored_from_a_backup_made_under_load_has_all_that_was_acknowledged() {
    let hub = Hub::entered();
    hub.get("site add lund");
    hub.get("device add till --site lund");
    let issued = hub.get("device credential till --token test");
    let token = text(&issued["issued"][0]["given"]["token"]);
    let issued = hub.get("device credential till --keys");
    let key = text(&issued["issued"][0]["given"]["key"]);
    hub.get("device policy till own-subtree");

    let mut device = Device::connect(hub.plain, "till", &token);
    let (said, over) = (AtomicU32::new(0), AtomicU32::new(0));
    let before = thread::scope(|threads| {
        threads.spawn(|| {
            while over.load(Ordering::SeqCst) == 0 {
                device.say("till", "counted", "{}");
                said.fetch_add(1, Ordering::SeqCst);
            }
        });
        while said.load(Ordering::SeqCst) < BEFORE {
            thread::yield_now();
        }
        let before = said.load(Ordering::SeqCst);
        let made = hub.run("hub backup --data data copy");
        over.store(1, Ordering::SeqCst);
        assert!(made.status.success(), "{}", stderr(&made));
        before
    });
    let again = hub.fails("hub backup --data data copy", 2);
    assert!(again.contains("copy is there already"), "{again}");
    let inside = hub.fails("hub backup --data data data/copy", 2);
    assert!(inside.contains("lies in the data folder"), "{inside}");
    let nothing = hub.fails("hub backup --data nowhere copy-2", 2);
    assert!(nothing.contains("holds no hub's data"), "{nothing}");

    let restored = TempDir::new().expect("a folder");
    std::fs::rename(hub.file("copy"), restored.path().join("data")).expect("it moves");
    std::fs::copy(hub.file("hub.toml"), restored.path().join("hub.toml")).expect("a copy");
    drop(hub.kill());
    let hub = Hub::on(restored);
    hub.enter();
    let events = hub.run("events tail --json");
    let count = stdout(&events).lines().count();
    assert!(count >= usize::try_from(before).expect("few"), "{count}");
    assert_eq!(hub.get("audit --verify")["verified"]["chain"], "whole");
    Device::connect(hub.plain, "till", &token).say("till", "again", "{}");
    Device::connect(hub.plain, "till", &key).say("till", "again", "{}");
}
