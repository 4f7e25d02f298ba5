//! What the hub is told, and what it answers.

use outgate_wire::agent::{MAX_ENTRIES_BYTES, Reached, Refused};

use super::*;

fn numbers(stretch: &Stretch) -> Vec<u64> {
    let entries = stretch.delivery.entries.iter();
    entries.map(|entry| entry.number).collect()
}

fn reached(place: u64, refused: &[u64]) -> Reached {
    let refused = refused.iter().map(|number| Refused {
        number: *number,
        why: "it is none".to_owned(),
    });
    Reached {
        place,
        refused: refused.collect(),
    }
}

#[tokio::test]
async fn there_is_a_stream_for_each_priority_and_logs_are_apart() {
    let (_folder, _clock, queue) = queue(ROOMY);
    for name in ["a", "b"] {
        queue.push(Entry::event(name, "")).await.unwrap();
        queue.push(Entry::log(name, "")).await.unwrap();
        let important = of(Priority::Important, name, 1);
        queue.push(important).await.unwrap();
    }
    let stretches = deliveries(&queue.batch(9).await.unwrap());
    let [important, ordinary, logs] = &stretches[..] else {
        panic!("{stretches:?}");
    };
    let kinds = [important, ordinary, logs].map(|stretch| stretch.kind);
    assert_eq!(kinds, [Kind::Event, Kind::Event, Kind::Log]);
    assert_eq!(numbers(logs), [1, 2]);
    assert_eq!(numbers(important), [1, 2]);
    assert_eq!(numbers(ordinary), [1, 2]);
    let (one, two) = (&important.delivery.stream, &ordinary.delivery.stream);
    assert!(one.ends_with("-important"), "{one}");
    assert_eq!(
        one.trim_end_matches("important"),
        two.trim_end_matches("ordinary")
    );
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    assert!(one.len() <= 64 && one.bytes().all(is_name), "{one}");
}

#[tokio::test]
async fn what_the_hub_has_is_settled_and_what_it_passed_over_counted() {
    let (_folder, _clock, queue) = queue(ROOMY);
    for _ in 0..5 {
        queue.push(Entry::event("x", "")).await.unwrap();
    }
    let stretches = deliveries(&queue.batch(9).await.unwrap());
    queue
        .reached(&stretches[0], &reached(4, &[2]))
        .await
        .unwrap();
    let level = *queue.tally().borrow().level(Priority::Ordinary);
    assert_eq!(
        (level.entries, level.settled, level.dropped.refused),
        (1, 3, 1)
    );
    let rest = deliveries(&queue.batch(9).await.unwrap());
    assert_eq!(numbers(&rest[1]), [5], "after the report");
}

#[tokio::test]
async fn the_hub_is_told_when_an_event_was_said() {
    let (_folder, clock, queue) = queue(ROOMY);
    queue.push(Entry::event("undated", "")).await.unwrap();
    clock.restart();
    clock.set(1_893_456_000);
    queue.push(Entry::event("dated", "")).await.unwrap();
    let mut own = Entry::event("its own", "");
    let mine = (SAID.to_owned(), "yesterday".to_owned());
    own.properties.extend([mine]);
    queue.push(own).await.unwrap();
    let stretches = deliveries(&queue.batch(9).await.unwrap());
    let entries = stretches[0].delivery.entries.iter();
    let said: Vec<Option<&str>> = entries
        .map(|entry| entry.properties.get(SAID).map(String::as_str))
        .collect();
    assert_eq!(
        said,
        [None, Some("2030-01-01T00:00:00Z"), Some("yesterday")]
    );
}

#[tokio::test]
async fn a_delivery_is_never_larger_than_the_hub_takes() {
    let (_folder, _clock, queue) = queue(ROOMY);
    for bytes in [MAX_PAYLOAD, 1, MAX_PAYLOAD - 1, MAX_PAYLOAD, 1] {
        let entry = of(Priority::Ordinary, "", bytes);
        queue.push(entry).await.unwrap();
    }
    let mut sizes = Vec::new();
    while let [stretch] = &deliveries(&queue.batch(9).await.unwrap())[..] {
        let entries = stretch.delivery.entries.iter();
        sizes.push(entries.map(|entry| entry.payload.0.len()).sum::<usize>());
        queue
            .reached(stretch, &reached(u64::MAX, &[]))
            .await
            .unwrap();
    }
    assert_eq!(sizes, [MAX_ENTRIES_BYTES, MAX_PAYLOAD + 1]);
}

#[tokio::test]
async fn what_has_no_room_for_its_date_is_delivered_without() {
    let (_folder, clock, queue) = queue(ROOMY);
    clock.set(1_893_456_000);
    for (count, bytes) in [(MAX_PROPERTIES, 1), (1, MAX_PROPERTIES_BYTES - 2)] {
        let mut full = Entry::event("full", "");
        let text = |number: usize| (format!("{number:02}"), "x".repeat(bytes));
        full.properties = (0..count).map(text).collect();
        queue.push(full).await.unwrap();
    }
    let stretches = deliveries(&queue.batch(9).await.unwrap());
    let entries = &stretches[0].delivery.entries;
    assert_eq!(entries.len(), 2);
    assert!(
        entries
            .iter()
            .all(|entry| !entry.properties.contains_key(SAID))
    );
}
