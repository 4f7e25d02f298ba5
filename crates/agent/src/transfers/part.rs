//! What has come of a file that is not whole.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::{Failed, PARTS, place};

/// The most bytes of an entity tag.
const TAG_MAX: u64 = 256;

/// A part to which nothing came for so long is cleared away: longer than a grant holds.
const KEPT: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// What has come of a file that is not whole.
pub(super) struct Part {
    pub(super) file: File,
    /// Where it lies.
    folder: File,
    name: String,
    /// Beside it: the entity tag of what it is a part of.
    tag: String,
}

impl Part {
    /// What has come by a grant into `folder`, which may be nothing.
    pub(super) fn open(folder: &Path, grant: &str) -> Result<Self, Failed> {
        let (folder, _) = place::made(&place::folder(folder)?, PARTS)?;
        sweep(&folder)?;
        let name = format!("{grant}.part");
        let file = open(&folder, &name, OFlags::RDWR | OFlags::CREATE)?;
        let tag = format!("{grant}.tag");
        Ok(Self {
            file,
            folder,
            name,
            tag,
        })
    }

    /// The entity tag of what it is a part of.
    pub(super) fn tag(&self) -> Option<HeaderValue> {
        let file = open(&self.folder, &self.tag, OFlags::RDONLY).ok()?;
        let mut bytes = Vec::new();
        file.take(TAG_MAX).read_to_end(&mut bytes).ok()?;
        HeaderValue::from_bytes(&bytes).ok()
    }

    /// Begins again, with a part of what has that entity tag.
    pub(super) fn begin(&self, tag: Option<&HeaderValue>) -> io::Result<()> {
        self.file.set_len(0)?;
        (&self.file).seek(SeekFrom::Start(0))?;
        removed(&self.folder, &self.tag)?;
        let Some(tag) = tag else { return Ok(()) };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        open(&self.folder, &self.tag, flags)?.write_all(tag.as_bytes())
    }

    /// Takes its place, and that of what was there.
    pub(super) fn becomes(self, parent: &File, name: &str) -> Result<(), Failed> {
        match renameat(&self.folder, &self.name, parent, name) {
            Ok(()) => {}
            Err(Errno::ISDIR) => {
                self.remove()?;
                return Err(Failed::ForGood(format!("{name:?} is a folder")));
            }
            Err(error) => return Err(io::Error::from(error).into()),
        }
        parent.sync_all()?;
        Ok(removed(&self.folder, &self.tag)?)
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        removed(&self.folder, &self.name)?;
        removed(&self.folder, &self.tag)
    }
}

fn open(folder: &File, name: &str, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?;
    Ok(File::from(file))
}

fn removed(folder: &File, name: &str) -> io::Result<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Clears away parts whose commands are over.
fn sweep(folder: &File) -> io::Result<()> {
    let is_old = |name: &CStr| {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let changed = File::from(openat(folder, name, flags, Mode::empty()).ok()?)
            .metadata()
            .and_then(|about| about.modified());
        // By a clock that went back it is not old.
        let age = SystemTime::now().duration_since(changed.ok()?).ok()?;
        Some(age > KEPT)
    };
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if !name.to_bytes().starts_with(b".") && is_old(name) == Some(true) {
            unlinkat(folder, name, AtFlags::empty())?;
        }
    }
    Ok(())
}
