//! What was done by whom.

use futures_util::Stream;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::pages;
use crate::transport::{Ask, Client};

/// How long going through the whole chain may take.
const VERIFY: std::time::Duration = std::time::Duration::from_secs(300);

/// One entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its place, from 1 without gaps.
    pub seq: u64,
    /// When.
    pub at: String,
    /// Who.
    pub who: String,
    /// From where, if over the network.
    pub from: Option<String>,
    /// What.
    pub act: String,
    /// On what.
    pub on: String,
    /// More, as a JSON object.
    pub detail: Value,
    /// SHA-256 over the digest of the entry before and this entry, in hexadecimal.
    pub digest: String,
}

/// Whether the chain holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
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

impl Client {
    /// The audit log, newest first.
    pub fn audit(&self) -> impl Stream<Item = Result<AuditEntry, Error>> + use<> {
        pages::items(self, Ask::get(["api", "audit"]))
    }

    /// Has the hub go through the whole chain.
    ///
    /// # Errors
    /// As any request.
    pub async fn verify_audit(&self) -> Result<Verified, Error> {
        let ask = Ask::get(["api", "audit", "verify"]).patience(VERIFY);
        self.send(&ask).await?.json()
    }
}
