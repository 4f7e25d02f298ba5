//! What must be known of the time before anybody has told it.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::disk;

/// The file in the agent's folder.
const FILE: &str = "clock.json";
/// The most bytes of it.
const MAX: u64 = 4 * 1024;

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    /// The newest time that the hub has confirmed.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(super) newest: Option<OffsetDateTime>,
    /// By what the hub signs what time it is, as it has told itself: a public key in base 64.
    pub(super) hub_key: Option<String>,
}

/// Where it is kept.
#[derive(Debug)]
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn of(data: &Path) -> Self {
        Self(data.join(FILE))
    }

    /// What is kept; nothing, if that cannot be read.
    pub(super) fn read(&self) -> Kept {
        let file = self.0.display();
        match read(&self.0) {
            Ok(kept) => kept,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(error) => {
                tracing::warn!(%error, %file, "what was known of the time is not read");
                Kept::default()
            }
        }
    }

    /// Keeps it, whole or not at all, also when the power is cut.
    pub(super) fn write(&self, kept: &Kept) {
        if let Err(error) = replace(&self.0, kept) {
            let file = self.0.display();
            tracing::warn!(%error, %file, "what is known of the time is not kept");
        }
    }
}

fn read(path: &Path) -> io::Result<Kept> {
    Ok(serde_json::from_slice(&disk::read(path, MAX)?)?)
}

fn replace(path: &Path, kept: &Kept) -> io::Result<()> {
    disk::write(path, &serde_json::to_vec(kept)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_kept_is_read_and_what_was_not_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(folder.path());
        assert_eq!(place.read(), Kept::default());
        let kept = Kept {
            newest: Some(OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()),
            hub_key: Some("key".to_owned()),
        };
        place.write(&kept);
        assert_eq!(place.read(), kept);
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert_eq!(place.read(), Kept::default());
    }
}
