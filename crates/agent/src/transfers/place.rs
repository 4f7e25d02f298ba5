//! Files below a folder in which others may write, too. No link below it is followed: each step is
//! opened from the one before, so that none can be put in between.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;

use super::Failed;

/// How a folder is opened.
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// Rights of what is the agent's alone.
const OURS: Mode = Mode::RWXU;

/// The folder itself. That may be a link.
pub(super) fn folder(path: &Path) -> Result<File, Failed> {
    let folder = openat(CWD, path, FOLDER, Mode::empty());
    let folder = folder.map_err(|error| {
        let error = io::Error::from(error);
        Failed::ForNow(format!("the folder {}: {error}", path.display()))
    })?;
    Ok(File::from(folder))
}

/// A folder in that folder; none if it is not there.
pub(super) fn step(within: &File, name: &str) -> Result<Option<File>, Failed> {
    match openat(within, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(folder) => Ok(Some(File::from(folder))),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::NOTDIR | Errno::LOOP) => Err(Failed::ForGood(format!("{name:?} is no folder"))),
        Err(error) => Err(io::Error::from(error).into()),
    }
}

/// As [`step`]; it is made if it is not there, and whether it was.
pub(super) fn made(within: &File, name: &str) -> Result<(File, bool), Failed> {
    let is_new = match mkdirat(within, name, OURS) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(io::Error::from(error).into()),
    };
    match step(within, name)? {
        Some(folder) => Ok((folder, is_new)),
        None => Err(Failed::ForNow(format!("{name:?} was taken away"))),
    }
}

/// The folder that a file of that name lies in, and its name there; none if there is no such folder.
pub(super) fn parent<'a>(path: &Path, name: &'a str) -> Result<Option<(File, &'a str)>, Failed> {
    let mut at = folder(path)?;
    let mut steps: Vec<_> = name.split('/').collect();
    let last = steps.pop().unwrap_or_default();
    for name in steps {
        match step(&at, name)? {
            Some(next) => at = next,
            None => return Ok(None),
        }
    }
    Ok(Some((at, last)))
}

/// As [`parent`]; the folders are made, for those whom the first is for.
pub(super) fn made_parent<'a>(path: &Path, name: &'a str) -> Result<(File, &'a str), Failed> {
    let mut at = folder(path)?;
    let mode = at.metadata()?.mode() & 0o777 | 0o700;
    let mut steps: Vec<_> = name.split('/').collect();
    let last = steps.pop().unwrap_or_default();
    let mut fresh = Vec::new();
    for name in steps {
        let (next, is_new) = made(&at, name)?;
        if is_new {
            fresh.push(next.try_clone()?);
        }
        at = next;
    }
    // Only now, since this takes away the bit by which the group goes from one to the next.
    for folder in fresh {
        folder.set_permissions(Permissions::from_mode(mode))?;
    }
    Ok((at, last))
}

/// Gives a file to those whom the folder is for, whatever the agent's own mask is.
pub(super) fn hand_over(file: &File, path: &Path) -> Result<(), Failed> {
    let mode = folder(path)?.metadata()?.mode() & 0o044 | 0o600;
    Ok(file.set_permissions(Permissions::from_mode(mode))?)
}

/// A file of that name, which must be there and be one.
pub(super) fn existing(path: &Path, name: &str) -> Result<File, Failed> {
    let none = || Failed::ForGood(format!("{name:?} is no file that could be sent"));
    let (parent, last) = parent(path, name)?.ok_or_else(none)?;
    // Not to wait for the other end of a pipe.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(openat(&parent, last, flags, Mode::empty()).map_err(|_| none())?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(none())
    }
}
