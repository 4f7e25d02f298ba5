//! A disk that fills up: a small one, in a mount namespace that the test makes for itself.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::told;

/// Tells a process of a test that it stands in the namespace, and where the disk is.
const DISK: &str = "OUTGATE_SMALL_DISK";

/// How large it is where nothing else is said, in mebibytes.
const MEBIBYTES: u32 = 4;

/// A disk that nobody else sees.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
    mebibytes: u32,
}

/// Runs the test that calls this a second time, in a process of its own and as the only one of
/// its program, where there is a disk of 4 MiB; there `test` is run on it. To be called first, from
/// the test's own thread.
///
/// # Errors
/// The namespace cannot be made, or the test failed in it; then with what it wrote.
pub fn on_small_disk(test: impl FnOnce(&SmallDisk)) -> io::Result<()> {
    on_disk_of(MEBIBYTES, test)
}

/// As [`on_small_disk`], with a disk of so many mebibytes: for what leaves room on it by itself. It
/// is memory, and takes no more of that than is written.
///
/// # Errors
/// As [`on_small_disk`].
pub fn on_disk_of(mebibytes: u32, test: impl FnOnce(&SmallDisk)) -> io::Result<()> {
    match std::env::var_os(DISK) {
        Some(disk) => {
            let path = disk.into();
            test(&SmallDisk { path, mebibytes });
            Ok(())
        }
        None => run_in_a_namespace(mebibytes),
    }
}

fn run_in_a_namespace(mebibytes: u32) -> io::Result<()> {
    let thread = std::thread::current();
    let test = thread
        .name()
        .ok_or_else(|| io::Error::other("only a test's own thread has the test's name"))?;
    let disk = tempfile::tempdir()?;
    let mut inside = Command::new("unshare");
    if !is_root()? {
        inside.args(["--user", "--map-root-user"]);
    }
    let options = format!("size={mebibytes}m,mode=700");
    let script = format!(r#"mount -t tmpfs -o {options} tmpfs "$0" && exec "$@""#);
    succeed(
        inside
            .args(["--mount", "sh", "-c", &script])
            .arg(disk.path())
            .arg(std::env::current_exe()?)
            .args(["--exact", test, "--nocapture"])
            .env(DISK, disk.path()),
    )
    .map(drop)
}

impl SmallDisk {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it twice as large.
    ///
    /// # Errors
    /// `mount` fails; then with what it says.
    pub fn grow(&self) -> io::Result<()> {
        let options = format!("remount,size={}m", 2 * self.mebibytes);
        let grow: [OsString; 3] = ["-o".into(), options.into(), (&self.path).into()];
        succeed(Command::new("mount").args(grow)).map(drop)
    }
}

/// Whether whoever runs this process is root.
pub(crate) fn is_root() -> io::Result<bool> {
    Ok(std::fs::metadata("/proc/self")?.uid() == 0)
}

/// Runs a command to its end, and gives what it said, or fails with that.
pub(crate) fn succeed(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    let said = told(&output);
    if output.status.success() {
        return Ok(said);
    }
    Err(io::Error::other(format!("{command:?}\n{said}")))
}

#[cfg(all(test, feature = "namespaces"))]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn a_small_disk_fills_up_and_grows() {
        on_small_disk(|disk| {
            let fill = |name| std::fs::write(disk.path().join(name), vec![0; 3 << 20]);
            fill("one").unwrap();
            assert_eq!(fill("two").unwrap_err().kind(), ErrorKind::StorageFull);
            disk.grow().unwrap();
            fill("two").unwrap();
        })
        .unwrap();
    }

    #[test]
    fn what_fails_on_a_small_disk_fails_with_what_it_said() {
        let failed = on_small_disk(|disk| assert!(!disk.path().is_dir(), "it is there"));
        let said = failed.unwrap_err().to_string();
        assert!(said.contains("it is there"), "{said}");
    }
}
