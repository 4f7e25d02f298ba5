//! How the hub is.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::transport::{Ask, Client};

/// How the hub is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The hub's version.
    pub version: String,
    /// What time it is there.
    pub now: String,
    /// For how many seconds it has been up.
    pub uptime: u64,
    /// How many sessions are live of those that the caller sees.
    pub sessions: u64,
    /// The place of the newest event that the caller sees.
    pub newest_event: u64,
    /// How many bytes its store has, for those who see all sites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_bytes: Option<u64>,
}

impl Client {
    /// How the hub is.
    ///
    /// # Errors
    /// As any request.
    pub async fn status(&self) -> Result<Status, Error> {
        self.send(&Ask::get(["api", "status"])).await?.json()
    }

    /// The certificates of the hub's own authority for devices, in PEM.
    ///
    /// # Errors
    /// As any request.
    pub async fn authority(&self) -> Result<String, Error> {
        let reply = self.send(&Ask::get(["api", "authority"])).await?;
        reply.text()
    }
}
