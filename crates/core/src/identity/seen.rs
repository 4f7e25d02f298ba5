//! When devices and credentials were last seen: noted in memory, written in batches, so that a
//! device that connects costs no write.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Credential, Device, Identity};
use crate::clock::Timestamp;
use crate::id::{CredentialId, DeviceId};
use crate::refusal::Refusal;

/// The most names that are noted between two writes; what comes on top is noted next time.
const MAX_NOTED: usize = 65_536;

/// So many notes are worth a write at once.
const WORTH_WRITING: usize = 4_096;

/// How old the oldest note may get before the next connection has all written, in milliseconds.
const STALE_MILLIS: i64 = 60_000;

/// What has been seen since the last write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    devices: HashMap<DeviceId, Timestamp>,
    credentials: HashMap<CredentialId, Timestamp>,
    since: Option<Timestamp>,
    writing: bool,
}

impl Seen {
    pub(crate) fn device(&self, device: &DeviceId, now: Timestamp) {
        let mut noted = self.0.lock();
        if noted.devices.len() < MAX_NOTED || noted.devices.contains_key(device) {
            noted.devices.insert(device.clone(), now);
            noted.since.get_or_insert(now);
        }
    }

    pub(super) fn credential(&self, credential: &CredentialId, now: Timestamp) {
        let mut noted = self.0.lock();
        if noted.credentials.len() < MAX_NOTED || noted.credentials.contains_key(credential) {
            noted.credentials.insert(credential.clone(), now);
            noted.since.get_or_insert(now);
        }
    }

    /// `device` with what has not been written yet.
    pub(super) fn brought_up_to_date(&self, mut device: Device) -> Device {
        let noted = self.0.lock().devices.get(&device.id).copied();
        device.seen = device.seen.max(noted);
        device
    }

    /// `credential` with what has not been written yet.
    pub(super) fn credential_up_to_date(&self, mut credential: Credential) -> Credential {
        let noted = self.0.lock().credentials.get(&credential.id).copied();
        credential.used = credential.used.max(noted);
        credential
    }

    /// Whether it is time to write. Says so once, until [`Identity::write_seen`] is done.
    fn is_due(&self, now: Timestamp) -> bool {
        let mut noted = self.0.lock();
        let many = noted.devices.len() + noted.credentials.len() >= WORTH_WRITING;
        let old = noted
            .since
            .is_some_and(|since| now.as_millis() - since.as_millis() >= STALE_MILLIS);
        let due = (many || old) && !noted.writing;
        noted.writing |= due;
        due
    }
}

impl Identity {
    /// Writes down when devices and credentials were last seen. The hub calls it when it goes
    /// down; while it runs, connections see to it.
    ///
    /// # Errors
    /// As the store; what was noted is kept for the next time.
    pub async fn write_seen(&self) -> Result<(), Refusal> {
        let seen = self.sessions.seen();
        let (devices, credentials) = {
            let noted = seen.0.lock();
            (noted.devices.clone(), noted.credentials.clone())
        };
        let written = (devices.clone(), credentials.clone());
        let done = self
            .store
            .write(move |connection| {
                let mut update =
                    connection.prepare_cached("UPDATE devices SET seen = ?2 WHERE id = ?1")?;
                for (device, at) in &devices {
                    update.execute((device, at))?;
                }
                let mut update =
                    connection.prepare_cached("UPDATE credentials SET used = ?2 WHERE id = ?1")?;
                for (credential, at) in &credentials {
                    update.execute((credential, at))?;
                }
                Ok(())
            })
            .await;
        let mut noted = seen.0.lock();
        noted.writing = false;
        if done.is_ok() {
            let (devices, credentials) = written;
            noted.devices.retain(|id, at| devices.get(id) != Some(at));
            noted
                .credentials
                .retain(|id, at| credentials.get(id) != Some(at));
            if noted.devices.is_empty() && noted.credentials.is_empty() {
                noted.since = None;
            }
        }
        done
    }

    /// Has notes written on a task of its own, if it is time.
    pub(super) fn write_seen_if_due(&self, now: Timestamp) {
        if self.sessions.seen().is_due(now) {
            let identity = self.clone();
            tokio::spawn(async move {
                if let Err(refusal) = identity.write_seen().await {
                    tracing::debug!(error = %refusal, "when devices were seen was not written");
                }
            });
        }
    }
}
