//! Releases: what devices are updated to, and the keys by which they are signed.

use std::io;
use std::time::Duration;

use futures_util::Stream;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::pages;
use crate::transport::{Ask, Client};

/// How long the hub may take to get an artifact.
const SENT_WITHIN: Duration = Duration::from_secs(3_600);

/// What devices are updated to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Release {
    /// Its name: what a device is on afterwards.
    pub name: String,
    /// The types of devices that it is for.
    pub device_types: Vec<String>,
    /// The releases of which a device must be on one; of any, when it is empty.
    pub depends_on: Vec<String>,
    /// Who installs its payload on the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_type: Option<String>,
    /// Whether its signer lets it be installed in the place of a newer one.
    pub may_go_back: bool,
    /// By which key it is signed.
    pub signed_by: String,
    /// The SHA-256 of its artifact, in hexadecimal.
    pub sha256: String,
    /// How many bytes that has.
    pub size: u64,
    /// Since when it is there.
    pub added: String,
    /// Since when no device gets it any more, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<String>,
}

/// A key by which releases are signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReleaseKey {
    /// Its name.
    pub id: String,
    /// What people call it.
    pub label: String,
    /// The SHA-256 of its public half, in hexadecimal.
    pub thumbprint: String,
    /// Since when it is trusted.
    pub added: String,
    /// Since when it is trusted no more, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
}

impl Client {
    /// All releases.
    pub fn releases(&self) -> impl Stream<Item = Result<Release, Error>> + use<> {
        pages::items(self, Ask::get(["api", "releases"]))
    }

    /// Adds a release of a Mender artifact of `size` bytes, which are sent as they come.
    ///
    /// # Errors
    /// [`Error::Refused`] when the artifact is faulty or nobody trusted has signed it; as any
    /// request.
    pub async fn add_release(
        &self,
        size: u64,
        artifact: impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static,
    ) -> Result<Release, Error> {
        let ask = Ask::post_once(["api", "releases"]).patience(SENT_WITHIN);
        let body = reqwest::Body::wrap_stream(artifact);
        let sent = self.send_once(&ask, ("application/octet-stream", size), body);
        sent.await?.json()
    }

    /// Retires a release: no device gets it any more, and its deployments end.
    ///
    /// # Errors
    /// As any request.
    pub async fn retire_release(&self, name: &str) -> Result<Release, Error> {
        let ask = Ask::post(["api", "releases", name, "retire"]);
        self.send(&ask).await?.json()
    }

    /// All keys by which releases are signed.
    pub fn release_keys(&self) -> impl Stream<Item = Result<ReleaseKey, Error>> + use<> {
        pages::items(self, Ask::get(["api", "release-keys"]))
    }

    /// Trusts releases that are signed by a key, which is given in PEM.
    ///
    /// # Errors
    /// As any request.
    pub async fn add_release_key(&self, label: &str, key: &str) -> Result<ReleaseKey, Error> {
        let body = json!({ "label": label, "key": key });
        let ask = Ask::create(["api", "release-keys"])?.json(&body);
        self.send(&ask).await?.json()
    }

    /// Trusts a key no more, and retires what it has signed.
    ///
    /// # Errors
    /// As any request.
    pub async fn revoke_release_key(&self, id: &str) -> Result<ReleaseKey, Error> {
        let ask = Ask::post(["api", "release-keys", id, "revoke"]);
        self.send(&ask).await?.json()
    }
}
