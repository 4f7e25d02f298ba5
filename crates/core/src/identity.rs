//! Who is who: sites, devices, operators, services, and how each proves it.
//!
//! Every act of an operator is permitted by role and scope, done and written to the audit log in
//! one transaction. What an operator may not see is not found, rather than forbidden.

mod access_key;
mod act;
mod authenticate;
mod authority;
mod cache;
mod certificate;
mod credential;
mod device;
mod enrol;
mod fleet_key;
mod leaf;
mod listing;
mod lookups;
mod named_key;
mod neighbours;
mod operator;
mod pem;
mod policy;
mod principal;
mod public_key;
mod register;
mod registry;
mod renewal;
mod request;
mod revocation;
mod rotation;
mod schema;
mod seen;
mod service;
mod signed;
mod site;
mod site_authority;
mod ssh;
mod text;
mod ticket;
mod time_key;
mod token;
mod vault;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use authority::Authority;
use cache::Cache;

use crate::clock::Clock;
use crate::id::OperatorId;
use crate::limits::{Rate, Rates};
use crate::refusal::Refusal;
use crate::sessions::Sessions;
use crate::store::Store;

pub use access_key::{MAX_ACCESS_KEYS, MAX_ACCESS_KEYS_IN_ALL};
pub use act::CLOSING_PATIENCE;
pub use authenticate::{Claim, Identified};
pub use authority::{DEFAULT_CERTIFICATE_LIFE, MAX_CERTIFICATE_LIFE, MIN_CERTIFICATE_LIFE};
pub use certificate::MAX_CHAIN;
pub use credential::{
    Credential, CredentialKind, CredentialState, Given, Issued, MAX_CREDENTIALS, MAX_LABEL,
    MAX_LIFE, MIN_LIFE,
};
pub use device::{DEFAULT_POLICY, Device, DeviceFilter, DeviceState};
pub use enrol::{Enrolled, Enrolment, MAX_SKEW, enrolment_text};
pub use fleet_key::{
    FleetKey, MAX_FLEET_KEY_LIFE, MAX_NETWORKS, MAX_USES, NewFleetKey, fits as name_fits,
};
pub use listing::{Listed, MAX_PAGE, Page};
pub use lookups::{
    CHALLENGE_LASTS, FleetProof, LOOKUPS, LookupToken, MAX_LOOKUP_LIFE, MIN_LOOKUP_LIFE,
    fleet_text, own_text,
};
pub use named_key::{PASSING_KEY_LASTS, PassingKey};
pub use neighbours::{
    KEY_EVERY, Neighbour, Place, ROSTER_LASTS, Relayed, RosterMember, SiteRoster,
};
pub use operator::{FirstOperator, Operator};
pub use principal::{Actor, Principal, Role, Scope};
pub use public_key::KeyEnrolment;
pub use register::{Certified, MAX_TRIED, Registration};
pub use registry::{Before, Counted, Declared, Proofs, Registered};
pub use renewal::MAX_ENDED;
pub use revocation::Revoked;
pub use rotation::MAX_OVERLAP;
pub use service::Service;
pub use site::{MAX_TITLE, Site};
pub use site_authority::{MAX_SITE_AUTHORITIES, SiteAuthority};
pub use ssh::{SSH_CERTIFICATE_LIFE, SshCertificate};
pub use ticket::{MAX_TICKET_LIFE, Ticket, TicketFor, Ticketed};
pub use time_key::TimeKey;
pub use vault::Vault;

pub(crate) use device::seen_by as device_seen_by;
pub(crate) use neighbours::SCHEMA as NEIGHBOURS_SCHEMA;
pub(crate) use schema::SCHEMA;
pub(crate) use seen::Seen;
pub(crate) use site::seen_by as site_seen_by;
pub(crate) use text::words;

/// Refused acts that are written down an operator: ten at once, then one every six seconds.
const REFUSALS: Rate = Rate {
    burst: 10,
    every: Duration::from_secs(6),
};

/// Registrations from a source: a whole factory may be behind one address.
const REGISTRATIONS: Rate = Rate {
    burst: 100,
    every: Duration::from_millis(100),
};

/// Refused enrolments of a name with a key from a source: ten at once, then one every six seconds.
const REFUSED_ENROLMENTS: Rate = Rate {
    burst: 10,
    every: Duration::from_secs(6),
};

/// Sites, devices, operators, services and their credentials.
#[derive(Clone, Debug)]
pub struct Identity {
    store: Store,
    /// What devices log lies here; a revocation waits for its writer too.
    logs: Store,
    clock: Clock,
    sessions: Sessions,
    folder: Arc<PathBuf>,
    vault: Arc<Vault>,
    cache: Arc<Cache>,
    authority: Arc<Authority>,
    time_key: Arc<TimeKey>,
    refusals: Arc<Rates<OperatorId>>,
    /// By what was asked for: [`enrol::Asked`].
    wrong_proofs: Arc<Rates<enrol::Asked>>,
    refused_enrolments: Arc<Rates<enrol::Asked>>,
    registering: Arc<Rates<IpAddr>>,
}

impl Identity {
    /// Opens the part in the data folder `folder`; makes its keys there when they are missing. What
    /// devices log lies in the second store.
    pub(crate) fn new(
        folder: &Path,
        (store, logs): (Store, Store),
        clock: Clock,
        sessions: Sessions,
    ) -> Result<Self, Refusal> {
        let anything_sealed = store.read_now(|connection| {
            Ok(connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM credentials WHERE sealed IS NOT NULL)
                 OR EXISTS (SELECT 1 FROM fleet_keys WHERE sealed IS NOT NULL)
                 OR EXISTS (SELECT 1 FROM webhooks)
                 OR EXISTS (SELECT 1 FROM rosters)
                 OR EXISTS (SELECT 1 FROM file_grants)",
                [],
                |row| row.get(0),
            )?)
        })?;
        Ok(Self {
            vault: Arc::new(Vault::open(folder, anything_sealed)?),
            folder: Arc::new(folder.to_owned()),
            cache: Arc::default(),
            authority: Arc::new(Authority::open(folder, clock.now())?),
            time_key: Arc::new(TimeKey::open(folder)?),
            wrong_proofs: Arc::new(Rates::new(REFUSED_ENROLMENTS, clock.clone())),
            refused_enrolments: Arc::new(Rates::new(REFUSED_ENROLMENTS, clock.clone())),
            registering: Arc::new(Rates::new(REGISTRATIONS, clock.clone())),
            refusals: Arc::new(Rates::new(REFUSALS, clock.clone())),
            store,
            logs,
            clock,
            sessions,
        })
    }

    /// Where secrets that have to be had again are sealed.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// By what the hub signs what time it is.
    #[must_use]
    pub fn time_key(&self) -> &TimeKey {
        &self.time_key
    }
}
