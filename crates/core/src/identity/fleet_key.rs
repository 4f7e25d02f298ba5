//! Fleet keys: with which new devices enrol.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::Serialize;

use super::{Actor, Identity, Issued, Listed, Page};
use crate::clock::Timestamp;
use crate::id::{DeviceId, FleetKeyId, SiteId};
use crate::refusal::Refusal;
use crate::secret::Secret;

/// A key with which new devices enrol, as it may be told.
#[derive(Clone, Debug, Serialize)]
pub struct FleetKey {
    /// Its name.
    pub id: FleetKeyId,
    /// Where its devices will stand.
    pub site: SiteId,
    /// Which names they may have: `*` stands for any number of characters.
    pub ids: String,
    /// How many may enrol with it.
    pub uses: u32,
    /// How many have.
    pub used: u32,
    /// Until when.
    pub expires: Timestamp,
    /// From where; everywhere when empty.
    pub from: Vec<IpNet>,
    /// When it was revoked, if it was.
    pub revoked: Option<Timestamp>,
    /// Since when.
    pub created: Timestamp,
}

/// What a fleet key is to be good for.
#[derive(Clone, Debug)]
pub struct NewFleetKey {
    /// Where its devices will stand.
    pub site: SiteId,
    /// Which names they may have.
    pub ids: String,
    /// How many may enrol with it, 1 to 1,000,000.
    pub uses: u32,
    /// For how long, at most 366 days.
    pub lasts: Duration,
    /// From where; everywhere when empty, at most 64.
    pub from: Vec<IpNet>,
}

/// A device asks to be taken up.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// With which fleet key.
    pub fleet_key: FleetKeyId,
    /// Who it wants to be.
    pub device: DeviceId,
    /// When it says it is; within five minutes of ours.
    pub at: Timestamp,
    /// Its own random text, 16 to 64 characters, never used twice with this key.
    pub nonce: String,
    /// HMAC-SHA256 with the fleet key over [`enrolment_text`].
    pub proof: Vec<u8>,
    /// A certificate request in PEM, when it wants a certificate rather than a key.
    pub request: Option<String>,
    /// From where it asks.
    pub peer: IpAddr,
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Enrolled {
    /// It is in.
    Welcome(Box<Issued>),
    /// The name is known already: an operator has to approve. The credential works once they have.
    AwaitsApproval(Box<Issued>),
}

/// What the proof of an enrolment is made over: each part followed by a line feed.
#[must_use]
pub fn enrolment_text(
    device: &DeviceId,
    at: Timestamp,
    nonce: &str,
    request: Option<&str>,
) -> String {
    format!(
        "outgate-enrol-1\n{device}\n{at}\n{nonce}\n{}\n",
        request.unwrap_or_default()
    )
}

/// What stands in until a part is built.
const UNBUILT: Refusal = Refusal::Internal("not built yet");

impl Identity {
    /// Makes a fleet key. The key itself is told only now.
    pub async fn create_fleet_key(
        &self,
        actor: &Actor,
        new: NewFleetKey,
    ) -> Result<(FleetKey, Secret), Refusal> {
        Err(UNBUILT)
    }
    /// Lists fleet keys.
    pub async fn fleet_keys(
        &self,
        actor: &Actor,
        page: &Page,
    ) -> Result<Listed<FleetKey>, Refusal> {
        Err(UNBUILT)
    }
    /// Revokes a fleet key. Devices that enrolled with it stay.
    pub async fn revoke_fleet_key(
        &self,
        actor: &Actor,
        id: &FleetKeyId,
    ) -> Result<FleetKey, Refusal> {
        Err(UNBUILT)
    }
    /// Takes up a device that proves a fleet key.
    pub async fn enrol(&self, enrolment: Enrolment) -> Result<Enrolled, Refusal> {
        Err(UNBUILT)
    }
    /// Pins a certificate by its SHA-256 thumbprint.
    pub async fn add_thumbprint(
        &self,
        actor: &Actor,
        device: &DeviceId,
        thumbprint: [u8; 32],
    ) -> Result<Issued, Refusal> {
        Err(UNBUILT)
    }
    /// Signs a certificate for a request (PKCS #10, PEM) with the hub's own authority.
    pub async fn add_certificate(
        &self,
        actor: &Actor,
        device: &DeviceId,
        request: &str,
        lasts: Duration,
    ) -> Result<Issued, Refusal> {
        Err(UNBUILT)
    }
    /// The certificates, in PEM, of the hub's own authority for devices.
    pub async fn authority(&self) -> Result<String, Refusal> {
        Err(UNBUILT)
    }
}
