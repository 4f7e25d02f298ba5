//! Registration: a device that signs by a key made of a fleet key and its own name is taken up with
//! that key. So fleets enrol whose devices cannot be given another key, or were not given one each.

use std::net::IpAddr;

use ring::hmac;
use rusqlite::Connection;

use super::credential::{self, CredentialState, Owner};
use super::enrol::{Enrolled, Proved, Wants};
use super::{Identity, fleet_key};
use crate::clock::Timestamp;
use crate::id::{DeviceId, FleetKeyId};
use crate::refusal::Refusal;
use crate::secret::Secret;

/// The most fleet keys that are tried for one device, the newest first: what is signed does not say
/// with which.
pub const MAX_TRIED: usize = 64;

/// A device asks to be taken up with a key that it has made of the fleet's.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Who it wants to be.
    pub device: DeviceId,
    /// What it has signed, by HMAC-SHA256 with its key. That it says who signs, and that it still
    /// holds, is for the caller to see.
    pub text: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
    /// How devices of this kind make their keys of the fleet's.
    pub derive: fn(&[u8], &DeviceId) -> Vec<u8>,
    /// From where it asks.
    pub peer: IpAddr,
}

impl Identity {
    /// Takes up a device that has signed with a key made of a fleet key: from then on that is its
    /// own key. What holds of an enrolment holds of this: a name that is known already waits for
    /// approval, unless an operator has made it and given it no credential; while it waits it may
    /// ask again. Too many wrong proofs from one place are for the caller to count.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] when no fleet key that is open to that name fits;
    /// [`Refusal::Limited`] when the name has just enrolled; and where one fits:
    /// [`Refusal::AwaitsApproval`] for who asks again; as [`Identity::enrol`].
    pub async fn register(&self, registration: Registration) -> Result<Enrolled, Refusal> {
        let identity = self.clone();
        // On a task of its own, as an enrolment.
        tokio::spawn(async move { identity.take_up(registration).await })
            .await
            .map_err(|_| Refusal::Internal("a registration stopped"))?
    }

    async fn take_up(&self, registration: Registration) -> Result<Enrolled, Refusal> {
        let now = self.clock.now();
        let (identity, shown) = (self.clone(), registration.clone());
        let found = self
            .store
            .read_first(move |connection| identity.fitting(connection, &shown, now))
            .await?;
        let (by, key) = found.ok_or(Refusal::Unauthenticated)?;
        let identity = self.clone();
        let verdict = self
            .store
            .write_bulk(0, move |connection| {
                let device = &registration.device;
                // The fleet's key may have been revoked meanwhile.
                if fleet_key::sealed(connection, &by)?.is_none() {
                    return Err(Refusal::Unauthenticated);
                }
                if is_known_in_other_letters(connection, device)? {
                    return Err(Refusal::Revoked);
                }
                if awaits_approval(connection, device, &key)? {
                    return Err(Refusal::AwaitsApproval);
                }
                let proved = Proved {
                    fleet_key: &by,
                    device,
                    peer: registration.peer,
                    wants: Wants::Derived(&key),
                };
                identity.decide(connection, proved, now)
            })
            .await?;
        self.withdraw(verdict.withdrawn).await;
        verdict.outcome
    }

    /// The fleet key of which the device's key is made, and that.
    fn fitting(
        &self,
        connection: &Connection,
        shown: &Registration,
        now: Timestamp,
    ) -> Result<Option<(FleetKeyId, Secret)>, Refusal> {
        let device = &shown.device;
        for (id, sealed) in fleet_key::open_to(connection, device.as_str(), now, MAX_TRIED)? {
            let fleet = self.vault.open_sealed(&fleet_key::on(&id), &sealed)?;
            let key = Secret::new((shown.derive)(fleet.expose(), device));
            let signs = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
            if hmac::verify(&signs, &shown.text, &shown.signature).is_ok() {
                return Ok(Some((id, key)));
            }
        }
        Ok(None)
    }
}

/// Whether there is, or was, a device of the same name but for the case of its letters: to Azure's
/// provisioning the two are one and have one key, so that the key of a device that has been turned
/// away would let it in again under another name.
fn is_known_in_other_letters(connection: &Connection, device: &DeviceId) -> Result<bool, Refusal> {
    let sql = "SELECT EXISTS (SELECT 1 FROM devices WHERE id = ?1 COLLATE NOCASE AND id != ?1)";
    Ok(connection
        .prepare_cached(sql)?
        .query_row([device], |row| row.get(0))?)
}

/// Whether the device waits with this very key already.
fn awaits_approval(
    connection: &Connection,
    device: &DeviceId,
    key: &Secret,
) -> Result<bool, Refusal> {
    let waiting = credential::of_owner(connection, Owner::Device(device))?
        .into_iter()
        .filter(|one| one.state == CredentialState::AwaitsApproval);
    for one in waiting {
        if credential::digest_of(connection, &one.id)? == Some(key.digest()) {
            return Ok(true);
        }
    }
    Ok(false)
}
