//! What was done by whom: appended only, each entry bound to the one before by its digest.

/// The tables of this part.
pub(crate) const SCHEMA: &str = "";

use serde::Serialize;

use crate::clock::Timestamp;
use crate::identity::{Actor, Listed, Page};
use crate::refusal::Refusal;
use crate::store::Store;

/// One entry. Nothing secret is ever in one.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Its place, from 1 without gaps.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who: an operator's name, `hub`, or `device/NAME` for an enrolment.
    pub who: String,
    /// From where, if over the network.
    pub from: Option<String>,
    /// What: `device.revoke` and so on.
    pub act: String,
    /// On what: `device/NAME`, `site/NAME`, …
    pub on: String,
    /// More, as a JSON object.
    pub detail: serde_json::Value,
    /// SHA-256 over the digest of the entry before and this entry, in hexadecimal.
    pub digest: String,
}

/// Whether the chain holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "chain")]
pub enum Verified {
    /// Every entry follows from the one before.
    Whole {
        /// How many there are.
        entries: u64,
        /// The digest of the newest, to be noted elsewhere.
        head: String,
    },
    /// It does not.
    Broken {
        /// The first entry that does not follow.
        at: u64,
    },
}

/// The audit log.
#[derive(Clone, Debug)]
pub struct Audit {
    store: Store,
}

impl Audit {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Entries, newest first. `page.after` is the place of the oldest seen so far.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who does not see all sites; as the store.
    pub async fn entries(&self, actor: &Actor, page: &Page) -> Result<Listed<Entry>, Refusal> {
        Err(Refusal::Internal("not built yet"))
    }

    /// Goes through the whole chain.
    ///
    /// # Errors
    /// As [`Audit::entries`].
    pub async fn verify(&self, actor: &Actor) -> Result<Verified, Refusal> {
        Err(Refusal::Internal("not built yet"))
    }
}
