//! What went over a session, on the disk before it is passed on.
//!
//! A recording is a file of lines of JSON. The first is an object that says whose it is; each other
//! one is an array of the seconds since the beginning, `"i"` for what the operator sent or `"o"` for
//! what the device did, and the bytes in base 64.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Context, SHA256};
use serde_json::json;

use super::record::Recorded;
use crate::id::SupportId;
use crate::refusal::Refusal;

/// The most bytes of a recording; a session whose recording is full ends.
pub const MAX_RECORDING: u64 = 256 * 1024 * 1024;

/// How long recordings, and what is known of their sessions, are kept: 90 days. The audit log keeps
/// that there was one.
pub const KEPT: Duration = Duration::from_secs(90 * 24 * 3_600);

/// Where recordings lie in the hub's folder.
const FOLDER: &str = "support";

/// Rights of the folder and of each file: their owner's alone.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// All recordings.
#[derive(Clone, Debug)]
pub(super) struct Recordings {
    folder: Arc<Path>,
    reserve: u64,
}

/// Which way something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// To the device.
    In,
    /// From the device.
    Out,
}

/// A recording that goes on.
pub(super) struct Recorder {
    recordings: Recordings,
    file: File,
    began: Instant,
    bytes: u64,
    hash: Context,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Recordings {
    pub(super) fn open(data: &Path, reserve: u64) -> io::Result<Self> {
        let folder = data.join(FOLDER);
        let mut make = DirBuilder::new();
        make.recursive(true).mode(FOLDER_MODE).create(&folder)?;
        Ok(Self {
            folder: folder.into(),
            reserve,
        })
    }

    /// Where the recording of a session is, whether or not there is one.
    pub(super) fn path(&self, id: &SupportId) -> PathBuf {
        self.folder.join(format!("{id}.jsonl"))
    }

    /// Begins a recording. Its first line is on the disk when this returns.
    pub(super) fn begin(&self, id: &SupportId, about: &str) -> Result<Recorder, Refusal> {
        let mut open = OpenOptions::new();
        let file = open.write(true).create_new(true).mode(FILE_MODE);
        let file = file.open(self.path(id)).map_err(refused)?;
        let mut recorder = Recorder {
            recordings: self.clone(),
            file,
            began: Instant::now(),
            bytes: 0,
            hash: Context::new(&SHA256),
        };
        recorder.line(about)?;
        let folder = File::open(&*self.folder).and_then(|folder| folder.sync_all());
        folder.map_err(refused)?;
        Ok(recorder)
    }

    /// Removes a recording, if it is there.
    pub(super) async fn remove(&self, id: &SupportId) {
        let path = self.path(id);
        let removed = tokio::task::spawn_blocking(move || std::fs::remove_file(path)).await;
        match removed {
            Ok(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "a recording past its time could not be removed");
            }
            Ok(_) | Err(_) => {}
        }
    }

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

impl Recorder {
    /// Records what went one way. It is on the disk when this returns.
    pub(super) fn take(&mut self, way: Direction, bytes: &[u8]) -> Result<(), Refusal> {
        let way = match way {
            Direction::In => "i",
            Direction::Out => "o",
        };
        let seconds = self.began.elapsed().as_secs_f64();
        let line = json!([seconds, way, STANDARD.encode(bytes)]).to_string();
        self.line(&line)
    }

    /// That was all of it.
    pub(super) fn finish(self) -> Recorded {
        let digest = self.hash.finish();
        let digest = digest.as_ref().iter();
        Recorded {
            bytes: self.bytes,
            digest: digest.map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    fn line(&mut self, line: &str) -> Result<(), Refusal> {
        let line = format!("{line}\n");
        let size = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if self.bytes.saturating_add(size) > MAX_RECORDING {
            return Err(Refusal::TooLarge {
                what: "bytes of a recording",
                limit: MAX_RECORDING,
            });
        }
        self.recordings.check_room(line.len())?;
        self.file.write_all(line.as_bytes()).map_err(refused)?;
        self.file.sync_data().map_err(refused)?;
        self.hash.update(line.as_bytes());
        self.bytes += size;
        Ok(())
    }
}

fn refused(error: io::Error) -> Refusal {
    if error.kind() == io::ErrorKind::StorageFull {
        return Refusal::Full;
    }
    tracing::error!(%error, "a support session cannot be recorded");
    Refusal::Internal("a support session cannot be recorded")
}
