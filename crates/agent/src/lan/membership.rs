//! The device's place among its neighbours: its key, which it makes itself, what the hub says of its
//! site, and the [`Neighbours`] that run by it.
//!
//! The site's key is believed as it first comes over the link, and from then on only that one: who
//! takes the hub's place later cannot put himself among the devices of a site.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use outgate_neighbours::{Roster, RosterError, Seal, prove_key, sign_relayed};
use outgate_signed_http::{KeyError, Signer, VerifyingKey};
use outgate_wire::agent::{self as wire, Blob};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::neighbours::{Files, Key, Neighbours, Relay, Settings, StartError};
use crate::chain::chain;
use crate::config;
use crate::disk;
use crate::status::{Board, LinkState, Neighbours as Column};

/// What must outlive the agent, in a folder of its own.
const FOLDER: &str = "neighbours";
const KEY: &str = "key";
const PLACE: &str = "place.json";

/// Bytes of the private key.
const SEED: usize = 32;
/// The most bytes of the file of the place: a roster in base 64, and names.
const MAX_PLACE: u64 = 1 << 19;

/// How long it is waited before the neighbours are begun anew after they failed; it doubles.
const AGAIN_FIRST: Duration = Duration::from_secs(1);
/// The longest that it is waited.
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// Why the device has no place among its neighbours, or not another one.
#[derive(Debug, Error)]
pub enum MembershipError {
    /// The disk.
    #[error("failed to use {path}")]
    Disk {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The machine has no random numbers.
    #[error("the machine has no random numbers to give")]
    Random,
    /// The key's file does not hold one.
    #[error("what is kept of the device's key among its neighbours is damaged: delete the folder")]
    Damaged(#[from] KeyError),
    /// The hub gives a place to another key.
    #[error("the hub does not take this device's key")]
    OtherKey,
    /// The hub shows another key of the site than before.
    #[error(
        "the hub shows another key of the site {site} than before: if that is right, delete the folder \
         {folder} at each of its devices"
    )]
    OtherSiteKey {
        /// The site.
        site: String,
        /// Where the first one is kept.
        folder: PathBuf,
    },
    /// What the hub says of the site cannot be understood.
    #[error("what the hub says of the neighbours cannot be used")]
    Unreadable,
    /// The roster is not good.
    #[error("the hub's roster is refused")]
    Roster(#[from] RosterError),
}

/// The device's place, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    site: String,
    name: String,
    site_key: Blob,
    roster: Blob,
    seal: Blob,
}

/// The device's place among its neighbours. Cloned freely; all clones are the same.
#[derive(Clone, Debug)]
pub struct Membership(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: config::Neighbours,
    folder: PathBuf,
    key: Key,
    public: VerifyingKey,
    /// Held while the file is written, so that what is newer is not written over.
    writing: Mutex<()>,
    place: watch::Sender<Option<Place>>,
    running: watch::Sender<Option<Arc<Neighbours>>>,
    /// Who has files for the others.
    files: OnceLock<Files>,
    /// Who hands on what the others say.
    relay: OnceLock<Relay>,
    board: Board,
}

impl Membership {
    /// With what is kept in the agent's folder `data`; the key is made if there is none.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub fn open(
        data: &Path,
        settings: config::Neighbours,
        board: Board,
    ) -> Result<Self, MembershipError> {
        let folder = data.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|source| failed(&folder, source))?;
        let seed = seed(&folder.join(KEY))?;
        let public = Signer::from_seed("", &*seed)?.verifying_key();
        let place = kept_place(&folder.join(PLACE))?;
        board.write(|status| status.neighbours = Some(Column::default()));
        Ok(Self(Arc::new(Inner {
            settings,
            key: Key::new(*seed),
            public,
            writing: Mutex::new(()),
            place: watch::Sender::new(place),
            running: watch::Sender::new(None),
            folder,
            files: OnceLock::new(),
            relay: OnceLock::new(),
            board,
        })))
    }

    /// The neighbours as they run, now and from now on; nothing before the hub has told the roster.
    #[must_use]
    pub fn running(&self) -> watch::Receiver<Option<Arc<Neighbours>>> {
        self.0.running.subscribe()
    }

    /// Has the others be given files; said once, before [`Self::run`].
    pub fn give(&self, files: Files) {
        // Who says it again has said the same.
        let _ = self.0.files.set(files);
    }

    /// Has what the others say be handed on; said once, before [`Self::run`].
    pub fn hand_on(&self, relay: Relay) {
        // Who says it again has said the same.
        let _ = self.0.relay.set(relay);
    }

    /// How the device seals what another is to hand on, and its name; nothing before the hub has said.
    pub(crate) fn seal(&self) -> Option<(Seal, String)> {
        let place = self.0.place.borrow().clone()?;
        let seal = Seal::new(&place.site, &place.name, &place.seal.0)?;
        Some((seal, place.name))
    }

    /// The device's signature of what another is to hand on.
    pub(crate) fn sign_relayed(&self, sealed: &[u8]) -> Result<[u8; 64], MembershipError> {
        Ok(sign_relayed(sealed, &self.0.key.signer_of("")?))
    }

    /// What is to be shown to the hub, unless it knows the device's key.
    pub(crate) fn to_show(
        &self,
        standing: &wire::Standing,
    ) -> Result<Option<wire::NeighbourKey>, MembershipError> {
        let public = self.0.public.as_bytes();
        let known = standing.place.as_ref();
        if known.is_some_and(|place| place.key.0 == public) {
            return Ok(None);
        }
        let signer = self.0.key.signer_of("")?;
        Ok(Some(wire::NeighbourKey {
            key: Blob(public.to_vec()),
            proof: Blob(prove_key(&standing.site, &standing.device, &signer).to_vec()),
        }))
    }

    /// Takes what the hub says of the device's place.
    pub(crate) fn take(&self, standing: wire::Standing) -> Result<(), MembershipError> {
        let told = standing.place.ok_or(MembershipError::OtherKey)?;
        if told.key.0 != self.0.public.as_bytes() {
            return Err(MembershipError::OtherKey);
        }
        let _writing = self.0.writing.lock();
        let mut place = Place {
            site: standing.site,
            name: told.name,
            site_key: told.site_key,
            roster: told.roster,
            seal: told.seal,
        };
        let new = place.open()?;
        let before = self.0.place.borrow().clone();
        if let Some(before) = before.filter(|before| before.site == place.site) {
            if before.site_key != place.site_key {
                return Err(MembershipError::OtherSiteKey {
                    site: place.site,
                    folder: self.0.folder.clone(),
                });
            }
            // Told by another connection meanwhile.
            if before.open().is_ok_and(|known| known.epoch > new.epoch) {
                place.roster = before.roster;
            }
        }
        self.keep(place)
    }

    /// Takes a roster that the hub tells of by itself.
    pub(crate) fn take_roster(&self, roster: Blob) -> Result<(), MembershipError> {
        let _writing = self.0.writing.lock();
        let Some(before) = self.0.place.borrow().clone() else {
            // The hub is asked for it in any case.
            return Ok(());
        };
        let place = Place {
            roster,
            ..before.clone()
        };
        let new = place.open()?;
        if before.open().is_ok_and(|known| known.epoch >= new.epoch) {
            return Ok(());
        }
        self.keep(place)
    }

    fn keep(&self, place: Place) -> Result<(), MembershipError> {
        if self.0.place.borrow().as_ref() == Some(&place) {
            return Ok(());
        }
        let path = self.0.folder.join(PLACE);
        let text = serde_json::to_vec(&place).map_err(|_| MembershipError::Unreadable)?;
        disk::write(&path, &text).map_err(|source| failed(&path, source))?;
        self.0.place.send_replace(Some(place));
        Ok(())
    }

    /// Runs the neighbours by what the hub says, for ever.
    pub async fn run(self) {
        let mut place = self.0.place.subscribe();
        let mut wait = AGAIN_FIRST;
        loop {
            let current = place.borrow_and_update().clone();
            let Some(current) = current else {
                let _ = place.changed().await;
                continue;
            };
            let began = tokio::time::Instant::now();
            match self.start(&current).await {
                Ok(neighbours) => {
                    let neighbours = Arc::new(neighbours);
                    self.0.running.send_replace(Some(Arc::clone(&neighbours)));
                    self.serve(&neighbours, &current, &mut place).await;
                    self.0.running.send_replace(None);
                    // Somebody may be in the middle of something with it.
                    neighbours.stop().await;
                }
                Err(why) => self.note(chain(&why)),
            }
            wait = match began.elapsed() > AGAIN_MAX {
                true => AGAIN_FIRST,
                false => (wait * 2).min(AGAIN_MAX),
            };
            let _ = tokio::time::timeout(wait, place.changed()).await;
        }
    }

    async fn start(&self, place: &Place) -> Result<Neighbours, StartError> {
        let config = &self.0.settings;
        let unreadable = || StartError::Place;
        let site_key = VerifyingKey::from_bytes(&place.site_key.0);
        let settings = Settings {
            site: place.site.parse().map_err(|_| unreadable())?,
            site_key: site_key.map_err(|_| unreadable())?,
            id: place.name.parse().map_err(|_| unreadable())?,
            key: self.0.key.clone(),
            roster: place.roster.0.clone(),
            folder: self.0.folder.join(place.folder()),
            listen: config.listen,
            known: config.known.clone(),
            search: config.search.clone(),
            files: self.0.files.get().cloned(),
            relay: self.0.relay.get().cloned(),
        };
        Neighbours::start(settings, self.0.board.clone()).await
    }

    /// Tells the neighbours what is new, until they end or the device has another place.
    async fn serve(
        &self,
        neighbours: &Neighbours,
        current: &Place,
        place: &mut watch::Receiver<Option<Place>>,
    ) {
        let mut view = neighbours.view();
        let mut status = self.0.board.watch();
        loop {
            let connected = status.borrow_and_update().link.state == LinkState::Connected;
            if neighbours.set_uplink(connected).await.is_err() {
                break;
            }
            tokio::select! {
                () = until_link(&mut status, connected) => {}
                () = until_over(&mut view) => break,
                _ = place.changed() => {
                    let new = place.borrow_and_update().clone();
                    let Some(new) = new.filter(|new| new.is_where(current)) else {
                        return;
                    };
                    match neighbours.take_roster(new.roster.0).await {
                        // They may have it from each other already.
                        Ok(Ok(()) | Err(RosterError::Old | RosterError::Twice)) => {}
                        Ok(Err(why)) => self.note(chain(&why)),
                        Err(_) => break,
                    }
                }
            }
        }
        self.note("what is kept of the neighbours cannot be written".to_owned());
    }

    fn note(&self, text: String) {
        tracing::warn!(error = text, "the device is not among its neighbours");
        self.0.board.note("neighbours", text);
    }
}

impl Place {
    fn open(&self) -> Result<Roster, MembershipError> {
        let site = self.site.parse().map_err(|_| MembershipError::Unreadable)?;
        let key = VerifyingKey::from_bytes(&self.site_key.0);
        let key = key.map_err(|_| MembershipError::Unreadable)?;
        Ok(Roster::open(&self.roster.0, &site, &key)?)
    }

    /// Whether both say the same but for the roster.
    fn is_where(&self, other: &Self) -> bool {
        (&self.site, &self.name, &self.site_key) == (&other.site, &other.name, &other.site_key)
    }

    /// Where it is kept what this member said and heard at this site; nothing of it may be taken for
    /// another member's. Names have letters that no file may have.
    fn folder(&self) -> String {
        let letter = |byte: u8| match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
            other => format!("_{other:02x}"),
        };
        let text = |name: &str| name.bytes().map(letter).collect::<String>();
        let mut folder = format!("of {} {}", text(&self.site), text(&self.name)).replace(' ', "+");
        folder.truncate(240);
        folder
    }
}

/// Waits until the link is up, or down, other than it was.
async fn until_link(status: &mut watch::Receiver<crate::status::Status>, connected: bool) {
    let other =
        |status: &crate::status::Status| (status.link.state == LinkState::Connected) != connected;
    if status.wait_for(other).await.is_err() {
        // The board goes only with the agent.
        std::future::pending().await
    }
}

/// Waits until the neighbours have ended.
async fn until_over(view: &mut watch::Receiver<super::neighbours::View>) {
    while view.changed().await.is_ok() {}
}

fn failed(path: &Path, source: io::Error) -> MembershipError {
    MembershipError::Disk {
        path: path.to_owned(),
        source,
    }
}

/// The private key in that file, which is made if there is none.
fn seed(path: &Path) -> Result<Zeroizing<[u8; SEED]>, MembershipError> {
    let mut seed = Zeroizing::new([0; SEED]);
    match disk::read(path, SEED as u64) {
        Ok(bytes) => {
            let bytes = Zeroizing::new(bytes);
            let whole = <&[u8; SEED]>::try_from(bytes.as_slice());
            let why = || io::Error::new(io::ErrorKind::InvalidData, "it has not 32 bytes");
            *seed = *whole.map_err(|_| failed(path, why()))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            getrandom::fill(&mut *seed).map_err(|_| MembershipError::Random)?;
            disk::write(path, &*seed).map_err(|source| failed(path, source))?;
        }
        Err(source) => return Err(failed(path, source)),
    }
    Ok(seed)
}

/// What is kept of the place. One that cannot be understood is as good as none, and the hub tells it
/// again; but the site's key is then believed anew.
fn kept_place(path: &Path) -> Result<Option<Place>, MembershipError> {
    match disk::read(path, MAX_PLACE) {
        Ok(text) => Ok(serde_json::from_slice(&text)
            .inspect_err(|error| tracing::warn!(%error, "the place among neighbours is asked anew"))
            .ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed(path, source)),
    }
}
