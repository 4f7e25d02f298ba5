//! A copy of a whole data folder, made while a hub works on it or while none does.
//!
//! Whoever may read the folder makes it, without asking the hub. The store is copied as it is at
//! one moment; the keys beside it are copied after it, so that whatever is sealed in the copy can
//! be opened there.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::contents::FOLDER as PIECES;
use crate::objects::{FOLDER as OBJECTS, INCOMING, RELEASES};
use crate::store::{self, MODEL};

/// The most files that are copied beside the store: a hub has about ten.
const MAX_FILES: usize = 1_000;

/// The most bytes of each of them: they are keys and certificates.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// How many folders may lie in each other.
const MAX_DEPTH: usize = 4;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something has the name that the backup is to have.
    #[error("{path} is there already: a backup is made in a folder of its own")]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// The backup would lie in what it is of.
    #[error("{path} lies in the data folder itself: give a folder elsewhere, best on another disk")]
    Inside {
        /// Where it was to be.
        path: PathBuf,
    },
    /// No hub has ever kept its data there.
    #[error("{path} holds no hub's data")]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
    /// There is something that a hub does not make.
    #[error("{path} is none of a hub's files: {why}")]
    Foreign {
        /// What it is about.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file or a folder cannot be read or made.
    #[error("failed to copy {path}")]
    Copy {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store cannot be copied.
    #[error("failed to copy the store")]
    Store(#[from] outgate_store::Error),
}

/// Copies the data folder `folder` to `to`, for its owner alone. Gives how many files the copy
/// has. When it fails, nothing of it is left.
///
/// # Errors
/// [`BackupError`].
pub fn back_up(folder: &Path, to: &Path) -> Result<usize, BackupError> {
    if !folder.join(MODEL.file()).is_file() {
        return Err(BackupError::Nothing {
            path: folder.to_owned(),
        });
    }
    let parent = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let (within, of) = (canonical(parent)?, canonical(folder)?);
    if within.starts_with(&of) {
        return Err(BackupError::Inside {
            path: to.to_owned(),
        });
    }
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists {
            path: to.to_owned(),
        });
    }
    let partial = Partial::new(to)?;
    store::copy_of(&MODEL, folder, &partial.0.join(MODEL.file()))?;
    let mut files = 1;
    copy_all(folder, &partial.0, MAX_DEPTH, &mut files)?;
    files += copy_objects(&folder.join(OBJECTS), &partial.0.join(OBJECTS), 1)?;
    let releases = folder.join(RELEASES);
    if releases.is_dir() {
        // A folder of before there were any has none.
        files += copy_objects(&releases, &partial.0.join(RELEASES), 1)?;
    }
    let pieces = folder.join(PIECES);
    if pieces.is_dir() {
        // Where they lie elsewhere, they stay there.
        files += copy_objects(&pieces, &partial.0.join(PIECES), 2)?;
    }
    fs::rename(&partial.0, to).map_err(failed(to))?;
    sync(parent)?;
    Ok(files)
}

/// Copies what lies in a folder, but for the store.
fn copy_all(from: &Path, to: &Path, depth: usize, files: &mut usize) -> Result<(), BackupError> {
    let foreign = |path: &Path, why| BackupError::Foreign {
        path: path.to_owned(),
        why,
    };
    for entry in fs::read_dir(from).map_err(failed(from))? {
        let entry = entry.map_err(failed(from))?;
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().map_err(failed(&path))?;
        if MODEL.makes(&name.to_string_lossy())
            || [OBJECTS, RELEASES, PIECES].iter().any(|one| name == *one)
        {
            continue;
        }
        if kind.is_dir() {
            if depth == 0 {
                return Err(foreign(&path, "too many folders lie in each other"));
            }
            let made = to.join(&name);
            make_folder(&made)?;
            copy_all(&path, &made, depth - 1, files)?;
        } else if kind.is_file() {
            *files += 1;
            if *files > MAX_FILES {
                return Err(foreign(from, "it has too many files"));
            }
            copy(&path, &to.join(&name))?;
        } else {
            return Err(foreign(&path, "it is neither a file nor a folder"));
        }
    }
    sync(to)
}

/// Copies objects, or pieces of devices' files, that are whole and lie in folders `depth` deep. One
/// that has gone since the store was copied is left out: what it was in was changed or removed
/// meanwhile.
fn copy_objects(from: &Path, to: &Path, depth: usize) -> Result<usize, BackupError> {
    let mut files = 0;
    make_folder(to)?;
    for entry in fs::read_dir(from).map_err(failed(from))? {
        let entry = entry.map_err(failed(from))?;
        let (path, made) = (entry.path(), to.join(entry.file_name()));
        if entry.file_name() == INCOMING {
            continue;
        }
        if depth > 0 {
            files += copy_objects(&path, &made, depth - 1)?;
            continue;
        }
        match File::open(&path) {
            Ok(mut content) => {
                write_new(&made, |file| io::copy(&mut content, file).map(drop))?;
                files += 1;
            }
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&path)(error)),
        }
    }
    sync(to)?;
    Ok(files)
}

fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    let mut bytes = Vec::new();
    let read = File::open(from).map_err(failed(from))?;
    read.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed(from))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(BackupError::Foreign {
            path: from.to_owned(),
            why: "it is too large",
        });
    }
    write_new(to, |file| file.write_all(&bytes))
}

/// Makes a file for its owner alone, and returns once it is on the disk.
fn write_new(to: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), BackupError> {
    let write = || {
        let mut open = OpenOptions::new();
        let mut file = open.write(true).create_new(true).mode(0o600).open(to)?;
        fill(&mut file)?;
        file.sync_all()
    };
    write().map_err(failed(to))
}

fn make_folder(path: &Path) -> Result<(), BackupError> {
    let made = DirBuilder::new().mode(0o700).create(path);
    made.map_err(failed(path))
}

fn canonical(path: &Path) -> Result<PathBuf, BackupError> {
    path.canonicalize().map_err(failed(path))
}

/// Waits until what was made in `folder` is on the disk under its name.
fn sync(folder: &Path) -> Result<(), BackupError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed(folder))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> BackupError + use<> {
    let path = path.to_owned();
    move |source| BackupError::Copy {
        path: path.clone(),
        source,
    }
}

/// A folder that is not whole yet. What is left of it is removed when this is dropped.
struct Partial(PathBuf);

impl Partial {
    fn new(to: &Path) -> Result<Self, BackupError> {
        let mut name = to.as_os_str().to_owned();
        name.push(".partial");
        let path = PathBuf::from(name);
        make_folder(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Once it has its own name there is nothing to remove.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::identity::{Actor, DeviceFilter, Page};
    use crate::{Core, Settings};

    async fn with_site(folder: &Path) -> Core {
        let core = Core::open(&Settings::new(folder)).unwrap();
        let site = ("a".parse().unwrap(), "A".to_owned());
        core.identity
            .create_site(&Actor::hub(), site.0, site.1)
            .await
            .unwrap();
        core
    }

    async fn make(core: &Core, device: &str) {
        let (device, site) = (device.parse().unwrap(), "a".parse().unwrap());
        core.identity
            .create_device(&Actor::hub(), device, site, None)
            .await
            .unwrap();
    }

    async fn devices(core: &Core) -> usize {
        let page = Page {
            after: None,
            limit: 100,
        };
        let listed = core
            .identity
            .devices(&Actor::hub(), &DeviceFilter::default(), &page)
            .await;
        listed.unwrap().items.len()
    }

    #[tokio::test]
    async fn a_copy_of_a_folder_in_use_has_what_was_there_and_not_what_came_later() {
        let all = tempfile::tempdir().unwrap();
        let (folder, to) = (all.path().join("data"), all.path().join("copy"));
        let core = with_site(&folder).await;
        make(&core, "one").await;
        fs::create_dir(folder.join("tls")).unwrap();
        fs::write(folder.join("tls/ca.key"), "key").unwrap();
        fs::create_dir(folder.join("objects/ab")).unwrap();
        fs::write(folder.join("objects/ab/abc"), "object").unwrap();
        fs::write(folder.join("objects/incoming/part"), "par").unwrap();
        fs::create_dir_all(folder.join("files/run/0")).unwrap();
        fs::write(folder.join("files/run/0/1"), "piece").unwrap();
        let files = back_up(&folder, &to).unwrap();
        let piece = fs::read_to_string(to.join("files/run/0/1"));
        assert_eq!(piece.unwrap(), "piece");
        let object = fs::read_to_string(to.join("objects/ab/abc"));
        assert_eq!(object.unwrap(), "object");
        assert!(!to.join("objects/incoming").exists());
        make(&core, "two").await;
        assert_eq!(fs::read_to_string(to.join("tls/ca.key")).unwrap(), "key");
        assert!(files >= 3, "{files}");
        for (path, mode) in [("", 0o700), ("hub.sqlite", 0o600), ("tls/ca.key", 0o600)] {
            let found = fs::metadata(to.join(path)).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode, "{path}");
        }
        // Both may be used at the same time: nothing of the lock was copied.
        let copied = Core::open(&Settings::new(&to)).unwrap();
        assert_eq!((devices(&core).await, devices(&copied).await), (2, 1));
    }

    #[tokio::test]
    async fn a_copy_is_made_whole_or_not_at_all() {
        let all = tempfile::tempdir().unwrap();
        let (folder, to) = (all.path().join("data"), all.path().join("copy"));
        let nothing = back_up(&folder, &to);
        assert!(matches!(nothing, Err(BackupError::Nothing { .. })));
        drop(with_site(&folder).await);
        let inside = back_up(&folder, &folder.join("copy"));
        assert!(matches!(inside, Err(BackupError::Inside { .. })));
        std::os::unix::fs::symlink("/nowhere", folder.join("odd")).unwrap();
        let odd = back_up(&folder, &to);
        assert!(matches!(odd, Err(BackupError::Foreign { .. })), "{odd:?}");
        assert_eq!(fs::read_dir(all.path()).unwrap().count(), 1);
        fs::remove_file(folder.join("odd")).unwrap();
        back_up(&folder, &to).unwrap();
        let again = back_up(&folder, &to);
        assert!(matches!(again, Err(BackupError::Exists { .. })));
        assert_eq!(fs::read_dir(all.path()).unwrap().count(), 2);
    }
}
