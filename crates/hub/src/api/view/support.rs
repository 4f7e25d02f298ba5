//! Sessions of remote support.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use outgate_core::{Timestamp, support};

/// Where a session stands.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SupportState {
    /// The device has been asked.
    Asked,
    /// It is allowed, and both can send.
    Open,
    /// The device did not allow it, or could not be asked.
    Refused,
    /// It is over.
    Ended,
}

/// A session of remote support.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SupportSession {
    #[schema(example = "su-0123456789abcdefghjk")]
    id: String,
    #[schema(example = "till-7")]
    device: String,
    /// Who has asked for it.
    operator: String,
    /// Why.
    reason: String,
    /// To what it leads.
    #[schema(example = "service pos")]
    what: String,
    #[schema(value_type = String, format = DateTime)]
    asked: Timestamp,
    /// When it ends at the latest.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    state: SupportState,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// By which port of the hub the device has come.
    port: Option<u16>,
    /// What the device tried before, and why it does not lead to the hub.
    tried: Vec<String>,
    /// Who has allowed it.
    allowed_by: Option<String>,
    /// By whom it has ended.
    ended_by: Option<String>,
    /// Why it has ended.
    why: Option<String>,
    /// What was recorded, once it is over.
    recorded: Option<SupportRecorded>,
}

/// A whole recording.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SupportRecorded {
    /// Its size.
    bytes: u64,
    /// Its SHA-256 in hexadecimal, as the audit log has it.
    sha256: String,
}

/// What has come from the device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SupportTaken {
    /// The bytes, in base 64; nothing when none came in time.
    #[schema(content_encoding = "base64")]
    bytes_base64: String,
    /// Whether nothing follows.
    last: bool,
    /// By whom and why the session is over, if it is.
    over: Option<String>,
}

/// Whether a session goes on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SupportFlow {
    /// By whom and why it is over, if it is.
    over: Option<String>,
}

impl From<support::State> for SupportState {
    fn from(state: support::State) -> Self {
        match state {
            support::State::Asked => Self::Asked,
            support::State::Open => Self::Open,
            support::State::Refused => Self::Refused,
            support::State::Ended => Self::Ended,
        }
    }
}

impl From<SupportState> for support::State {
    fn from(state: SupportState) -> Self {
        match state {
            SupportState::Asked => Self::Asked,
            SupportState::Open => Self::Open,
            SupportState::Refused => Self::Refused,
            SupportState::Ended => Self::Ended,
        }
    }
}

impl From<support::SupportSession> for SupportSession {
    fn from(session: support::SupportSession) -> Self {
        let (port, tried, allowed_by) = match session.joined {
            Some(joined) => (Some(joined.port), joined.tried, Some(joined.by)),
            None => (None, Vec::new(), None),
        };
        Self {
            id: session.id.into(),
            device: session.device.into(),
            operator: session.operator,
            reason: session.reason,
            what: session.what.told(),
            asked: session.asked,
            until: session.until,
            state: session.state.into(),
            since: session.since,
            port,
            tried,
            allowed_by,
            ended_by: session.by,
            why: session.why,
            recorded: session.recorded.map(|recorded| SupportRecorded {
                bytes: recorded.bytes,
                sha256: recorded.digest,
            }),
        }
    }
}

impl From<support::Taken> for SupportTaken {
    fn from(taken: support::Taken) -> Self {
        Self {
            bytes_base64: STANDARD.encode(&taken.bytes),
            last: taken.last,
            over: taken.flow.over(),
        }
    }
}

impl From<support::Flow> for SupportFlow {
    fn from(flow: support::Flow) -> Self {
        Self { over: flow.over() }
    }
}
