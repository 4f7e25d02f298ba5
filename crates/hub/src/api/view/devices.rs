//! Sites, devices, and what devices are to do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use outgate_core::sessions::{Ended, Presence, Sessions};
use outgate_core::{Timestamp, calls, commands, identity, logs};

use crate::api::view::{Payload, SshSwitch};

/// A customer's place where devices stand.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Site {
    /// Its name.
    #[schema(example = "store-12")]
    pub(crate) id: String,
    /// What people call it.
    #[schema(example = "Kiruna, Lars Janssonsgatan")]
    pub(crate) title: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created: Timestamp,
    /// When it was revoked, if it was.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) revoked: Option<Timestamp>,
    /// Goes up by one with each change; also the entity tag.
    pub(crate) version: u64,
}

impl From<identity::Site> for Site {
    fn from(site: identity::Site) -> Self {
        Self {
            id: site.id.into(),
            title: site.title,
            created: site.created,
            revoked: site.revoked,
            version: site.version,
        }
    }
}

/// Whether a device may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DeviceState {
    /// It has asked to enrol again and waits for an operator.
    AwaitsApproval,
    /// It may.
    Active,
    /// It may not, until it is restored.
    Revoked,
}

impl From<identity::DeviceState> for DeviceState {
    fn from(state: identity::DeviceState) -> Self {
        match state {
            identity::DeviceState::AwaitsApproval => Self::AwaitsApproval,
            identity::DeviceState::Active => Self::Active,
            identity::DeviceState::Revoked => Self::Revoked,
        }
    }
}

impl From<DeviceState> for identity::DeviceState {
    fn from(state: DeviceState) -> Self {
        match state {
            DeviceState::AwaitsApproval => Self::AwaitsApproval,
            DeviceState::Active => Self::Active,
            DeviceState::Revoked => Self::Revoked,
        }
    }
}

/// A device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Device {
    /// Its name, one in the whole hub.
    #[schema(example = "till-7")]
    pub(crate) id: String,
    /// Where it stands.
    #[schema(example = "store-12")]
    pub(crate) site: String,
    /// The name of its topic policy.
    #[schema(example = "own-subtree")]
    pub(crate) policy: String,
    /// Whether it may come in.
    pub(crate) state: DeviceState,
    /// Whether it has a live session.
    pub(crate) connected: bool,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created: Timestamp,
    /// When it last opened or closed a session, to within a minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) seen: Option<Timestamp>,
    /// What is kept of what it logs; told only where one device is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logs: Option<KeptLogs>,
    /// Its SSH switch, if it has one; told only where one device is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ssh: Option<SshSwitch>,
    /// Goes up by one with each change of what is kept; also the entity tag, which is that of the
    /// record. Whether the device is connected, when it was seen, what it logs and whether its SSH is on
    /// are no part of it.
    pub(crate) version: u64,
}

/// How much is kept of what a device logs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeptLogs {
    /// How many records.
    records: u64,
    /// How many bytes, about, that they take of what may be kept of all devices.
    bytes: u64,
    /// When the hub took the last of them; null when none is kept.
    #[schema(value_type = Option<String>, format = DateTime)]
    latest: Option<Timestamp>,
}

impl From<logs::KeptLogs> for KeptLogs {
    fn from(kept: logs::KeptLogs) -> Self {
        Self {
            records: kept.records,
            bytes: kept.bytes,
            latest: kept.latest,
        }
    }
}

impl Device {
    /// A device as it is kept, and whether it is there.
    pub(crate) fn new(device: identity::Device, sessions: &Sessions) -> Self {
        Self {
            connected: sessions.is_present(&device.id),
            id: device.id.into(),
            site: device.site.into(),
            policy: device.policy,
            state: device.state.into(),
            created: device.created,
            seen: device.seen,
            logs: None,
            ssh: None,
            version: device.version,
        }
    }
}

/// One live connection of a device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    /// Its name.
    id: String,
    /// By which credential.
    credential: String,
    /// Over which dialect.
    #[schema(example = "mqtt")]
    via: &'static str,
    /// From where.
    #[schema(example = "203.0.113.7:50123")]
    peer: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

impl From<Presence> for Session {
    fn from(presence: Presence) -> Self {
        Self {
            id: presence.id.into(),
            credential: presence.credential.into(),
            via: presence.via,
            peer: presence.peer.to_string(),
            since: presence.since,
        }
    }
}

/// What a revocation did. When it is told nothing more is acted on that came in by what was
/// revoked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Revocation {
    /// How many live connections were ended.
    #[schema(minimum = 0)]
    ended: usize,
    /// How many of those had not closed by then; they can do nothing any more all the same.
    #[schema(minimum = 0)]
    lingering: usize,
}

impl From<Ended> for Revocation {
    fn from(ended: Ended) -> Self {
        Self {
            ended: ended.ended,
            lingering: ended.lingering,
        }
    }
}

/// Where a command is in its life.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CommandState {
    /// In the queue.
    Queued,
    /// Given to a live session, not settled yet.
    Delivered,
    /// The device has taken it.
    Completed,
    /// The device has refused it.
    Rejected,
    /// Nobody took it in time.
    Expired,
    /// An operator took it back.
    Cancelled,
}

impl From<commands::CommandState> for CommandState {
    fn from(state: commands::CommandState) -> Self {
        match state {
            commands::CommandState::Queued => Self::Queued,
            commands::CommandState::Delivered => Self::Delivered,
            commands::CommandState::Completed => Self::Completed,
            commands::CommandState::Rejected => Self::Rejected,
            commands::CommandState::Expired => Self::Expired,
            commands::CommandState::Cancelled => Self::Cancelled,
        }
    }
}

/// A command in a device's queue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Command {
    /// Its name.
    #[schema(example = "cm-0123456789abcdefghjk")]
    pub(crate) id: String,
    /// Its place among the device's commands: goes up.
    seq: u64,
    /// For whom.
    #[schema(example = "till-7")]
    device: String,
    /// What to do.
    #[schema(example = "restart")]
    name: String,
    /// A media type, or empty.
    #[schema(example = "application/json")]
    content_type: String,
    /// Named texts beside the payload.
    properties: BTreeMap<String, String>,
    #[serde(flatten)]
    payload: Payload,
    /// Where it is in its life.
    state: CommandState,
    /// How often it was given to a session.
    deliveries: u32,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
    /// When it was settled, expired or cancelled.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended: Option<Timestamp>,
}

impl From<commands::Command> for Command {
    fn from(command: commands::Command) -> Self {
        Self {
            payload: Payload::new(&command.content_type, &command.payload),
            id: command.id.into(),
            seq: command.seq,
            device: command.device.into(),
            name: command.name,
            content_type: command.content_type,
            properties: command.properties,
            state: command.state.into(),
            deliveries: command.deliveries,
            created: command.created,
            expires: command.expires,
            ended: command.ended,
        }
    }
}

/// What a device answered to a call.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Answer {
    /// The device's own status, by custom one of HTTP; 200 when it says none.
    #[schema(example = 200)]
    status: i32,
    /// A media type, or empty.
    content_type: String,
    #[serde(flatten)]
    payload: Payload,
}

impl From<calls::Answer> for Answer {
    fn from(answer: calls::Answer) -> Self {
        Self {
            payload: Payload::new(&answer.content_type, &answer.payload),
            status: answer.status,
            content_type: answer.content_type,
        }
    }
}
