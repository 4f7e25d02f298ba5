//! What the device is wanted to be, and what it says it is: as the hub last had it, on disk, so that
//! the device's software can read and report without a network.
//!
//! What the hub has heard stands beside it. So what is reported while the hub is away is one patch by
//! the time that it is back, and a patch whose answer was lost is made anew of what the hub then has.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use outgate_wire::merge_patch::{self, MAX_DOCUMENT, Unfit};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;
use tokio::sync::watch;

use crate::disk;

/// The file in the agent's folder.
const FILE: &str = "twin.json";

/// The most bytes of it: three documents, and what stands between them.
const MAX_FILE: u64 = 4 * MAX_DOCUMENT as u64;

/// One half of a twin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Half {
    /// Goes up with each change; 0 when nothing was ever said.
    pub version: u64,
    /// The document.
    pub document: Map<String, Value>,
}

/// Both halves, as the device's software is told them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Halves {
    /// What the device is wanted to be, as the hub last told.
    pub desired: Half,
    /// What it says it is, with what the hub has not heard yet. The version is the hub's.
    pub reported: Half,
}

/// What lies on disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    halves: Halves,
    /// What the hub has of what the device reports; nothing before it was first asked.
    heard: Option<Map<String, Value>>,
}

/// What the hub is to hear.
#[derive(Clone, Debug, PartialEq)]
pub struct Unheard {
    /// The patch that it is to merge.
    pub patch: Value,
    /// The version with which that is so: of another it would make something else.
    pub version: u64,
    /// What it has then.
    document: Map<String, Value>,
}

/// Why something was not reported.
#[derive(Debug, Error)]
pub enum TwinError {
    /// It can never be.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// It is for the agent alone to say.
    #[error("`{}` is what the agent itself reports", crate::device::RESERVED)]
    Reserved,
    /// The disk failed.
    #[error("failed to keep the twin in {path}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The twin. Cloned freely; all clones are the same.
#[derive(Clone, Debug)]
pub struct Twin(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    kept: Mutex<Kept>,
    news: watch::Sender<Halves>,
    /// Goes up with what the hub is to hear.
    said: watch::Sender<u64>,
    /// Goes up whenever the hub tells by itself what it wants.
    told: AtomicU64,
}

impl Twin {
    /// The twin in `folder`; an empty one when there is none yet.
    ///
    /// # Errors
    /// The file cannot be read. One that cannot be understood is begun anew: the hub has the truth.
    pub fn open(folder: &Path) -> Result<Self, TwinError> {
        let path = folder.join(FILE);
        let kept = match disk::read(&path, MAX_FILE) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::warn!(%error, "the twin on disk cannot be read, and is begun anew");
                Kept::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Kept::default(),
            Err(source) => return Err(TwinError::Disk { path, source }),
        };
        let news = watch::Sender::new(kept.halves.clone());
        let said = watch::Sender::new(0);
        Ok(Self(Arc::new(Inner {
            path,
            kept: Mutex::new(kept),
            news,
            said,
            told: AtomicU64::new(0),
        })))
    }

    /// Both halves, now and from now on.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Halves> {
        self.0.news.subscribe()
    }

    /// Tells when something is reported.
    #[must_use]
    pub fn said(&self) -> watch::Receiver<u64> {
        self.0.said.subscribe()
    }

    /// Merges a patch (RFC 7396) into what the device says of itself. It is on the disk when this
    /// returns, and the hub hears it when it can.
    ///
    /// # Errors
    /// [`TwinError`]; then nothing has changed.
    pub fn report(&self, patch: Value) -> Result<(), TwinError> {
        merge_patch::check(&patch)?;
        self.change(|kept| {
            let document = Value::Object(kept.halves.reported.document.clone());
            let merged = merge_patch::merge(document, patch);
            merge_patch::check(&merged)?;
            kept.halves.reported.document = object(merged);
            Ok(())
        })?;
        self.0.said.send_modify(|said| *said = said.wrapping_add(1));
        Ok(())
    }

    /// What the hub has not heard yet; nothing before it was asked what it has.
    #[must_use]
    pub fn unheard(&self) -> Option<Unheard> {
        let kept = self.0.kept.lock();
        let (heard, document) = (kept.heard.clone()?, kept.halves.reported.document.clone());
        if heard == document {
            return None;
        }
        let patch =
            merge_patch::difference(&Value::Object(heard), &Value::Object(document.clone()));
        Some(Unheard {
            patch,
            version: kept.halves.reported.version,
            document,
        })
    }

    /// The hub has heard that, and its version is now `version`.
    ///
    /// # Errors
    /// [`TwinError::Disk`].
    pub fn heard(&self, unheard: Unheard, version: u64) -> Result<(), TwinError> {
        self.change(|kept| {
            kept.heard = Some(unheard.document);
            kept.halves.reported.version = version;
            Ok(())
        })
    }

    /// How often the hub has told by itself what it wants.
    #[must_use]
    pub fn told(&self) -> u64 {
        self.0.told.load(Ordering::Acquire)
    }

    /// This is what the hub had when it was asked; `asked` is [`Twin::told`] of before. What the device wants to be known of it stays; the first time,
    /// what the hub knows of an earlier life of the device stays beside it.
    ///
    /// # Errors
    /// [`TwinError`].
    pub fn compare(&self, hub: Halves, asked: u64) -> Result<(), TwinError> {
        let news = self.told() != asked;
        self.change(|kept| {
            let ours = &mut kept.halves.reported;
            if kept.heard.is_none() {
                let said = Value::Object(std::mem::take(&mut ours.document));
                let before = Value::Object(hub.reported.document.clone());
                let merged = merge_patch::merge(before, said);
                merge_patch::check(&merged)?;
                ours.document = object(merged);
            }
            ours.version = hub.reported.version;
            kept.heard = Some(hub.reported.document);
            // What it has told since is newer, whatever a hub wants that was put back.
            if !news {
                kept.halves.desired = hub.desired;
            }
            Ok(())
        })
    }

    /// The hub wants the device to be `document`. What is older than what is known is left alone.
    ///
    /// # Errors
    /// [`TwinError`].
    pub fn desired(&self, version: u64, document: Value) -> Result<(), TwinError> {
        merge_patch::check(&document)?;
        self.change(|kept| {
            if version < kept.halves.desired.version {
                return Ok(());
            }
            self.0.told.fetch_add(1, Ordering::AcqRel);
            kept.halves.desired = Half {
                version,
                document: object(document),
            };
            Ok(())
        })
    }

    /// Changes what is kept, on disk first.
    fn change(
        &self,
        change: impl FnOnce(&mut Kept) -> Result<(), TwinError>,
    ) -> Result<(), TwinError> {
        let mut kept = self.0.kept.lock();
        let mut changed = kept.clone();
        change(&mut changed)?;
        if changed == *kept {
            return Ok(());
        }
        let written = serde_json::to_vec(&changed).map_err(io::Error::from);
        let written = written.and_then(|text| disk::write(&self.0.path, &text));
        written.map_err(|source| TwinError::Disk {
            path: self.0.path.clone(),
            source,
        })?;
        *kept = changed;
        self.0.news.send_if_modified(|told| {
            let news = *told != kept.halves;
            told.clone_from(&kept.halves);
            news
        });
        Ok(())
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    fn hub_has(reported: &Value, version: u64) -> Halves {
        let document = object(reported.clone());
        Halves {
            desired: Half::default(),
            reported: Half { version, document },
        }
    }

    #[test]
    fn what_is_reported_without_a_hub_is_one_patch_later_also_after_a_restart() {
        let folder = TempDir::new().unwrap();
        let twin = Twin::open(folder.path()).unwrap();
        twin.compare(hub_has(&json!({"a": {"x": 1}}), 4), 0)
            .unwrap();
        twin.report(json!({"a": 5})).unwrap();
        twin.report(json!({"a": {"c": 2}})).unwrap();
        drop(twin);
        let twin = Twin::open(folder.path()).unwrap();
        let unheard = twin.unheard().unwrap();
        assert_eq!(unheard.patch, json!({"a": {"x": null, "c": 2}}));
        twin.heard(unheard, 7).unwrap();
        assert_eq!(twin.unheard(), None);
        drop(twin);
        let twin = Twin::open(folder.path()).unwrap();
        assert_eq!(twin.unheard(), None);
        assert_eq!(twin.watch().borrow().reported.version, 7);
    }

    #[test]
    fn what_was_reported_before_the_first_contact_is_merged_into_what_the_hub_has() {
        let folder = TempDir::new().unwrap();
        let twin = Twin::open(folder.path()).unwrap();
        twin.report(json!({"b": 2})).unwrap();
        assert_eq!(twin.unheard(), None);
        twin.compare(hub_has(&json!({"a": 1, "b": 1}), 4), 0)
            .unwrap();
        assert_eq!(twin.unheard().unwrap().patch, json!({"b": 2}));
        let reported = twin.watch().borrow().reported.clone();
        assert_eq!(Value::Object(reported.document), json!({"a": 1, "b": 2}));
    }

    #[test]
    fn a_report_whose_answer_was_lost_leaves_nothing_behind_at_the_hub() {
        let folder = TempDir::new().unwrap();
        let twin = Twin::open(folder.path()).unwrap();
        twin.compare(Halves::default(), 0).unwrap();
        twin.report(json!({"a": 1})).unwrap();
        let sent = twin.unheard().unwrap().patch;
        // The hub has merged it, and nobody has heard that it has.
        twin.report(json!({"a": null})).unwrap();
        assert_eq!(twin.unheard(), None);
        twin.compare(hub_has(&sent, 1), 0).unwrap();
        assert_eq!(twin.unheard().unwrap().patch, json!({"a": null}));
    }

    #[test]
    fn what_is_said_while_the_hub_is_told_is_not_lost() {
        let folder = TempDir::new().unwrap();
        let twin = Twin::open(folder.path()).unwrap();
        twin.compare(Halves::default(), 0).unwrap();
        twin.report(json!({"a": 1})).unwrap();
        let sent = twin.unheard().unwrap();
        twin.report(json!({"b": 2})).unwrap();
        twin.heard(sent, 1).unwrap();
        assert_eq!(twin.unheard().unwrap().patch, json!({"b": 2}));
    }

    #[test]
    fn what_the_device_is_wanted_to_be_outlives_the_network_and_who_watches_is_told() {
        let folder = TempDir::new().unwrap();
        let twin = Twin::open(folder.path()).unwrap();
        let mut watch = twin.watch();
        twin.desired(3, json!({"price": 25})).unwrap();
        assert!(watch.has_changed().unwrap());
        assert_eq!(watch.borrow_and_update().desired.version, 3);
        twin.desired(3, json!({"price": 25})).unwrap();
        assert!(!watch.has_changed().unwrap());
        let again = Twin::open(folder.path()).unwrap();
        assert_eq!(again.watch().borrow().desired.document["price"], 25);
    }

    #[test]
    fn what_is_told_late_does_not_take_the_place_of_what_is_newer() {
        let folder = TempDir::new().unwrap();
        let twin = Twin::open(folder.path()).unwrap();
        let asked = twin.told();
        twin.desired(5, json!({"price": 5})).unwrap();
        twin.desired(4, json!({"price": 4})).unwrap();
        twin.compare(Halves::default(), asked).unwrap();
        assert_eq!(twin.watch().borrow().desired.version, 5);
        // A hub that was put back wants less.
        twin.compare(Halves::default(), twin.told()).unwrap();
        assert_eq!(twin.watch().borrow().desired.version, 0);
    }

    #[test]
    fn what_cannot_be_reported_changes_nothing() {
        let folder = TempDir::new().unwrap();
        let twin = Twin::open(folder.path()).unwrap();
        twin.report(json!({"a": 1})).unwrap();
        let large = "x".repeat(MAX_DOCUMENT / 2);
        twin.report(json!({"b": large})).unwrap();
        for bad in [json!([]), json!({"c": large})] {
            twin.report(bad).unwrap_err();
        }
        assert_eq!(twin.watch().borrow().reported.document.len(), 2);
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_begun_anew() {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        let twin = Twin::open(folder.path()).unwrap();
        assert_eq!(*twin.watch().borrow(), Halves::default());
        twin.report(json!({"a": 1})).unwrap();
    }
}
