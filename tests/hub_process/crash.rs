//! The hub is killed under load, again and again, and started on the same folder.
//!
//! What cannot be tested here is a power cut: the kernel survives, and with it what was written
//! and not flushed.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::process::{Hub, PATIENCE, begin};
use crate::publisher::{Publisher, Quality, Told};

/// How often it is killed under load.
const ROUNDS: u64 = 200;

/// The most acknowledgements that are waited for before it is killed.
const MOST_ACKNOWLEDGED: u64 = 60;

/// How often a hub's first start is cut short.
const FIRST_STARTS: u64 = 30;

/// The longest that a start which is cut short may take, in milliseconds: about as long as a whole
/// one takes where nothing else runs.
const LONGEST_START: u64 = 200;

const DEVICES: [(&str, Quality); 4] = [
    ("till-1", Quality::AtLeastOnce),
    ("till-2", Quality::ExactlyOnce),
    ("till-3", Quality::AtLeastOnce),
    ("till-4", Quality::ExactlyOnce),
];

#[test]
fn what_a_killed_hub_has_acknowledged_is_there_in_order_and_once_where_so_agreed() {
    let folder = TempDir::new().unwrap();
    let mut hub = Hub::start(folder.path());
    hub.site("s");
    let mut publishers: Vec<Publisher> = DEVICES
        .map(|(name, quality)| {
            let token = hub.device(name);
            Publisher::new(name.to_owned(), token, quality)
        })
        .into();
    let mut ledger = Ledger::default();
    for round in 0..ROUNDS {
        let resumed = publishers
            .iter()
            .map(|it| (it.name.clone(), it.unacknowledged()));
        let resumed: BTreeMap<String, u64> = resumed.collect();
        publish_and_kill(hub, &mut publishers, random(round) % MOST_ACKNOWLEDGED);
        disturb(folder.path(), round);
        hub = Hub::start(folder.path());
        let kept = events_after(&hub, ledger.upto);
        ledger.verify(round, &kept, &publishers, &resumed);
    }
    // Otherwise the rounds were too short to show anything.
    assert!(ledger.events > ROUNDS * 20, "{}", ledger.events);
    assert!(ledger.open > ROUNDS, "never killed with events under way");
    assert!(
        ledger.repeated > 0,
        "never killed before an acknowledgement"
    );
}

/// Lets all publish until so many messages have been acknowledged, and kills the hub.
fn publish_and_kill(hub: Hub, publishers: &mut [Publisher], acknowledged: u64) {
    let port = hub.port;
    std::thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        for publisher in publishers {
            let tell = tell.clone();
            scope.spawn(move || publisher.publish(port, &tell));
        }
        for _ in 0..acknowledged {
            match told.recv_timeout(PATIENCE) {
                Ok(Told::Acknowledged) => {}
                Ok(Told::Ended(why)) => panic!("the hub still runs: {why}"),
                Err(_) => panic!("nothing is acknowledged any more"),
            }
        }
        hub.kill();
    });
}

/// What may come between a kill and the next start: another start that is cut short, or a write
/// of which only a part has reached the disk.
fn disturb(folder: &Path, round: u64) {
    if round % 8 == 3 {
        cut_short(folder, random(round));
    } else if round % 8 == 7 {
        let log = folder.join("data/hub.sqlite-wal");
        let mut log = OpenOptions::new().append(true).open(log).unwrap();
        let torn: Vec<u8> = (0..random(round) % 9_000)
            .map(|place| random(place).to_be_bytes()[0])
            .collect();
        log.write_all(&torn).unwrap();
    }
}

#[test]
fn a_first_start_that_is_cut_short_is_taken_up_again() {
    for round in 0..FIRST_STARTS {
        let folder = TempDir::new().unwrap();
        cut_short(folder.path(), round * LONGEST_START / FIRST_STARTS);
        let hub = Hub::start(folder.path());
        // Its first operator's token is there, and is good.
        hub.ask("GET", "status", &Json::Null);
    }
}

/// Starts a hub and kills it after so many milliseconds, up to [`LONGEST_START`]. How far it has
/// come is left to chance: that is what is tried.
fn cut_short(folder: &Path, after: u64) {
    let starting = begin(folder);
    std::thread::sleep(Duration::from_millis(after % LONGEST_START));
    drop(starting);
}

/// What has been verified so far.
#[derive(Default)]
struct Ledger {
    /// The place up to which events have been looked at.
    upto: u64,
    /// Of each device the number of its newest event, and of the one that came last.
    last: BTreeMap<String, Last>,
    events: u64,
    /// How many messages were under way at the kills.
    open: u64,
    /// How many events came twice, as they may.
    repeated: u64,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    newest: u64,
    latest: u64,
}

impl Ledger {
    /// Verifies what came in this round, in which each device began with the number in `resumed`.
    fn verify(
        &mut self,
        round: u64,
        kept: &[(u64, String, u64)],
        publishers: &[Publisher],
        resumed: &BTreeMap<String, u64>,
    ) {
        let mut seen = BTreeMap::new();
        for (place, device, number) in kept {
            assert_eq!(*place, self.upto + 1, "round {round}: a hole");
            self.upto = *place;
            self.events += 1;
            let first = seen.insert(device.clone(), ()).is_none();
            self.take(round, device, *number, first.then(|| resumed[device]));
        }
        for publisher in publishers {
            self.open += publisher.open() as u64;
            let first = publisher.unacknowledged();
            let kept = self
                .last
                .get(&publisher.name)
                .map_or(0, |last| last.newest + 1);
            assert!(
                first <= kept,
                "round {round}, {}: {first} were acknowledged, {kept} are there",
                publisher.name
            );
        }
    }

    /// Verifies one event: it follows its predecessor, or, being the first of its round, is the
    /// oldest that was not acknowledged, which may then have been there.
    fn take(&mut self, round: u64, device: &str, number: u64, resumed: Option<u64>) {
        let quality = DEVICES.iter().find(|(name, _)| *name == device).unwrap().1;
        let last = self.last.get(device).copied();
        let follows = last.map_or(0, |last| last.latest + 1);
        let expected = match (quality, resumed) {
            (Quality::AtLeastOnce, Some(resumed)) => resumed,
            (Quality::AtLeastOnce, None) | (Quality::ExactlyOnce, _) => follows,
        };
        assert_eq!(number, expected, "round {round}, {device}: {last:?}");
        let newest = last.map_or(number, |last| last.newest.max(number));
        assert!(
            number <= last.map_or(0, |last| last.newest + 1),
            "round {round}: lost"
        );
        self.repeated += u64::from(last.is_some_and(|last| number <= last.newest));
        let last = Last {
            newest,
            latest: number,
        };
        self.last.insert(device.to_owned(), last);
    }
}

/// Place, device and number of each event after the place `after`.
fn events_after(hub: &Hub, mut after: u64) -> Vec<(u64, String, u64)> {
    let mut events = Vec::new();
    loop {
        let path = format!("events?after={after}&limit=1000");
        let list = hub.ask("GET", &path, &Json::Null);
        let items = list["items"].as_array().unwrap();
        let read = items.iter().map(|item| {
            let number = item["name"].as_str().unwrap().parse().unwrap();
            let device = item["device"].as_str().unwrap().to_owned();
            (item["place"].as_u64().unwrap(), device, number)
        });
        events.extend(read);
        let next = list["next"].as_u64().unwrap();
        if next == after {
            return events;
        }
        after = next;
    }
}

/// The same for the same seed in every run (SplitMix64).
fn random(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
