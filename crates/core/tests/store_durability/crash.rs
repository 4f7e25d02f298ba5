//! A process that takes events is killed, again and again.
//!
//! What cannot be tested here is a power cut: the kernel survives, so what SQLite has written but
//! not flushed does, too.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::task::Poll;

use bytes::Bytes;
use tempfile::TempDir;

use outgate_core::Core;
use outgate_core::secret::Secret;
use outgate_core::sessions::Session;

use crate::devices::{come_in, device_with_token, events_after, open, poll_once, said};

/// How often it is killed.
const ROUNDS: u64 = 200;

/// The most lines that are waited for before it is killed.
const MOST_LINES: u64 = 120;

const DEVICES: [&str; 4] = ["till-1", "till-2", "till-3", "till-4"];

/// How many events a device has under way.
const WINDOW: usize = 8;

/// Tells a process of this test that it is the one to be killed: the folder, the round, and the
/// devices' tokens.
const FOLDER: &str = "OUTGATE_CRASH_FOLDER";
const ROUND: &str = "OUTGATE_CRASH_ROUND";
const TOKENS: &str = "OUTGATE_CRASH_TOKENS";

#[test]
fn nothing_acknowledged_is_lost_repeated_or_out_of_order_after_a_kill() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Some(folder) = std::env::var_os(FOLDER) {
        runtime.block_on(say_on_and_on(Path::new(&folder)));
        return;
    }
    let folder = TempDir::new().unwrap();
    let tokens = runtime.block_on(async {
        let core = open(folder.path(), 0);
        let mut tokens = Vec::new();
        for device in DEVICES {
            let token = device_with_token(&core, device).await;
            tokens.push(String::from_utf8(token.expose().to_vec()).unwrap());
        }
        tokens.join(",")
    });
    let mut ledger = Ledger::default();
    for round in 0..ROUNDS {
        let lines = random(round) % MOST_LINES;
        let acknowledged = run_and_kill(folder.path(), round, &tokens, lines);
        runtime.block_on(ledger.verify(&open(folder.path(), 0), round, &acknowledged));
    }
    // Otherwise the rounds were too short to show anything.
    assert!(ledger.acknowledged > ROUNDS * 20, "{}", ledger.acknowledged);
    assert!(
        ledger.unacknowledged > 0,
        "never killed with events under way"
    );
}

/// An event as its device numbers it: round, number.
type Number = (u64, u64);

/// Places that were acknowledged, with the device and its number.
type Acknowledged = HashMap<u64, (String, Number)>;

/// What has been verified so far.
#[derive(Default)]
struct Ledger {
    upto: u64,
    last: BTreeMap<String, Number>,
    acknowledged: u64,
    unacknowledged: u64,
}

impl Ledger {
    /// Verifies what came in this round.
    async fn verify(&mut self, core: &Core, round: u64, acknowledged: &Acknowledged) {
        let kept = events_after(core, self.upto).await;
        let mut found = 0;
        for event in &kept {
            let number = number(&event.name);
            assert_eq!(event.seq, self.upto + 1, "round {round}: a hole");
            self.upto = event.seq;
            let device = event.device.to_string();
            // Each follows its predecessor: none is missing, repeated or out of order.
            let expected = match self.last.get(&device) {
                Some((its, last)) if *its == round => (round, last + 1),
                Some(_) | None => (round, 0),
            };
            assert_eq!(number, expected, "round {round}, {device}");
            self.last.insert(device.clone(), number);
            if let Some(told) = acknowledged.get(&event.seq) {
                assert_eq!(*told, (device, number), "round {round}");
                found += 1;
            }
        }
        assert_eq!(
            found,
            acknowledged.len(),
            "round {round}: acknowledged and lost"
        );
        self.acknowledged += acknowledged.len() as u64;
        self.unacknowledged += (kept.len() - found) as u64;
    }
}

/// Runs the process, kills it once it has said `lines` lines, and gives what it acknowledged.
fn run_and_kill(folder: &Path, round: u64, tokens: &str, lines: u64) -> Acknowledged {
    let name = std::thread::current().name().unwrap().to_owned();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture", "--test-threads", "1"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .env(TOKENS, tokens)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut killed = Killed(child);
    let mut output = BufReader::new(killed.0.stdout.take().unwrap());
    let mut acknowledged = Acknowledged::new();
    let (mut said, mut line) = (0, String::new());
    loop {
        if said == lines {
            killed.0.kill().unwrap();
        }
        line.clear();
        if output.read_line(&mut line).unwrap() == 0 {
            assert!(said >= lines, "round {round}: it ended by itself");
            return acknowledged;
        }
        // What the process could not say to its end it has not said.
        if let Some(words) = line.strip_suffix('\n')
            && let ["ack", device, name, seq] = *words.split(' ').collect::<Vec<_>>()
        {
            let told = (device.to_owned(), number(name));
            let before = acknowledged.insert(seq.parse().unwrap(), told);
            assert!(before.is_none(), "round {round}: a place was given twice");
            said += 1;
        }
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
async fn say_on_and_on(folder: &Path) {
    let (round, tokens) = (
        std::env::var(ROUND).unwrap(),
        std::env::var(TOKENS).unwrap(),
    );
    let core = open(folder, 0);
    let mut devices = tokio::task::JoinSet::new();
    for token in tokens.split(',') {
        let session = come_in(&core, &Secret::new(token.as_bytes().to_vec())).await;
        devices.spawn(say_all(core.clone(), session, round.clone()));
    }
    // None of them ends but by a mistake.
    devices.join_next().await.unwrap().unwrap();
}

/// Says one event after the other, several under way at a time, and reports each that has been
/// acknowledged.
async fn say_all(core: Core, session: Session, round: String) {
    let device = session.device().unwrap().clone();
    let mut under_way = VecDeque::new();
    for number in 0_u64.. {
        let name = format!("{round}/{number}");
        let size = usize::try_from(random(number) % 2_000).unwrap();
        let event = said(name.clone(), Bytes::from(vec![b'x'; size]));
        let mut append = Box::pin(core.events.append(&session, event));
        let answer: Pin<Box<dyn Future<Output = _> + Send>> = match poll_once(&mut append).await {
            Poll::Ready(answer) => Box::pin(std::future::ready(answer)),
            Poll::Pending => append,
        };
        under_way.push_back((name, answer));
        if under_way.len() == WINDOW {
            let (name, answer) = under_way.pop_front().unwrap();
            let seq = answer.await.unwrap();
            let line = format!("\nack {device} {name} {seq}\n");
            std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
        }
    }
}

/// The number in an event's name, as `round/number`.
fn number(name: &str) -> Number {
    let (round, number) = name.split_once('/').unwrap();
    (round.parse().unwrap(), number.parse().unwrap())
}

/// The same for the same seed in every run (SplitMix64).
fn random(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
