//! Files that the device should hold: as the hub has them, fetched when they are asked for, and kept
//! in a bounded folder by their digest. At a site with neighbours one device fetches each for all.
//!
//! `kept` is the folder, `hub` asks the hub.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use outgate_neighbours::Source;
use parking_lot::Mutex;
use serde::Deserialize;
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::disk;
use crate::lan::membership::Membership;
use crate::lan::neighbours::{Files, Neighbours, Wanted};
use crate::status::{Board, LinkState};

mod hub;
mod kept;

pub use self::hub::Hub;
use self::kept::Kept;

/// The folder within the agent's.
const FOLDER: &str = "assets";
/// What the hub last said that the device should hold, in that folder.
const LIST: &str = "list.json";

/// The most bytes of a file, as of the hub's.
pub const FILE_MAX: u64 = 256 << 20;
/// The most bytes of the list: that many files with the longest names.
pub const LIST_MAX: u64 = 16 << 20;

/// So many files are fetched from the hub at a time; who asks for more waits.
const FETCHED_MAX: usize = 4;

/// The SHA-256 of a file, by which it is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

/// Why a file or the list is not to be had.
#[derive(Debug, Error)]
pub enum AssetError {
    /// The hub has no such file for this device.
    #[error("the hub has no such file for this device")]
    Unknown,
    /// The hub did not answer, or not with that.
    #[error("the hub is not reached, and no neighbour has it")]
    Unreached(#[source] Option<io::Error>),
    /// It is more than the folder may have.
    #[error("the file has more bytes than may be kept: give assets.mebibytes more")]
    TooLarge,
    /// What came is something else.
    #[error("what came is not the file with that digest")]
    Other,
    /// The disk.
    #[error("the disk failed")]
    Disk(#[source] io::Error),
}

/// Who is at what, one after the other for the same.
type Turns = Mutex<BTreeMap<Digest, Arc<tokio::sync::Mutex<()>>>>;

/// Files that the device should hold. Cloned freely; all clones are the same.
#[derive(Clone, Debug)]
pub struct Assets(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hub: Hub,
    kept: Kept,
    membership: Option<Membership>,
    board: Board,
    /// What this device's software waits for, and what is fetched from the hub: whoever wants the same
    /// waits. They are two, so that neighbours who ask each other do not wait for each other.
    asked: Turns,
    fetched: Turns,
    room: Semaphore,
}

/// Takes a file from those under way, also when who asked for it has gone.
struct Forgotten<'a> {
    turns: &'a Turns,
    digest: Digest,
}

impl Drop for Forgotten<'_> {
    fn drop(&mut self) {
        self.turns.lock().remove(&self.digest);
    }
}

impl Assets {
    /// With what is kept in the agent's folder `data`, at most `most` bytes.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(
        data: &Path,
        most: u64,
        hub: Hub,
        membership: Option<Membership>,
        board: Board,
    ) -> io::Result<Self> {
        let kept = Kept::open(&data.join(FOLDER), most)?;
        let inner = Inner {
            hub,
            kept,
            membership,
            board,
            asked: Mutex::default(),
            fetched: Mutex::default(),
            room: Semaphore::new(FETCHED_MAX),
        };
        inner.show(|_| {});
        Ok(Self(Arc::new(inner)))
    }

    /// What the device should hold, in JSON: as the hub says it, or as it last did.
    ///
    /// # Errors
    /// [`AssetError`].
    pub async fn list(&self) -> Result<Bytes, AssetError> {
        let path = self.0.kept.folder().join(LIST);
        let why = match self.0.hub.list().await {
            Ok(list) => {
                let told = list.clone();
                let written = tokio::task::spawn_blocking(move || disk::write(&path, &told));
                match written.await {
                    Ok(Ok(())) => {}
                    // It is known all the same, as long as the hub tells it.
                    Ok(Err(error)) => tracing::warn!(%error, "the list of files is not kept"),
                    Err(_) => return Err(AssetError::Unreached(None)),
                }
                return Ok(list);
            }
            Err(why) => why,
        };
        match disk::read(&path, LIST_MAX) {
            Ok(list) => Ok(list.into()),
            Err(_) => Err(why),
        }
    }

    /// The media type of a file that is listed.
    #[must_use]
    pub fn content_type(&self, digest: Digest) -> String {
        #[derive(Deserialize)]
        struct List {
            assets: Vec<Held>,
        }
        #[derive(Deserialize)]
        struct Held {
            sha256: String,
            content_type: String,
        }
        let list = disk::read(&self.0.kept.folder().join(LIST), LIST_MAX).ok();
        let list = list.and_then(|list| serde_json::from_slice::<List>(&list).ok());
        let digest = digest.to_string();
        let held = list.into_iter().flat_map(|list| list.assets);
        let mut its = held
            .filter(|held| held.sha256 == digest)
            .map(|held| held.content_type);
        its.next()
            .unwrap_or_else(|| "application/octet-stream".to_owned())
    }

    /// A file, from the folder, a neighbour or the hub.
    ///
    /// # Errors
    /// [`AssetError`].
    pub async fn file(&self, digest: Digest, name: &str) -> Result<File, AssetError> {
        self.once(&self.0.asked, digest, || async {
            let wanted = Wanted {
                digest: digest.0,
                name: name.to_owned(),
            };
            let neighbours = self.neighbours();
            let mut asked = Vec::new();
            if let Some(neighbours) = &neighbours {
                let source = neighbours.look(move |member, _| member.source(&digest.0));
                if let Ok(Source::Neighbour(id)) = source.await {
                    asked.push(id);
                }
            }
            for id in &asked {
                if let Some(neighbours) = &neighbours
                    && self.ask_neighbour(neighbours, id, &wanted).await.is_ok()
                {
                    return Ok(());
                }
            }
            let why = match self.ask_hub(digest, name).await {
                Ok(()) => return Ok(()),
                Err(why @ (AssetError::Unknown | AssetError::TooLarge | AssetError::Disk(_))) => {
                    return Err(why);
                }
                Err(why) => why,
            };
            // Somebody may have it from before.
            if let Some(neighbours) = &neighbours {
                let there = neighbours.view().borrow().there.clone();
                for id in there.iter().filter(|id| !asked.contains(id)) {
                    if self.ask_neighbour(neighbours, id, &wanted).await.is_ok() {
                        return Ok(());
                    }
                }
            }
            Err(why)
        })
        .await
    }

    /// What neighbours are given: what is kept, or what this device can fetch from the hub itself.
    #[must_use]
    pub fn for_neighbours(&self) -> Files {
        // The neighbours must not keep alive what keeps them alive.
        let assets = Arc::downgrade(&self.0);
        Files::new(move |wanted: Wanted| -> BoxFuture<'static, Option<File>> {
            let assets = assets.upgrade();
            Box::pin(async move {
                let assets = Self(assets?);
                let digest = Digest(wanted.digest);
                let is_up = assets.0.board.status().link.state == LinkState::Connected;
                if !is_up {
                    return assets.0.kept.file(digest);
                }
                assets.ask_hub(digest, &wanted.name).await.ok()?;
                assets.0.kept.file(digest)
            })
        })
    }

    /// What is kept, or what is after it was fetched: once, however many ask.
    async fn once<F>(
        &self,
        turns: &Turns,
        digest: Digest,
        fetch: impl FnOnce() -> F,
    ) -> Result<File, AssetError>
    where
        F: Future<Output = Result<(), AssetError>>,
    {
        if let Some(file) = self.0.kept.file(digest) {
            return Ok(file);
        }
        let turn = Arc::clone(turns.lock().entry(digest).or_default());
        // Those who wait have their own hold of it, and it is made anew if more come.
        let _forgotten = Forgotten { turns, digest };
        let fetched = {
            let _turn = turn.lock().await;
            match self.0.kept.file(digest) {
                Some(file) => return Ok(file),
                None => fetch().await,
            }
        };
        fetched?;
        self.0.kept.file(digest).ok_or(AssetError::TooLarge)
    }

    async fn ask_hub(&self, digest: Digest, name: &str) -> Result<(), AssetError> {
        let fetch = || async {
            let _place = self.0.room.acquire().await;
            let body = self.0.hub.file(digest, name).await?;
            self.0.kept.take(digest, body).await?;
            self.0.show(|column| column.from_hub += 1);
            Ok(())
        };
        self.once(&self.0.fetched, digest, fetch).await.map(drop)
    }

    async fn ask_neighbour(
        &self,
        neighbours: &Neighbours,
        id: &outgate_neighbours::MemberId,
        wanted: &Wanted,
    ) -> Result<(), AssetError> {
        let coming = neighbours.fetch(id, wanted).await;
        let coming = coming.map_err(|why| AssetError::Unreached(Some(io::Error::other(why))))?;
        let taken = self.0.kept.take(Digest(wanted.digest), coming).await;
        if matches!(taken, Err(AssetError::Other)) {
            neighbours.count_other_file();
        }
        taken?;
        self.0.show(|column| column.from_neighbours += 1);
        Ok(())
    }

    fn neighbours(&self) -> Option<Arc<Neighbours>> {
        let membership = self.0.membership.as_ref()?;
        membership.running().borrow().clone()
    }
}

impl Inner {
    fn show(&self, change: impl FnOnce(&mut crate::status::Assets)) {
        let (files, bytes) = self.kept.held();
        self.board.write(|status| {
            change(&mut status.assets);
            status.assets.files = files;
            status.assets.bytes = bytes;
            status.assets.limit_bytes = self.kept.most();
        });
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = AssetError;

    fn from_str(text: &str) -> Result<Self, AssetError> {
        let bytes = text.as_bytes();
        let good = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        if bytes.len() != 64 || !bytes.iter().all(good) {
            return Err(AssetError::Unknown);
        }
        let mut digest = [0; 32];
        for (to, pair) in digest.iter_mut().zip(bytes.chunks(2)) {
            let pair = std::str::from_utf8(pair).unwrap_or_default();
            *to = u8::from_str_radix(pair, 16).map_err(|_| AssetError::Unknown)?;
        }
        Ok(Self(digest))
    }
}
