//! What goes wrong.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use outgate_signalr::replay::Gap;
use outgate_signalr::{ProtocolError, ladder::LadderError, negotiate::Transport};

use crate::{connect::Authority, value::ValueError};

/// Why there is no connection, or no longer one.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The server cannot be reached.
    #[error("failed to connect to {authority}")]
    Connect {
        /// The server.
        authority: Authority,
        /// Why.
        source: Arc<io::Error>,
    },
    /// Something took too long.
    #[error("{what} took longer than {limit:?}")]
    TimedOut {
        /// What.
        what: &'static str,
        /// How long it may take.
        limit: Duration,
    },
    /// The server has answered with another status than was wanted.
    #[error("the server answered {what} with status {status}{}", advice(*.status))]
    Status {
        /// What it answered.
        what: &'static str,
        /// The status.
        status: u16,
        /// How long it wants to be left alone (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// What came is not what HTTP carries for SignalR.
    #[error("the server answered {what} with something else than {wanted}")]
    Unexpected {
        /// What it answered.
        what: &'static str,
        /// What was wanted.
        wanted: &'static str,
    },
    /// HTTP has failed.
    #[error("{what} failed")]
    Http {
        /// What.
        what: &'static str,
        /// Why.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The WebSocket has failed.
    #[error("the WebSocket failed")]
    WebSocket {
        /// Why.
        source: Arc<tokio_tungstenite::tungstenite::Error>,
    },
    /// What came is not SignalR's.
    #[error("the server does not speak SignalR as it should")]
    Protocol {
        /// What is wrong with it.
        source: ProtocolError,
    },
    /// No connection was negotiated.
    #[error("failed to negotiate")]
    Negotiation {
        /// Why.
        source: LadderError,
    },
    /// The server redirects to what is no URL of a hub.
    #[error("the server redirects to what is no hub's URL")]
    Redirection,
    /// Every transport was tried.
    #[error("no transport works: {}", each(.tried))]
    NoTransport {
        /// The transports, and why each does not.
        tried: Vec<(Transport, Arc<Cause>)>,
    },
    /// The hub has refused the handshake, in its own words.
    #[error("the hub refuses the handshake: {error}")]
    Refused {
        /// The words.
        error: String,
    },
    /// The hub has closed the connection.
    #[error("the hub closed the connection{}", words(.error.as_deref()))]
    Closed {
        /// Its words, if it said any.
        error: Option<String>,
        /// Whether it wants the client back.
        allow_reconnect: bool,
    },
    /// The hub was silent for too long.
    #[error("nothing came from the hub for {limit:?}")]
    Silent {
        /// How long it may be.
        limit: Duration,
    },
    /// The connection has ended without a word from the hub.
    #[error("the connection was cut off")]
    CutOff,
    /// There is no token to show.
    #[error("no token is to be had: {why}")]
    Token {
        /// Why.
        why: String,
    },
    /// On a connection that outlives its transport, what the hub said in between is missing.
    #[error("the hub goes on after messages that have not come")]
    Gap {
        /// Which.
        source: Gap,
    },
    /// A handler was too slow for what came.
    #[error(
        "the handler of {target} is too slow: {calls} calls of {bytes} bytes wait for it already"
    )]
    SlowHandler {
        /// The handler's target.
        target: String,
        /// How many wait.
        calls: usize,
        /// Their bytes, as they came.
        bytes: usize,
    },
    /// The hub calls and does not take the answers.
    #[error("the hub does not take its answers: {limit} wait already")]
    SlowHub {
        /// How many may wait.
        limit: usize,
    },
}

impl Cause {
    /// How long the server wants to be left alone, if it said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Status { retry_after, .. } = self {
            *retry_after
        } else {
            None
        }
    }

    pub(crate) fn http(what: &'static str, error: impl Error + Send + Sync + 'static) -> Self {
        Self::Http {
            what,
            source: Arc::new(error),
        }
    }
}

impl From<ProtocolError> for Cause {
    fn from(source: ProtocolError) -> Self {
        Self::Protocol { source }
    }
}

impl From<LadderError> for Cause {
    fn from(source: LadderError) -> Self {
        Self::Negotiation { source }
    }
}

impl From<tokio_tungstenite::tungstenite::Error> for Cause {
    fn from(error: tokio_tungstenite::tungstenite::Error) -> Self {
        Self::WebSocket {
            source: Arc::new(error),
        }
    }
}

fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 => ": is the token right?",
        404 => ": this is no hub, or a proxy is in its place",
        407 => ": a proxy wants a login",
        429 | 503 => ": it has too much to do",
        _ => "",
    }
}

fn words(error: Option<&str>) -> String {
    error.map_or_else(String::new, |error| format!(": {error}"))
}

/// The causes of the transports are not the source of one error, so they stand in its message with
/// theirs.
fn each(tried: &[(Transport, Arc<Cause>)]) -> String {
    let each = tried.iter().map(|(transport, cause)| {
        let mut text = format!("{}: {cause}", transport.as_str());
        let mut source = cause.source();
        while let Some(error) = source {
            text.push_str(&format!(": {error}"));
            source = error.source();
        }
        text
    });
    each.collect::<Vec<_>>().join("; ")
}

/// Why a call or a stream has no result.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// There is no connection.
    #[error("there is no connection to the hub: start the client, or wait until it is connected")]
    NotConnected,
    /// The connection has ended before the answer came. Whether the hub did what it was asked is
    /// not known.
    #[error("the connection ended before the hub answered")]
    Lost,
    /// The hub has answered with an error.
    #[error("{error}")]
    Hub {
        /// The hub's words.
        error: String,
    },
    /// Arguments or items that the protocol has no form for.
    #[error("failed to write what is sent to the hub")]
    Write {
        /// Why.
        source: ValueError,
    },
    /// A result or an item of another type than was wanted.
    #[error("the hub answered with something of another type")]
    Read {
        /// What is wrong with it.
        source: ValueError,
    },
    /// Too many calls and streams wait for an answer.
    #[error("{limit} calls wait for an answer already")]
    TooMany {
        /// How many may.
        limit: usize,
    },
    /// A stream's items came faster than they were taken.
    #[error("items came faster than they were taken: {items} of {bytes} bytes wait already")]
    Overflow {
        /// How many wait.
        items: usize,
        /// Their bytes, as they came.
        bytes: usize,
    },
}
