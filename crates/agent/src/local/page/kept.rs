//! Files of the agent that the command line writes, often as root for an agent that is somebody else.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;

use tempfile::NamedTempFile;

/// Writes a file whole, in place of any that was there, for the owner of the agent's folder alone.
///
/// # Errors
/// When it cannot be written, or not be given to them.
pub fn write(path: &Path, folder: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let mut file = NamedTempFile::new_in(beside.unwrap_or(Path::new(".")))?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    let owner = fs::metadata(folder)?;
    if file.as_file().metadata()?.uid() != owner.uid() {
        // By the open file: its owner could put something else at its path.
        fchown(file.as_file(), Some(owner.uid()), Some(owner.gid()))?;
    }
    file.persist(path)?;
    Ok(())
}
