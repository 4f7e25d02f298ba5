//! The folder of files, each under its digest: what was not asked for longest goes first. What has come
//! of a file that broke off lies beside them, so that it goes on from there.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Body;
use parking_lot::Mutex;
use ring::digest::{Context, SHA256};
use tempfile::{NamedTempFile, TempPath};
use tokio::sync::mpsc;

use super::{AssetError, Digest, FILE_MAX};

/// So many parts of a file wait for the disk.
const WAITING_MAX: usize = 16;
/// A file of which nothing comes for so long does not come any more.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How what has come of a file is named, after its digest.
const PART: &str = ".part";
/// After how many bytes it is looked again whether the disk has room.
const LOOK_EVERY: u64 = 1 << 20;
/// So many bytes are read of what has come before at a time.
const READ_AT_ONCE: usize = 64 << 10;

pub(super) struct Kept {
    folder: PathBuf,
    most: u64,
    room: Arc<Room>,
    /// Held while room is made.
    making_room: Mutex<()>,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("folder", &self.folder)
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

/// How many bytes of a folder's disk there are to be had, if that is known.
type Room = dyn Fn(&Path) -> Option<u64> + Send + Sync;

/// Where what comes is written.
#[derive(Clone, Copy)]
enum Place {
    /// To a file that is gone unless it comes whole.
    New,
    /// After so many bytes of what has come before.
    After(u64),
}

impl Kept {
    /// The folder, which is made if there is none. What was left of files that cannot go on is cleared
    /// away.
    pub(super) fn open(
        folder: &Path,
        most: u64,
        room: impl Fn(&Path) -> Option<u64> + Send + Sync + 'static,
    ) -> io::Result<Self> {
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
            room: Arc::new(room),
            making_room: Mutex::new(()),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn most(&self) -> u64 {
        self.most
    }

    /// How many files there are whole, and how many bytes there are.
    pub(super) fn held(&self) -> (u64, u64) {
        let files = files(&self.folder);
        let whole = files.iter().filter(|file| file.is_whole).count();
        (whole as u64, files.iter().map(|file| file.size).sum())
    }

    /// The file, if it is there.
    pub(super) fn file(&self, digest: Digest) -> Option<File> {
        let file = File::open(self.folder.join(digest.to_string())).ok()?;
        // When it was asked for last; where that cannot be noted, it goes earlier.
        let _ = file.set_modified(SystemTime::now());
        Some(file)
    }

    /// How many bytes of a file have come before it broke off.
    pub(super) fn begun(&self, digest: Digest) -> u64 {
        fs::metadata(self.part(digest)).map_or(0, |part| part.len())
    }

    /// Takes a file as it comes, if it is the one with that digest.
    pub(super) async fn take<B>(&self, digest: Digest, body: B) -> Result<(), AssetError>
    where
        B: Body<Data = Bytes>,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        self.take_at(digest, Place::New, body).await
    }

    /// As [`Kept::take`], of one that goes on after the first `from` bytes of what has come before.
    /// What comes stays for the next time, should it break off.
    pub(super) async fn go_on<B>(
        &self,
        digest: Digest,
        from: u64,
        body: B,
    ) -> Result<(), AssetError>
    where
        B: Body<Data = Bytes>,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let taken = self.take_at(digest, Place::After(from), body).await;
        if let Err(AssetError::TooLarge | AssetError::Other) = taken {
            // It never becomes the file.
            let _ = fs::remove_file(self.part(digest));
        }
        taken
    }

    async fn take_at<B>(&self, digest: Digest, place: Place, body: B) -> Result<(), AssetError>
    where
        B: Body<Data = Bytes>,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let most = self.most.min(FILE_MAX);
        let from = match place {
            Place::New => 0,
            Place::After(from) => from,
        };
        let to_come = body.size_hint().lower();
        if from.saturating_add(to_come) > most {
            return Err(AssetError::TooLarge);
        }
        self.have_room(digest, to_come)?;
        let (parts, waiting) = mpsc::channel(WAITING_MAX);
        let (file, whole) = match place {
            Place::New => {
                let (file, path) = NamedTempFile::new_in(&self.folder)
                    .map_err(AssetError::disk)?
                    .into_parts();
                (file, Whole::New(path))
            }
            Place::After(_) => {
                let path = self.part(digest);
                let mut options = OpenOptions::new();
                let options = options.read(true).write(true).create(true).truncate(false);
                (
                    options.open(&path).map_err(AssetError::disk)?,
                    Whole::Part(path),
                )
            }
        };
        let coming = Coming {
            file,
            context: Context::new(&SHA256),
            size: 0,
        };
        let (folder, room) = (self.folder.clone(), Arc::clone(&self.room));
        let writing = tokio::task::spawn_blocking(move || {
            let has_room = || room(&folder).is_none_or(|room| room > 0);
            let coming = coming.after(from)?;
            coming.with_all(digest, most, waiting, has_room)
        });
        let came = pass_on(body, parts).await;
        let written = writing.await;
        let written = written.map_err(|_| AssetError::Unreached(None))?;
        came.map_err(AssetError::unreached)?;
        let size = written?;
        let _making = self.making_room.lock();
        let room = self.most.saturating_sub(size);
        make_room(&self.folder, digest, room).map_err(AssetError::disk)?;
        let path = self.folder.join(digest.to_string());
        whole.becomes(&path).map_err(AssetError::disk)?;
        if matches!(place, Place::New) {
            // There is nothing left to go on with.
            let _ = fs::remove_file(self.part(digest));
        }
        Ok(())
    }

    /// Has room for so many bytes on the disk, at the cost of what was not asked for longest.
    fn have_room(&self, digest: Digest, bytes: u64) -> Result<(), AssetError> {
        let _making = self.making_room.lock();
        // What broke off is bounded as all else.
        make_room(&self.folder, digest, self.most).map_err(AssetError::disk)?;
        let Some(room) = (self.room)(&self.folder) else {
            // Then the disk will say so.
            return Ok(());
        };
        let lacks = bytes.saturating_sub(room);
        let others = files(&self.folder).into_iter();
        let others = others.filter(|file| file.digest != digest);
        let held: u64 = others.map(|file| file.size).sum();
        match held.checked_sub(lacks) {
            Some(_) if lacks == 0 => Ok(()),
            Some(left) => make_room(&self.folder, digest, left).map_err(AssetError::disk),
            None => Err(AssetError::NoRoom),
        }
    }

    fn part(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{digest}{PART}"))
    }
}

/// A file that is whole, where it was written.
enum Whole {
    New(TempPath),
    Part(PathBuf),
}

impl Whole {
    fn becomes(self, path: &Path) -> io::Result<()> {
        match self {
            Self::New(new) => new.persist(path).map_err(|error| error.error),
            Self::Part(part) => fs::rename(part, path),
        }
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

/// A file as it comes.
struct Coming {
    file: File,
    context: Context,
    size: u64,
}

impl Coming {
    /// With the first `from` bytes of what is there; what is after them is cut off.
    fn after(mut self, from: u64) -> Result<Self, AssetError> {
        self.file.set_len(from).map_err(AssetError::disk)?;
        let mut read = vec![0; READ_AT_ONCE];
        loop {
            let count = self.file.read(&mut read).map_err(AssetError::disk)?;
            let Some(part @ [_, ..]) = read.get(..count) else {
                return Ok(self);
            };
            self.context.update(part);
            self.size += part.len() as u64;
        }
    }

    /// With all that comes; its size if it is the file with that digest.
    fn with_all(
        mut self,
        digest: Digest,
        most: u64,
        mut parts: mpsc::Receiver<Bytes>,
        has_room: impl Fn() -> bool,
    ) -> Result<u64, AssetError> {
        let mut looked = self.size;
        loop {
            let Some(part) = parts.blocking_recv() else {
                return Err(AssetError::Unreached(None));
            };
            if part.is_empty() {
                break;
            }
            self.size += part.len() as u64;
            if self.size > most {
                return Err(AssetError::TooLarge);
            }
            if self.size - looked >= LOOK_EVERY {
                looked = self.size;
                if !has_room() {
                    return Err(AssetError::NoRoom);
                }
            }
            self.context.update(&part);
            self.file.write_all(&part).map_err(AssetError::disk)?;
        }
        if self.context.finish().as_ref() != digest.0 {
            return Err(AssetError::Other);
        }
        self.file.sync_all().map_err(AssetError::disk)?;
        Ok(self.size)
    }
}

struct Found {
    path: PathBuf,
    digest: Digest,
    is_whole: bool,
    size: u64,
    asked: SystemTime,
}

/// The files of the folder, and what has come of others.
fn files(folder: &Path) -> Vec<Found> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let found = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name();
        let name = name.to_str()?;
        let part = name.strip_suffix(PART);
        let known = entry.metadata().ok()?;
        Some(Found {
            path: entry.path(),
            digest: part.unwrap_or(name).parse().ok()?,
            is_whole: part.is_none(),
            size: known.len(),
            asked: known.modified().ok()?,
        })
    });
    found.collect()
}

/// Lets go of what was not asked for longest, until no more than `most` bytes are left beside what
/// there is of one. Whoever reads a file meanwhile gets all of it.
fn make_room(folder: &Path, but: Digest, most: u64) -> io::Result<()> {
    let mut files = files(folder);
    files.retain(|file| file.digest != but);
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
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;
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
        let kept = Kept::open(folder.path(), 1 << 20, |_| None).unwrap();
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
        let kept = Kept::open(folder.path(), 10, |_| None).unwrap();
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
        Kept::open(folder.path(), 10, |_| None).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    /// What comes, and then it breaks off.
    fn broken(content: &'static [u8]) -> impl Body<Data = Bytes, Error = io::Error> {
        let frames = [
            Ok(Frame::data(Bytes::from_static(content))),
            Err(io::Error::from(io::ErrorKind::ConnectionReset)),
        ];
        StreamBody::new(futures_util::stream::iter(frames))
    }

    #[tokio::test]
    async fn a_file_that_broke_off_goes_on_from_there_also_after_a_restart() {
        let folder = TempDir::new().unwrap();
        let right = digest(b"a longer one");
        let kept = Kept::open(folder.path(), 1 << 20, |_| None).unwrap();
        for (from, more) in [(0, b"a lo" as &[u8]), (4, b"nge")] {
            let broke = kept.go_on(right, from, broken(more)).await;
            assert!(matches!(broke, Err(AssetError::Unreached(_))), "{broke:?}");
        }
        drop(kept);
        let kept = Kept::open(folder.path(), 1 << 20, |_| None).unwrap();
        assert_eq!((kept.begun(right), kept.held()), (7, (0, 7)));
        kept.go_on(right, 7, body(b"r one")).await.unwrap();
        let read = io::read_to_string(kept.file(right).unwrap()).unwrap();
        assert_eq!((read.as_str(), kept.begun(right)), ("a longer one", 0));
    }

    #[tokio::test]
    async fn what_goes_on_as_something_else_is_begun_anew_and_so_is_what_comes_whole() {
        let folder = TempDir::new().unwrap();
        let kept = Kept::open(folder.path(), 1 << 20, |_| None).unwrap();
        let right = digest(b"logo");
        kept.go_on(right, 0, broken(b"lo")).await.unwrap_err();
        let other = kept.go_on(right, 2, body(b"op")).await;
        assert!(matches!(other, Err(AssetError::Other)), "{other:?}");
        assert_eq!((kept.begun(right), kept.held()), (0, (0, 0)));
        // A hub that knows no ranges gives the whole.
        kept.go_on(right, 0, broken(b"log")).await.unwrap_err();
        kept.go_on(right, 0, body(b"logo")).await.unwrap();
        assert_eq!((kept.begun(right), kept.held()), (0, (1, 4)));
        // What a neighbour has takes the place of what has come.
        let next = digest(b"next");
        kept.go_on(next, 0, broken(b"ne")).await.unwrap_err();
        kept.take(next, body(b"next")).await.unwrap();
        assert_eq!((kept.begun(next), kept.held()), (0, (2, 8)));
    }

    #[tokio::test]
    async fn where_the_disk_has_no_room_older_files_give_theirs_back_and_more_is_not_taken() {
        let folder = TempDir::new().unwrap();
        let kept = Kept::open(folder.path(), 1 << 20, |_| Some(0)).unwrap();
        let refused = kept.take(digest(b"old"), body(b"old")).await;
        assert!(matches!(refused, Err(AssetError::NoRoom)), "{refused:?}");
        fs::write(folder.path().join(digest(b"old").to_string()), b"old").unwrap();
        for refused in [
            kept.take(digest(b"four"), body(b"four")).await,
            kept.go_on(digest(b"four"), 0, body(b"four")).await,
        ] {
            assert!(matches!(refused, Err(AssetError::NoRoom)), "{refused:?}");
        }
        // Nothing goes for what has no room all the same.
        assert_eq!(kept.held(), (1, 3));
        kept.take(digest(b"new"), body(b"new")).await.unwrap();
        assert!(kept.file(digest(b"old")).is_none());
        assert_eq!(kept.held(), (1, 3));
    }

    #[tokio::test]
    async fn a_file_of_unknown_length_ends_where_the_disk_does() {
        let folder = TempDir::new().unwrap();
        let kept = Kept::open(folder.path(), 8 << 20, |_| Some(0)).unwrap();
        let mebibyte = || Ok::<_, io::Error>(Frame::data(Bytes::from(vec![0; 1 << 20])));
        let endless = std::iter::repeat_with(mebibyte);
        let endless = StreamBody::new(futures_util::stream::iter(endless));
        let refused = kept.take(digest(b""), endless).await;
        assert!(matches!(refused, Err(AssetError::NoRoom)), "{refused:?}");
        assert_eq!(kept.held(), (0, 0));
    }

    #[tokio::test]
    async fn what_broke_off_is_bounded_as_all_else() {
        let folder = TempDir::new().unwrap();
        let kept = Kept::open(folder.path(), 10, |_| None).unwrap();
        for content in [b"aaaaaa", b"bbbbbb", b"cccccc"] {
            kept.go_on(digest(content), 0, broken(&content[..5]))
                .await
                .unwrap_err();
        }
        kept.go_on(digest(b"dddddd"), 0, broken(b"d"))
            .await
            .unwrap_err();
        assert!(kept.held().1 <= 11, "{:?}", kept.held());
    }
}
