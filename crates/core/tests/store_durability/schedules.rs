//! A process whose schedule comes is killed, again and again.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use outgate_core::Core;
use outgate_core::commands::NewCommand;
use outgate_core::identity::{Actor, Page};
use outgate_core::schedules::{How, Missed, NewSchedule, Schedule, Whom};
use tempfile::TempDir;

use crate::devices::{device_with_token, open};

/// How often it is killed.
const ROUNDS: usize = 20;

/// The most moments that one process lets come: so all of them fit in a device's queue.
const MOST_MOMENTS: usize = 40;

const MINUTE: Duration = Duration::from_secs(60);

const DEVICES: [&str; 2] = ["till-1", "till-2"];

/// Tells a process of this test that it is the one to be killed: the folder.
const FOLDER: &str = "OUTGATE_SCHEDULE_FOLDER";

#[test]
fn no_moment_is_lost_and_no_device_gets_two_commands_of_one_after_a_kill() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Some(folder) = std::env::var_os(FOLDER) {
        runtime.block_on(come_on_and_on(Path::new(&folder)));
        return;
    }
    let folder = TempDir::new().unwrap();
    let first = runtime.block_on(prepare(folder.path()));
    let mut done = 0;
    for round in 0..ROUNDS {
        run_and_kill(folder.path(), round % 4);
        let before = done;
        done = runtime.block_on(verify(folder.path(), &first));
        assert!(
            done >= before + round % 4,
            "round {round}: {before} and {done}"
        );
    }
}

/// Makes a schedule that comes every minute.
async fn prepare(folder: &Path) -> Schedule {
    let core = open(folder, 0);
    for device in DEVICES {
        device_with_token(&core, device).await;
    }
    let new = NewSchedule {
        name: "reload".parse().unwrap(),
        cron: "* * * * *".parse().unwrap(),
        zone: "Europe/Stockholm".parse().unwrap(),
        whom: Whom::Devices(DEVICES.map(|device| device.parse().unwrap()).into()),
        command: NewCommand {
            name: "reload".to_owned(),
            content_type: String::new(),
            properties: [].into(),
            payload: Bytes::from_static(b"reload"),
            lasts: 24 * 60 * MINUTE,
        },
        missed: Missed::All,
        spread: Duration::ZERO,
    };
    let admin = Actor::hub();
    let made = core.schedules.add_schedule(&admin, new);
    made.await.unwrap()
}

/// The schedule, once the clock shows the moment before it comes next.
async fn just_before(core: &Core) -> Schedule {
    let admin = Actor::hub();
    let name = "reload".parse().unwrap();
    let schedule = core.schedules.get(&admin, &name).await.unwrap();
    let wait = schedule.next.unwrap().since(core.clock.now());
    core.clock
        .advance(wait.saturating_sub(Duration::from_millis(1)));
    schedule
}

/// Verifies that all moments before the next have come, each with one command for each device.
/// Gives how many there were.
async fn verify(folder: &Path, first: &Schedule) -> usize {
    let (core, admin) = (open(folder, 0), Actor::hub());
    let schedule = just_before(&core).await;
    // What was claimed and not sent is sent now.
    core.schedules.fire().await.unwrap();
    let passed = schedule.next.unwrap().since(first.next.unwrap());
    let moments = usize::try_from(passed.as_secs() / 60).unwrap();
    let page = Page {
        after: None,
        limit: 1_000,
    };
    for device in DEVICES {
        let device = device.parse().unwrap();
        let commands = core.commands.list(&admin, &device, &page).await;
        assert_eq!(commands.unwrap().items.len(), moments, "of {device}");
    }
    let history = core.schedules.firings(&admin, &schedule.name, &page);
    let history = history.await.unwrap().items;
    assert_eq!(history.len(), moments.min(100));
    for pair in history.windows(2) {
        assert_eq!(pair[0].due.since(pair[1].due), MINUTE);
    }
    for fired in &history {
        let devices: u64 = fired.counts.iter().map(|(_, count)| count).sum();
        assert_eq!((fired.how, devices), (How::Fired, 2));
    }
    moments
}

/// Runs the process and kills it once it has said that so many moments have come.
fn run_and_kill(folder: &Path, moments: usize) {
    let name = std::thread::current().name().unwrap().to_owned();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture", "--test-threads", "1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut killed = Killed(child);
    let mut output = BufReader::new(killed.0.stdout.take().unwrap());
    let (mut said, mut line) = (0, String::new());
    // It says that it has begun, so that it is killed at work even without a moment.
    while said < moments + 1 {
        line.clear();
        assert_ne!(
            output.read_line(&mut line).unwrap(),
            0,
            "it ended by itself"
        );
        said += usize::from(line == "came\n");
    }
    killed.0.kill().unwrap();
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
async fn come_on_and_on(folder: &Path) {
    let core = open(folder, 0);
    just_before(&core).await;
    for _ in 0..MOST_MOMENTS {
        std::io::stdout().lock().write_all(b"\ncame\n").unwrap();
        let next = core.schedules.fire().await.unwrap();
        core.clock.advance(next.unwrap());
        core.schedules.fire().await.unwrap();
    }
    std::io::stdout().lock().write_all(b"\ncame\n").unwrap();
    std::future::pending::<()>().await;
}
