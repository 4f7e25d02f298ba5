//! What a device is wanted to be, and what it says it is.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::tail::Tail;
use crate::transport::{Ask, Client};

/// One half of a twin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Half {
    /// The document: a JSON object.
    pub document: Value,
    /// Goes up by one with each change; 0 before the first.
    pub version: u64,
    /// When it last changed.
    pub changed: Option<String>,
}

/// A device's twin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Twin {
    /// Whose.
    pub device: String,
    /// What operators want.
    pub desired: Half,
    /// What the device says.
    pub reported: Half,
}

/// What operators say of a device to each other, and find it by.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tags {
    /// Its tags: `canary`, `ring=first`.
    pub tags: Vec<String>,
    /// All of it, also what makes no tag.
    pub document: Value,
    /// Goes up by one with each change; 0 before the first.
    pub version: u64,
}

impl Client {
    /// The tags of a device.
    ///
    /// # Errors
    /// As any request.
    pub async fn tags(&self, device: &str) -> Result<Tags, Error> {
        let ask = Ask::get(["api", "devices", device, "twin", "tags"]);
        self.send(&ask).await?.json()
    }

    /// Merges `patch` (RFC 7396) into the tags of a device.
    ///
    /// # Errors
    /// As any request.
    pub async fn tag(&self, device: &str, patch: &Value) -> Result<Tags, Error> {
        let kind = "application/merge-patch+json";
        let ask = Ask::patch(["api", "devices", device, "twin", "tags"])
            .body(kind, patch.to_string().into_bytes());
        self.send(&ask).await?.json()
    }

    /// A device's twin.
    ///
    /// # Errors
    /// As any request.
    pub async fn twin(&self, device: &str) -> Result<Twin, Error> {
        let ask = Ask::get(["api", "devices", device, "twin"]);
        self.send(&ask).await?.json()
    }

    /// Merges `patch` (RFC 7396) into the desired half, if its version is still `if_version`.
    ///
    /// # Errors
    /// [`Error::Refused`] with status 412 when it is not; as any request.
    pub async fn desire(
        &self,
        device: &str,
        patch: &Value,
        if_version: Option<u64>,
    ) -> Result<Half, Error> {
        let ask = Ask::patch(["api", "devices", device, "twin", "desired"])
            .body(
                "application/merge-patch+json",
                patch.to_string().into_bytes(),
            )
            .if_version(if_version);
        self.send(&ask).await?.json()
    }

    /// A device's twin now, and whenever it changes.
    #[must_use]
    pub fn watch_twin(&self, device: &str) -> Tail<Twin> {
        let ask = Ask::get(["api", "devices", device, "twin"]);
        Tail::new(self.clone(), ask, None)
    }
}
