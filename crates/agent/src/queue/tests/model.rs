//! The queue beside a model of it.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// So few bytes that something is dropped in most runs.
const TIGHT: Limits = Limits {
    bytes: 256 << 10,
    keep: Duration::from_hours(10),
    reserve: 0,
};

#[derive(Clone, Debug)]
enum Step {
    Push(Priority, usize),
    Batch(usize),
    /// So many of those that were given out last.
    Settle(usize),
    GiveUp(usize),
    Hours(u64),
    Tidy,
    Reopen,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let priority = prop_oneof![
        Just(Priority::Background),
        Just(Priority::Ordinary),
        Just(Priority::Important)
    ];
    // Small ones, those that spill over a page's end, and large ones.
    let size = prop_oneof![0_usize..300, 1_900_usize..2_200, 3_900_usize..60_000];
    prop_oneof![
        12 => (priority, size).prop_map(|(priority, size)| Step::Push(priority, size)),
        2 => (1_usize..8).prop_map(Step::Batch),
        2 => (1_usize..8).prop_map(Step::Settle),
        1 => (1_usize..3).prop_map(Step::GiveUp),
        1 => (1_u64..6).prop_map(Step::Hours),
        1 => Just(Step::Tidy),
        1 => Just(Step::Reopen),
        1 => Just(Step::Restart),
    ]
}

/// What is in the queue of one priority, oldest first.
#[derive(Default)]
struct Row {
    waiting: VecDeque<Held>,
    /// How much was dropped so far.
    dropped: u64,
}

struct Held {
    position: Position,
    bytes: u64,
    /// How many hours the machine had been running, in which run.
    hours: u64,
    run: u64,
}

struct Bench {
    folder: TempDir,
    clock: Arc<HeldClock>,
    queue: Queue,
    rows: [Row; Priority::ALL.len()],
    given: Vec<Position>,
    hours: u64,
    run: u64,
}

impl Bench {
    fn new() -> Self {
        let (folder, clock, queue) = queue(TIGHT);
        without_reports(&queue);
        Self {
            folder,
            clock,
            queue,
            rows: Default::default(),
            given: Vec::new(),
            hours: 0,
            run: 0,
        }
    }

    async fn take(mut self, step: Step) -> Self {
        match step {
            Step::Push(priority, bytes) => self.push(priority, bytes).await,
            Step::Batch(most) => self.batch(most).await,
            Step::Settle(count) => {
                let done = self.first_given(count);
                self.queue.settle(done).await.unwrap();
            }
            Step::GiveUp(count) => {
                let done = self.first_given(count);
                self.queue.give_up(done).await.unwrap();
            }
            Step::Hours(hours) => {
                self.hours += hours;
                self.clock.advance(Duration::from_hours(hours));
            }
            Step::Tidy => self.queue.tidy().await.unwrap(),
            Step::Reopen => {
                drop(self.queue);
                let clock = self.clock.clone();
                self.queue = Queue::open(self.folder.path(), TIGHT, clock).unwrap();
                without_reports(&self.queue);
                self.given.clear();
            }
            Step::Restart => {
                self.clock.restart();
                (self.run, self.hours) = (self.run + 1, 0);
            }
        }
        self.follow();
        if matches!(step, Step::Tidy) {
            self.assert_nothing_is_old();
        }
        self
    }

    /// Takes the first few of what was given out last out of the model.
    fn first_given(&mut self, count: usize) -> Vec<Position> {
        let count = count.min(self.given.len());
        let done: Vec<Position> = self.given.drain(..count).collect();
        for row in &mut self.rows {
            row.waiting.retain(|held| !done.contains(&held.position));
        }
        done
    }

    /// What may be dropped for something of a priority.
    fn droppable(&self, priority: Priority) -> impl Iterator<Item = &Held> {
        let waiting = self.rows[..=priority as usize].iter();
        let waiting = waiting.flat_map(|row| &row.waiting);
        waiting.filter(|held| !self.given.contains(&held.position))
    }

    async fn push(&mut self, priority: Priority, bytes: usize) {
        let before = self.queue.tally().borrow().clone();
        let pushed = self.queue.push(of(priority, "", bytes)).await;
        let tally = self.queue.tally().borrow().clone();
        let bytes = u64::try_from(bytes).unwrap();
        let had_room = before.bytes + bytes + (20 << 10) <= TIGHT.bytes;
        assert!(!had_room || tally.dropped() == before.dropped());
        match pushed {
            Ok(position) => {
                assert_eq!(position.priority, priority);
                assert_eq!(position.number, before.level(priority).newest + 1);
                self.rows[priority as usize].waiting.push_back(Held {
                    position,
                    bytes,
                    hours: self.hours,
                    run: self.run,
                });
            }
            Err(QueueError::Crowded { .. }) => {
                assert!(!had_room);
                assert_eq!(tally, before);
                let more: u64 = self.droppable(priority).map(|held| held.bytes).sum();
                assert!(more < bytes + (64 << 10), "all of it would have made room");
            }
            Err(error) => panic!("{error:?}"),
        }
        self.follow();
        // Nothing went that matters more while something was left that matters less.
        for (at, level) in tally.levels.iter().enumerate() {
            if level.dropped.room > before.levels[at].dropped.room {
                assert!(level.priority <= priority);
                let less = at.checked_sub(1).map(|less| Priority::ALL[less]);
                assert_eq!(less.map_or(0, |less| self.droppable(less).count()), 0);
            }
        }
    }

    async fn batch(&mut self, most: usize) {
        let batch = self.queue.batch(most).await.unwrap();
        let rows = self.rows.iter().rev();
        let expected: Vec<Position> = rows
            .flat_map(|row| row.waiting.iter().map(|held| held.position))
            .collect();
        self.given = positions(&batch);
        assert!(batch.len() <= most);
        assert_eq!(self.given, expected[..batch.len()]);
        assert_eq!(batch.len(), most.min(expected.len()));
    }

    /// Drops from the model what the queue says that it has dropped: from the old end, but for
    /// what was given out.
    fn follow(&mut self) {
        let tally = self.queue.tally().borrow().clone();
        for (row, level) in self.rows.iter_mut().zip(&tally.levels) {
            let dropped = level.dropped.room + level.dropped.age;
            let mut gone = dropped - row.dropped;
            row.dropped = dropped;
            row.waiting.retain(|held| {
                let goes = gone > 0 && !self.given.contains(&held.position);
                gone -= u64::from(goes);
                !goes
            });
            assert_eq!(gone, 0, "more was dropped than there was");
            let bytes: u64 = row.waiting.iter().map(|held| held.bytes).sum();
            let entries = u64::try_from(row.waiting.len()).unwrap();
            assert_eq!((level.entries, level.bytes), (entries, bytes));
        }
        assert!(tally.bytes <= TIGHT.bytes, "{}", tally.bytes);
    }

    fn assert_nothing_is_old(&self) {
        for held in self.droppable(Priority::Important) {
            assert!(held.run < self.run || self.hours - held.hours <= 10);
        }
    }
}

/// Reports have a test of their own.
fn without_reports(queue: &Queue) {
    queue.shared.given.lock().reported = Some(Duration::MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_does_what_its_model_does(steps in prop::collection::vec(step(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut bench = Bench::new();
            for step in steps {
                bench = bench.take(step).await;
            }
            // What is left is what the model has, to the last.
            loop {
                bench.batch(MAX_BATCH).await;
                if bench.given.is_empty() {
                    break;
                }
                let done = bench.first_given(MAX_BATCH);
                bench.queue.settle(done).await.unwrap();
                bench.follow();
            }
            assert!(bench.rows.iter().all(|row| row.waiting.is_empty()));
        });
    }
}
