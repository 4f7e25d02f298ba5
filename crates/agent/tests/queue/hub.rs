//! The queue and the hub that it is emptied into, over connections that break.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use outgate_agent::queue::{Entry, Limits, Priority, Stretch, deliveries};
use outgate_core::events::streams::{self, Reached};
use outgate_core::events::{EventFilter, NewEvent};
use outgate_core::identity::{Actor, Claim, Given, Scope};
use outgate_core::sessions::Session;
use outgate_core::{Core, Limits as CoreLimits, Settings};
use outgate_wire::agent;

use crate::{open, random};

/// How often a connection breaks, or does not.
const ROUNDS: u64 = 60;

/// Nothing is dropped.
const LIMITS: Limits = Limits {
    bytes: 64 << 20,
    keep: Duration::from_hours(24),
    reserve: 0,
};

#[tokio::test]
async fn the_hub_keeps_everything_once_and_in_order_however_connections_break() {
    let folder = tempfile::tempdir().unwrap();
    let (core, session) = hub(&folder.path().join("hub")).await;
    let data = folder.path().join("agent");
    let mut queue = open(&data, LIMITS);
    let mut pushed: BTreeMap<Priority, u64> = BTreeMap::new();
    let mut sent_again = 0;
    for round in 0..ROUNDS {
        for number in 0..random(round) % 40 {
            let priority = Priority::ALL[usize::try_from(random(number + round) % 3).unwrap()];
            let count = pushed.entry(priority).or_default();
            let name = format!("{}/{count}", priority.name());
            *count += 1;
            let event = Entry::event(name, vec![7; 100]);
            queue.push(Entry { priority, ..event }).await.unwrap();
        }
        for mut stretch in deliveries(&queue.batch(30).await.unwrap()) {
            match random(!round) % 4 {
                0 => {
                    let reached = deliver(&core, &session, &stretch).await;
                    queue.reached(&stretch, &reached).await.unwrap();
                }
                // The answer is lost.
                1 => sent_again += usize::from(deliver(&core, &session, &stretch).await.place > 0),
                // It breaks in the middle, and is made again of other pieces.
                2 => {
                    stretch.delivery.entries.truncate(3);
                    deliver(&core, &session, &stretch).await;
                }
                // It does not come that far, and the device starts again.
                _ => {
                    drop(queue);
                    queue = open(&data, LIMITS);
                    break;
                }
            }
        }
    }
    assert!(sent_again > 10, "{sent_again}");
    while let [first, ..] = &deliveries(&queue.batch(30).await.unwrap())[..] {
        let reached = deliver(&core, &session, first).await;
        queue.reached(first, &reached).await.unwrap();
    }
    let mut kept = names(&core).await;
    assert_eq!(queue.tally().borrow().entries(), 0);
    for (priority, count) in pushed {
        let expected = (0..count).map(|count| format!("{}/{count}", priority.name()));
        assert!(count > 100, "{count}");
        assert!(expected.eq(kept.remove(priority.name()).unwrap()));
    }
    assert!(kept.is_empty());
}

/// A hub, and a session of a device.
async fn hub(folder: &Path) -> (Core, Session) {
    let core = Core::open(&Settings {
        limits: CoreLimits {
            events_a_second: 1_000_000,
            event_burst: 1_000_000,
            reserve: 0,
            ..CoreLimits::default()
        },
        ..Settings::new(folder)
    })
    .unwrap();
    let (admin, site) = (Actor::hub(), "shop".parse().unwrap());
    let site = core.identity.create_site(&admin, site, "Shop".to_owned());
    let site = site.await.unwrap().id;
    let device = "till-1".parse().unwrap();
    let device = core.identity.create_device(&admin, device, site, None);
    let device = device.await.unwrap().id;
    let token = core
        .identity
        .add_token(&admin, &device, "test".to_owned(), None);
    let Given::Token(token) = token.await.unwrap().given else {
        panic!("a token was expected");
    };
    let claim = Claim::Token {
        token: &token,
        device: None,
    };
    let identified = core.identity.authenticate(claim).await.unwrap();
    let peer = ([127, 0, 0, 1], 1).into();
    let session = core.open_session(&identified, "test", peer).await.unwrap();
    (core, session)
}

/// What the hub does with what an agent sends.
async fn deliver(core: &Core, session: &Session, stretch: &Stretch) -> agent::Reached {
    let entries = stretch.delivery.entries.iter().cloned().map(|entry| {
        let event = NewEvent {
            name: entry.name,
            content_type: entry.content_type,
            properties: entry.properties,
            payload: entry.payload.0.into(),
        };
        (entry.number, event)
    });
    let stretch = streams::Stretch {
        stream: stretch.delivery.stream.clone(),
        entries: entries.collect(),
    };
    let reached = core.events.append_stretch(session.pass(), stretch);
    let Reached { place, refused } = reached.await.unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    agent::Reached {
        place,
        refused: Vec::new(),
    }
}

/// The names of all events in the hub, by what they begin with, in order.
async fn names(core: &Core) -> BTreeMap<String, Vec<String>> {
    let all = EventFilter {
        scope: Scope::All,
        device: None,
        prefix: None,
    };
    let (mut names, mut after) = (BTreeMap::<String, Vec<String>>::new(), 0);
    loop {
        let taken = core.events.after(&all, after, 1_000).await.unwrap();
        if taken.next == after {
            return names;
        }
        after = taken.next;
        for event in taken.events {
            let (priority, _) = event.name.split_once('/').unwrap();
            names
                .entry(priority.to_owned())
                .or_default()
                .push(event.name);
        }
    }
}
