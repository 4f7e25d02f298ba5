//! A hub that is killed beside a thousand links, and is there again five seconds later: how evenly they
//! come back. They are the agent's own, each with a connection of its own over TLS. How it went is
//! printed (`--nocapture`). Five thousand in virtual time are in the agent's tests.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use outgate_agent::link::Settings;
use outgate_agent::link::beat::Bounds;
use outgate_agent::link::driver::{Driven, Plan, start};
use outgate_agent::link::memory::Network;
use outgate_agent::proof::Shown;
use outgate_agent::status::{Board, LinkState};
use outgate_probe::{Counted, PathConfig, ResolverChoice, Roots};
use outgate_signalr_client::Token;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::process::Hub;

const LINKS: usize = 1_000;
/// The longest that anything may take which must come. A thousand handshakes on a machine that has no
/// processor to spare fail, are begun again, and come to the same end far later.
const LONGEST: Duration = Duration::from_secs(300);
/// So many make their first connection at a time.
const AT_ONCE: usize = 16;
/// How long the hub is away.
const AWAY: Duration = Duration::from_secs(5);
/// How long a connection stands before it counts as one that does.
const HOLD: Duration = Duration::from_millis(500);
/// The shortest time in which handshakes are counted.
const MOMENT: Duration = Duration::from_millis(100);
/// Over which time the hub wishes so many to come back: five hundred in a second.
const SPREAD: Duration = Duration::from_secs(2);
/// How often it is looked how late this process is.
const TICK: Duration = Duration::from_millis(10);
/// How late it may be for the fullest moment to count: what was to begin meanwhile begins at once.
const LATE_MAX: Duration = Duration::from_millis(300);
/// How often it is measured at most, if it is too late.
const ROUNDS_MAX: usize = 3;
/// How long the hub lets a link be silent, in seconds: half of what it bears itself.
const SILENCE_SECONDS: u64 = 15;

/// A link, and when it began to connect, each time.
struct Linked {
    board: Board,
    dialled: Arc<Mutex<Vec<Instant>>>,
    link: Driven,
}

impl Linked {
    fn start(hub: SocketAddr, token: &str, roots: &Roots) -> Self {
        let (board, dialled) = (Board::new(None), Arc::new(Mutex::new(Vec::new())));
        let (token, dials) = (Token::new(token.to_owned()), Arc::clone(&dialled));
        let plan = Plan {
            hub: format!("https://{hub}{}", outgate_wire::agent::PATH),
            way: PathConfig {
                resolver: ResolverChoice::At(Vec::new()),
                roots: roots.clone(),
                ..PathConfig::default()
            },
            shows: Arc::new(move || {
                dials.lock().unwrap().push(Instant::now());
                Ok(Shown::Token(token.clone()))
            }),
            settings: Settings {
                hold: HOLD,
                // It shows on the board when the hub's first answer has changed it.
                silence: Bounds {
                    most: Duration::from_secs(SILENCE_SECONDS - 1),
                    ..Bounds::default()
                },
                ..Settings::default()
            },
            prepare: Arc::new(|_| {}),
            network: Arc::new(|| Network::behind(None, None, None)),
            memory: None,
            board: board.clone(),
            clock: None,
        };
        Self {
            board,
            dialled,
            link: start(plan).unwrap(),
        }
    }

    /// Waits until it is connected, or until it is not.
    async fn is(&self, connected: bool) {
        let mut watch = self.board.watch();
        let is = watch.wait_for(|status| (status.link.state == LinkState::Connected) == connected);
        let is = timeout(LONGEST, is).await.is_ok();
        assert!(is, "{:?}", self.board.status());
    }

    /// Waits until the hub has answered, which it is asked as soon as the connection counts: one that
    /// does not would come back as one that never led to the hub.
    async fn has_held(&self) {
        let mut watch = self.board.watch();
        let held = watch.wait_for(|status| status.link.heartbeat_seconds == Some(SILENCE_SECONDS));
        let held = timeout(LONGEST, held).await.is_ok();
        assert!(held, "{:?}", self.board.status());
    }

    /// When it has begun to connect since then, or before that to what it is connected by now.
    fn dials(&self, since: Instant) -> Vec<Instant> {
        let dialled = self.dialled.lock().unwrap();
        let before = dialled.partition_point(|it| *it < since);
        dialled[before.min(dialled.len() - 1)..].to_vec()
    }
}

/// So many links that stand and have held.
async fn linked(hub: SocketAddr, token: &str, roots: &Roots) -> Vec<Linked> {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut starting = JoinSet::new();
    for _ in 0..LINKS {
        let place = Arc::clone(&room).acquire_owned().await.unwrap();
        let (token, roots) = (token.to_owned(), roots.clone());
        starting.spawn(async move {
            let link = Linked::start(hub, &token, &roots);
            link.is(true).await;
            drop(place);
            link.has_held().await;
            link
        });
    }
    starting.join_all().await
}

/// How late this process was at the most while this runs.
async fn lateness(worst: Arc<Mutex<Duration>>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    loop {
        ticks.tick().await;
        let late = last.elapsed().saturating_sub(TICK);
        last = Instant::now();
        let mut worst = worst.lock().unwrap();
        *worst = late.max(*worst);
    }
}

/// What came to the hub after it was back.
struct Storm {
    /// How long it was away.
    away: Duration,
    /// How long it took from then on until everybody was connected.
    took: Duration,
    /// How many handshakes were begun.
    dials: usize,
    /// Over which time nine tenths of them were: one straggler says nothing of the rest.
    over: Duration,
    /// Those in the fullest moment, wherever that begins.
    peak: usize,
    /// How late this process was at the most.
    late: Duration,
}

impl Storm {
    fn new(away: Duration, took: Duration, mut dials: Vec<Instant>, late: Duration) -> Self {
        dials.sort_unstable();
        let peak = dials.iter().enumerate().map(|(place, dial)| {
            let end = *dial + MOMENT;
            dials.partition_point(|it| *it < end) - place
        });
        Self {
            away,
            took,
            dials: dials.len(),
            over: dials[dials.len() * 9 / 10] - dials[0],
            peak: peak.max().unwrap(),
            late,
        }
    }

    /// The fullest moment in terms of the mean one.
    fn evenness(&self) -> f64 {
        let moments = self.over.as_secs_f64() / MOMENT.as_secs_f64();
        self.peak as f64 * moments / (self.dials as f64 * 0.9)
    }

    fn is_on_time(&self) -> bool {
        self.late <= LATE_MAX
    }
}

impl fmt::Display for Storm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            away,
            took,
            dials,
            over,
            peak,
            late,
        } = self;
        let evenness = self.evenness();
        write!(
            f,
            "{LINKS} links, hub away for {away:.1?}: all back {took:.1?} after it was; {dials} \
             handshakes begun, nine tenths over {over:.1?}, in the fullest {MOMENT:?} {peak}, \
             {evenness:.2} times the mean; this process was late by {late:.0?} at the most"
        )
    }
}

/// Kills a hub beside its links.
async fn storm() -> Storm {
    let folder = TempDir::new().unwrap();
    let hub = Hub::start(folder.path());
    hub.site("s");
    let token = hub.device("till");
    let (ports, at) = ([hub.port, hub.tls_port], ([127, 0, 0, 1], hub.tls_port));
    let roots = std::fs::read(hub.authority()).unwrap();
    let roots = Roots::mozilla().counting(Counted::Given).give_pem(&roots);
    let links = linked(at.into(), &token, &roots.unwrap()).await;

    hub.kill();
    let killed = Instant::now();
    for link in &links {
        link.is(false).await;
    }
    sleep(AWAY.saturating_sub(killed.elapsed())).await;
    let late = Arc::new(Mutex::new(Duration::ZERO));
    let looking = tokio::spawn(lateness(Arc::clone(&late)));
    let path = folder.path().to_owned();
    let hub = tokio::task::spawn_blocking(move || Hub::start_at(&path, "", ports));
    let hub = hub.await.unwrap();
    let back = Instant::now();
    for link in &links {
        link.is(true).await;
    }
    let took = back.elapsed();
    looking.abort();
    let dials = links.iter().flat_map(|link| link.dials(back)).collect();
    let late = *late.lock().unwrap();
    join_all(links.into_iter().map(|link| link.link.stop())).await;
    hub.kill();
    Storm::new(back - killed, took, dials, late)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_links_whose_hub_is_killed_for_five_seconds_come_back_evenly() {
    let mut storm = storm().await;
    println!("{storm}");
    for _ in 1..ROUNDS_MAX {
        if storm.is_on_time() {
            break;
        }
        storm = self::storm().await;
        println!("{storm}");
    }
    // Each window of time in which they try is longer than this, so that no machine is too late for
    // it: only links that do not wait, or all wait alike, come back sooner.
    assert!(storm.over >= SPREAD, "{storm}");
    if storm.is_on_time() {
        // What this process was too late to begin at its time falls into the same moment.
        let moments = 1.0 + storm.late.as_secs_f64() / MOMENT.as_secs_f64();
        assert!(storm.evenness() < 3.0 * moments, "{storm}");
    } else {
        println!("too late each time: the fullest moment does not count");
    }
}
