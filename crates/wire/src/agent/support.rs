//! What is said in a session of remote support. The hub asks by a [`Call`](super::Call) of the method
//! [`SUPPORT`]; the device comes with the key over a connection of its own.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Blob;

/// The method of the call by which a device is asked for a session: its payload is a
/// [`SupportAsked`], in JSON. The device's answer has a status below 300 when it will be seen to, and
/// else says in plain text why not.
pub const SUPPORT: &str = "outgate.support";

/// Opens a session: takes a [`SupportJoin`]. What goes over it is recorded from then on.
pub const SUPPORT_JOIN: &str = "SupportJoin";
/// Takes a [`SupportEnd`] with the key of a session that is not allowed.
pub const SUPPORT_REFUSE: &str = "SupportRefuse";
/// Takes a [`SupportChunk`] and answers a [`SupportFlow`], once the operator can have it.
pub const SUPPORT_SEND: &str = "SupportSend";
/// Takes a [`SupportPlace`] and answers a [`SupportTaken`], within half a minute.
pub const SUPPORT_TAKE: &str = "SupportTake";
/// Takes a [`SupportEnd`].
pub const SUPPORT_END: &str = "SupportEnd";
/// Tells the device that a session is over: its name, and why. It is told so by the next answer, too,
/// if it can ask.
pub const SUPPORT_OVER: &str = "SupportOver";

/// The most bytes of a chunk.
pub const MAX_SUPPORT_CHUNK: usize = 32 * 1024;

/// What a device is asked.
#[derive(Clone, Serialize, Deserialize)]
pub struct SupportAsked {
    /// The session.
    pub session: String,
    /// What opens it once, in base 64 with padding.
    pub key: String,
    /// Who asks.
    pub operator: String,
    /// Why.
    pub reason: String,
    /// For what: `service NAME`, or `shell COLUMNSxROWS`.
    pub what: String,
    /// For how many seconds from now.
    pub seconds: u64,
}

/// How a device comes.
#[derive(Clone, Serialize, Deserialize)]
pub struct SupportJoin {
    /// The session.
    pub session: String,
    /// What opens it.
    pub key: String,
    /// The port of the hub that has led there.
    pub port: u16,
    /// What was tried before, and why it has not.
    pub tried: Vec<String>,
    /// Who has allowed it.
    pub by: String,
}

/// What one side sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SupportChunk {
    /// The session.
    pub session: String,
    /// How many bytes it has sent before.
    pub at: u64,
    /// At most [`MAX_SUPPORT_CHUNK`].
    pub bytes: Blob,
    /// Whether nothing follows.
    pub last: bool,
}

/// Whether a session goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupportFlow {
    /// Why it is over, if it is.
    pub over: Option<String>,
}

/// How far one side has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SupportPlace {
    /// The session.
    pub session: String,
    /// How many bytes it has.
    pub after: u64,
}

/// What comes next.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SupportTaken {
    /// The bytes, if there are any.
    pub bytes: Blob,
    /// Whether nothing follows.
    pub last: bool,
    /// Why the session is over, if it is.
    pub over: Option<String>,
}

/// How it ends at the device.
#[derive(Clone, Serialize, Deserialize)]
pub struct SupportEnd {
    /// The session.
    pub session: String,
    /// What opens it, where it has not been opened.
    pub key: Option<String>,
    /// By whom.
    pub by: String,
    /// Why.
    pub why: String,
}

impl fmt::Debug for SupportAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        about(f, "SupportAsked", &self.session)
    }
}

impl fmt::Debug for SupportJoin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        about(f, "SupportJoin", &self.session)
    }
}

impl fmt::Debug for SupportEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        about(f, "SupportEnd", &self.session)
    }
}

/// Without the key.
fn about(f: &mut fmt::Formatter<'_>, name: &str, session: &str) -> fmt::Result {
    f.debug_struct(name)
        .field("session", &session)
        .finish_non_exhaustive()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_printed() {
        let asked = SupportAsked {
            session: "su-1".to_owned(),
            key: "c2VjcmV0".to_owned(),
            operator: "anna".to_owned(),
            reason: "why".to_owned(),
            what: "service pos".to_owned(),
            seconds: 60,
        };
        let printed = format!("{asked:?}");
        assert!(
            printed.contains("su-1") && !printed.contains("c2Vj"),
            "{printed}"
        );
    }
}
