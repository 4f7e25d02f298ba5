//! Streams that clients send.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use outgate_signalr::payload::{Payload, PayloadError};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::shared::Shared;

/// What comes of a stream.
#[derive(Debug)]
pub(crate) enum Piece {
    Item(Payload),
    /// The client has said all, or what went wrong.
    End(Option<String>),
}

/// The near end of a stream without its type.
#[derive(Debug)]
pub(crate) struct Pieces {
    pub(crate) id: String,
    pub(crate) pieces: mpsc::Receiver<Piece>,
    pub(crate) shared: Arc<Shared>,
}

/// Nobody takes what comes after the handler is done.
impl Drop for Pieces {
    fn drop(&mut self) {
        self.shared.state().link.close_upload(&self.id);
        self.shared.room.notify_one();
    }
}

/// A stream that a client sends along with its call.
///
/// As an extractor it is the next of the call's streams, in their order. As many items wait as
/// [`Builder::stream_buffer`](crate::Builder::stream_buffer) says; then nothing more is read from
/// the client. When it is dropped, what still comes is ignored.
#[derive(Debug)]
pub struct Upload<T> {
    pieces: Option<Pieces>,
    item: PhantomData<fn() -> T>,
}

/// Why a stream of a client's ended early. It is the stream's last item.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The client says so.
    #[error("the client broke its stream off: {0}")]
    Client(String),
    /// The connection ended before the stream did.
    #[error("the connection ended before the client's stream did")]
    Disconnected,
    /// An item is of another type.
    #[error("an item of the client's stream is of another type")]
    Item(#[source] PayloadError),
}

impl<T> Upload<T> {
    pub(crate) fn new(pieces: Pieces) -> Self {
        Self {
            pieces: Some(pieces),
            item: PhantomData,
        }
    }
}

impl<T: DeserializeOwned> Stream for Upload<T> {
    type Item = Result<T, UploadError>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<T, UploadError>>> {
        let Some(pieces) = &mut self.pieces else {
            return Poll::Ready(None);
        };
        let piece = ready!(pieces.pieces.poll_recv(context));
        // Whoever waits for room in this stream may go on.
        pieces.shared.room.notify_one();
        let item = match piece {
            Some(Piece::Item(payload)) => match payload.read() {
                Ok(item) => return Poll::Ready(Some(Ok(item))),
                Err(error) => Some(Err(UploadError::Item(error))),
            },
            Some(Piece::End(error)) => error.map(|error| Err(UploadError::Client(error))),
            None => Some(Err(UploadError::Disconnected)),
        };
        self.pieces = None;
        Poll::Ready(item)
    }
}
