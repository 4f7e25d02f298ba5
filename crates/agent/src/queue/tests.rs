//! The queue by itself.

mod age;
mod care;
mod damage;
mod delivery;
mod model;
mod room;

use tempfile::TempDir;
use time::OffsetDateTime;

use super::*;

/// A limit that no test reaches that does not want to.
pub(super) const ROOMY: Limits = Limits {
    bytes: 64 << 20,
    keep: Duration::from_hours(24),
    reserve: 0,
};

/// A clock that stands still until it is moved.
pub(super) struct HeldClock(Mutex<Moment>);

impl HeldClock {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Moment {
            boot: Boot(1),
            up: Duration::from_secs(10),
            wall: None,
        })))
    }

    pub(super) fn advance(&self, by: Duration) {
        let mut moment = self.0.lock();
        moment.up += by;
        moment.wall = moment.wall.map(|wall| wall + by);
    }

    /// Somebody tells what time it is.
    pub(super) fn set(&self, seconds: i64) {
        self.0.lock().wall = Some(OffsetDateTime::from_unix_timestamp(seconds).unwrap());
    }

    /// The machine ends and starts again, and does not know what time it is.
    pub(super) fn restart(&self) {
        let mut moment = self.0.lock();
        *moment = Moment {
            boot: Boot(moment.boot.0 + 1),
            up: Duration::from_secs(10),
            wall: None,
        };
    }
}

impl Clock for HeldClock {
    fn now(&self) -> Moment {
        *self.0.lock()
    }
}

pub(super) fn queue(limits: Limits) -> (TempDir, Arc<HeldClock>, Queue) {
    let (folder, clock) = (TempDir::new().unwrap(), HeldClock::new());
    let queue = Queue::open(folder.path(), limits, clock.clone()).unwrap();
    (folder, clock, queue)
}

pub(super) fn of(priority: Priority, name: &str, bytes: usize) -> Entry {
    Entry {
        priority,
        ..Entry::event(name, vec![b'x'; bytes])
    }
}

pub(super) fn names(batch: &[Waiting]) -> Vec<&str> {
    let names = batch.iter().map(|waiting| waiting.entry.name.as_str());
    names.collect()
}

pub(super) fn positions(batch: &[Waiting]) -> Vec<Position> {
    batch.iter().map(Waiting::position).collect()
}

#[tokio::test]
async fn each_kind_is_given_out_by_itself_and_in_its_order() {
    let (_folder, _clock, queue) = queue(ROOMY);
    for number in 0..3 {
        for priority in Priority::ALL {
            let name = |kind| format!("{kind}{}{number}", &priority.name()[..1]);
            let event = of(priority, &name("e"), 10);
            let log = Entry {
                priority,
                ..Entry::log(name("l"), vec![1])
            };
            queue.push(event).await.unwrap();
            queue.push(log).await.unwrap();
        }
    }
    for (kind, expected) in [
        (Kind::Event, "ei0 ei1 ei2 eo0 eo1 eo2 eb0 eb1 eb2"),
        (Kind::Log, "li0 li1 li2 lo0 lo1 lo2 lb0 lb1 lb2"),
    ] {
        let batch = queue.batch_of(kind, MAX_BATCH).await.unwrap();
        assert_eq!(names(&batch).join(" "), expected);
    }
    let both = queue.batch(4).await.unwrap();
    assert_eq!(names(&both), ["ei0", "li0", "ei1", "li1"]);
}

#[tokio::test]
async fn entries_come_in_order_and_what_matters_most_first() {
    let (_folder, _clock, queue) = queue(ROOMY);
    for (name, priority) in [
        ("a", Priority::Background),
        ("b", Priority::Ordinary),
        ("c", Priority::Important),
        ("d", Priority::Background),
        ("e", Priority::Ordinary),
    ] {
        queue.push(of(priority, name, 10)).await.unwrap();
    }
    let batch = queue.batch(4).await.unwrap();
    assert_eq!(names(&batch), ["c", "b", "e", "a"]);
    queue.settle(positions(&batch)).await.unwrap();
    assert_eq!(names(&queue.batch(4).await.unwrap()), ["d"]);
}

#[tokio::test]
async fn an_entry_comes_back_as_it_went_in() {
    let (_folder, _clock, queue) = queue(ROOMY);
    let entry = Entry {
        content_type: "text/plain; charset=utf-8".to_owned(),
        properties: [("ä".to_owned(), "\u{0}\n".to_owned())].into(),
        ..Entry::log("kernel/boot", vec![0, 255, 7])
    };
    queue.push(entry.clone()).await.unwrap();
    queue.push(Entry::event("", "")).await.unwrap();
    let batch = queue.batch(9).await.unwrap();
    assert_eq!(batch[0].entry, Entry::event("", ""));
    assert_eq!(batch[1].entry, entry);
}

#[tokio::test]
async fn entries_are_given_again_as_the_same_until_they_are_settled() {
    let (folder, clock, queue) = queue(ROOMY);
    queue.push(Entry::event("a", "1")).await.unwrap();
    queue.push(Entry::event("b", "2")).await.unwrap();
    let first = queue.batch(9).await.unwrap();
    drop(queue);
    let queue = Queue::open(folder.path(), ROOMY, clock).unwrap();
    assert_eq!(queue.batch(9).await.unwrap(), first);
    let done = positions(&first[..1]);
    queue.settle(done.clone()).await.unwrap();
    queue.settle(done).await.unwrap();
    assert_eq!(queue.batch(9).await.unwrap(), first[1..]);
    let level = *queue.tally().borrow().level(Priority::Ordinary);
    assert_eq!((level.entries, level.settled), (1, 1));
}

#[tokio::test]
async fn a_number_is_never_given_twice() {
    let (folder, clock, queue) = queue(ROOMY);
    let first = queue.push(Entry::event("a", "")).await.unwrap();
    let batch = queue.batch(1).await.unwrap();
    queue.settle(positions(&batch)).await.unwrap();
    drop(queue);
    let queue = Queue::open(folder.path(), ROOMY, clock).unwrap();
    let second = queue.push(Entry::event("a", "")).await.unwrap();
    assert_eq!((first.number, second.number), (1, 2));
    let again = queue.batch(1).await.unwrap();
    assert_eq!(again[0].id.queue, batch[0].id.queue);
}

#[tokio::test]
async fn two_queues_have_different_names() {
    let (_one, _clock, one) = queue(ROOMY);
    let (_two, _clock, two) = queue(ROOMY);
    assert_ne!(one.shared.id, two.shared.id);
}

#[tokio::test]
async fn what_the_hub_would_never_take_is_not_kept() {
    let (_folder, _clock, queue) = queue(ROOMY);
    let properties: std::collections::BTreeMap<_, _> = (0..=MAX_PROPERTIES)
        .map(|number| (number.to_string(), String::new()))
        .collect();
    for wrong in [
        of(Priority::Important, "x", MAX_PAYLOAD + 1),
        Entry::event("x".repeat(MAX_NAME + 1), ""),
        Entry::event("a\nb", ""),
        Entry {
            content_type: "tëxt".to_owned(),
            ..Entry::event("x", "")
        },
        Entry {
            properties,
            ..Entry::event("x", "")
        },
    ] {
        let refused = queue.push(wrong).await;
        assert!(
            matches!(
                refused,
                Err(QueueError::TooLarge { .. } | QueueError::Invalid { .. })
            ),
            "{refused:?}"
        );
    }
    queue
        .push(of(Priority::Background, "x", MAX_PAYLOAD))
        .await
        .unwrap();
    assert_eq!(queue.tally().borrow().entries(), 1);
}

#[tokio::test]
async fn a_batch_is_bounded_in_entries_and_bytes() {
    let (_folder, _clock, queue) = queue(ROOMY);
    for _ in 0..4 {
        let large = of(Priority::Ordinary, "", MAX_PAYLOAD);
        queue.push(large).await.unwrap();
    }
    assert_eq!(queue.batch(9).await.unwrap().len(), 2);
    assert_eq!(queue.batch(1).await.unwrap().len(), 1);
    let pushes = (0..=MAX_BATCH).map(|_| queue.push(of(Priority::Important, "", 1)));
    for push in futures_util::future::join_all(pushes).await {
        push.unwrap();
    }
    assert_eq!(queue.batch(usize::MAX).await.unwrap().len(), MAX_BATCH);
}

#[tokio::test]
async fn what_the_hub_refuses_for_good_is_gone_and_counted() {
    let (folder, clock, queue) = queue(ROOMY);
    queue.push(Entry::event("a", "")).await.unwrap();
    let batch = queue.batch(9).await.unwrap();
    queue.give_up(positions(&batch)).await.unwrap();
    drop(queue);
    let queue = Queue::open(folder.path(), ROOMY, clock).unwrap();
    let level = *queue.tally().borrow().level(Priority::Ordinary);
    assert_eq!((level.entries, level.dropped.refused), (0, 1));
}

/// Holds the writer up until what is given is dropped.
async fn hold_up(queue: &Queue) -> std::sync::mpsc::Sender<()> {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let queue = queue.clone();
    tokio::spawn(async move {
        let hold = move |_: &Connection, _: &Shared| {
            let _ = begun.send(());
            let _ = held.recv();
            Ok(())
        };
        queue.work(0, hold).await
    });
    begins.await.unwrap();
    release
}

#[tokio::test]
async fn who_watches_is_told_of_an_entry_that_nobody_waits_for_any_more_and_of_no_batch() {
    let (_folder, _clock, queue) = queue(ROOMY);
    let mut tally = queue.tally();
    let release = hold_up(&queue).await;
    let push = tokio::time::timeout(Duration::ZERO, queue.push(Entry::event("a", "")));
    push.await.unwrap_err();
    drop(release);
    let news = tokio::time::timeout(Duration::from_secs(20), tally.changed());
    news.await.unwrap().unwrap();
    assert_eq!(tally.borrow_and_update().entries(), 1);
    queue.batch(9).await.unwrap();
    assert!(!tally.has_changed().unwrap());
}

#[tokio::test]
async fn more_than_may_wait_for_the_disk_is_refused_at_once() {
    let (_folder, _clock, queue) = queue(ROOMY);
    let release = hold_up(&queue).await;
    // Small ones count as much as if they had [`LEAST`] bytes.
    let small = MAX_WAITING / 2 / LEAST;
    let large = MAX_WAITING / 2 / MAX_PAYLOAD;
    let sizes = std::iter::repeat_n(1, small).chain(std::iter::repeat_n(MAX_PAYLOAD, large));
    let sizes: Vec<usize> = sizes.collect();
    let pushes = sizes.iter().map(|bytes| {
        let queue = queue.clone();
        let entry = of(Priority::Ordinary, "", *bytes);
        async move { queue.push(entry).await }
    });
    let mut pushes = Box::pin(futures_util::future::join_all(pushes));
    let polled = std::future::poll_fn(|task| std::task::Poll::Ready(pushes.as_mut().poll(task)));
    assert!(polled.await.is_pending());
    let refused = queue.push(Entry::event("", "")).await;
    assert!(
        matches!(refused, Err(QueueError::Busy { .. })),
        "{refused:?}"
    );
    drop(release);
    for push in pushes.await {
        push.unwrap();
    }
    queue.push(Entry::event("", "")).await.unwrap();
    let kept = usize::try_from(queue.tally().borrow().entries()).unwrap();
    assert_eq!(kept, sizes.len() + 1);
}

#[tokio::test]
async fn what_was_dropped_is_told_to_the_hub_and_not_again() {
    let (_folder, clock, queue) = queue(ROOMY);
    queue.push(Entry::event("a", "")).await.unwrap();
    let batch = queue.batch(9).await.unwrap();
    assert_eq!(names(&batch), ["a"], "there is nothing to tell");
    queue.give_up(positions(&batch)).await.unwrap();
    let batch = queue.batch(9).await.unwrap();
    assert_eq!(names(&batch), [REPORT]);
    let told: serde_json::Value = serde_json::from_slice(&batch[0].entry.payload).unwrap();
    let nothing = serde_json::json!({ "room": 0, "age": 0, "refused": 0 });
    assert_eq!(
        told["dropped"],
        serde_json::json!({
            "background": nothing,
            "ordinary": { "room": 0, "age": 0, "refused": 1 },
            "important": nothing,
        })
    );
    queue.settle(positions(&batch)).await.unwrap();
    clock.advance(Duration::from_secs(60));
    assert_eq!(names(&queue.batch(9).await.unwrap()), [""; 0]);

    queue.push(Entry::event("b", "")).await.unwrap();
    let batch = queue.batch(9).await.unwrap();
    queue.give_up(positions(&batch)).await.unwrap();
    let batch = queue.batch(9).await.unwrap();
    assert_eq!(names(&batch), [REPORT]);
    queue.settle(positions(&batch)).await.unwrap();

    queue.push(Entry::event("c", "")).await.unwrap();
    let batch = queue.batch(9).await.unwrap();
    queue.give_up(positions(&batch)).await.unwrap();
    assert_eq!(names(&queue.batch(9).await.unwrap()), [""; 0], "too soon");
    clock.advance(Duration::from_secs(60));
    assert_eq!(names(&queue.batch(9).await.unwrap()), [REPORT]);
}
