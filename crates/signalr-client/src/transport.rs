//! The three transports: pieces of what the hub says, and records to it.

mod events;
mod polling;
mod posts;
mod web_socket;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use outgate_signalr::{Protocol, negotiate::Transport};

use crate::error::Cause;
use crate::http::Server;

/// What a transport is opened with.
pub(crate) struct Opening<'a> {
    pub(crate) server: &'a Arc<Server>,
    /// What the requests of the connection ask for.
    pub(crate) target: String,
    pub(crate) protocol: Protocol,
    /// Longest message that is taken.
    pub(crate) message_max: usize,
    /// How long a poll may be held.
    pub(crate) poll_limit: Duration,
}

/// What the hub says.
pub(crate) enum Reader {
    WebSocket(web_socket::Reader),
    Events(events::Reader),
    Polling(polling::Reader),
}

/// What is said to the hub.
pub(crate) enum Writer {
    WebSocket(web_socket::Writer),
    /// In requests of their own, beside events or polls.
    Posts(posts::Posts),
}

/// Opens a transport. The hub has not said anything yet.
pub(crate) async fn open(
    transport: Transport,
    opening: Opening<'_>,
) -> Result<(Reader, Writer), Cause> {
    Ok(match transport {
        Transport::WebSockets => {
            let (reader, writer) = web_socket::open(opening).await?;
            (Reader::WebSocket(reader), Writer::WebSocket(writer))
        }
        Transport::ServerSentEvents => {
            let posts = posts::Posts::new(&opening, false);
            let reader = events::Reader::open(opening).await?;
            (Reader::Events(reader), Writer::Posts(posts))
        }
        Transport::LongPolling => {
            let posts = posts::Posts::new(&opening, true);
            let reader = polling::Reader::open(opening).await?;
            (Reader::Polling(reader), Writer::Posts(posts))
        }
    })
}

impl Reader {
    /// The next piece of what the hub says; nothing when it has ended the connection. After an
    /// error, or when it was dropped before it was ready, there is nothing more to read.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Cause> {
        match self {
            Self::WebSocket(reader) => reader.next().await,
            Self::Events(reader) => reader.next().await,
            Self::Polling(reader) => reader.next().await,
        }
    }
}

impl Writer {
    /// Sends records, one after the other.
    pub(crate) async fn send(&mut self, records: &[Bytes]) -> Result<(), Cause> {
        match self {
            Self::WebSocket(writer) => writer.send(records).await,
            Self::Posts(posts) => posts.send(records).await,
        }
    }

    /// Sends a ping.
    pub(crate) async fn ping(&mut self, record: Bytes) -> Result<(), Cause> {
        match self {
            Self::WebSocket(writer) => writer.ping(record).await,
            Self::Posts(posts) => posts.send(&[record]).await,
        }
    }

    /// Tells the server that the connection is over. It may be over there already.
    pub(crate) async fn close(&mut self) {
        match self {
            Self::WebSocket(writer) => writer.close().await,
            Self::Posts(posts) => posts.close().await,
        }
    }
}
