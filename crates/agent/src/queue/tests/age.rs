//! When something was said, and what is too old.

use super::*;

/// 2030-01-01, in seconds.
const THEN: i64 = 1_893_456_000;

const HOUR: Duration = Duration::from_hours(1);

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

async fn said(queue: &Queue) -> Vec<Said> {
    let batch = queue.batch(9).await.unwrap();
    batch.into_iter().map(|waiting| waiting.said).collect()
}

#[tokio::test]
async fn what_was_said_before_the_clock_was_right_is_dated_once_it_is() {
    let (folder, clock, queue) = queue(ROOMY);
    queue.push(Entry::event("early", "")).await.unwrap();
    clock.advance(HOUR);
    assert_eq!(said(&queue).await, [Said::Unknown]);
    clock.set(THEN);
    queue.push(Entry::event("late", "")).await.unwrap();
    let dated = [Said::Reckoned(at(THEN - 3_600)), Said::Known(at(THEN))];
    assert_eq!(said(&queue).await, dated);
    // Also in another run of the machine, whose clock is wrong again.
    clock.restart();
    drop(queue);
    let queue = Queue::open(folder.path(), ROOMY, clock).unwrap();
    assert_eq!(said(&queue).await, dated);
}

#[tokio::test]
async fn what_was_said_in_a_run_whose_clock_was_never_right_stays_undated() {
    let (_folder, clock, queue) = queue(ROOMY);
    queue.push(Entry::event("early", "")).await.unwrap();
    clock.restart();
    clock.set(THEN);
    queue.push(Entry::event("late", "")).await.unwrap();
    assert_eq!(said(&queue).await, [Said::Unknown, Said::Known(at(THEN))]);
}

#[tokio::test]
async fn a_clock_that_jumps_makes_nothing_old() {
    let (_folder, clock, queue) = queue(ROOMY);
    clock.set(0);
    queue.push(Entry::event("in 1970", "")).await.unwrap();
    clock.set(THEN);
    queue.tidy().await.unwrap();
    assert_eq!(queue.tally().borrow().entries(), 1);
    clock.advance(ROOMY.keep);
    clock.set(0);
    queue.tidy().await.unwrap();
    assert_eq!(queue.tally().borrow().entries(), 1, "to the second");
    clock.advance(Duration::from_secs(1));
    queue.tidy().await.unwrap();
    let level = *queue.tally().borrow().level(Priority::Ordinary);
    assert_eq!((level.entries, level.dropped.age), (0, 1));
}

#[tokio::test]
async fn age_goes_on_over_restarts_of_the_machine_when_the_time_is_known() {
    let (_folder, clock, queue) = queue(ROOMY);
    queue.push(Entry::event("one", "")).await.unwrap();
    clock.set(THEN);
    queue.tidy().await.unwrap();
    clock.restart();
    queue.tidy().await.unwrap();
    assert_eq!(queue.tally().borrow().entries(), 1, "nobody knows");
    clock.set(THEN + 24 * 3_600);
    queue.tidy().await.unwrap();
    assert_eq!(queue.tally().borrow().entries(), 1, "to the second");
    clock.advance(Duration::from_secs(1));
    queue.tidy().await.unwrap();
    assert_eq!(queue.tally().borrow().entries(), 0);
}

#[tokio::test]
async fn what_nobody_can_date_is_as_old_as_the_machine_has_been_running_since() {
    let (_folder, clock, queue) = queue(ROOMY);
    queue.push(Entry::event("one", "")).await.unwrap();
    clock.restart();
    clock.set(THEN);
    clock.advance(ROOMY.keep - Duration::from_secs(10));
    queue.tidy().await.unwrap();
    assert_eq!(queue.tally().borrow().entries(), 1);
    clock.advance(Duration::from_secs(1));
    queue.tidy().await.unwrap();
    assert_eq!(queue.tally().borrow().entries(), 0);
}

#[tokio::test]
async fn however_much_is_too_old_all_of_it_goes_and_nothing_else() {
    let (_folder, clock, queue) = queue(ROOMY);
    for round in 0..3 {
        let pushes = (0..900).map(|_| queue.push(of(Priority::Background, "x", 10)));
        for push in futures_util::future::join_all(pushes).await {
            push.unwrap();
        }
        queue
            .push(Entry::event(round.to_string(), ""))
            .await
            .unwrap();
    }
    clock.advance(ROOMY.keep);
    queue
        .push(of(Priority::Background, "young", 10))
        .await
        .unwrap();
    queue.push(Entry::event("young", "")).await.unwrap();
    clock.advance(Duration::from_secs(1));
    queue.tidy().await.unwrap();
    let tally = queue.tally().borrow().clone();
    assert_eq!(tally.level(Priority::Background).dropped.age, 2_700);
    assert_eq!(tally.level(Priority::Ordinary).dropped.age, 3);
    assert_eq!(tally.entries(), 2);
}

#[tokio::test]
async fn runs_of_the_machine_that_left_nothing_are_forgotten() {
    let (_folder, clock, queue) = queue(ROOMY);
    for _ in 0..5 {
        queue.push(Entry::event("one", "")).await.unwrap();
        let batch = queue.batch(9).await.unwrap();
        queue.settle(positions(&batch)).await.unwrap();
        clock.restart();
    }
    queue.push(Entry::event("one", "")).await.unwrap();
    let count = |connection: &Connection| {
        Ok(connection.query_row("SELECT count(*) FROM boot", [], |row| row.get(0))?)
    };
    let runs: u64 = queue.store.read(count).await.unwrap();
    assert_eq!(runs, 1);
}
