//! What a Mender client and its server say to each other: `/api/devices` of version 1, and what is
//! due by version 2 as well.
//!
//! Paths and methods are the server's; here are the bodies. A client sends more than is read here,
//! and what nobody knows is passed over.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{KeyError, VerifyingKey};

/// Where a signature of an authentication request stands.
pub const SIGNATURE_HEADER: &str = "x-men-signature";

/// The most bytes of an authentication request.
pub const MAX_AUTH_REQUEST: usize = 64 * 1024;

/// The most bytes of an inventory, and of what a device provides.
pub const MAX_INVENTORY: usize = 256 * 1024;

/// The most attributes of an identity, an inventory, and of what a device provides.
pub const MAX_ATTRIBUTES: usize = 1_024;

/// The most bytes of a deployment's log.
pub const MAX_LOG: usize = 4 * 1024 * 1024;

/// A device that asks to be let in, and has proved that it has its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthRequest {
    /// What tells it from others: a MAC address, a serial number. Never empty.
    pub identity: BTreeMap<String, String>,
    /// The key that it has.
    pub key: VerifyingKey,
    /// That key in PEM, as it came.
    pub pem: String,
    /// What its configuration calls the tenant's token.
    pub tenant_token: TenantToken,
}

/// A secret that a whole fleet has, or nothing; not printed.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
pub struct TenantToken(String);

impl TenantToken {
    /// It as it came. Whoever asks takes care of where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TenantToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantToken(…)")
    }
}

/// Why an authentication request is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthRefused {
    /// It is no request, or too long.
    #[error("the authentication request cannot be read")]
    Malformed,
    /// It does not say who the device is.
    #[error("the identity is no object of at least one text")]
    Identity,
    /// Its key is none that can be used.
    #[error("the key of the authentication request cannot be used")]
    Key(#[source] KeyError),
    /// Its signature is not one by its key.
    #[error("the signature of the authentication request is not one by its key")]
    Signature,
}

#[derive(Deserialize)]
struct AuthBody {
    id_data: String,
    pubkey: String,
    #[serde(default)]
    tenant_token: TenantToken,
}

impl AuthRequest {
    /// Reads a request, `signature` being the header [`SIGNATURE_HEADER`].
    ///
    /// # Errors
    /// [`AuthRefused`].
    pub fn read(body: &[u8], signature: &str) -> Result<Self, AuthRefused> {
        if body.len() > MAX_AUTH_REQUEST {
            return Err(AuthRefused::Malformed);
        }
        let said: AuthBody = serde_json::from_slice(body).map_err(|_| AuthRefused::Malformed)?;
        let key = VerifyingKey::from_pem(&said.pubkey).map_err(AuthRefused::Key)?;
        let signature = STANDARD.decode(signature.trim());
        let signature = signature.map_err(|_| AuthRefused::Signature)?;
        key.verify(body, &signature)
            .map_err(|_| AuthRefused::Signature)?;
        let identity: BTreeMap<String, String> =
            serde_json::from_str(&said.id_data).map_err(|_| AuthRefused::Identity)?;
        if identity.is_empty() || identity.len() > MAX_ATTRIBUTES {
            return Err(AuthRefused::Identity);
        }
        Ok(Self {
            identity,
            key,
            pem: said.pubkey,
            tenant_token: said.tenant_token,
        })
    }
}

/// What a device is on when it asks what is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provided {
    /// The artifact that it is on.
    pub artifact_name: String,
    /// Its type.
    pub device_type: String,
    /// What else its artifacts have said that it is.
    pub more: BTreeMap<String, String>,
}

/// Why a body is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not what a Mender client says here")]
pub struct Unreadable;

#[derive(Deserialize)]
struct NextV2 {
    device_provides: BTreeMap<String, Value>,
}

impl Provided {
    /// Reads `POST /v2/deployments/device/deployments/next`.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read_v2(body: &[u8]) -> Result<Self, Unreadable> {
        let body: NextV2 = within(body)?;
        Self::of(body.device_provides)
    }

    /// Reads `POST /v1/deployments/device/deployments/next`.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read_v1(body: &[u8]) -> Result<Self, Unreadable> {
        Self::of(within(body)?)
    }

    fn of(all: BTreeMap<String, Value>) -> Result<Self, Unreadable> {
        if all.len() > MAX_ATTRIBUTES {
            return Err(Unreadable);
        }
        let mut texts: BTreeMap<String, String> = all
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())))
            .collect();
        Ok(Self {
            artifact_name: texts.remove("artifact_name").ok_or(Unreadable)?,
            device_type: texts.remove("device_type").ok_or(Unreadable)?,
            more: texts,
        })
    }
}

/// What is due for a device: the answer when something is.
#[derive(Clone, Debug, Serialize)]
pub struct Instruction<'a> {
    /// The deployment's name, under which its state is reported.
    pub id: &'a str,
    /// What is to be installed.
    pub artifact: Offer<'a>,
}

/// An artifact that is to be had.
#[derive(Clone, Debug, Serialize)]
pub struct Offer<'a> {
    /// Its name.
    pub artifact_name: &'a str,
    /// The types of devices that it is for.
    pub device_types_compatible: &'a [String],
    /// Where it is.
    pub source: Source<'a>,
}

/// Where an artifact is. A client shows no token there, so that the address alone must do.
#[derive(Clone, Debug, Serialize)]
pub struct Source<'a> {
    /// The address.
    pub uri: &'a str,
    /// Until when it leads there (RFC 3339).
    pub expire: &'a str,
}

/// How far a device is with a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It fetches the artifact.
    Downloading,
    /// It waits to be allowed to install.
    PauseBeforeInstalling,
    /// It installs.
    Installing,
    /// It waits to be allowed to start anew.
    PauseBeforeRebooting,
    /// It starts anew.
    Rebooting,
    /// It waits to be allowed to keep what it has installed.
    PauseBeforeCommitting,
    /// It is on the new artifact.
    Success,
    /// It is not, and has gone back if it could.
    Failure,
    /// It was on that artifact already.
    #[serde(rename = "already-installed")]
    AlreadyInstalled,
}

impl Status {
    /// Whether nothing comes after it.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Failure | Self::AlreadyInstalled)
    }
}

/// A report of how far a device is. The same may come several times.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StatusReport {
    /// How far.
    pub status: Status,
    /// What exactly it does, in words of its own.
    #[serde(default)]
    pub substate: Option<String>,
}

impl StatusReport {
    /// Reads `PUT …/deployments/ID/status`.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        within(body)
    }
}

/// One thing that a device says of itself.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// A text, a number, or a list of either.
    pub value: Value,
}

/// Reads `PUT` or `PATCH /v1/inventory/device/attributes`.
///
/// # Errors
/// [`Unreadable`], also for values that are objects.
pub fn inventory(body: &[u8]) -> Result<Vec<Attribute>, Unreadable> {
    let all: Vec<Attribute> = within(body)?;
    let flat = |value: &Value| matches!(value, Value::String(_) | Value::Number(_));
    let sound = all.iter().all(|one| {
        let values = one.value.as_array();
        values.map_or(flat(&one.value), |values| values.iter().all(flat))
    });
    if sound && all.len() <= MAX_ATTRIBUTES {
        Ok(all)
    } else {
        Err(Unreadable)
    }
}

/// A line of what a device has to say of a deployment that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When (RFC 3339), by the device's clock.
    pub timestamp: String,
    /// How grave, such as `error`.
    pub level: String,
    /// What.
    pub message: String,
}

#[derive(Deserialize)]
struct LogBody {
    messages: Vec<LogLine>,
}

/// Reads `PUT …/deployments/ID/log`.
///
/// # Errors
/// [`Unreadable`].
pub fn log(body: &[u8]) -> Result<Vec<LogLine>, Unreadable> {
    if body.len() > MAX_LOG {
        return Err(Unreadable);
    }
    let body: LogBody = serde_json::from_slice(body).map_err(|_| Unreadable)?;
    Ok(body.messages)
}

fn within<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    if body.len() > MAX_INVENTORY {
        return Err(Unreadable);
    }
    serde_json::from_slice(body).map_err(|_| Unreadable)
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, SigningKey as _};
    use serde_json::json;

    use super::*;

    fn request(pair: &KeyPair, id_data: &str) -> Vec<u8> {
        let key = pair.public_key_pem();
        json!({"id_data": id_data, "pubkey": key, "tenant_token": "of the fleet"})
            .to_string()
            .into_bytes()
    }

    fn signed(pair: &KeyPair, body: &[u8]) -> String {
        STANDARD.encode(pair.sign(body).unwrap())
    }

    #[test]
    fn a_device_that_has_its_key_is_made_out() {
        let pair = KeyPair::generate().unwrap();
        let body = request(&pair, r#"{"mac":"52:54:00:12:34:56"}"#);
        let asks = AuthRequest::read(&body, &signed(&pair, &body)).unwrap();
        assert_eq!(asks.identity["mac"], "52:54:00:12:34:56");
        assert_eq!(asks.tenant_token.expose(), "of the fleet");
        assert!(!format!("{asks:?}").contains("fleet"));
        assert_eq!(asks.pem, pair.public_key_pem());
    }

    #[test]
    fn a_request_by_another_key_and_a_changed_one_are_refused() {
        let (pair, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let body = request(&pair, r#"{"mac":"1"}"#);
        let by_other = AuthRequest::read(&body, &signed(&other, &body));
        assert_eq!(by_other, Err(AuthRefused::Signature));
        let changed = request(&pair, r#"{"mac":"2"}"#);
        let stale = AuthRequest::read(&changed, &signed(&pair, &body));
        assert_eq!(stale, Err(AuthRefused::Signature));
        for nothing in ["", "AAAA", "not base 64"] {
            let refused = AuthRequest::read(&body, nothing);
            assert_eq!(refused, Err(AuthRefused::Signature), "{nothing}");
        }
    }

    #[test]
    fn an_identity_that_says_nothing_is_refused() {
        let pair = KeyPair::generate().unwrap();
        for id_data in ["", "{}", "[]", r#"{"mac":1}"#, "null"] {
            let body = request(&pair, id_data);
            let refused = AuthRequest::read(&body, &signed(&pair, &body));
            assert_eq!(refused, Err(AuthRefused::Identity), "{id_data}");
        }
    }

    #[test]
    fn both_forms_of_asking_what_is_due_say_the_same() {
        let flat = json!({"artifact_name": "rel-1", "device_type": "fort", "rootfs.version": "1"});
        let nested = json!({"device_provides": flat, "update_control_map": true});
        let v1 = Provided::read_v1(flat.to_string().as_bytes()).unwrap();
        assert_eq!(
            Provided::read_v2(nested.to_string().as_bytes()),
            Ok(v1.clone())
        );
        assert_eq!(v1.device_type, "fort");
        assert_eq!(v1.more["rootfs.version"], "1");
        for lacks in [r#"{"artifact_name":"rel-1"}"#, r#"{"device_type":"fort"}"#] {
            assert_eq!(Provided::read_v1(lacks.as_bytes()), Err(Unreadable));
        }
        assert_eq!(
            Provided::read_v2(flat.to_string().as_bytes()),
            Err(Unreadable)
        );
    }

    #[test]
    fn every_state_that_a_client_reports_is_known() {
        for (word, ends) in [
            ("downloading", false),
            ("pause_before_installing", false),
            ("installing", false),
            ("pause_before_rebooting", false),
            ("rebooting", false),
            ("pause_before_committing", false),
            ("success", true),
            ("failure", true),
            ("already-installed", true),
        ] {
            let body = json!({"status": word, "substate": "x"}).to_string();
            let report = StatusReport::read(body.as_bytes()).unwrap();
            assert_eq!(report.status.is_final(), ends, "{word}");
        }
        assert_eq!(
            StatusReport::read(b"{\"status\":\"done\"}"),
            Err(Unreadable)
        );
    }

    #[test]
    fn an_inventory_is_flat() {
        let body = json!([{"name": "mem", "value": 512}, {"name": "ip", "value": ["a", "b"]}]);
        assert_eq!(inventory(body.to_string().as_bytes()).unwrap().len(), 2);
        for wrong in [
            json!([{"name": "x", "value": {"y": 1}}]),
            json!([{"name": "x", "value": [[1]]}]),
            json!([{"name": "x", "value": null}]),
            json!({"name": "x", "value": 1}),
        ] {
            assert_eq!(
                inventory(wrong.to_string().as_bytes()),
                Err(Unreadable),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_log_is_lines() {
        let line = json!({"timestamp": "2026-11-23T06:00:00Z", "level": "error", "message": "m"});
        let body = json!({"messages": [line]}).to_string();
        assert_eq!(log(body.as_bytes()).unwrap()[0].level, "error");
        assert_eq!(log(b"{}"), Err(Unreadable));
    }
}
