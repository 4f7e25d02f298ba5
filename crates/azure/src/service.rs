//! What back ends say to IoT Hub over HTTPS, and what they are told: device identities, twins,
//! methods, errors. Queries are in [`query`].

pub mod query;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// How the service writes a time that has never been.
pub const NEVER: &str = "0001-01-01T00:00:00";

/// The bytes of a device's symmetric key, as the service takes them.
pub const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// For how many seconds a caller waits for the answer to a method, and for the device to come.
pub const RESPONSE_SECONDS: std::ops::RangeInclusive<u64> = 5..=300;

/// For how many seconds a caller waits for the answer to a method when it does not say.
pub const RESPONSE_SECONDS_DEFAULT: u64 = 30;

/// For how many seconds a caller may wait for the device to come.
pub const CONNECT_SECONDS_MAX: u64 = 300;

/// What a shared access policy lets its holder do, under the names that the service gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    /// Read the registry of devices.
    RegistryRead,
    /// Read and write it, their keys too.
    RegistryWrite,
    /// Do what back ends do: twins, methods, messages to devices.
    ServiceConnect,
    /// Come in as any device.
    DeviceConnect,
}

/// Whether a device may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// It may.
    Enabled,
    /// It may not.
    Disabled,
}

/// Whether a device is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ConnectionState {
    /// It is.
    Connected,
    /// It is not.
    Disconnected,
}

/// How a device proves who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AuthenticationKind {
    /// By a token that one of its two keys has signed.
    #[default]
    Sas,
    /// By a certificate that is known by its thumbprint.
    SelfSigned,
    /// By a certificate of an authority that the hub knows.
    CertificateAuthority,
    /// Not at all.
    None,
}

/// A symmetric key in base 64. It does not print itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(String);

/// The two keys of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Keys {
    /// The first; `None` for one to be made.
    pub primary_key: Option<Key>,
    /// The second.
    pub secondary_key: Option<Key>,
}

/// The thumbprints of a device's certificates, in hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Thumbprints {
    /// The first.
    pub primary_thumbprint: Option<String>,
    /// The second.
    pub secondary_thumbprint: Option<String>,
}

/// How a device proves who it is, with what is needed for that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Authentication {
    /// How.
    #[serde(rename = "type")]
    pub kind: Option<AuthenticationKind>,
    /// Its keys.
    pub symmetric_key: Option<Keys>,
    /// Its certificates.
    pub x509_thumbprint: Option<Thumbprints>,
}

/// A device as a back end wants it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Wanted {
    /// Its name, also `id` in bulk.
    #[serde(alias = "id")]
    pub device_id: Option<String>,
    /// Set for what is not a device but a module of one.
    pub module_id: Option<String>,
    /// Which version of it is to be changed, if only one is; not quoted, in bulk quoted or not.
    #[serde(alias = "eTag")]
    pub etag: Option<String>,
    /// Whether it may come.
    pub status: Option<Status>,
    /// How it proves who it is.
    pub authentication: Option<Authentication>,
    /// What is to be done, in bulk.
    pub import_mode: Option<String>,
}

/// A device as a back end is told of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Its name.
    pub device_id: String,
    /// Tells it from others that had its name before.
    pub generation_id: String,
    /// Which version of it this is; not quoted.
    pub etag: String,
    /// Whether it is there.
    pub connection_state: ConnectionState,
    /// Whether it may come.
    pub status: Status,
    /// Always nothing: no reasons are kept.
    pub status_reason: Option<String>,
    /// When it came or went.
    pub connection_state_updated_time: String,
    /// When it was let in or kept out.
    pub status_updated_time: String,
    /// When it last came or went.
    pub last_activity_time: String,
    /// How many messages wait for it.
    pub cloud_to_device_message_count: u64,
    /// How it proves who it is.
    pub authentication: Authentication,
    /// What else it is.
    pub capabilities: Capabilities,
}

/// What else a device is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// Never: devices of Azure IoT Edge are not served.
    pub iot_edge: bool,
}

/// A twin as a back end is told of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Twin {
    /// Whose.
    pub device_id: String,
    /// Which version of tags and desired properties this is; not quoted.
    pub etag: String,
    /// Which version of the device this is; not quoted.
    pub device_etag: String,
    /// Whether the device may come.
    pub status: Status,
    /// When that was changed.
    pub status_update_time: String,
    /// Whether it is there.
    pub connection_state: ConnectionState,
    /// When it last came or went.
    pub last_activity_time: String,
    /// How many messages wait for it.
    pub cloud_to_device_message_count: u64,
    /// How it proves who it is.
    pub authentication_type: AuthenticationKind,
    /// Its certificates.
    pub x509_thumbprint: Thumbprints,
    /// Goes up with each change of anything in it.
    pub version: u64,
    /// What back ends say of it to each other.
    pub tags: Value,
    /// Both halves.
    pub properties: Properties,
    /// What else the device is.
    pub capabilities: Capabilities,
}

/// Both halves of a twin, each with its `$version` and `$metadata`.
#[derive(Clone, Debug, Serialize)]
pub struct Properties {
    /// What back ends want.
    pub desired: Value,
    /// What the device says.
    pub reported: Value,
}

/// A twin as a back end changes it: what is not named stays, or goes if all of it is replaced.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct TwinChange {
    /// Of the tags.
    pub tags: Option<Value>,
    /// Of the properties.
    #[serde(default)]
    pub properties: PropertiesChange,
    /// Which version is to be changed, if only one is.
    pub etag: Option<String>,
}

/// The same of the properties. What a device reports is its own business and passed over.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct PropertiesChange {
    /// Of the desired ones.
    pub desired: Option<Value>,
}

/// A method that is called.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MethodCall<'a> {
    /// Its name.
    pub method_name: String,
    /// What it is given, in JSON.
    #[serde(default, borrow)]
    pub payload: Option<&'a RawValue>,
    /// For how many seconds to wait for its answer.
    pub response_timeout_in_seconds: Option<u64>,
    /// For how many seconds to wait for the device.
    pub connect_timeout_in_seconds: Option<u64>,
}

/// What a device answered.
#[derive(Clone, Debug, Serialize)]
pub struct MethodAnswer {
    /// Its own status.
    pub status: i32,
    /// What it said, in JSON.
    pub payload: Value,
}

/// An error, as every answer tells it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ErrorBody {
    /// Its code and why, for people: `ErrorCode:NAME;WHY`.
    pub message: String,
    /// By which it may be found again in the log.
    pub exception_message: String,
}

/// The service's names for what goes wrong, and the status of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// What was said is not what it must be.
    ArgumentInvalid,
    /// Nobody could be made out, or what they showed does not hold.
    Unauthorized,
    /// Whoever asks may not.
    Forbidden,
    /// There is no such device.
    DeviceNotFound,
    /// There is no such module.
    ModuleNotFound,
    /// There is no such operation or thing.
    NotFound,
    /// The device is not there.
    DeviceNotOnline,
    /// There is one of that name already.
    DeviceAlreadyExists,
    /// Somebody else has changed it meanwhile.
    PreconditionFailed,
    /// A message that was to be settled is somebody else's or settled.
    MessageLockLost,
    /// It is too large.
    TooLarge,
    /// Too many messages wait for the device.
    QueueFull,
    /// Too often or too many at once.
    Throttled,
    /// The device did not answer in time.
    GatewayTimeout,
    /// Something of the hub's is wrong.
    ServerError,
    /// The hub goes down, or has no room.
    Unavailable,
}

impl Permission {
    /// Whether who may do `self` may do `other`.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self == other || (self == Self::RegistryWrite && other == Self::RegistryRead)
    }
}

impl Key {
    /// A key of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(STANDARD.encode(bytes))
    }

    /// Its bytes, if it is base 64 of as many as a key may have ([`KEY_BYTES`]).
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let bytes = STANDARD.decode(&self.0).ok()?;
        KEY_BYTES.contains(&bytes.len()).then_some(bytes)
    }

    /// Whether it is no key at all: back ends say so of one that is to be made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Wanted {
    /// How the device is to prove who it is: as is said, or else by what is given for it.
    #[must_use]
    pub fn authentication_kind(&self) -> AuthenticationKind {
        let Some(given) = &self.authentication else {
            return AuthenticationKind::default();
        };
        given.kind.unwrap_or_else(|| {
            let printed = |prints: &Thumbprints| {
                prints.primary_thumbprint.is_some() || prints.secondary_thumbprint.is_some()
            };
            if given.x509_thumbprint.as_ref().is_some_and(printed) {
                AuthenticationKind::SelfSigned
            } else {
                AuthenticationKind::Sas
            }
        })
    }
}

impl Thumbprints {
    /// Those that are given, as bytes; `None` when one is not 64 hexadecimal digits (SHA-256),
    /// between which there may be colons.
    #[must_use]
    pub fn sha256(&self) -> Option<Vec<[u8; 32]>> {
        let given = [&self.primary_thumbprint, &self.secondary_thumbprint];
        let given = given.into_iter().flatten().filter(|text| !text.is_empty());
        given.map(|text| thumbprint(text)).collect()
    }
}

impl ErrorCode {
    /// Its name, also in the header `iothub-errorcode`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ArgumentInvalid => "ArgumentInvalid",
            Self::Unauthorized => "IotHubUnauthorizedAccess",
            Self::Forbidden => "IotHubUnauthorized",
            Self::DeviceNotFound => "DeviceNotFound",
            Self::ModuleNotFound => "ModuleNotFound",
            Self::NotFound => "NotFound",
            Self::DeviceNotOnline => "DeviceNotOnline",
            Self::DeviceAlreadyExists => "DeviceAlreadyExists",
            Self::PreconditionFailed => "PreconditionFailed",
            Self::MessageLockLost => "DeviceMessageLockLost",
            Self::TooLarge => "MessageTooLarge",
            Self::QueueFull => "DeviceMaximumQueueDepthExceeded",
            Self::Throttled => "ThrottlingException",
            Self::GatewayTimeout => "GatewayTimeout",
            Self::ServerError => "ServerError",
            Self::Unavailable => "ServiceUnavailable",
        }
    }

    /// Its status over HTTP.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::ArgumentInvalid => 400,
            Self::Unauthorized => 401,
            Self::Forbidden | Self::QueueFull => 403,
            Self::DeviceNotFound
            | Self::ModuleNotFound
            | Self::NotFound
            | Self::DeviceNotOnline => 404,
            Self::DeviceAlreadyExists => 409,
            Self::PreconditionFailed | Self::MessageLockLost => 412,
            Self::TooLarge => 413,
            Self::Throttled => 429,
            Self::ServerError => 500,
            Self::Unavailable => 503,
            Self::GatewayTimeout => 504,
        }
    }

    /// The body of an answer that says so.
    #[must_use]
    pub fn body(self, why: &str, tracking: &str) -> ErrorBody {
        ErrorBody {
            message: format!("ErrorCode:{};{why}", self.name()),
            exception_message: format!("Tracking ID:{tracking}"),
        }
    }
}

/// A version as an entity tag that is not quoted, as the service writes them.
#[must_use]
pub fn tag_of(version: u64) -> String {
    STANDARD.encode(version.to_be_bytes())
}

/// The version that an entity tag names, quoted or not: `None` for any (`*`).
///
/// # Errors
/// When it names none of ours: it matches nothing.
pub fn version_of(tag: &str) -> Result<Option<u64>, NoVersion> {
    let tag = tag.trim();
    let inner = tag.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    let inner = inner.unwrap_or(tag);
    if inner == "*" {
        return Ok(None);
    }
    let bytes = STANDARD.decode(inner).map_err(|_| NoVersion)?;
    let bytes = bytes.try_into().map_err(|_| NoVersion)?;
    Ok(Some(u64::from_be_bytes(bytes)))
}

/// An entity tag that is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no version has this entity tag")]
pub struct NoVersion;

fn thumbprint(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_s_registry_manager_sends_is_read() {
        let body = r#"{"deviceId":"t","status":"enabled","authentication":{"symmetricKey":
            {"primaryKey":"YWFhYWFhYWFhYWFhYWFhYQ==","secondaryKey":"c2hvcnQ="},"type":"sas"},
            "capabilities":{"iotEdge":false}}"#;
        let wanted: Wanted = serde_json::from_str(body).unwrap();
        assert_eq!(wanted.authentication_kind(), AuthenticationKind::Sas);
        let keys = wanted.authentication.unwrap().symmetric_key.unwrap();
        let primary = keys.primary_key.unwrap();
        assert_eq!(primary.bytes().unwrap(), [b'a'; 16]);
        assert_eq!(keys.secondary_key.unwrap().bytes(), None, "too short");
        assert_eq!(format!("{primary:?}"), "Key");
        let body = r#"{"id":"t","importMode":"create","eTag":"x","authentication":
            {"x509Thumbprint":{"primaryThumbprint":"AA"}}}"#;
        let wanted: Wanted = serde_json::from_str(body).unwrap();
        assert_eq!(wanted.device_id.as_deref(), Some("t"));
        assert_eq!(wanted.authentication_kind(), AuthenticationKind::SelfSigned);
    }

    #[test]
    fn only_sha256_thumbprints_are_taken_with_colons_or_without() {
        let of = |text: &str| {
            let primary_thumbprint = Some(text.to_owned());
            let prints = Thumbprints {
                primary_thumbprint,
                secondary_thumbprint: Some(String::new()),
            };
            prints.sha256()
        };
        assert_eq!(of(&"aB".repeat(32)), Some(vec![[0xab; 32]]));
        let colons = vec!["00"; 32].join(":");
        assert_eq!(of(&colons), Some(vec![[0; 32]]));
        assert_eq!(of(&"ab".repeat(20)), None, "SHA-1");
        assert_eq!(of(&"+1".repeat(32)), None);
        assert_eq!(of(""), Some(Vec::new()));
    }

    #[test]
    fn a_tag_names_its_version_quoted_or_not() {
        for version in [0, 1, 7_000, u64::MAX] {
            let tag = tag_of(version);
            assert_eq!(version_of(&tag), Ok(Some(version)));
            assert_eq!(version_of(&format!("\"{tag}\"")), Ok(Some(version)));
        }
        assert_eq!(version_of("*"), Ok(None));
        assert_eq!(version_of("\"*\""), Ok(None));
        assert_eq!(version_of("\"7\""), Err(NoVersion));
        assert_eq!(version_of(""), Err(NoVersion));
    }

    #[test]
    fn who_may_write_the_registry_may_read_it_and_no_more() {
        assert!(Permission::RegistryWrite.covers(Permission::RegistryRead));
        assert!(!Permission::RegistryRead.covers(Permission::RegistryWrite));
        assert!(!Permission::RegistryWrite.covers(Permission::ServiceConnect));
    }

    #[test]
    fn a_method_s_payload_is_handed_on_as_it_was_written() {
        let body = br#"{"methodName":"m","payload":{"b": 1.0},"responseTimeoutInSeconds":5}"#;
        let call: MethodCall<'_> = serde_json::from_slice(body).unwrap();
        assert_eq!(call.payload.unwrap().get(), r#"{"b": 1.0}"#);
        assert_eq!(call.response_timeout_in_seconds, Some(5));
    }
}
