//! The folder of files, each under its digest: what was not asked for longest goes first.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Body;
use parking_lot::Mutex;
use ring::digest::{Context, SHA256};
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

use super::{AssetError, Digest, FILE_MAX};

/// So many parts of a file wait for the disk.
const WAITING_MAX: usize = 16;
/// A file of which nothing comes for so long does not come any more.
const SILENCE_MAX: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Kept {
    folder: PathBuf,
    most: u64,
    /// Held while room is made.
    making_room: Mutex<()>,
}

impl Kept {
    /// The folder, which is made if there is none. What was left of files that did not come whole is
    /// cleared away.
    pub(super) fn open(folder: &Path, most: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(".tmp") {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            most,
            making_room: Mutex::new(()),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn most(&self) -> u64 {
        self.most
    }

    /// How many files, and how many bytes they have.
    pub(super) fn held(&self) -> (u64, u64) {
        let files = files(&self.folder);
        (files.len() as u64, files.iter().map(|file| file.size).sum())
    }

    /// The file, if it is there.
    pub(super) fn file(&self, digest: Digest) -> Option<File> {
        let file = File::open(self.folder.join(digest.to_string())).ok()?;
        // When it was asked for last; where that cannot be noted, it goes earlier.
        let _ = file.set_modified(SystemTime::now());
        Some(file)
    }

    /// Takes a file as it comes, if it is the one with that digest.
    pub(super) async fn take<B>(&self, digest: Digest, body: B) -> Result<(), AssetError>
    where
        B: Body<Data = Bytes>,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let most = self.most.min(FILE_MAX);
        if body.size_hint().lower() > most {
            return Err(AssetError::TooLarge);
        }
        let (parts, waiting) = mpsc::channel(WAITING_MAX);
        let folder = self.folder.clone();
        let writing = tokio::task::spawn_blocking(move || write(&folder, digest, most, waiting));
        let came = pass_on(body, parts).await;
        let written = writing.await;
        let written = written.map_err(|_| AssetError::Unreached(None))?;
        came.map_err(|why| AssetError::Unreached(Some(why)))?;
        let (file, size) = written?;
        let (folder, room) = (self.folder.clone(), self.most.saturating_sub(size));
        let _making = self.making_room.lock();
        make_room(&folder, room).map_err(AssetError::Disk)?;
        let path = folder.join(digest.to_string());
        file.persist(path)
            .map_err(|error| AssetError::Disk(error.error))?;
        Ok(())
    }
}

/// Hands on what comes; the last of it is an empty part, so that what broke off is told from it.
async fn pass_on<B>(body: B, parts: mpsc::Sender<Bytes>) -> io::Result<()>
where
    B: Body<Data = Bytes>,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let mut body = pin!(body);
    loop {
        let frame = tokio::time::timeout(SILENCE_MAX, body.frame()).await;
        let frame = frame.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        let part = match frame.transpose().map_err(io::Error::other)? {
            Some(frame) => frame.into_data().unwrap_or_default(),
            None => {
                let _ = parts.send(Bytes::new()).await;
                return Ok(());
            }
        };
        if !part.is_empty() && parts.send(part).await.is_err() {
            // The disk says why.
            return Ok(());
        }
    }
}

fn write(
    folder: &Path,
    digest: Digest,
    most: u64,
    mut parts: mpsc::Receiver<Bytes>,
) -> Result<(NamedTempFile, u64), AssetError> {
    let mut file = NamedTempFile::new_in(folder).map_err(AssetError::Disk)?;
    let (mut context, mut size) = (Context::new(&SHA256), 0);
    loop {
        let Some(part) = parts.blocking_recv() else {
            return Err(AssetError::Unreached(None));
        };
        if part.is_empty() {
            break;
        }
        size += part.len() as u64;
        if size > most {
            return Err(AssetError::TooLarge);
        }
        context.update(&part);
        file.write_all(&part).map_err(AssetError::Disk)?;
    }
    if context.finish().as_ref() != digest.0 {
        return Err(AssetError::Other);
    }
    file.as_file().sync_all().map_err(AssetError::Disk)?;
    Ok((file, size))
}

struct Found {
    path: PathBuf,
    size: u64,
    asked: SystemTime,
}

/// The files of the folder.
fn files(folder: &Path) -> Vec<Found> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let found = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        entry.file_name().to_str()?.parse::<Digest>().ok()?;
        let known = entry.metadata().ok()?;
        Some(Found {
            path: entry.path(),
            size: known.len(),
            asked: known.modified().ok()?,
        })
    });
    found.collect()
}

/// Lets go of what was not asked for longest, until no more than `most` bytes are left. Whoever reads
/// a file meanwhile gets all of it.
fn make_room(folder: &Path, most: u64) -> io::Result<()> {
    let mut files = files(folder);
    files.sort_unstable_by_key(|file| file.asked);
    let mut held: u64 = files.iter().map(|file| file.size).sum();
    for file in files {
        if held <= most {
            break;
        }
        fs::remove_file(&file.path)?;
        held -= file.size;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use tempfile::TempDir;

    use super::*;

    fn digest(content: &[u8]) -> Digest {
        let digest = ring::digest::digest(&SHA256, content);
        Digest(digest.as_ref().try_into().unwrap())
    }

    fn body(content: &[u8]) -> Full<Bytes> {
        Full::new(Bytes::copy_from_slice(content))
    }

    #[tokio::test]
    async fn only_the_file_with_that_digest_is_taken_and_nothing_is_left_of_another() {
        let folder = TempDir::new().unwrap();
        let kept = Kept::open(folder.path(), 1 << 20).unwrap();
        let right = digest(b"logo");
        let other = kept.take(right, body(b"logo!")).await;
        assert!(matches!(other, Err(AssetError::Other)));
        assert!(kept.file(right).is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        kept.take(right, body(b"logo")).await.unwrap();
        let read = io::read_to_string(kept.file(right).unwrap()).unwrap();
        assert_eq!((read.as_str(), kept.held()), ("logo", (1, 4)));
    }

    #[tokio::test]
    async fn what_was_not_asked_for_longest_goes_when_there_is_no_room() {
        let folder = TempDir::new().unwrap();
        let kept = Kept::open(folder.path(), 10).unwrap();
        for content in [b"aaaa", b"bbbb"] {
            kept.take(digest(content), body(content)).await.unwrap();
        }
        let long_ago = SystemTime::UNIX_EPOCH;
        let second = kept.file(digest(b"bbbb")).unwrap();
        second.set_modified(long_ago).unwrap();
        kept.take(digest(b"cccc"), body(b"cccc")).await.unwrap();
        assert!(kept.file(digest(b"aaaa")).is_some());
        assert!(kept.file(digest(b"bbbb")).is_none());
        let long = kept.take(digest(&[1; 11]), body(&[1; 11])).await;
        assert!(matches!(long, Err(AssetError::TooLarge)));
        assert_eq!(kept.held(), (2, 8));
    }

    #[test]
    fn what_was_left_of_a_file_that_did_not_come_whole_is_cleared_away() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(".tmpabc"), "half").unwrap();
        Kept::open(folder.path(), 10).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
