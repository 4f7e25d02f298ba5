//! Does what a [`Link`] says, with SignalR over the way that a check goes.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use outgate_probe::PathConfig;
use outgate_signalr_client::{BadUrl, Client, Transport};
use outgate_wire::agent::Alive;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, sleep_until};

use super::climb::{self, Climb};
use super::kept::Kept;
use super::memory::Network;
use super::{Dial, Down, Link, Output, Settings, column};
use crate::clock::Keeper;
use crate::proof::{ProofError, Shown};
use crate::status::{Board, LinkState};

/// How often it is looked whether the device is on another network.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// What may be told at a time before whoever tells waits.
const TOLD_MAX: usize = 64;

/// What a link is told.
#[derive(Clone)]
pub struct Plan {
    /// The hub's place for agents: [`outgate_wire::agent::PATH`] of an `https` address.
    pub hub: String,
    /// The way to it: proxies, trust, resolver, clock.
    pub way: PathConfig,
    /// What the device shows; asked for before each connection, so that it may change.
    pub shows: Arc<dyn Fn() -> Result<Shown, ProofError> + Send + Sync>,
    /// What the link keeps to.
    pub settings: Settings,
    /// Has everything handled that the hub may call. Two connections may be up for a while, and the
    /// hub may choose either.
    pub prepare: Arc<dyn Fn(&Client) + Send + Sync>,
    /// Says which network the device is on: [`super::network::here`].
    pub network: Arc<dyn Fn() -> Network + Send + Sync>,
    /// The file in which it is kept what worked on which network, if it is kept.
    pub memory: Option<PathBuf>,
    /// Where it is shown how the link is.
    pub board: Board,
    /// Whoever keeps the time, so that it is told when certificates are refused for their dates.
    pub clock: Option<Keeper>,
}

/// A link that is driven until this is dropped or [`Driven::stop`]ped.
#[derive(Debug)]
pub struct Driven {
    current: watch::Receiver<Option<Client>>,
    tell: mpsc::Sender<Told>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Tells that what the device shows has changed.
#[derive(Debug)]
pub(crate) struct Changer(mpsc::Sender<Told>);

impl Changer {
    pub(crate) async fn on_change(&self) {
        // Whoever has ended needs to know nothing.
        let _ = self.0.send(Told::Change).await;
    }
}

/// What is told to the driver.
#[derive(Debug)]
pub(super) enum Told {
    /// The hub has answered over this transport.
    Up(Dial, Transport),
    /// A way up or a connection has ended.
    Down(Dial, climb::Ended),
    /// The hub has answered, and wishes this, unless it is of a version that wishes nothing.
    Answered(Dial, Option<Alive>),
    /// What the device shows has changed.
    Change,
}

/// Begins to connect.
///
/// # Errors
/// The address is none of a hub.
pub fn start(plan: Plan) -> Result<Driven, BadUrl> {
    Client::builder(&plan.hub).build()?;
    let (current, seen) = watch::channel(None);
    let (tell, told) = mpsc::channel(TOLD_MAX);
    let (stop, stopped) = watch::channel(false);
    let driver = Driver::new(plan, current, tell.clone());
    Ok(Driven {
        current: seen,
        tell,
        stop,
        task: tokio::spawn(driver.run(told, stopped)),
    })
}

impl Driven {
    /// The connection that carries everything, if there is one; it changes hands.
    #[must_use]
    pub fn current(&self) -> watch::Receiver<Option<Client>> {
        self.current.clone()
    }

    /// What the device shows has changed: whoever was refused tries again at once.
    pub async fn on_change(&self) {
        self.changer().on_change().await;
    }

    /// Tells again and again that what has failed for the dates of certificates may go well now.
    pub fn on_time(&self, clock: Keeper) -> impl Future<Output = ()> + Send + use<> {
        let changer = self.changer();
        async move {
            loop {
                clock.retry().await;
                changer.on_change().await;
            }
        }
    }

    /// Who tells what [`Driven::on_change`] does.
    pub(crate) fn changer(&self) -> Changer {
        Changer(self.tell.clone())
    }

    /// Ends the connection in good order, within a few seconds.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // It ends by itself; a panic in it has been reported.
        let _ = self.task.await;
    }
}

struct Driver {
    plan: Plan,
    link: Link,
    network: Network,
    kept: Kept,
    climbs: HashMap<Dial, Climb>,
    current: watch::Sender<Option<Client>>,
    /// Which of the connections that is.
    used: Option<Dial>,
    tell: mpsc::Sender<Told>,
    /// Why transports did not lead to the hub when they were last tried.
    reasons: HashMap<Transport, String>,
}

impl Driver {
    fn new(plan: Plan, current: watch::Sender<Option<Client>>, tell: mpsc::Sender<Told>) -> Self {
        let now = Instant::now().into_std();
        let (kept, memory) = Kept::open(plan.memory.clone(), now);
        // The keys of a hash come from the system's randomness.
        let seed = RandomState::new().hash_one(0);
        let network = (plan.network)();
        let link = Link::new(plan.settings.clone(), memory, network.clone(), seed, now);
        Self {
            plan,
            link,
            network,
            kept,
            climbs: HashMap::new(),
            current,
            used: None,
            tell,
            reasons: HashMap::new(),
        }
    }

    async fn run(mut self, mut told: mpsc::Receiver<Told>, mut stopped: watch::Receiver<bool>) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.link.start(Instant::now().into_std());
        loop {
            self.do_what_it_says();
            let due = self.link.poll_timeout();
            let due = async {
                match due {
                    Some(due) => sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                // Whoever could stop it may be gone, which is the same.
                _ = stopped.wait_for(|stop| *stop) => break,
                Some(told) = told.recv() => self.handle(told),
                () = due => self.link.handle_timeout(Instant::now().into_std()),
                _ = look.tick() => {
                    let now = Instant::now().into_std();
                    self.look(now);
                    self.kept.write_if_due(&mut self.link, now);
                }
            }
        }
        self.current.send_replace(None);
        self.kept.write(&mut self.link, Instant::now().into_std());
        let ends = self.climbs.drain().map(|(_, climb)| climb.end());
        futures_util::future::join_all(ends).await;
        self.plan
            .board
            .write(|status| status.link.state = LinkState::Idle);
    }

    /// Looks which network the device is on.
    fn look(&mut self, now: std::time::Instant) {
        let network = (self.plan.network)();
        if network != self.network {
            self.network = network.clone();
            if let Some(clock) = &self.plan.clock {
                clock.on_network();
            }
        }
        self.link.handle_network(network, now);
    }

    fn handle(&mut self, told: Told) {
        let now = Instant::now().into_std();
        match told {
            Told::Up(dial, transport) => self.link.handle_up(dial, transport, now),
            Told::Answered(dial, wishes) => {
                if let Some(wishes) = wishes {
                    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
                    let silence = seconds(wishes.silence_seconds);
                    self.link
                        .handle_wishes(silence, seconds(wishes.spread_seconds));
                }
                self.link.handle_answer(dial, now);
            }
            Told::Down(dial, ended) => {
                // One that was closed meanwhile is of no interest.
                if self.climbs.remove(&dial).is_some() {
                    self.note(dial, &ended);
                    self.let_go_of(dial);
                    self.link.handle_down(dial, ended.down, now);
                }
            }
            Told::Change => self.link.handle_change(now),
        }
    }

    fn note(&mut self, dial: Dial, ended: &climb::Ended) {
        self.reasons.extend(ended.tried.iter().cloned());
        // That a better rung still does not lead anywhere is shown on the ladder, and is no trouble as
        // long as another carries everything.
        let is_beside = self.used.is_some_and(|used| used != dial);
        if ended.down != Down::Closed && !is_beside {
            column::trouble(&self.plan, ended);
        }
    }

    /// Nobody may use a connection that is let go.
    fn let_go_of(&mut self, dial: Dial) {
        if self.used == Some(dial) {
            self.used = None;
            self.current.send_replace(None);
        }
    }

    fn do_what_it_says(&mut self) {
        while let Some(output) = self.link.poll_output() {
            match output {
                Output::Dial { dial, rungs } => {
                    let climb = Climb::begin(&self.plan, dial, &rungs, self.tell.clone());
                    self.climbs.insert(dial, climb);
                }
                Output::Use { dial } => {
                    let client = self.climbs.get(&dial).and_then(Climb::client);
                    self.current.send_replace(client.cloned());
                    self.used = Some(dial);
                }
                Output::Ask { dial } => {
                    if let Some(climb) = self.climbs.get(&dial) {
                        climb.ask(dial, self.tell.clone());
                    }
                }
                Output::Close { dial } => {
                    if let Some(climb) = self.climbs.remove(&dial) {
                        self.let_go_of(dial);
                        tokio::spawn(climb.end());
                    }
                }
                Output::Remember => self.kept.on_change(),
            }
        }
        let now = Instant::now().into_std();
        column::write(&self.plan, &self.link, &self.reasons, now);
    }
}
