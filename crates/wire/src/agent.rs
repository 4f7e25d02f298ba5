//! What the agent and the hub say to each other: invocations of SignalR, at a path that every hub
//! has. Both ends are Outgate's own; a device that speaks SignalR by itself has the simpler methods
//! of the hubs that are configured.
//!
//! The agent calls [`ALIVE`], [`TIME_KEY`], [`DELIVER`], [`LOG`], [`TWIN`], [`REPORT`] and
//! [`SSH_AUTHORITY`], and about its neighbours [`NEIGHBOURS`], [`NEIGHBOUR_KEY`] and [`RELAY`];
//! in a session of support [`SUPPORT_JOIN`], [`SUPPORT_REFUSE`], [`SUPPORT_SEND`], [`SUPPORT_TAKE`] and
//! [`SUPPORT_END`]; the hub calls [`COMMAND`], [`CALL`], [`DESIRED`], [`ROSTER`] and
//! [`SUPPORT_OVER`].

mod neighbours;
mod support;

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::neighbours::{
    HandedOn, NEIGHBOUR_KEY, NEIGHBOURS, NeighbourKey, Passed, Place, RELAY, ROSTER, Relayed,
    Standing,
};
pub use self::support::{
    MAX_SUPPORT_CHUNK, SUPPORT, SUPPORT_END, SUPPORT_JOIN, SUPPORT_OVER, SUPPORT_REFUSE,
    SUPPORT_SEND, SUPPORT_TAKE, SupportAsked, SupportChunk, SupportEnd, SupportFlow, SupportJoin,
    SupportPlace, SupportTaken,
};

/// Where the agent finds the hub.
pub const PATH: &str = "/agent";

/// Answers [`Alive`]. Whoever is answered has a connection that carries something both ways.
pub const ALIVE: &str = "Alive";
/// Answers the public key by which the hub signs what time it is ([`crate::signed_time`]), in base 64
/// with padding.
pub const TIME_KEY: &str = "TimeKey";
/// Takes a [`Delivery`] and answers how far it has come ([`Reached`]), once that is on the disk.
pub const DELIVER: &str = "Deliver";
/// Takes a [`Delivery`] of requests as OTLP has them for logs, each the payload of an entry in
/// protobuf or JSON; answers [`Reached`]. What is sent again is kept again.
pub const LOG: &str = "Log";
/// Answers both halves of the device's twin: `{"desired":{"version":…,"document":…},"reported":…}`.
pub const TWIN: &str = "Twin";
/// Merges its first argument (RFC 7396) into what the device reports, if that is still of the version
/// that is its second one; answers the version then, or `null` when it is another: a patch that comes
/// late must not undo what came before it. Without a second argument it is merged into any version.
pub const REPORT: &str = "Report";
/// Answers an [`SshAuthority`].
pub const SSH_AUTHORITY: &str = "SshAuthority";
/// Tells the device of a [`Command`]; the answer is a [`Settlement`].
pub const COMMAND: &str = "Command";
/// Asks the device a [`Call`]; the answer is an [`Answer`].
pub const CALL: &str = "Call";
/// Tells the device the version of what it is wanted to be, and the document.
pub const DESIRED: &str = "Desired";

/// The most entries of a [`Delivery`].
pub const MAX_ENTRIES: usize = 256;

/// The most bytes of payload of a [`Delivery`].
pub const MAX_ENTRIES_BYTES: usize = 512 * 1024;

/// The most bytes of a message in which the agent says something: a delivery in base 64, with names
/// and properties.
pub const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// What the hub wishes of its agents, as things are now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alive {
    /// What time the hub has: milliseconds since 1970-01-01T00:00:00Z.
    pub now_millis: i64,
    /// For how long an agent may say nothing before the hub gives it up, in seconds.
    pub silence_seconds: u32,
    /// Over how many seconds all come back, evenly, whose connections end at the same time: as long
    /// as the hub needs for all that it has.
    pub spread_seconds: u32,
}

/// Whose certificates of users count at this device's SSH.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshAuthority {
    /// A public key in OpenSSH's form ([`crate::ssh::PublicKey`]), which signs for no other device.
    pub authority: String,
}

/// A part of what waits in the device's queue, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The queue: 1 to 64 letters, digits, `-` and `_`. One that is made anew has another name.
    pub stream: String,
    /// At most [`MAX_ENTRIES`], of [`MAX_ENTRIES_BYTES`] together.
    pub entries: Vec<Entry>,
}

/// An event that waits in the device's queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number in the queue, from 1, higher than that of the entry before.
    pub number: u64,
    /// What it is about: a path of up to 256 bytes.
    pub name: String,
    /// A media type, or empty.
    pub content_type: String,
    /// Named texts beside the payload.
    pub properties: BTreeMap<String, String>,
    /// The payload, at most 256 KiB.
    pub payload: Blob,
}

/// How far a stream has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// The number of the last entry that the hub has taken; 0 when there is none.
    pub place: u64,
    /// Entries that can never be taken, and were passed over.
    pub refused: Vec<Refused>,
}

/// An entry that can never be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its number.
    pub number: u64,
    /// Why.
    pub why: String,
}

/// What the device is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Its name in the hub, the same each time it is told.
    pub id: String,
    /// What to do.
    pub name: String,
    /// A media type, or empty.
    pub content_type: String,
    /// Named texts beside the payload.
    pub properties: BTreeMap<String, String>,
    /// The payload.
    pub payload: Blob,
    /// How often it was told, with this time.
    pub deliveries: u32,
    /// Until when it is to be done, as RFC 3339 has it.
    pub expires: String,
}

/// What has become of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Settlement {
    /// It is done.
    Completed,
    /// It will not be done.
    Rejected,
    /// It is to be told again.
    Abandoned,
}

/// What the device is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Its name in the hub.
    pub id: String,
    /// What is asked.
    pub method: String,
    /// A media type, or empty.
    pub content_type: String,
    /// The payload.
    pub payload: Blob,
}

/// What the device answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// 100 to 599, as of HTTP.
    pub status: u16,
    /// A media type, or empty.
    pub content_type: String,
    /// The payload, at most 256 KiB.
    pub payload: Blob,
}

/// Bytes: base 64 with padding (RFC 4648, section 4) where the form is read by people, as JSON is, and
/// as they are elsewhere.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            return to.serialize_str(&STANDARD.encode(&self.0));
        }
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            return from.deserialize_str(Read);
        }
        from.deserialize_byte_buf(Read)
    }
}

/// Reads either form.
struct Read;

impl Visitor<'_> for Read {
    type Value = Blob;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes, or base 64 with padding")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Blob, E> {
        let bytes = STANDARD.decode(text);
        bytes.map(Blob).map_err(|_| E::custom("not base 64"))
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
        Ok(Blob(bytes.to_vec()))
    }

    fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Blob, E> {
        Ok(Blob(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_base_64_in_json() {
        let blob = Blob(b"\xff\x00".to_vec());
        let text = serde_json::to_string(&blob).unwrap();
        assert_eq!(text, "\"/wA=\"");
        assert_eq!(serde_json::from_str::<Blob>(&text).unwrap(), blob);
        serde_json::from_str::<Blob>("\"/wA\"").unwrap_err();
    }

    #[test]
    fn settlements_are_said_in_small_letters() {
        let text = serde_json::to_string(&Settlement::Abandoned).unwrap();
        assert_eq!(text, "\"abandoned\"");
    }
}
