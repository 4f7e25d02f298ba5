//! Large things on the disk, each a file named by the SHA-256 of what is in it.
//!
//! A file comes to its name only once all of it is on the disk, so whatever has a name is whole.
//! What is still coming has no name, and is gone when who hands it in is, or the process.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use ring::digest::{Context, SHA256};
use tempfile::NamedTempFile;

use crate::refusal::Refusal;
use crate::store::OpenError;

mod digest;

pub use digest::Digest;

/// Where those of assets lie in the hub's folder.
pub(crate) const FOLDER: &str = "objects";

/// Where those of releases lie in the hub's folder.
pub(crate) const RELEASES: &str = "releases";

/// Where those lie that are still coming.
pub(crate) const INCOMING: &str = "incoming";

/// Rights of the folders: their owner's alone.
const FOLDER_MODE: u32 = 0o700;

/// All objects of a hub.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    folder: Arc<Path>,
    /// Bytes of the disk that are left free.
    reserve: u64,
}

/// An object that is coming; gone when it is dropped.
pub struct Incoming {
    objects: Objects,
    file: NamedTempFile,
    hash: Context,
    size: u64,
    most: u64,
}

/// An object that is here as a whole and has no name yet; gone when it is dropped.
#[derive(Debug)]
pub struct Whole {
    objects: Objects,
    file: NamedTempFile,
    digest: Digest,
    size: u64,
}

impl Objects {
    /// The objects in `folder` of the hub's, of whose disk `reserve` bytes are left free. What was
    /// still coming when the process ended is removed.
    pub(crate) fn open(folder: PathBuf, reserve: u64) -> io::Result<Self> {
        let incoming = folder.join(INCOMING);
        let mut make = DirBuilder::new();
        make.recursive(true).mode(FOLDER_MODE).create(&incoming)?;
        for left in fs::read_dir(&incoming)? {
            fs::remove_file(left?.path())?;
        }
        Ok(Self {
            folder: folder.into(),
            reserve,
        })
    }

    /// Begins to take an object of at most `most` bytes.
    ///
    /// # Errors
    /// [`Refusal::Full`]; [`Refusal::Internal`] when there can be no file.
    pub(crate) async fn begin(&self, most: u64) -> Result<Incoming, Refusal> {
        let objects = self.clone();
        blocking(move || {
            let file = NamedTempFile::new_in(objects.folder.join(INCOMING)).map_err(refused)?;
            Ok(Incoming {
                objects,
                file,
                hash: Context::new(&SHA256),
                size: 0,
                most,
            })
        })
        .await
    }

    /// Where the object is, whether or not there is one.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        // So that no folder has too many files.
        let (shelf, _) = name.split_at(2);
        self.folder.join(shelf).join(&name)
    }

    /// Removes an object, if it is there.
    pub(crate) async fn remove(&self, digest: &Digest) -> Result<(), Refusal> {
        let path = self.path(digest);
        blocking(move || match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(refused(error)),
            Ok(()) | Err(_) => Ok(()),
        })
        .await
    }

    /// Removes all objects but those `needed`, which stand in order.
    ///
    /// # Errors
    /// [`OpenError::Folder`].
    pub(crate) fn keep_only(&self, needed: &[Digest]) -> Result<(), OpenError> {
        let swept = self.sweep(needed);
        swept.map_err(|source| OpenError::Folder {
            path: self.folder.to_path_buf(),
            source,
        })
    }

    fn sweep(&self, needed: &[Digest]) -> io::Result<()> {
        for shelf in fs::read_dir(&*self.folder)? {
            let shelf = shelf?.path();
            if shelf.ends_with(INCOMING) {
                continue;
            }
            for object in fs::read_dir(shelf)? {
                let object = object?;
                let digest = object.file_name().to_str().map(str::parse::<Digest>);
                if let Some(Ok(digest)) = digest
                    && needed.binary_search(&digest).is_err()
                {
                    fs::remove_file(object.path())?;
                }
            }
        }
        Ok(())
    }

    /// Whether there is room for so many bytes beyond the reserve.
    fn check_room(&self, bytes: usize) -> Result<(), Refusal> {
        let Ok(disk) = rustix::fs::statvfs(&*self.folder) else {
            // Then the write will find out.
            return Ok(());
        };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if free >= self.reserve.saturating_add(bytes) {
            Ok(())
        } else {
            Err(Refusal::Full)
        }
    }
}

impl Incoming {
    /// Takes the next bytes of it.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`], [`Refusal::Full`]; [`Refusal::Internal`] when the disk fails.
    pub async fn take(mut self, bytes: Bytes) -> Result<Self, Refusal> {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.size = self.size.saturating_add(size);
        if self.size > self.most {
            return Err(Refusal::TooLarge {
                what: "bytes of an object",
                limit: self.most,
            });
        }
        blocking(move || {
            self.objects.check_room(bytes.len())?;
            self.file.write_all(&bytes).map_err(refused)?;
            self.hash.update(&bytes);
            Ok(self)
        })
        .await
    }

    /// That was all of it. Returns once it is on the disk.
    ///
    /// # Errors
    /// [`Refusal::Full`]; [`Refusal::Internal`] when the disk fails.
    pub async fn finish(self) -> Result<Whole, Refusal> {
        blocking(move || {
            self.file.as_file().sync_all().map_err(refused)?;
            Ok(Whole {
                digest: Digest::of(self.hash),
                objects: self.objects,
                file: self.file,
                size: self.size,
            })
        })
        .await
    }
}

impl Whole {
    /// What names it.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Gives it its name. Returns once that is on the disk.
    pub(crate) async fn keep(self) -> Result<(), Refusal> {
        blocking(move || self.name().map_err(refused)).await
    }

    fn name(self) -> io::Result<()> {
        let path = self.objects.path(&self.digest);
        let shelf = path.parent().unwrap_or(&self.objects.folder);
        let mut make = DirBuilder::new();
        make.recursive(true).mode(FOLDER_MODE).create(shelf)?;
        // Where there is one of that name already it has the same in it.
        self.file.persist(&path).map_err(|error| error.error)?;
        File::open(shelf)?.sync_all()?;
        File::open(&*self.objects.folder)?.sync_all()
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// Runs what may wait for the disk where it holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(Refusal::Internal("work on an object stopped")))
}

fn refused(error: io::Error) -> Refusal {
    if error.kind() == io::ErrorKind::StorageFull {
        return Refusal::Full;
    }
    tracing::error!(%error, "an object cannot be kept");
    Refusal::Internal("an object cannot be kept")
}

#[cfg(test)]
mod tests;
