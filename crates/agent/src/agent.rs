//! The agent: all its parts, from a configuration to the end.

use std::fs::DirBuilder;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use outgate_probe::{Counted, PathConfig, Proxying, Roots, RootsError};
use outgate_signalr_client::{BadUrl, Client};
use outgate_wire::agent::PATH;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::assets::{Assets, Hub};
use crate::chain::chain;
use crate::clock::{self, Keeper};
use crate::config::Config;
use crate::conversation;
use crate::device::Device;
use crate::disk;
use crate::inbox::Inbox;
use crate::lan::membership::{Membership, MembershipError};
use crate::lan::names::{Names, Offer};
use crate::lan::ping::{Bound, Ping};
use crate::lan::surroundings;
use crate::link::driver::{self, Driven, Plan};
use crate::link::support::Declared;
use crate::link::{self, Settings, network};
use crate::local::page::{Pages, Way};
use crate::local::ssh::{self, Switch};
use crate::local::{ListenError, Local};
use crate::product::{DEVICE, Product, ReadManifest};
use crate::proof::{Proof, ProofError};
use crate::queue::{MachineClock, OpenFailed, Queue, look_after};
use crate::relay;
use crate::renewal::Renewal;
use crate::status::{Board, PageKind};
use crate::support::{self, Desk, Job};
use crate::transfers;
use crate::twin::{Twin, TwinError};

/// Only the agent may look into its folder.
const MODE: u32 = 0o700;

/// The most bytes of a file of certificates.
const MAX_PEM: u64 = 1 << 20;

/// How long a probe of a check from the page waits for one address, as `outgate check` does unless
/// something else is said.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// What worked on which network.
const NETWORKS: &str = "networks.json";

/// Why the agent does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A file or folder cannot be used.
    #[error("failed to use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The hub's authority is none.
    #[error("failed to read the hub's authority in {path}")]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        source: RootsError,
    },
    /// The queue cannot be opened.
    #[error("failed to open the queue")]
    Queue(#[from] OpenFailed),
    /// The twin cannot be read.
    #[error(transparent)]
    Twin(#[from] TwinError),
    /// It has no place among its neighbours.
    #[error(transparent)]
    Neighbours(#[from] MembershipError),
    /// It cannot be found by the device's software.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// There is nothing that the device could prove itself by.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The hub's address is none.
    #[error(transparent)]
    Hub(#[from] BadUrl),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
}

/// An agent that runs until it is stopped.
#[derive(Debug)]
pub struct Agent {
    device: Device,
    driven: Driven,
    address: Option<SocketAddr>,
    pages: Vec<(PageKind, SocketAddr)>,
    ssh: Option<Switch>,
    tasks: JoinSet<()>,
    names: Names,
    ping: Ping,
}

impl Agent {
    /// Starts everything; the way to the hub goes through the proxies of `proxying`, and `manifest`
    /// reads the manifest of the configuration's product. It needs no network for that.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        config: &Config,
        proxying: Proxying,
        manifest: ReadManifest,
    ) -> Result<Self, StartError> {
        make_folder(&config.data)?;
        let dates = Arc::new(MachineClock::new()?);
        let queue = Queue::open(&config.data, config.queue.into(), Arc::clone(&dates) as _)?;
        let twin = Twin::open(&config.data)?;
        let board = Board::new(config.product.as_ref().map(ToString::to_string));
        let to_hub = to_hub(config, proxying.clone())?;
        let clock = keeper(config, &to_hub, &dates, &board);
        let membership = membership(config, &board)?;
        let inbox = Inbox::open(queue.clone()).await;
        let (desk, jobs) = config.support.clone().map(Desk::new).unzip();
        let device = Device::new(queue, inbox, twin, board).among(membership);
        let device = device.supported(desk);
        let local = Local::listen(&config.local, &config.data).await?;
        let address = local.address();
        let product = config.product.as_ref();
        let product = product.map(|product| Product::new(product, manifest));
        let way = way(config, &proxying);
        let opened = Pages::open(config, product.clone(), way, &device, &dates);
        let pages = opened.addresses();
        let plan = plan(config, to_hub, &device, &clock)?;
        let device = holding(config, &plan, device)?;
        let transfers = transfers::keep(device.clone(), config.files.clone(), hub(config, &plan));
        let renewal = renewal(config, &plan, &clock);
        let driven = driver::start(plan.clone())?;
        let mut tasks = JoinSet::new();
        let declared = declared(config, product.as_ref());
        support(
            &device,
            jobs,
            (plan, declared, driven.current()),
            &mut tasks,
        );
        tasks.spawn(renewal.keep(driven.changer()));
        meet(&device, &driven, &mut tasks);
        if let Some(assets) = device.assets.clone() {
            tasks.spawn(assets.hold());
        }
        let (ssh, current) = (config.ssh.as_ref(), driven.current());
        let ssh = ssh::start(ssh, &config.data, (&device, &clock), current, &mut tasks);
        tasks.spawn(local.serve(device.clone()));
        tasks.spawn(opened.serve(ssh.clone()));
        look_on(config, (&device, clock), &driven, &mut tasks);
        tasks.spawn(transfers);
        let (names, ping) = site(config, product.as_ref(), &pages, &device.board);
        Ok(Self {
            device,
            driven,
            address,
            pages,
            ssh,
            tasks,
            names,
            ping,
        })
    }

    /// The device, as its own software has it.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Where its API is on loopback, if it is there.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Where its pages on site are.
    #[must_use]
    pub fn pages(&self) -> &[(PageKind, SocketAddr)] {
        &self.pages
    }

    /// The SSH switch, if the device has one: for who is at the device, and nobody else.
    #[must_use]
    pub fn ssh(&self) -> Option<&Switch> {
        self.ssh.as_ref()
    }

    /// Waits until a part has ended that should go on; there is nothing left then but to start anew.
    pub async fn ended(&mut self) {
        let ended = self.tasks.join_next().await;
        tracing::error!(?ended, "a part of the agent has ended by itself");
    }

    /// Ends the connection in good order and everything else, within a few seconds. What was
    /// acknowledged is on the disk in any case.
    pub async fn stop(mut self) {
        if let Some(ssh) = &self.ssh {
            // There is nothing to be done where it has ended already.
            let _ = ssh.off("the agent is going down").await;
        }
        tokio::join!(self.driven.stop(), self.names.stop(), self.ping.stop());
        self.tasks.shutdown().await;
    }
}

/// Has what goes on beside the connection looked after: the time, the surroundings, what is said.
fn look_on(
    config: &Config,
    (device, clock): (&Device, Keeper),
    driven: &Driven,
    tasks: &mut JoinSet<()>,
) {
    tasks.spawn(driven.on_time(clock.clone()));
    tasks.spawn({
        let clock = clock.clone();
        async move { clock.keep().await }
    });
    let proxy = config.proxy.url.clone();
    tasks.spawn(surroundings::watch(proxy, device.board.clone()));
    tasks.spawn({
        let (current, device) = (driven.current(), device.clone());
        async move { conversation::carry(current, &device, &clock).await }
    });
    tasks.spawn(tidy(device.clone()));
}

/// Has sessions of remote support opened, where the device has them.
fn support(
    device: &Device,
    jobs: Option<mpsc::Receiver<Job>>,
    (plan, declared, current): (Plan, Vec<Declared>, watch::Receiver<Option<Client>>),
    tasks: &mut JoinSet<()>,
) {
    if let (Some(desk), Some(jobs)) = (device.support.clone(), jobs) {
        let way = support::Way {
            plan,
            declared,
            current,
        };
        tasks.spawn(support::run(desk, jobs, way));
    }
}

/// Keeps the queue within its bounds.
async fn tidy(device: Device) {
    look_after(&device.queue, &device.board).await;
}

/// What the device does on its networks for whoever is there.
fn site(
    config: &Config,
    product: Option<&Product>,
    pages: &[(PageKind, SocketAddr)],
    board: &Board,
) -> (Names, Ping) {
    let near = pages.iter().filter(|(_, page)| !page.ip().is_loopback());
    let offer = Offer {
        pages: near.map(|(_, page)| page.port()).collect(),
        product: config.product.as_ref().map(|it| it.profile.clone()),
    };
    let names = Names::start(&config.names, offer, board);
    let wanted = product.filter(|_| config.ping.limit);
    let lanes = wanted.and_then(|product| product.lanes(None).ok());
    let bound = lanes.and_then(|(_, lanes)| Bound::of(&lanes, DEVICE));
    let bound = bound.unwrap_or_default();
    let ping = Ping::start(config.ping, bound, &config.data, board);
    (names, ping)
}

/// The device's place among its neighbours, where it is to have one.
fn membership(config: &Config, board: &Board) -> Result<Option<Membership>, StartError> {
    let settings = config.neighbours.clone();
    let opened = settings.map(|settings| Membership::open(&config.data, settings, board.clone()));
    Ok(opened.transpose()?)
}

/// The ports of the hub over which support goes, in their order: those of the configuration, else
/// those of the product's flow, else the hub's own.
fn declared(config: &Config, product: Option<&Product>) -> Vec<Declared> {
    let own = || vec![link::support::own(&config.hub)];
    let Some(support) = &config.support else {
        return Vec::new();
    };
    if let Some(ports) = &support.ports {
        return ports.iter().copied().map(Declared::Tcp).collect();
    }
    let flow = support.flow.as_deref().and_then(|flow| flow.parse().ok());
    let (Some(flow), Some(product)) = (flow, product) else {
        return own();
    };
    match product.lanes(Some(DEVICE)) {
        Ok((_, lanes)) => {
            let declared = link::support::ports(&lanes, &flow);
            if declared.is_empty() {
                tracing::warn!(%flow, "the product declares no ports for support");
                return own();
            }
            declared
        }
        Err(error) => {
            tracing::warn!(
                error = chain(&error),
                "the ports for support cannot be read"
            );
            own()
        }
    }
}

/// Has the device be among its neighbours, where it has a place.
fn meet(device: &Device, driven: &Driven, tasks: &mut JoinSet<()>) {
    if let Some(membership) = device.membership.clone() {
        membership.hand_on(relay::hand_on(driven.current()));
        tasks.spawn(relay::carry(device.clone()));
        tasks.spawn(membership.run());
    }
}

/// The device with the files that it should hold, which its neighbours are given too.
fn holding(config: &Config, plan: &Plan, device: Device) -> Result<Device, StartError> {
    let (membership, board) = (device.membership.clone(), device.board.clone());
    let (hub, most) = (hub(config, plan), config.assets.bytes);
    let assets = Assets::open(&config.data, most, hub, membership.clone(), board);
    let assets = assets.map_err(|source| file(&config.data, source))?;
    if let Some(membership) = membership {
        membership.give(assets.for_neighbours());
    }
    Ok(device.holding(assets))
}

/// Where the hub is, for what is asked beside the link.
fn hub(config: &Config, plan: &Plan) -> Hub {
    Hub {
        at: config.hub.clone(),
        way: plan.way.clone(),
        shows: Arc::clone(&plan.shows),
    }
}

fn make_folder(path: &Path) -> Result<(), StartError> {
    let made = DirBuilder::new().recursive(true).mode(MODE).create(path);
    made.map_err(|source| file(path, source))
}

fn file(path: &Path, source: io::Error) -> StartError {
    StartError::File {
        path: path.to_owned(),
        source,
    }
}

fn plan(
    config: &Config,
    way: PathConfig,
    device: &Device,
    clock: &Keeper,
) -> Result<Plan, StartError> {
    let proof = Proof::of(config);
    // So that a file that is not there is told now, and not each time that it is needed.
    proof.read()?;
    let its = device.clone();
    let proxy = config.proxy.url.clone();
    Ok(Plan {
        hub: format!("{}{PATH}", config.hub.trim_end_matches('/')),
        way: PathConfig {
            clock: Arc::new(clock.clone()),
            ..way
        },
        shows: Arc::new(move || proof.read()),
        settings: Settings::default(),
        prepare: Arc::new(move |client| conversation::listen(client, &its)),
        network: Arc::new(move || network::here(proxy.as_deref())),
        memory: Some(config.data.join(NETWORKS)),
        board: device.board.clone(),
        clock: Some(clock.clone()),
    })
}

/// How a check from the page goes, as `outgate agent doctor` does.
fn way(config: &Config, proxying: &Proxying) -> Way {
    let (config, proxying) = (config.clone(), proxying.clone());
    Arc::new(move || {
        let roots = roots(&config, Counted::All).map_err(|error| chain(&error))?;
        Ok(PathConfig {
            roots,
            proxying: proxying.clone(),
            timeout: CHECK_TIMEOUT,
            ..PathConfig::default()
        })
    })
}

/// The way to the hub, by the machine's own clock.
fn to_hub(config: &Config, proxying: Proxying) -> Result<PathConfig, StartError> {
    Ok(PathConfig {
        roots: roots(config, Counted::Given)?,
        proxying,
        ..PathConfig::default()
    })
}

/// Who keeps the time, by the way to the hub where nobody else tells it.
fn keeper(config: &Config, way: &PathConfig, dates: &Arc<MachineClock>, board: &Board) -> Keeper {
    Keeper::new(clock::Plan {
        hub: hub_that_signs(config, way),
        ..clock::Plan::new(
            config.clock.clone(),
            &config.data,
            Arc::clone(dates),
            board.clone(),
        )
    })
}

/// The hub, if somebody has pinned who vouches for it: nobody else's certificate may be judged
/// without its dates.
fn hub_that_signs(config: &Config, way: &PathConfig) -> Option<clock::Hub> {
    let is_pinned = config.authority.is_some() || !config.clock.pins.is_empty();
    (is_pinned && config.hub.starts_with("https:")).then(|| clock::Hub {
        url: config.hub.clone(),
        way: way.clone(),
        pins: config.clock.pins.clone(),
    })
}

/// Another certificate in time, by the way of the link.
fn renewal(config: &Config, plan: &Plan, clock: &Keeper) -> Renewal {
    Renewal {
        proof: Proof::of(config),
        hub: config.hub.clone(),
        way: plan.way.clone(),
        clock: clock.clone(),
        board: plan.board.clone(),
    }
}

/// Whom the link trusts: the given authority, and beside it those that `counted` says, or whom the
/// machine does.
fn roots(config: &Config, counted: Counted) -> Result<Roots, StartError> {
    let Some(path) = &config.authority else {
        return Ok(Roots::with_system());
    };
    let pem = disk::read(path, MAX_PEM).map_err(|source| file(path, source))?;
    let roots = Roots::with_system().counting(counted).give_pem(&pem);
    roots.map_err(|source| StartError::Authority {
        path: path.clone(),
        source,
    })
}
