//! What comes to pass on a connection.

use super::Handles;
use super::queue::Overrun;
use crate::payload::{Arguments, Payload};
use crate::replay::Gap;
use crate::{Completed, Headers, ProtocolError};

/// What came to pass on a connection.
#[derive(Debug)]
pub enum Event<H: Handles> {
    /// The handshake is done; from now on messages may be sent.
    Opened,
    /// The client calls a method.
    Called(Called),
    /// The next item of a stream that the client sends.
    Item {
        /// Which stream.
        upload: H::Upload,
        /// The item.
        item: Payload,
    },
    /// The end of a stream that the client sends.
    Uploaded {
        /// Which stream.
        upload: H::Upload,
        /// What went wrong with it, in the client's words.
        error: Option<String>,
    },
    /// The client wants no more of a stream.
    Cancelled {
        /// Which stream.
        download: H::Download,
    },
    /// The client's answer to a call of the server's.
    Answered {
        /// Who waits for it.
        waiting: H::Waiting,
        /// The answer.
        completed: Completed<Payload>,
    },
    /// Nothing more will come. What [`Connection::poll_output`](super::Connection::poll_output) still has is worth sending.
    Ended(End),
}

/// A method that the client calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Called {
    /// Names the call in its answer; without one nobody waits for that.
    pub id: Option<String>,
    /// The method's name.
    pub target: String,
    /// Its arguments.
    pub arguments: Arguments,
    /// Streams that the client sends along; see [`Connection::open_upload`](super::Connection::open_upload).
    pub stream_ids: Vec<String>,
    /// What the client put beside the call.
    pub headers: Headers,
    /// Whether the answer is to be a stream; then there is an id.
    pub streamed: bool,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// The client said so.
    #[error("the client closed the connection{}", reason(error.as_ref()))]
    Client {
        /// What went wrong, in its words.
        error: Option<String>,
    },
    /// The client was silent for too long.
    #[error("the client was silent for too long")]
    Silence,
    /// No handshake came in time.
    #[error("no handshake came in time")]
    NoHandshake,
    /// The handshake was refused; the text is what the client was told.
    #[error("the handshake was refused: {0}")]
    Refused(String),
    /// What the client said is not SignalR's.
    #[error("the client broke the protocol")]
    Protocol(#[source] ProtocolError),
    /// The client went on after messages that have not come.
    #[error("messages of the client are lost")]
    Lost(#[source] Gap),
    /// The client does not take what is sent to it.
    #[error("the client was too slow")]
    Slow(#[source] Overrun),
    /// The server closed it ([`Connection::close`](super::Connection::close)).
    #[error("the server closed the connection")]
    Server,
}

fn reason(error: Option<&String>) -> String {
    error.map(|error| format!(": {error}")).unwrap_or_default()
}
