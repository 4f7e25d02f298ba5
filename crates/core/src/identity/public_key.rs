//! Devices that prove who they are with a key pair of their own making, known by its public half.
//!
//! That a device has the key is for the dialect to see, which knows what it signs; here is whose
//! key it is: one that an operator has said to be a device's, or one that came with a fleet key.

use std::net::IpAddr;

use rusqlite::{Connection, OptionalExtension as _};
use serde_json::json;

use super::act::{Act, Done};
use super::authenticate;
use super::credential::{self, CredentialKind, CredentialState, Given, Issued, New, Owner};
use super::enrol::{Enrolled, Proved, Wants};
use super::{Actor, Identified, Identity, Role, device, fleet_key};
use crate::id::{CredentialId, DeviceId, FleetKeyId};
use crate::refusal::Refusal;
use crate::secret::Secret;

/// A device that shows its fleet's key itself, and has proved that it has a key of its own.
#[derive(Clone, Debug)]
pub struct KeyEnrolment {
    /// Which fleet key it says it shows.
    pub fleet_key: FleetKeyId,
    /// The fleet's key, as shown.
    pub shown: Secret,
    /// Who it wants to be.
    pub device: DeviceId,
    /// SHA-256 of its own key's SPKI in DER.
    pub thumbprint: [u8; 32],
    /// From where it asks.
    pub peer: IpAddr,
}

impl Identity {
    /// Says that a public key is `device`'s, by the SHA-256 of its SPKI in DER.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`], [`Refusal::Exists`] when it is the device's
    /// already, [`Refusal::TooMany`] when it has too many credentials; as the store.
    pub async fn add_public_key(
        &self,
        actor: &Actor,
        device: &DeviceId,
        thumbprint: [u8; 32],
    ) -> Result<Issued, Refusal> {
        let on = device::on(device);
        let act = Act::new(actor, Role::Operator, "credential.add-public-key", on);
        let device = device.clone();
        let work = move |connection: &Connection, actor: &Actor, now| {
            device::seen_by(connection, actor, &device)?;
            let label = hexadecimal(&thumbprint);
            if let Some((_, state)) = kept(connection, &device, &thumbprint)?
                && state != CredentialState::Revoked
            {
                return Err(Refusal::Exists {
                    what: "public key",
                    id: label,
                });
            }
            let new = of_device(&device, &label, thumbprint);
            let kept = credential::insert(connection, CredentialId::made_up()?, &new, now)?;
            let detail = json!({ "credential": kept.id.as_str(), "thumbprint": label });
            let issued = Issued {
                credential: kept,
                given: Given::Nothing,
            };
            Ok(Done::new(issued).detail(detail))
        };
        Ok(self.act(act, work).await?.0)
    }

    /// Who has shown that they have the key of that thumbprint and say that they are `device`.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] when it is none of that device's; and where it is:
    /// [`Refusal::AwaitsApproval`], [`Refusal::Revoked`]; as the store.
    pub async fn by_public_key(
        &self,
        device: &DeviceId,
        thumbprint: [u8; 32],
    ) -> Result<Identified, Refusal> {
        let (device, now) = (device.clone(), self.clock.now());
        self.store
            .read_first(move |connection| {
                let found = kept(connection, &device, &thumbprint)?;
                let (id, _) = found.ok_or(Refusal::Unauthenticated)?;
                authenticate::by_name(connection, &id)?
                    .ok_or(Refusal::Unauthenticated)?
                    .judge(now)
            })
            .await
    }

    /// Takes up a device that shows its fleet's key: from then on its own key is known. What holds
    /// of an enrolment holds of this: a name that is known already waits for approval, unless an
    /// operator has made it and given it no credential. Too many wrong keys from one place are for
    /// the caller to count.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] when the fleet's key is wrong; as [`Identity::enrol`].
    pub async fn enrol_key(&self, enrolment: KeyEnrolment) -> Result<Enrolled, Refusal> {
        let identity = self.clone();
        // On a task of its own, as an enrolment.
        tokio::spawn(async move { identity.take_key(enrolment).await })
            .await
            .map_err(|_| Refusal::Internal("an enrolment stopped"))?
    }

    async fn take_key(&self, enrolment: KeyEnrolment) -> Result<Enrolled, Refusal> {
        let now = self.clock.now();
        // Off the writer's thread: who has no key holds nobody up.
        let (identity, shown) = (self.clone(), enrolment.clone());
        self.store
            .read_first(move |connection| identity.has_fleet_key(connection, &shown))
            .await?;
        let identity = self.clone();
        let verdict = self
            .store
            .write_bulk(0, move |connection| {
                // The key may have been revoked meanwhile.
                identity.has_fleet_key(connection, &enrolment)?;
                let proved = Proved {
                    fleet_key: &enrolment.fleet_key,
                    device: &enrolment.device,
                    peer: enrolment.peer,
                    wants: Wants::PublicKey(enrolment.thumbprint),
                };
                identity.decide(connection, proved, now)
            })
            .await?;
        self.withdraw(verdict.withdrawn).await;
        verdict.outcome
    }

    fn has_fleet_key(
        &self,
        connection: &Connection,
        enrolment: &KeyEnrolment,
    ) -> Result<(), Refusal> {
        let id = &enrolment.fleet_key;
        let sealed = fleet_key::sealed(connection, id)?.ok_or(Refusal::Unauthenticated)?;
        let key = self.vault.open_sealed(&fleet_key::on(id), &sealed)?;
        if key.matches(enrolment.shown.expose()) {
            Ok(())
        } else {
            Err(Refusal::Unauthenticated)
        }
    }
}

/// A public key of `device`, in use.
pub(super) fn of_device<'a>(device: &'a DeviceId, label: &'a str, thumbprint: [u8; 32]) -> New<'a> {
    let owner = Owner::Device(device);
    New::certificate(owner, CredentialKind::PublicKey, label, thumbprint, None)
}

/// A thumbprint as people compare it.
pub(super) fn hexadecimal(thumbprint: &[u8; 32]) -> String {
    thumbprint
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The key of that thumbprint that `device` has; of several one that is not revoked.
fn kept(
    connection: &Connection,
    device: &DeviceId,
    thumbprint: &[u8; 32],
) -> Result<Option<(CredentialId, CredentialState)>, Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT id, state FROM credentials WHERE device = ?1 AND digest = ?2
             AND kind = 'public-key' ORDER BY state = 'revoked', created DESC LIMIT 1",
        )?
        .query_row((device, thumbprint), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}
