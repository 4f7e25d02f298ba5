//! The release: an artifact as Mender's own tool writes and signs it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// An artifact in a folder that goes when it is dropped.
pub(crate) struct Artifact {
    folder: tempfile::TempDir,
    /// How many bytes it has.
    pub(crate) bytes: usize,
}

impl Artifact {
    /// One that installs so many bytes that cannot be packed.
    pub(crate) fn make(payload: usize) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("payload"), noise(payload))?;
        for line in [
            // In the form of old, the only one that the tool takes.
            "openssl ecparam -name prime256v1 -genkey -noout -out key",
            "openssl pkey -in key -pubout -out pub",
            "mender-artifact --compression none write module-image -T note -n bench-1 -t bench \
             -f payload -o made -k key",
        ] {
            run(folder.path(), line)?;
        }
        let bytes = std::fs::metadata(folder.path().join("made"))?.len();
        Ok(Self {
            folder,
            bytes: usize::try_from(bytes)?,
        })
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("made")
    }

    /// The public half of the key that has signed it.
    pub(crate) fn key(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join("pub"))?)
    }
}

fn run(folder: &Path, line: &str) -> anyhow::Result<()> {
    let mut words = line.split_whitespace();
    let program = words.next().context("no program")?;
    let output = Command::new(program)
        .args(words)
        .current_dir(folder)
        .output()
        .with_context(|| format!("failed to run {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {said}");
    Ok(())
}

/// Bytes that cannot be packed, the same each time (xorshift).
fn noise(count: usize) -> Vec<u8> {
    let mut state = 2_654_435_761_u32;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..count.div_ceil(4)).flat_map(step).collect();
    bytes.truncate(count);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_as_long_as_it_is_to_be_and_the_same_each_time() {
        let made = noise(1_001);
        assert_eq!(made.len(), 1_001);
        assert_eq!(made, noise(1_001));
        let different: std::collections::BTreeSet<_> = made.iter().collect();
        assert!(different.len() > 200, "{}", different.len());
    }
}
