//! Small files that must outlive the agent.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// The bytes of a file, at most so many.
///
/// # Errors
/// The disk's; [`io::ErrorKind::InvalidData`] for a longer one.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = fs::File::open(path)?.take(most + 1);
    file.read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= most) {
        return Ok(bytes);
    }
    let why = format!("it has more than {most} bytes");
    Err(io::Error::new(io::ErrorKind::InvalidData, why))
}

/// Writes a file whole or not at all, for its owner alone, and returns when it is on the disk.
///
/// # Errors
/// The disk's.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // Which makes it for its owner alone.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    fs::File::open(folder)?.sync_all()
}
