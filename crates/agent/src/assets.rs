//! Files that the device should hold: as the hub has them, fetched when they are asked for, and kept
//! in a bounded folder by their digest. At a site with neighbours one device fetches each for all.
//!
//! What is fetched is a task of its own (`jobs`): it goes on when whoever asked does not wait any more,
//! and after it broke off it goes on where it was. `kept` is the folder, `hub` asks the hub.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use outgate_neighbours::Source;
use serde::Deserialize;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::disk;
use crate::lan::membership::Membership;
use crate::lan::neighbours::{Files, Neighbours, Unsaid, Wanted};
use crate::queue::RESERVE;
use crate::status::{Board, LinkState};

mod hub;
mod jobs;
mod kept;

pub use self::hub::Hub;
use self::jobs::Jobs;
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

/// How long it is waited before a file goes on that broke off, or a busy neighbour is asked again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// So long a file may take to come to the neighbour that fetches it for the site: the largest takes 36
/// minutes at a megabit a second.
const SOURCE_MAX: Duration = Duration::from_secs(3600);

/// The SHA-256 of a file, by which it is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

/// Why a file or the list is not to be had.
#[derive(Clone, Debug, Error)]
pub enum AssetError {
    /// The hub has no such file for this device.
    #[error("the hub has no such file for this device")]
    Unknown,
    /// The hub did not answer, or not with that.
    #[error("the hub is not reached, and no neighbour has it")]
    Unreached(#[source] Option<Arc<io::Error>>),
    /// It is more than the folder may have.
    #[error("the file has more bytes than may be kept: give assets.mebibytes more")]
    TooLarge,
    /// What came is something else.
    #[error("what came is not the file with that digest")]
    Other,
    /// The disk has no room for it beside what the device has to say.
    #[error("the disk has no room for the file: free some of it")]
    NoRoom,
    /// Too many are looked for.
    #[error("too many files are fetched at once")]
    Busy,
    /// The disk.
    #[error("the disk failed")]
    Disk(#[source] Arc<io::Error>),
}

impl AssetError {
    fn disk(error: io::Error) -> Self {
        Self::Disk(Arc::new(error))
    }

    fn unreached(error: io::Error) -> Self {
        Self::Unreached(Some(Arc::new(error)))
    }
}

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
    asked: Jobs,
    fetched: Jobs,
    places: Semaphore,
}

/// Ends what is under way when it is dropped.
struct Ends(Assets);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.0.asked.stop();
        self.0.0.fetched.stop();
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
        let room = {
            let board = board.clone();
            move |folder: &Path| room(folder, &board)
        };
        let kept = Kept::open(&data.join(FOLDER), most, room)?;
        let inner = Inner {
            hub,
            kept,
            membership,
            board,
            asked: Jobs::default(),
            fetched: Jobs::default(),
            places: Semaphore::new(FETCHED_MAX),
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

    /// A file, from the folder, a neighbour or the hub. Fetching it goes on, however long the caller
    /// waits.
    ///
    /// # Errors
    /// [`AssetError`].
    pub async fn file(&self, digest: Digest, name: &str) -> Result<File, AssetError> {
        let find = || {
            let (assets, name) = (self.clone(), name.to_owned());
            async move { assets.find(digest, name).await }
        };
        self.once(&self.0.asked, digest, find).await
    }

    /// Ends what is under way when this is dropped; it never ends by itself.
    pub(crate) async fn hold(self) {
        let _ends = Ends(self);
        std::future::pending().await
    }

    /// Has a file come from a neighbour or the hub.
    async fn find(&self, digest: Digest, name: String) -> Result<(), AssetError> {
        let wanted = Wanted {
            digest: digest.0,
            name,
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
            if let Some(neighbours) = &neighbours {
                let is_there = || neighbours.view().borrow().there.contains(id);
                let ask = || self.ask_neighbour(neighbours, id, &wanted);
                if from_source(is_there, ask).await.is_ok() {
                    return Ok(());
                }
            }
        }
        let why = match self.ask_hub(digest, &wanted.name).await {
            Ok(()) => return Ok(()),
            Err(why @ (AssetError::Unreached(_) | AssetError::Other | AssetError::Busy)) => why,
            Err(why) => return Err(why),
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
        jobs: &Jobs,
        digest: Digest,
        fetch: impl FnOnce() -> F,
    ) -> Result<File, AssetError>
    where
        F: Future<Output = Result<(), AssetError>> + Send + 'static,
    {
        if let Some(file) = self.0.kept.file(digest) {
            return Ok(file);
        }
        jobs.done(digest, fetch).await?;
        self.0.kept.file(digest).ok_or(AssetError::TooLarge)
    }

    async fn ask_hub(&self, digest: Digest, name: &str) -> Result<(), AssetError> {
        let fetch = || {
            let (assets, name) = (self.clone(), name.to_owned());
            async move { assets.fetch(digest, &name).await }
        };
        self.once(&self.0.fetched, digest, fetch).await.map(drop)
    }

    /// Has a file come from the hub, for as long as more of it comes each time that it is asked.
    async fn fetch(&self, digest: Digest, name: &str) -> Result<(), AssetError> {
        let _place = self.0.places.acquire().await;
        loop {
            let begun = self.0.kept.begun(digest);
            let come = async {
                let (from, body) = self.0.hub.file(digest, name, begun).await?;
                self.0.kept.go_on(digest, from, body).await
            };
            match come.await {
                Ok(()) => break,
                Err(AssetError::Unreached(why)) if self.0.kept.begun(digest) > begun => {
                    tracing::debug!(%digest, ?why, "a file broke off and goes on");
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
                Err(why) => return Err(why),
            }
        }
        self.0.show(|column| column.from_hub += 1);
        Ok(())
    }

    async fn ask_neighbour(
        &self,
        neighbours: &Neighbours,
        id: &outgate_neighbours::MemberId,
        wanted: &Wanted,
    ) -> Result<(), AssetError> {
        let coming = neighbours.fetch(id, wanted).await;
        let coming = coming.map_err(|why| {
            if let Unsaid::Busy = why {
                AssetError::Busy
            } else {
                AssetError::unreached(io::Error::other(why))
            }
        })?;
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

/// Asks the neighbour that fetches a file for the site, again for as long as it is there and says no
/// more than that the file is still to come: whoever went to the hub meanwhile would fetch it twice.
async fn from_source<F>(is_there: impl Fn() -> bool, ask: impl Fn() -> F) -> Result<(), AssetError>
where
    F: Future<Output = Result<(), AssetError>>,
{
    let begun = Instant::now();
    loop {
        match ask().await {
            Err(AssetError::Busy) if is_there() && begun.elapsed() < SOURCE_MAX => {
                tokio::time::sleep(AGAIN_AFTER).await;
            }
            outcome => return outcome,
        }
    }
}

/// How many bytes of the disk are there for files: what the device has to say goes first.
pub(crate) fn room(folder: &Path, board: &Board) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let queue = board.status().queue;
    let to_come = queue.limit_bytes.saturating_sub(queue.bytes);
    Some(free.saturating_sub(to_come).saturating_sub(RESERVE))
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_fetches_a_file_for_the_site_is_asked_until_it_has_it_or_is_away() {
        let asked = Cell::new(0);
        let busy_until = |number: u32| {
            asked.set(asked.get() + 1);
            let is_there = asked.get() >= number;
            async move {
                if is_there {
                    Ok(())
                } else {
                    Err(AssetError::Busy)
                }
            }
        };
        from_source(|| true, || busy_until(20)).await.unwrap();
        assert_eq!(asked.replace(0), 20);
        let away = from_source(|| asked.get() < 3, || busy_until(20)).await;
        assert!(matches!(away, Err(AssetError::Busy)), "{away:?}");
        assert_eq!(asked.replace(0), 3);
        // Who has no way to it any more is not asked again.
        let none = from_source(|| true, || async { Err(AssetError::Unreached(None)) }).await;
        assert!(matches!(none, Err(AssetError::Unreached(_))), "{none:?}");
        // And nobody is believed for ever.
        let begun = Instant::now();
        let never = from_source(|| true, || busy_until(u32::MAX)).await;
        assert!(matches!(never, Err(AssetError::Busy)), "{never:?}");
        assert_eq!(begun.elapsed(), SOURCE_MAX);
    }
}
