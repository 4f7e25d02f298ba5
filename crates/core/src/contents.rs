//! What is in files: their bytes, in pieces, wherever the hub keeps them.
//!
//! A piece comes to its key only once all of it is kept, so whatever has a key is whole; and it
//! never changes. Keys are made up here, so nothing that a peer says becomes part of a path. What
//! is in a file is a list of pieces, so a file of many blocks is put together without copying one.

use std::collections::{BTreeSet, HashMap};
use std::error::Error as _;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::StreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parking_lot::Mutex;

use crate::id::random;
use crate::objects::Digest;
use crate::refusal::Refusal;

mod coming;
mod key;
mod reading;
mod share;

pub use coming::{Coming, Hashes, Whole};
pub use key::PieceKey;
pub use reading::Reading;
pub use share::{Share, Shares};

/// Where they lie in the hub's folder, unless they lie elsewhere.
pub(crate) const FOLDER: &str = "files";

/// Rights of the folder: its owner's alone.
const FOLDER_MODE: u32 = 0o700;

/// How many bytes go to the hub's own disk at a time.
const LOCAL_PART: usize = 1 << 20;

/// How many go to a store elsewhere at a time: S3 takes parts of 5 MiB and more, and ten thousand
/// of them at the most.
const REMOTE_PART: usize = 8 << 20;

/// With how much room beyond the reserve a disk that was full is told to be so no longer.
const FULL_NO_LONGER: u64 = 4 << 20;

/// Where the bytes of files are kept.
#[derive(Clone, Debug, Default)]
pub enum Depot {
    /// In the hub's own folder.
    #[default]
    Folder,
    /// In a store elsewhere, to which others may write under the same prefix: other hubs too.
    Elsewhere(Arc<dyn ObjectStore>),
}

/// Some consecutive bytes of a file, which are kept as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What they are kept under.
    pub key: PieceKey,
    /// How many there are.
    pub size: u64,
}

/// All pieces of a hub.
#[derive(Clone, Debug)]
pub struct Contents(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    store: Arc<dyn ObjectStore>,
    /// Where that is the hub's own disk.
    disk: Option<Disk>,
    /// How many bytes go there at a time.
    part: usize,
    /// What keys made since the hub's start begin with.
    run: String,
    /// How many those are.
    made: AtomicU64,
    /// Those that somebody reads, and how they stand.
    read: Mutex<HashMap<PieceKey, Use>>,
}

#[derive(Debug)]
struct Disk {
    folder: PathBuf,
    /// Bytes of it that are left free.
    reserve: u64,
    /// Whether it had no more room when it was last looked at.
    is_full: AtomicBool,
}

/// How a piece that is being read stands.
#[derive(Debug, Default)]
struct Use {
    readers: u32,
    /// It is to go when the last of them has.
    doomed: bool,
}

impl Contents {
    /// The bytes of files of the hub whose folder is `data`, of whose disk `reserve` bytes are
    /// left free.
    ///
    /// # Errors
    /// When the folder cannot be made, or the system has no randomness.
    pub fn open(depot: &Depot, data: &Path, reserve: u64) -> io::Result<Self> {
        let (store, disk, part) = match depot {
            Depot::Folder => {
                let folder = data.join(FOLDER);
                let mut make = DirBuilder::new();
                make.recursive(true).mode(FOLDER_MODE).create(&folder)?;
                let store = LocalFileSystem::new_with_prefix(&folder)?.with_fsync(true);
                let disk = Disk {
                    folder,
                    reserve,
                    is_full: AtomicBool::new(false),
                };
                (Arc::new(store) as Arc<_>, Some(disk), LOCAL_PART)
            }
            Depot::Elsewhere(store) => (Arc::clone(store), None, REMOTE_PART),
        };
        let run = random("").map_err(|refusal| io::Error::other(refusal.to_string()))?;
        Ok(Self(Arc::new(Kept {
            store,
            disk,
            part,
            run,
            made: AtomicU64::new(0),
            read: Mutex::default(),
        })))
    }

    /// Begins to take a piece of at most `most` bytes, which count in a share while they come.
    #[must_use]
    pub fn begin(&self, most: u64, share: Option<Share>, hashes: Hashes) -> Coming {
        Coming::new(self.clone(), self.make_key(), (most, share), hashes)
    }

    /// Begins to read the bytes of `range` out of what `pieces` make one after the other. They stay
    /// until they have been read, even if they are removed meanwhile.
    #[must_use]
    pub fn read(&self, pieces: &[Piece], range: std::ops::Range<u64>) -> Reading {
        Reading::new(self.clone(), pieces, range)
    }

    /// The digest of what `pieces` make one after the other, which takes reading all of them.
    ///
    /// # Errors
    /// As [`Reading::next`].
    pub async fn digest(&self, pieces: &[Piece]) -> Result<Digest, Refusal> {
        let size = pieces.iter().map(|piece| piece.size).sum();
        let mut reading = self.read(pieces, 0..size);
        let mut sums = coming::Sums::new(Hashes::Sha256);
        while let Some(bytes) = reading.next().await? {
            sums = sums.over(vec![bytes]).await?;
        }
        Ok(sums.finish().0)
    }

    /// Removes pieces that nothing refers to any more. Those that are being read go when they have
    /// been. What cannot be removed now is at the next [`Contents::sweep`].
    pub async fn remove(&self, keys: Vec<PieceKey>) {
        let unread = {
            let mut read = self.0.read.lock();
            let mut unread = keys;
            unread.retain(|key| match read.get_mut(key) {
                Some(used) => {
                    used.doomed = true;
                    false
                }
                None => true,
            });
            unread
        };
        for key in unread {
            self.delete(&key).await;
        }
    }

    /// What the keys begin with that are made since the hub's start, if they are among those of
    /// others. Whoever begins a piece notes it first, for [`Contents::sweep`].
    #[must_use]
    pub fn noted_run(&self) -> Option<&str> {
        let is_shared = self.0.disk.is_none();
        is_shared.then_some(self.0.run.as_str())
    }

    /// Removes all pieces that this hub made before it was started but those `needed`: what was still
    /// coming when it ended, and what it had no time to remove. To be called once after the start,
    /// with every key that anything refers to, and with the `runs` that were noted. Gives those of
    /// which nothing is left.
    ///
    /// In a store elsewhere only what is of those runs is looked at: another hub may have its pieces
    /// under the same prefix.
    ///
    /// # Errors
    /// [`Refusal::Internal`] when what is there cannot be listed.
    pub async fn sweep(
        &self,
        mut needed: Vec<PieceKey>,
        runs: Vec<String>,
    ) -> Result<Vec<String>, Refusal> {
        needed.sort_unstable();
        if self.0.disk.is_some() {
            // A list of the store's has no files in it that were not finished.
            let contents = self.clone();
            let sweep = move || contents.sweep_disk(&needed).map_err(refused_by_disk);
            return blocking(sweep).await.map(|()| runs);
        }
        // What is referred to is this hub's as well, noted or not.
        let mut own: BTreeSet<_> = needed.iter().map(|key| key.run().to_owned()).collect();
        own.extend(runs);
        own.remove(&self.0.run);
        let mut empty = Vec::new();
        for run in own {
            if !self.sweep_run(&run, &needed).await? {
                empty.push(run);
            }
        }
        Ok(empty)
    }

    /// Removes what is left of a run in a store elsewhere; whether something of it is needed.
    async fn sweep_run(&self, run: &str, needed: &[PieceKey]) -> Result<bool, Refusal> {
        let below = object_store::path::Path::from(run);
        let mut list = self.0.store.list(Some(&below));
        let mut is_needed = false;
        while let Some(found) = list.next().await {
            let found = found.map_err(|error| refused(&error))?;
            let Ok(key) = found.location.as_ref().parse::<PieceKey>() else {
                continue;
            };
            if self.is_left(&key, needed) {
                self.remove(vec![key]).await;
            } else {
                is_needed = true;
            }
        }
        Ok(is_needed)
    }

    fn sweep_disk(&self, needed: &[PieceKey]) -> io::Result<()> {
        let Some(disk) = &self.0.disk else {
            return Ok(());
        };
        for run in folders_in(&disk.folder)? {
            if run.ends_with(&self.0.run) {
                continue;
            }
            for shelf in folders_in(&run)? {
                for file in std::fs::read_dir(&shelf)? {
                    let file = file?.path();
                    let name = file.strip_prefix(&disk.folder).ok();
                    let key = name.and_then(Path::to_str).map(str::parse::<PieceKey>);
                    // Beside keys there are only files that were not finished.
                    let Some(Ok(key)) = key else {
                        std::fs::remove_file(&file)?;
                        continue;
                    };
                    if self.is_left(&key, needed) && !self.doom_if_read(&key) {
                        std::fs::remove_file(&file)?;
                    }
                }
                remove_if_empty(&shelf)?;
            }
            remove_if_empty(&run)?;
        }
        Ok(())
    }

    /// Whether the piece came before the hub's start and nothing needs it.
    fn is_left(&self, key: &PieceKey, needed: &[PieceKey]) -> bool {
        key.run() != self.0.run && needed.binary_search(key).is_err()
    }

    /// Whether somebody reads the piece, which goes when they have.
    fn doom_if_read(&self, key: &PieceKey) -> bool {
        let mut read = self.0.read.lock();
        let used = read.get_mut(key);
        used.map(|used| used.doomed = true).is_some()
    }

    fn make_key(&self) -> PieceKey {
        let number = self.0.made.fetch_add(1, Ordering::Relaxed);
        PieceKey::new(&self.0.run, number)
    }

    async fn delete(&self, key: &PieceKey) {
        match self.0.store.delete(&key.path()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => {
                tracing::warn!(%error, %key, "a piece of a file stays until the next start");
            }
        }
    }

    /// Notes that somebody reads the piece.
    fn take_up(&self, key: &PieceKey) {
        self.0.read.lock().entry(key.clone()).or_default().readers += 1;
    }

    /// Notes that somebody has read it.
    fn let_go(&self, key: &PieceKey) {
        let mut read = self.0.read.lock();
        let Some(used) = read.get_mut(key) else {
            return;
        };
        used.readers -= 1;
        if used.readers > 0 {
            return;
        }
        let doomed = used.doomed;
        read.remove(key);
        drop(read);
        if doomed {
            self.delete_later(key.clone());
        }
    }

    /// For where nobody can wait.
    fn delete_later(&self, key: PieceKey) {
        // Without a runtime the hub is ending; then it is swept at the next start.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let contents = self.clone();
            runtime.spawn(async move { contents.delete(&key).await });
        }
    }

    /// Whether there is room for so many bytes beyond the reserve.
    fn check_room(&self, bytes: u64) -> Result<(), Refusal> {
        let Some(disk) = &self.0.disk else {
            return Ok(());
        };
        let Ok(free) = rustix::fs::statvfs(&disk.folder) else {
            // Then the write will find out.
            return Ok(());
        };
        disk.judge(free.f_bavail.saturating_mul(free.f_frsize), bytes)
    }
}

impl Disk {
    /// Whether so many bytes go into those that are free, beyond the reserve. Said in the log when
    /// it becomes full and when it is no longer, and not for each that is refused: those who send
    /// must not be able to fill the log as well.
    fn judge(&self, free: u64, bytes: u64) -> Result<(), Refusal> {
        let room = free.saturating_sub(self.reserve);
        if bytes > room {
            if !self.is_full.swap(true, Ordering::Relaxed) {
                let reserve = self.reserve;
                tracing::warn!(
                    free,
                    reserve,
                    "the disk is full: files that come are refused"
                );
            }
            return Err(Refusal::Full);
        }
        // Not for the last bytes of a short one.
        if room >= FULL_NO_LONGER && self.is_full.swap(false, Ordering::Relaxed) {
            tracing::info!(free, "the disk has room for files again");
        }
        Ok(())
    }
}

fn folders_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}

fn remove_if_empty(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Runs what takes long or may wait for the disk where it holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(Refusal::Internal("work on a file's bytes stopped")))
}

/// What failed in the store, in the caller's terms.
fn refused(error: &object_store::Error) -> Refusal {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && is_full(error)
        {
            return Refusal::Full;
        }
        cause = error.source();
    }
    tracing::error!(%error, "the store of files fails");
    Refusal::Internal("the store of files fails")
}

fn refused_by_disk(error: io::Error) -> Refusal {
    if is_full(&error) {
        return Refusal::Full;
    }
    tracing::error!(%error, "the disk of files fails");
    Refusal::Internal("the disk of files fails")
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

#[cfg(test)]
mod tests;
