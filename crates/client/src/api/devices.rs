//! Devices and their live sessions.

use futures_util::Stream;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::pages;
use crate::transport::{Ask, Client};

use super::ssh::SshSwitch;

/// A device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Device {
    /// Its name.
    pub id: String,
    /// Where it stands.
    pub site: String,
    /// The name of its topic policy.
    pub policy: String,
    /// `active`, `awaits-approval` or `revoked`.
    pub state: String,
    /// Whether it has a live session.
    #[serde(default)]
    pub connected: bool,
    /// Since when.
    pub created: String,
    /// When it last opened or closed a session.
    pub seen: Option<String>,
    /// What is kept of what it logs, where one device was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<KeptLogs>,
    /// Its SSH switch, if it has one, where one device was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshSwitch>,
    /// Goes up by one with each change.
    pub version: u64,
}

/// How much is kept of what a device logs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptLogs {
    /// How many records.
    pub records: u64,
    /// How many bytes, about, that they take of what may be kept of all devices.
    pub bytes: u64,
    /// When the hub took the last of them.
    pub latest: Option<String>,
}

/// Which devices to list.
#[derive(Clone, Debug, Default)]
pub struct DeviceFilter {
    /// Only of this site.
    pub site: Option<String>,
    /// Only in this state.
    pub state: Option<String>,
    /// Only whose name begins so.
    pub prefix: Option<String>,
    /// Only those that have this tag.
    pub tag: Option<String>,
}

/// One live connection of a device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeviceSession {
    /// Its name.
    pub id: String,
    /// By which credential.
    pub credential: String,
    /// Over which dialect.
    pub via: String,
    /// From where.
    pub peer: String,
    /// Since when.
    pub since: String,
}

/// What a revocation did.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Revoked {
    /// How many live connections were ended.
    pub ended: u64,
    /// How many of them had not closed by then; they can do nothing any more all the same.
    pub lingering: u64,
}

impl Client {
    /// The devices that `filter` means.
    pub fn devices(
        &self,
        filter: &DeviceFilter,
    ) -> impl Stream<Item = Result<Device, Error>> + use<> {
        let ask = Ask::get(["api", "devices"])
            .query("site", filter.site.as_ref())
            .query("state", filter.state.as_ref())
            .query("prefix", filter.prefix.as_ref())
            .query("tag", filter.tag.as_ref());
        pages::items(self, ask)
    }

    /// One device.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none; as any request.
    pub async fn device(&self, id: &str) -> Result<Device, Error> {
        self.send(&Ask::get(["api", "devices", id])).await?.json()
    }

    /// Makes a device, active, without credentials.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is one already; as any request.
    pub async fn create_device(
        &self,
        id: &str,
        site: &str,
        policy: Option<&str>,
    ) -> Result<Device, Error> {
        let mut body = json!({ "id": id, "site": site });
        if let Some(policy) = policy {
            body["policy"] = policy.into();
        }
        let ask = Ask::create(["api", "devices"])?.json(&body);
        self.send(&ask).await?.json()
    }

    /// Gives a device another topic policy, if its version is still `if_version`.
    ///
    /// # Errors
    /// [`Error::Refused`] with status 412 when it is not; as any request.
    pub async fn set_policy(
        &self,
        id: &str,
        policy: &str,
        if_version: Option<u64>,
    ) -> Result<Device, Error> {
        let ask = Ask::patch(["api", "devices", id])
            .json(&json!({ "policy": policy }))
            .if_version(if_version);
        self.send(&ask).await?.json()
    }

    /// Revokes a device. Its connections are closed when this returns.
    ///
    /// # Errors
    /// As any request.
    pub async fn revoke_device(&self, id: &str) -> Result<Revoked, Error> {
        let ask = Ask::post(["api", "devices", id, "revoke"]);
        self.send(&ask).await?.json()
    }

    /// Lets a device in again.
    ///
    /// # Errors
    /// As any request.
    pub async fn restore_device(&self, id: &str) -> Result<Device, Error> {
        let ask = Ask::post(["api", "devices", id, "restore"]);
        self.send(&ask).await?.json()
    }

    /// Lets in a device that has enrolled again.
    ///
    /// # Errors
    /// As any request.
    pub async fn approve_device(&self, id: &str) -> Result<Device, Error> {
        let ask = Ask::post(["api", "devices", id, "approve"]);
        self.send(&ask).await?.json()
    }

    /// A device's live connections.
    pub fn sessions(&self, id: &str) -> impl Stream<Item = Result<DeviceSession, Error>> + use<> {
        pages::whole(self, Ask::get(["api", "devices", id, "sessions"]))
    }

    /// Closes one live connection of a device. The device may come again.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none such; as any request.
    pub async fn dismiss_session(&self, id: &str, session: &str) -> Result<Revoked, Error> {
        let path = ["api", "devices", id, "sessions", session, "dismiss"];
        self.send(&Ask::post_once(path)).await?.json()
    }
}
