//! How the hub is.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::transport::{Ask, Client};

/// How the hub is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The hub's version.
    pub version: String,
    /// Everything else that it tells.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

impl Client {
    /// How the hub is, as far as the asker may know.
    ///
    /// # Errors
    /// As any request.
    pub async fn status(&self) -> Result<Status, Error> {
        self.send(&Ask::get(["api", "status"])).await?.json()
    }
}
