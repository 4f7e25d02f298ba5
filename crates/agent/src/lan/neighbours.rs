//! The device among the others of its site: plain HTTP on the local network, every message signed.
//!
//! One task has the [`Member`] and its disk, and does what it says in the order in which it says it.
//! `envelope` signs and verifies what is said, `serve` hears, `call` speaks to one other member,
//! `address` knows where each was last, and `search` looks for those who are nowhere.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use outgate_neighbours::{
    BeginError, Fence, Identity, Member, MemberId, Moment, RosterError, SiteId, Unsaved, Vector,
};
use outgate_signed_http::{KeyError, Signer, VerifyingKey};
use outgate_store::OpenError;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

mod address;
mod call;
mod disk;
mod driver;
mod envelope;
mod file;
mod relay;
mod search;
mod serve;
#[cfg(test)]
mod tests;

use crate::status::Board;

pub(crate) use self::call::Unsaid;
use self::driver::Command;
use self::envelope::NotHeard;
pub use self::file::{Files, Wanted};
pub use self::relay::Relay;
use crate::files::Coming;

/// Most addresses of others that are configured.
pub const KNOWN_MAX: usize = 256;
/// Most networks that are searched.
pub const SEARCHED_MAX: usize = 4;
/// So many commands wait at the most; who has more waits to hand them in.
const COMMANDS_MAX: usize = 256;

/// A device's private key. It does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// Of the 32 bytes of an Ed25519 key (RFC 8032 §5.1.5).
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self(seed)
    }

    fn signer(&self, name: &MemberId) -> Result<Signer, KeyError> {
        self.signer_of(name.as_str())
    }

    /// Signs under that name.
    pub(super) fn signer_of(&self, name: &str) -> Result<Signer, KeyError> {
        Signer::from_seed(name, &self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// Who the device is, and where it looks for others.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its site.
    pub site: SiteId,
    /// The site's public key, by which the hub signs rosters.
    pub site_key: VerifyingKey,
    /// Its name.
    pub id: MemberId,
    /// Its key.
    pub key: Key,
    /// The roster, as the hub signed it.
    pub roster: Vec<u8>,
    /// The folder for what must outlive the agent.
    pub folder: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where others may be, at most [`KNOWN_MAX`].
    pub known: Vec<SocketAddr>,
    /// One address of each network that is searched for others while some are missing: its 254
    /// neighbours by the last number, at the port of `listen`. At most [`SEARCHED_MAX`].
    pub search: Vec<IpAddr>,
    /// Who has files for other members, if somebody does.
    pub files: Option<Files>,
    /// Who hands on what other members say to the hub, if somebody does.
    pub relay: Option<Relay>,
}

/// Why a device is not among its neighbours.
#[derive(Debug, Error)]
pub enum StartError {
    /// The disk.
    #[error("failed to open what is kept of the neighbours")]
    Open(#[from] OpenError),
    /// The disk, later.
    #[error("failed to read what is kept of the neighbours")]
    Read(#[from] outgate_store::Error),
    /// What is kept or the roster.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The machine has no random numbers.
    #[error("the machine has no random numbers to give")]
    Random,
    /// What the hub said of the device's place among them.
    #[error("what the hub said of the device's place among its neighbours cannot be used")]
    Place,
    /// The address.
    #[error("failed to listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// The disk failed, or it was stopped: it is to be started anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this device is not among its neighbours any more: the disk failed, or it was stopped")]
pub struct Stopped;

/// How things stand among the neighbours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The epoch of the roster.
    pub roster: u64,
    /// Who belongs to the site beside this device.
    pub members: Vec<MemberId>,
    /// How far each member's changes of what is shared are known: another one means that something
    /// has changed.
    pub known: Vector,
    /// Who else is there.
    pub there: Vec<MemberId>,
    /// Who of them has a way of its own to the hub.
    pub linked: Vec<MemberId>,
    /// Through whom this device reaches the hub, while it has no way of its own.
    pub through: Option<MemberId>,
    /// Who coordinates, and by which term.
    pub coordinator: Option<Fence>,
    /// What was refused since the start, and how often.
    pub refused: BTreeMap<String, u64>,
    /// Members whose disks were put back, and who are to be enrolled anew.
    pub forked: Vec<MemberId>,
}

/// A device among its neighbours, until this is dropped.
#[derive(Debug)]
pub struct Neighbours {
    commands: mpsc::Sender<Command>,
    view: watch::Receiver<View>,
    site: Arc<serve::Site>,
    /// Ended when this is dropped.
    tasks: Mutex<JoinSet<()>>,
}

impl Neighbours {
    /// Starts to listen and to look for others, and shows on the board how it goes.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(settings: Settings, board: Board) -> Result<Self, StartError> {
        let (disk, kept) = disk::Disk::open(&settings.folder)?;
        let identity = Identity {
            site: settings.site.clone(),
            site_key: settings.site_key,
            id: settings.id.clone(),
            signer: settings.key.signer(&settings.id)?,
        };
        let member = Member::begin(identity, &settings.roster, &kept, driver::now())?;
        let listener = TcpListener::bind(settings.listen).await;
        let listening = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = listening.map_err(|source| StartError::Listen {
            address: settings.listen,
            source,
        })?;
        let (commands, to_do) = mpsc::channel(COMMANDS_MAX);
        let envelope = envelope::Envelope::new(&settings, address.port(), member.trust().roster())?;
        let site = Arc::new(serve::Site {
            envelope,
            addresses: address::Addresses::of(&kept),
            own: address,
            commands: commands.clone(),
            files: settings.files.clone(),
            giving: Arc::new(Semaphore::new(file::GIVEN_MAX)),
            relay: settings.relay.clone(),
            relaying: Arc::new(Semaphore::new(relay::RELAYED_AT_ONCE)),
        });
        let known = Arc::clone(&site);
        let mut tasks = JoinSet::new();
        let (seen, view) = watch::channel(View::default());
        tasks.spawn(serve::serve(listener, Arc::clone(&site)));
        tasks.spawn(search::search(settings, Arc::clone(&site), view.clone()));
        let driver = driver::Driver::new(
            member,
            (disk, address::Addresses::of(&kept)),
            site,
            (seen, board),
        );
        tasks.spawn(driver.run(to_do));
        Ok(Self {
            commands,
            view,
            site: known,
            tasks: Mutex::new(tasks),
        })
    }

    /// Ends it, and returns when its folder and its address are free: whoever still has it may go on
    /// with what it is about, and nothing else.
    pub async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        tasks.shutdown().await;
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.site.own
    }

    /// How things stand, and every change of it.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// Changes something, and returns once it is on the disk.
    ///
    /// # Errors
    /// [`Stopped`]; within it, what the change fails with.
    pub async fn change<T, E>(
        &self,
        change: impl FnOnce(&mut Member, Moment) -> Result<Unsaved<T>, E> + Send + 'static,
    ) -> Result<Result<T, E>, Stopped>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let command = move |member: &mut Member, now| match change(member, now) {
            Ok(unsaved) => {
                let writes = unsaved.writes().to_vec();
                let told = || {
                    let _ = answer.send(Ok(unsaved.once_saved()));
                };
                (writes, Box::new(told) as Box<dyn FnOnce() + Send>)
            }
            Err(why) => {
                let told = || {
                    let _ = answer.send(Err(why));
                };
                (Vec::new(), Box::new(told) as Box<dyn FnOnce() + Send>)
            }
        };
        let command = Command::Change(Box::new(command));
        self.commands.send(command).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }

    /// Looks at something.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut Member, Moment) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (answer, answered) = oneshot::channel();
        let command = move |member: &mut Member, now| {
            let seen = look(member, now);
            let told = || {
                let _ = answer.send(seen);
            };
            (Vec::new(), Box::new(told) as Box<dyn FnOnce() + Send>)
        };
        let command = Command::Change(Box::new(command));
        self.commands.send(command).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }

    /// A file of a member's, as it comes; what it is, is for its digest to show.
    ///
    /// # Errors
    /// [`Unsaid`].
    pub(crate) async fn fetch(&self, member: &MemberId, wanted: &Wanted) -> Result<Coming, Unsaid> {
        file::fetch(member, wanted, &self.site).await
    }

    /// Has a member hand something on to the hub, and gives what that answers.
    ///
    /// # Errors
    /// [`Unsaid`].
    pub(crate) async fn relay(&self, member: &MemberId, said: Vec<u8>) -> Result<Vec<u8>, Unsaid> {
        relay::through(member, &said, &self.site).await
    }

    /// Counts that a member sent another file than it was asked for.
    pub(crate) fn count_other_file(&self) {
        self.site.envelope.count(&NotHeard::OtherFile);
    }

    /// Says whether this device has a way of its own to the hub.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn set_uplink(&self, up: bool) -> Result<(), Stopped> {
        self.look(move |member, now| member.set_uplink(up, now))
            .await
    }

    /// Takes a newer roster from the hub; others get it from here.
    ///
    /// # Errors
    /// [`Stopped`]; within it, why the roster is refused.
    pub async fn take_roster(&self, signed: Vec<u8>) -> Result<Result<(), RosterError>, Stopped> {
        self.look(move |member, now| member.handle_roster(&signed, now))
            .await
    }
}
