//! The file in which it is kept what worked on which network.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::Link;
use super::memory::{Memory, TEXT_MAX};

/// How often it is written at most: disks of devices wear.
const EVERY: Duration = Duration::from_secs(60);

/// The file, if there is one, and whether it is to be written.
#[derive(Debug)]
pub(super) struct Kept {
    file: Option<PathBuf>,
    changed: bool,
    written: Option<Instant>,
}

impl Kept {
    /// Reads the file. One that cannot be read is as good as none, and is written anew.
    pub(super) fn open(file: Option<PathBuf>, now: Instant) -> (Self, Memory) {
        let memory = file.as_deref().and_then(|file| match read(file) {
            Ok(None) => None,
            Ok(Some((text, passed))) => Memory::restore(&text, passed, now)
                .inspect_err(|error| tracing::warn!(%error, "begun anew"))
                .ok(),
            Err(error) => {
                tracing::warn!(%error, file = %file.display(), "what was remembered of networks is not read");
                None
            }
        });
        let kept = Self {
            file,
            changed: false,
            written: None,
        };
        (kept, memory.unwrap_or_default())
    }

    /// There is something to write.
    pub(super) fn on_change(&mut self) {
        self.changed = true;
    }

    /// Writes what has changed, unless it was written lately.
    pub(super) fn write_if_due(&mut self, link: &mut Link, now: Instant) {
        let lately = |written: Instant| now.saturating_duration_since(written) < EVERY;
        if !self.written.is_some_and(lately) {
            self.write(link, now);
        }
    }

    /// Writes what has changed.
    pub(super) fn write(&mut self, link: &mut Link, now: Instant) {
        let Some(file) = self.file.as_deref().filter(|_| self.changed) else {
            return;
        };
        self.changed = false;
        self.written = Some(now);
        if let Err(error) = replace(file, &link.memory(now).save(now)) {
            tracing::warn!(%error, file = %file.display(), "what was learnt of networks is not kept");
        }
    }
}

/// The text, and how long ago it was written by this machine's clock; no time, if it was wrong then or
/// is now. Nothing if there is no file.
fn read(file: &Path) -> io::Result<Option<(String, Duration)>> {
    let opened = match fs::File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let written = opened.metadata()?.modified()?;
    let passed = SystemTime::now().duration_since(written);
    let mut text = String::new();
    let most = u64::try_from(TEXT_MAX + 1).unwrap_or(u64::MAX);
    opened.take(most).read_to_string(&mut text)?;
    Ok(Some((text, passed.unwrap_or_default())))
}

/// Writes a file whole or not at all.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let beside = file.with_extension("new");
    fs::write(&beside, text)?;
    fs::rename(&beside, file)
}
