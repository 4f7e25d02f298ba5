//! SSH of devices.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::transport::{Ask, Client};

/// A device's SSH switch, as its agent has said last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SshSwitch {
    /// Whether it is on.
    pub on: bool,
    /// Until when, by the device's clock.
    pub until: Option<String>,
}

/// A certificate by which somebody can log in to a device over SSH.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SshCertificate {
    /// The line that `ssh` reads.
    pub certificate: String,
    /// Its number, as the audit log has it.
    pub serial: String,
    /// Whom it is of, as the device's own log has it.
    pub id: String,
    /// Until when it counts.
    pub expires: String,
}

impl Client {
    /// Has a certificate signed for a public key in OpenSSH's form, which counts for an account of
    /// that device alone; for so many seconds, or as long as the hub likes.
    ///
    /// # Errors
    /// As any request.
    pub async fn sign_ssh(
        &self,
        device: &str,
        account: &str,
        key: &str,
        lasts: Option<u64>,
    ) -> Result<SshCertificate, Error> {
        let body = json!({ "account": account, "key": key, "lasts": lasts });
        let ask = Ask::create(["api", "devices", device, "ssh-certificates"])?.json(&body);
        self.send(&ask).await?.json()
    }
}
