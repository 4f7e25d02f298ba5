//! Who is who: sites, devices, operators, services, and how each proves it.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, Timestamp};
use crate::id::{CredentialId, DeviceId, FleetKeyId, OperatorId, ServiceId, SiteId};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::sessions::{Ended, Sessions};
use crate::store::Store;

/// The tables of this part.
pub(crate) const SCHEMA: &str = "";

/// How much of the hub somebody sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Every site.
    All,
    /// One site and its devices.
    Site(SiteId),
}

/// What an operator may do; each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// See.
    Viewer,
    /// Send commands, call, change desired twins, enrol and revoke devices.
    Operator,
    /// Administer sites, operators, services, fleet keys.
    Admin,
}

/// Somebody who has proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A device.
    Device {
        /// Which.
        device: DeviceId,
        /// Where it stands.
        site: SiteId,
        /// The name of its topic policy.
        policy: String,
    },
    /// A person, or a program that administers.
    Operator {
        /// Which.
        operator: OperatorId,
        /// What they may do.
        role: Role,
        /// What they see.
        scope: Scope,
    },
    /// A back end that takes events.
    Service {
        /// Which.
        service: ServiceId,
        /// What it sees.
        scope: Scope,
    },
}

/// An operator about to act, for permission and for the audit log.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Who; `None` is the hub itself, as when it makes the first operator.
    pub operator: Option<OperatorId>,
    /// What they may do.
    pub role: Role,
    /// What they see.
    pub scope: Scope,
    /// From where they ask.
    pub from: Option<IpAddr>,
}

/// Part of a long list.
#[derive(Clone, Debug)]
pub struct Page {
    /// What `next` was of the part before; `None` for the first.
    pub after: Option<String>,
    /// At most so many, 1 to [`MAX_PAGE`].
    pub limit: u32,
}

/// The most items in one part of a list.
pub const MAX_PAGE: u32 = 1_000;

/// A part of a list, and where the next begins.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// The items.
    pub items: Vec<T>,
    /// What to ask `after` for; `None` when this was the last part.
    pub next: Option<String>,
}

/// A site as it is kept.
#[derive(Clone, Debug, Serialize)]
pub struct Site {
    /// Its name.
    pub id: SiteId,
    /// What people call it.
    pub title: String,
    /// Since when.
    pub created: Timestamp,
    /// When it was revoked, if it was.
    pub revoked: Option<Timestamp>,
    /// Goes up by one with each change.
    pub version: u64,
}

/// Whether a device may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceState {
    /// It has asked to enrol again and waits for an operator.
    AwaitsApproval,
    /// It may.
    Active,
    /// It may not, until it is restored.
    Revoked,
}

/// A device as it is kept.
#[derive(Clone, Debug, Serialize)]
pub struct Device {
    /// Its name.
    pub id: DeviceId,
    /// Where it stands.
    pub site: SiteId,
    /// The name of its topic policy.
    pub policy: String,
    /// Whether it may come in.
    pub state: DeviceState,
    /// Since when.
    pub created: Timestamp,
    /// When it last opened or closed a session.
    pub seen: Option<Timestamp>,
    /// Goes up by one with each change.
    pub version: u64,
}

/// How a credential proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialKind {
    /// A symmetric key of 32 bytes, shown as itself or by what it signs.
    SymmetricKey,
    /// A certificate known by its SHA-256 thumbprint.
    Thumbprint,
    /// A certificate that the hub's own authority, or one registered for the site, has signed.
    Certificate,
    /// A random token, of which only the digest is kept.
    Token,
}

/// Where a credential is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialState {
    /// Made by rotation and not used yet; the first use promotes it and retires the one before.
    Pending,
    /// In use.
    Active,
    /// Replaced, and valid until its overlap ends.
    Retiring,
    /// No longer valid.
    Revoked,
}

/// A credential as it may be told: never the secret.
#[derive(Clone, Debug, Serialize)]
pub struct Credential {
    /// Its name.
    pub id: CredentialId,
    /// How it proves.
    pub kind: CredentialKind,
    /// Where it is in its life.
    pub state: CredentialState,
    /// `primary` or `secondary` of a pair of keys, the subject of a certificate, what a token is for.
    pub label: String,
    /// Since when.
    pub created: Timestamp,
    /// Until when, if it ends.
    pub expires: Option<Timestamp>,
    /// When it was last shown.
    pub used: Option<Timestamp>,
}

/// A new credential, with what is told only once.
#[derive(Clone, Debug)]
pub struct Issued {
    /// What is kept.
    pub credential: Credential,
    /// What its holder needs, told only now.
    pub given: Given,
}

/// What the holder of a new credential needs.
#[derive(Clone, Debug)]
pub enum Given {
    /// A symmetric key.
    Key(Secret),
    /// A token, to be shown as it is.
    Token(Secret),
    /// A certificate chain, in PEM; the key never left its holder.
    Certificate(String),
    /// Nothing: the holder has it already (a pinned thumbprint).
    Nothing,
}

/// What somebody shows to prove who they are.
#[derive(Debug)]
pub enum Claim<'a> {
    /// A token, of a device, an operator or a service. When `device` is given it must be that one's.
    Token {
        /// The token as shown.
        token: &'a Secret,
        /// Who they say they are, if they say it.
        device: Option<&'a DeviceId>,
    },
    /// One of a device's symmetric keys itself, in base 64.
    Key {
        /// Who they say they are.
        device: &'a DeviceId,
        /// The key as shown.
        key: &'a Secret,
    },
    /// A client certificate that TLS has verified the holding of (not who signed it).
    Certificate {
        /// The chain in DER, the holder's first.
        chain: &'a [Vec<u8>],
        /// Who they say they are, if they say it.
        device: Option<&'a DeviceId>,
    },
}

/// Somebody made out by a credential.
#[derive(Clone, Debug)]
pub struct Identified {
    /// Who.
    pub principal: Principal,
    /// By what.
    pub credential: CredentialId,
    /// Until when that holds.
    pub expires: Option<Timestamp>,
}

/// Which devices to list.
#[derive(Clone, Debug, Default)]
pub struct DeviceFilter {
    /// Only of this site.
    pub site: Option<SiteId>,
    /// Only in this state.
    pub state: Option<DeviceState>,
    /// Only whose name begins so.
    pub prefix: Option<String>,
}

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

/// An operator as they may be told.
#[derive(Clone, Debug, Serialize)]
pub struct Operator {
    /// Their name.
    pub id: OperatorId,
    /// What they may do.
    pub role: Role,
    /// What they see.
    pub scope: Scope,
    /// Since when.
    pub created: Timestamp,
    /// When they were revoked, if they were.
    pub revoked: Option<Timestamp>,
}

/// A back end that takes events, as it may be told.
#[derive(Clone, Debug, Serialize)]
pub struct Service {
    /// Its name.
    pub id: ServiceId,
    /// What it sees.
    pub scope: Scope,
    /// Since when.
    pub created: Timestamp,
    /// When it was revoked, if it was.
    pub revoked: Option<Timestamp>,
}

/// What a revocation did.
#[derive(Clone, Copy, Debug)]
pub struct Revoked {
    /// What happened to live connections.
    pub connections: Ended,
}

/// Sites, devices, operators, services and their credentials.
#[derive(Clone, Debug)]
pub struct Identity {
    store: Store,
    clock: Clock,
    sessions: Sessions,
}

impl Actor {
    /// The hub itself.
    #[must_use]
    pub fn hub() -> Self {
        Self {
            operator: None,
            role: Role::Admin,
            scope: Scope::All,
            from: None,
        }
    }
}

/// What stands in until a part is built.
const UNBUILT: Refusal = Refusal::Internal("not built yet");

impl Identity {
    pub(crate) fn new(store: Store, clock: Clock, sessions: Sessions) -> Result<Self, Refusal> {
        Ok(Self {
            store,
            clock,
            sessions,
        })
    }

    /// Makes the first operator if there is none, and gives their token: told only this once.
    ///
    /// # Errors
    /// As the store.
    pub async fn first_operator(&self) -> Result<Option<Secret>, Refusal> {
        Err(UNBUILT)
    }

    /// Makes out who shows `claim`. Says nothing of why not.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`], [`Refusal::Revoked`], [`Refusal::AwaitsApproval`].
    pub async fn authenticate(&self, claim: Claim<'_>) -> Result<Identified, Refusal> {
        Err(UNBUILT)
    }

    /// Whether what somebody was identified by still holds; promotes a pending credential and
    /// notes its use. Asked after the session has been taken up.
    pub(crate) async fn confirm(&self, identified: &Identified) -> Result<(), Refusal> {
        Err(UNBUILT)
    }

    /// Makes a site.
    pub async fn create_site(
        &self,
        actor: &Actor,
        id: SiteId,
        title: String,
    ) -> Result<Site, Refusal> {
        Err(UNBUILT)
    }
    /// Lists sites.
    pub async fn sites(&self, actor: &Actor, page: &Page) -> Result<Listed<Site>, Refusal> {
        Err(UNBUILT)
    }
    /// Gives one site.
    pub async fn site(&self, actor: &Actor, id: &SiteId) -> Result<Site, Refusal> {
        Err(UNBUILT)
    }
    /// Renames a site, if its version is still `if_version`.
    pub async fn rename_site(
        &self,
        actor: &Actor,
        id: &SiteId,
        title: String,
        if_version: Option<u64>,
    ) -> Result<Site, Refusal> {
        Err(UNBUILT)
    }
    /// Revokes a site: none of its devices may come in, none stays in.
    pub async fn revoke_site(&self, actor: &Actor, id: &SiteId) -> Result<Revoked, Refusal> {
        Err(UNBUILT)
    }
    /// Lets a site's devices in again.
    pub async fn restore_site(&self, actor: &Actor, id: &SiteId) -> Result<Site, Refusal> {
        Err(UNBUILT)
    }

    /// Makes a device, active, without credentials. `policy` is `own-subtree` when not given.
    pub async fn create_device(
        &self,
        actor: &Actor,
        id: DeviceId,
        site: SiteId,
        policy: Option<String>,
    ) -> Result<Device, Refusal> {
        Err(UNBUILT)
    }
    /// Lists devices.
    pub async fn devices(
        &self,
        actor: &Actor,
        filter: &DeviceFilter,
        page: &Page,
    ) -> Result<Listed<Device>, Refusal> {
        Err(UNBUILT)
    }
    /// Gives one device.
    pub async fn device(&self, actor: &Actor, id: &DeviceId) -> Result<Device, Refusal> {
        Err(UNBUILT)
    }
    /// Changes a device's policy, if its version is still `if_version`.
    pub async fn set_policy(
        &self,
        actor: &Actor,
        id: &DeviceId,
        policy: String,
        if_version: Option<u64>,
    ) -> Result<Device, Refusal> {
        Err(UNBUILT)
    }
    /// Lets in a device that has enrolled again: its new credential takes the place of the old ones.
    pub async fn approve_device(&self, actor: &Actor, id: &DeviceId) -> Result<Device, Refusal> {
        Err(UNBUILT)
    }
    /// Revokes a device.
    pub async fn revoke_device(&self, actor: &Actor, id: &DeviceId) -> Result<Revoked, Refusal> {
        Err(UNBUILT)
    }
    /// Lets a device in again.
    pub async fn restore_device(&self, actor: &Actor, id: &DeviceId) -> Result<Device, Refusal> {
        Err(UNBUILT)
    }

    /// Lists a device's credentials.
    pub async fn credentials(
        &self,
        actor: &Actor,
        device: &DeviceId,
    ) -> Result<Vec<Credential>, Refusal> {
        Err(UNBUILT)
    }
    /// Gives a device a pair of symmetric keys, `primary` and `secondary`.
    pub async fn add_keys(&self, actor: &Actor, device: &DeviceId) -> Result<[Issued; 2], Refusal> {
        Err(UNBUILT)
    }
    /// Gives a device a token.
    pub async fn add_token(
        &self,
        actor: &Actor,
        device: &DeviceId,
        label: String,
        lasts: Option<Duration>,
    ) -> Result<Issued, Refusal> {
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
    /// Replaces a credential: the new one is pending until it has been used, the old one valid for
    /// `overlap` after that. A certificate needs a new `request`.
    pub async fn rotate(
        &self,
        actor: &Actor,
        device: &DeviceId,
        credential: &CredentialId,
        request: Option<&str>,
        overlap: Duration,
    ) -> Result<Issued, Refusal> {
        Err(UNBUILT)
    }
    /// Revokes one credential of a device.
    pub async fn revoke_credential(
        &self,
        actor: &Actor,
        device: &DeviceId,
        credential: &CredentialId,
    ) -> Result<Revoked, Refusal> {
        Err(UNBUILT)
    }

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

    /// Makes an operator with a first token.
    pub async fn create_operator(
        &self,
        actor: &Actor,
        id: OperatorId,
        role: Role,
        scope: Scope,
    ) -> Result<(Operator, Issued), Refusal> {
        Err(UNBUILT)
    }
    /// Lists operators.
    pub async fn operators(&self, actor: &Actor, page: &Page) -> Result<Listed<Operator>, Refusal> {
        Err(UNBUILT)
    }
    /// Gives an operator another token.
    pub async fn add_operator_token(
        &self,
        actor: &Actor,
        id: &OperatorId,
        label: String,
        lasts: Option<Duration>,
    ) -> Result<Issued, Refusal> {
        Err(UNBUILT)
    }
    /// Revokes one token of an operator.
    pub async fn revoke_operator_token(
        &self,
        actor: &Actor,
        id: &OperatorId,
        token: &CredentialId,
    ) -> Result<Revoked, Refusal> {
        Err(UNBUILT)
    }
    /// Revokes an operator and all their tokens. The last admin of all sites cannot be.
    pub async fn revoke_operator(
        &self,
        actor: &Actor,
        id: &OperatorId,
    ) -> Result<Revoked, Refusal> {
        Err(UNBUILT)
    }

    /// Makes a service with a first token.
    pub async fn create_service(
        &self,
        actor: &Actor,
        id: ServiceId,
        scope: Scope,
    ) -> Result<(Service, Issued), Refusal> {
        Err(UNBUILT)
    }
    /// Lists services.
    pub async fn services(&self, actor: &Actor, page: &Page) -> Result<Listed<Service>, Refusal> {
        Err(UNBUILT)
    }
    /// Revokes a service and its tokens.
    pub async fn revoke_service(&self, actor: &Actor, id: &ServiceId) -> Result<Revoked, Refusal> {
        Err(UNBUILT)
    }

    /// The certificates, in PEM, of the hub's own authority for devices.
    pub async fn authority(&self) -> Result<String, Refusal> {
        Err(UNBUILT)
    }
}
