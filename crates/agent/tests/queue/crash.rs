//! A process that pushes and sends is killed, again and again.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::task::Poll;
use std::time::Duration;

use outgate_agent::queue::{Entry, Limits, Position, Priority, Queue, Waiting};
use tempfile::TempDir;

use crate::{open, random};

/// How often it is killed.
const ROUNDS: u64 = 500;

/// The most lines that are waited for before it is killed.
const MOST_LINES: u64 = 60;

/// How many entries of a priority are under way to the disk.
const WINDOW: usize = 4;

/// How many entries are sent before they are settled.
const SENT_AT_ONCE: usize = 16;

/// Nothing is dropped.
const LIMITS: Limits = Limits {
    bytes: 256 << 20,
    keep: Duration::from_hours(24),
    reserve: 0,
};

/// Tells a process of this test that it is the one to be killed: the folder, and the round.
const FOLDER: &str = "OUTGATE_QUEUE_FOLDER";
const ROUND: &str = "OUTGATE_QUEUE_ROUND";

#[test]
fn nothing_acknowledged_is_lost_doubled_or_out_of_order_after_a_kill() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    if let Some(folder) = std::env::var_os(FOLDER) {
        runtime.block_on(push_and_send(Path::new(&folder)));
        return;
    }
    let folder = TempDir::new().unwrap();
    let mut hub = Hub::default();
    for round in 0..ROUNDS {
        let lines = random(round) % MOST_LINES;
        run_and_kill(folder.path(), round, lines, &mut hub);
    }
    let queue = open(folder.path(), LIMITS);
    runtime.block_on(send_rest(&queue, &mut hub));
    for (position, name) in &hub.acknowledged {
        assert_eq!(hub.had.get(position), Some(name), "{position:?}");
    }
    let tally = queue.tally().borrow().clone();
    assert_eq!((tally.entries(), tally.dropped()), (0, 0));
    for level in tally.levels {
        assert_eq!(level.settled, level.newest, "{level:?}");
        assert_eq!(hub.last[&level.priority].number, level.newest);
    }
    // Otherwise the rounds were too short to show anything.
    let acknowledged = u64::try_from(hub.acknowledged.len()).unwrap();
    assert!(acknowledged > ROUNDS * 5, "{acknowledged}");
    assert!(hub.doubled > 0, "never killed between sending and settling");
    assert!(
        hub.had.len() > hub.acknowledged.len(),
        "never killed between a commit and its answer"
    );
}

/// What the other end knows.
#[derive(Default)]
struct Hub {
    had: HashMap<Position, String>,
    acknowledged: HashMap<Position, String>,
    last: HashMap<Priority, Last>,
    doubled: u64,
}

/// The last entry of a priority: where it stood, and how its process numbered it.
struct Last {
    number: u64,
    said: (u64, u64),
}

impl Hub {
    /// Takes an entry, unless it has had it.
    fn take(&mut self, position: Position, name: &str) {
        let last = self.last.get(&position.priority);
        if last.is_some_and(|last| position.number <= last.number) {
            assert_eq!(self.had[&position], name, "another came as the same");
            self.doubled += 1;
            return;
        }
        let (round, count) = name.split_once('/').unwrap();
        let said: (u64, u64) = (round.parse().unwrap(), count.parse().unwrap());
        match last {
            Some(last) if last.said.0 == said.0 => {
                assert_eq!(said.1, last.said.1 + 1, "{position:?}");
            }
            Some(last) => assert!(said.0 > last.said.0 && said.1 == 0, "{position:?} {said:?}"),
            None => assert_eq!(said.1, 0),
        }
        let number = position.number;
        assert_eq!(number, last.map_or(0, |last| last.number) + 1, "a hole");
        self.last.insert(position.priority, Last { number, said });
        self.had.insert(position, name.to_owned());
    }

    fn read(&mut self, line: &str) -> bool {
        // What the process could not say to its end it has not said.
        let Some(words) = line.strip_suffix('\n') else {
            return false;
        };
        let [what @ ("ack" | "send"), priority, number, name] =
            *words.split(' ').collect::<Vec<_>>()
        else {
            return false;
        };
        let position = Position {
            priority: priority_of(priority),
            number: number.parse().unwrap(),
        };
        if what == "send" {
            self.take(position, name);
        } else {
            let before = self.acknowledged.insert(position, name.to_owned());
            assert_eq!(before, None, "a place was given twice");
        }
        true
    }
}

/// Runs the process, and kills it once it has said `lines` lines.
fn run_and_kill(folder: &Path, round: u64, lines: u64, hub: &mut Hub) {
    let name = std::thread::current().name().unwrap().to_owned();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture", "--test-threads", "1"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut killed = Killed(child);
    let mut output = BufReader::new(killed.0.stdout.take().unwrap());
    let (mut said, mut line) = (0, String::new());
    loop {
        if said == lines {
            killed.0.kill().unwrap();
        }
        line.clear();
        if output.read_line(&mut line).unwrap() == 0 {
            assert!(said >= lines, "round {round}: it ended by itself");
            return;
        }
        said += u64::from(hub.read(&line));
    }
}

/// A process that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the process to be killed does.
async fn push_and_send(folder: &Path) {
    let round = std::env::var(ROUND).unwrap();
    let queue = open(folder, LIMITS);
    let mut tasks = tokio::task::JoinSet::new();
    for priority in Priority::ALL {
        tasks.spawn(push_all(queue.clone(), priority, round.clone()));
    }
    tasks.spawn(send_all(queue));
    // None of them ends but by a mistake.
    tasks.join_next().await.unwrap().unwrap();
}

/// Pushes one entry after the other, several under way at a time, and reports each that has been
/// acknowledged.
async fn push_all(queue: Queue, priority: Priority, round: String) {
    type Pushed = Pin<Box<dyn Future<Output = Position> + Send>>;
    let mut under_way = VecDeque::new();
    for count in 0_u64.. {
        let name = format!("{round}/{count}");
        let size = usize::try_from(random(count) % 2_000).unwrap();
        let entry = Entry {
            priority,
            ..Entry::event(name.clone(), vec![b'x'; size])
        };
        let queue = queue.clone();
        let mut push: Pushed = Box::pin(async move { queue.push(entry).await.unwrap() });
        let polled = std::future::poll_fn(|task| Poll::Ready(push.as_mut().poll(task))).await;
        if let Poll::Ready(position) = polled {
            push = Box::pin(std::future::ready(position));
        }
        under_way.push_back((name, push));
        if under_way.len() == WINDOW {
            let (name, push) = under_way.pop_front().unwrap();
            let position = push.await;
            say("ack", position, &name);
        }
    }
}

/// Sends what waits, and settles it. What is said has arrived: it is in the pipe.
async fn send_all(queue: Queue) {
    let mut tally = queue.tally();
    loop {
        tally.wait_for(|tally| tally.entries() > 0).await.unwrap();
        let batch = queue.batch(SENT_AT_ONCE).await.unwrap();
        for waiting in &batch {
            say("send", waiting.position(), &waiting.entry.name);
        }
        queue
            .settle(batch.iter().map(Waiting::position).collect())
            .await
            .unwrap();
    }
}

/// Sends what is left when no process is.
async fn send_rest(queue: &Queue, hub: &mut Hub) {
    loop {
        let batch = queue.batch(usize::MAX).await.unwrap();
        if batch.is_empty() {
            return;
        }
        for waiting in &batch {
            hub.take(waiting.position(), &waiting.entry.name);
        }
        queue
            .settle(batch.iter().map(Waiting::position).collect())
            .await
            .unwrap();
    }
}

fn say(what: &str, position: Position, name: &str) {
    let Position { priority, number } = position;
    let line = format!("\n{what} {} {number} {name}\n", priority.name());
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

fn priority_of(name: &str) -> Priority {
    let mut all = Priority::ALL.into_iter();
    all.find(|priority| priority.name() == name).unwrap()
}
