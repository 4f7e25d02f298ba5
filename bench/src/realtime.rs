//! Hubs for realtime side by side: ours, and those of others that do the same for other clients.
//!
//! Each server is started anew for each measurement and round; a round goes through all of
//! them, so that what changes on the machine meanwhile hits all alike. A figure is the median of
//! its rounds.

mod contenders;
pub(crate) mod dialect;
pub(crate) mod frames;
pub(crate) mod link;

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::process::Measured;
use crate::report::{Figure, Report, median, percentile};
use crate::servers::{Programs, Stage};
use contenders::{AGAINST, ALL, Contender, Server};
use dialect::{Dialect, WINDOW};
use link::Link;

/// Connections that call.
const CALLERS: usize = 50;

/// How long they call before it counts, and how long it does.
const WARMING: Duration = Duration::from_millis(500);
const CALLING: Duration = Duration::from_secs(5);

/// Connections that are told something.
const TOLD: usize = 5_000;

/// How often they are told.
const TELLINGS: usize = 40;

/// Connections that do nothing.
const IDLE: usize = 10_000;

/// How long they are held.
const HELD: Duration = Duration::from_secs(60);

/// How often each of them says that it is there; servers wait for 30 seconds.
const PING: Duration = Duration::from_secs(10);

/// How long the servers may take to answer all of them in the end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections over TLS of one round.
const HANDSHAKES: usize = 3_000;

/// Connections that are opened at a time.
const OPENING: usize = 64;

/// Measures, prints, and writes JSON to `json`; of everything only what has `only` in its name.
pub(crate) async fn run(
    programs: &Programs,
    share: usize,
    only: &str,
    json: Option<&Path>,
) -> anyhow::Result<()> {
    let mut report = Report::new(AGAINST);
    let wanted = Measurement::ALL.into_iter();
    for what in wanted.filter(|what| what.name().contains(only)) {
        let mut measured: Vec<(Contender, Vec<_>)> = ALL
            .into_iter()
            .filter(|contender| what.is_of(*contender))
            .map(|contender| (contender, Vec::new()))
            .collect();
        let rounds = if share == 1 { what.rounds() } else { 1 };
        for _ in 0..rounds {
            for (contender, figures) in &mut measured {
                let failed = || format!("{}: {}", contender.name, what.name());
                let stage = Stage::new()?;
                let server = contender.start(programs, &stage, what.is_over_tls()).await;
                let figure = what.of(&server.with_context(failed)?, share).await;
                figures.push(figure.with_context(failed)?);
            }
        }
        for (contender, figures) in measured {
            let (figures, beside): (Vec<_>, Vec<_>) = figures.into_iter().unzip();
            report.add(what.name(), contender.name, median(figures)?);
            let mut beside: Vec<_> = beside.into_iter().flatten().collect();
            if !beside.is_empty() {
                let time = Figure::Time(percentile(&mut beside, 50));
                let what = format!("{}, until the last", what.name());
                report.add(&what, contender.name, time);
            }
        }
    }
    report.print()?;
    report.say_how_to_repeat("realtime", share, only)?;
    json.map_or(Ok(()), |file| report.write_json(file))
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Measurement {
    Calls,
    Broadcast,
    Idle,
    IdleTls,
    Handshakes,
    Held,
}

impl Measurement {
    const ALL: [Self; 6] = [
        Self::Calls,
        Self::Broadcast,
        Self::Idle,
        Self::IdleTls,
        Self::Handshakes,
        Self::Held,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls answered",
            Self::Broadcast => "broadcast to 5,000",
            Self::Idle => "idle WebSocket",
            Self::IdleTls => "idle WebSocket over TLS",
            Self::Handshakes => "TLS connections opened",
            Self::Held => "10,000 held for a minute",
        }
    }

    /// How often; memory and what takes a minute differ little.
    fn rounds(self) -> usize {
        match self {
            Self::Calls | Self::Broadcast | Self::Handshakes => 3,
            Self::Idle | Self::IdleTls | Self::Held => 1,
        }
    }

    fn is_over_tls(self) -> bool {
        matches!(self, Self::IdleTls | Self::Handshakes)
    }

    /// The hub has TLS alone and no calls that are only echoes. `ws` by itself asks nobody whether
    /// he is there, and both protocols of a hub do so alike.
    fn is_of(self, contender: Contender) -> bool {
        if contender.is_the_hub() {
            return self.is_over_tls();
        }
        self != Self::Held || matches!(contender.dialect, Dialect::Json | Dialect::SocketIo)
    }

    /// The figure, and where each round has several the times beside.
    async fn of(self, server: &Server, share: usize) -> anyhow::Result<(Figure, Vec<Duration>)> {
        let part = u32::try_from(share)?;
        let figure = match self {
            Self::Calls => calls(server, CALLING / part).await?,
            Self::Broadcast => {
                let (times, processor) = broadcast(server, TOLD / share, TELLINGS / share).await?;
                let told = TOLD / share * times.len();
                return Ok((Figure::rate(told, times.iter().sum(), processor), times));
            }
            Self::Idle | Self::IdleTls => idle(server, IDLE / share).await?,
            Self::Handshakes => handshakes(server, HANDSHAKES / share).await?,
            Self::Held => held(server, IDLE / share, HELD / part, PING / part).await?,
        };
        Ok((figure, Vec::new()))
    }
}

/// Calls answered a second, of [`CALLERS`] connections with [`WINDOW`] calls on their way each.
async fn calls(server: &Server, time: Duration) -> anyhow::Result<Figure> {
    let answered = Rc::new(Cell::new(0));
    let links = open(server, CALLERS).await?;
    let local = tokio::task::LocalSet::new();
    let calling: Vec<JoinHandle<anyhow::Result<()>>> = links
        .into_iter()
        .map(|link| local.spawn_local(call(link, Rc::clone(&answered))))
        .collect();
    local
        .run_until(async {
            tokio::time::sleep(WARMING).await;
            let (before, measured) = (answered.get(), Measured::begin(&server.running)?);
            tokio::time::sleep(time).await;
            let figure = measured.rate(&server.running, answered.get() - before)?;
            for caller in calling {
                // They call until they are stopped, or something is wrong.
                if caller.is_finished() {
                    caller.await??;
                } else {
                    caller.abort();
                }
            }
            Ok(figure)
        })
        .await
}

/// Calls again and again: what was answered, as it should be, is called anew. Answers may come in
/// another order than their calls.
async fn call(mut link: Link, answered: Rc<Cell<usize>>) -> anyhow::Result<()> {
    let dialect = link.dialect;
    let calls: Vec<_> = (0..WINDOW).map(|number| dialect.call(number)).collect();
    let answers: Vec<_> = (0..WINDOW).map(|number| dialect.answer(number)).collect();
    let mut say = calls.concat();
    loop {
        link.say(&say).await?;
        say.clear();
        while say.is_empty() || link.has_more()? {
            let record = link.record().await?;
            let mut pairs = calls.iter().zip(&answers);
            if let Some((call, _)) = pairs.find(|(_, answer)| **answer == record) {
                answered.set(answered.get() + 1);
                say.extend(call);
            } else {
                let said = String::from_utf8_lossy(&record);
                ensure!(dialect.is_ping(&record), "answered with {said}");
            }
        }
    }
}

/// How long it takes each time until all of so many connections are told something, and the
/// processor's time for all.
async fn broadcast(
    server: &Server,
    listeners: usize,
    times: usize,
) -> anyhow::Result<(Vec<Duration>, f64)> {
    let (heard, all) = (Rc::new(Cell::new(0)), Rc::new(Notify::new()));
    let mut links = open(server, listeners).await?;
    let mut teller = links.pop().context("nobody to tell")?;
    let local = tokio::task::LocalSet::new();
    for link in links {
        let (heard, all) = (Rc::clone(&heard), Rc::clone(&all));
        local.spawn_local(hear(link, heard, all, listeners));
    }
    let (call, news) = (teller.dialect.broadcast(), teller.dialect.news());
    let measured = Measured::begin(&server.running)?;
    let mut took = Vec::with_capacity(times);
    local
        .run_until(async {
            for _ in 0..times {
                heard.set(0);
                let began = Instant::now();
                teller.say(&call).await?;
                let mut record = teller.record().await?;
                while record != news {
                    let said = String::from_utf8_lossy(&record);
                    ensure!(teller.dialect.is_ping(&record), "told {said}");
                    record = teller.record().await?;
                }
                heard.set(heard.get() + 1);
                if heard.get() < listeners {
                    let last = tokio::time::timeout(PATIENCE, all.notified()).await;
                    last.with_context(|| format!("{} of {listeners} heard it", heard.get()))?;
                }
                took.push(began.elapsed());
            }
            anyhow::Ok(())
        })
        .await?;
    Ok((took, measured.processor_seconds(&server.running)?))
}

/// Counts the news of a connection; who hears the last of them says so.
async fn hear(
    mut link: Link,
    heard: Rc<Cell<usize>>,
    all: Rc<Notify>,
    listeners: usize,
) -> anyhow::Result<()> {
    let news = link.dialect.news();
    loop {
        if link.record().await? == news {
            heard.set(heard.get() + 1);
            if heard.get() == listeners {
                all.notify_one();
            }
        }
    }
}

/// Bytes of memory for each connection that does nothing.
async fn idle(server: &Server, connections: usize) -> anyhow::Result<Figure> {
    let before = server.running.resident_bytes()?;
    let _links = open(server, connections).await?;
    let grown = server.running.resident_bytes()?.saturating_sub(before);
    Ok(Figure::bytes(grown / u64::try_from(connections)?))
}

/// Connections opened a second, from nothing to the server's answer to the protocol's handshake.
async fn handshakes(server: &Server, connections: usize) -> anyhow::Result<Figure> {
    let measured = Measured::begin(&server.running)?;
    stream::iter(0..connections)
        .map(|_| async { Link::open(&server.target).await.map(drop) })
        .buffer_unordered(OPENING)
        .try_collect::<()>()
        .await?;
    measured.rate(&server.running, connections)
}

/// How many of so many connections still answer after that time, and what they cost meanwhile.
async fn held(
    server: &Server,
    connections: usize,
    time: Duration,
    ping: Duration,
) -> anyhow::Result<Figure> {
    let links = open(server, connections).await?;
    let measured = Measured::begin(&server.running)?;
    let until = tokio::time::Instant::now() + time;
    let holding = links
        .into_iter()
        .map(|link| tokio::spawn(hold(link, until, ping)));
    let held = join_all(holding.collect::<Vec<_>>()).await;
    let processor = measured.processor_seconds(&server.running)?;
    let still = held.into_iter().flatten().flatten();
    let answered = join_all(still.map(|mut link| async move {
        let (call, answer) = (link.dialect.call(0), link.dialect.answer(0));
        link.say(&call).await?;
        while link.record().await? != answer {}
        anyhow::Ok(())
    }));
    let answered = tokio::time::timeout(PATIENCE, answered).await;
    let answered = answered.context("not all were answered in time")?;
    let alive = answered.iter().filter(|answered| answered.is_ok()).count();
    let share = processor / time.as_secs_f64() * 100.0;
    Ok(Figure::Words(format!(
        "{alive} of {connections} alive, {share:.1} % of a core"
    )))
}

/// Keeps a connection, as clients do.
async fn hold(
    mut link: Link,
    until: tokio::time::Instant,
    every: Duration,
) -> anyhow::Result<Link> {
    let ping = link.dialect.ping();
    let mut due = tokio::time::interval(every);
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(until) => return Ok(link),
            record = link.record() => {
                record?;
            }
            _ = due.tick() => {
                if let Some(ping) = &ping {
                    link.say(ping).await?;
                }
            }
        }
    }
}

async fn open(server: &Server, count: usize) -> anyhow::Result<Vec<Link>> {
    stream::iter(0..count)
        .map(|_| Link::open(&server.target))
        .buffer_unordered(OPENING)
        .try_collect()
        .await
}
