//! Files over HTTP: as they come, and as they go.

use std::fs::File;
use std::io::{self, Read as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Bytes that are read of a file at a time, and how many such parts wait for who reads slowly.
const PART: usize = 64 * 1024;
const WAITING_MAX: usize = 4;

/// What is sent as a body.
pub(crate) type Outgoing = UnsyncBoxBody<Bytes, io::Error>;

/// A body as it comes, with the connection over which it does.
#[derive(Debug)]
pub(crate) struct Coming {
    body: Incoming,
    /// Ended when this is dropped.
    _connection: JoinSet<()>,
}

impl Coming {
    pub(crate) fn new(body: Incoming, connection: JoinSet<()>) -> Self {
        Self {
            body,
            _connection: connection,
        }
    }
}

impl Body for Coming {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A file as it goes, and how long it is.
pub(crate) fn outgoing(mut file: File) -> io::Result<(u64, Outgoing)> {
    let size = file.metadata()?.len();
    let (parts, waiting) = mpsc::channel(WAITING_MAX);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut part = BytesMut::zeroed(PART);
            let read = file.read(&mut part);
            let part = read.map(|read| part.split_to(read).freeze());
            let ends = part.as_ref().map_or(true, Bytes::is_empty);
            // Who reads may have gone.
            if parts.blocking_send(part).is_err() || ends {
                return;
            }
        }
    });
    let body = stream::unfold(waiting, |mut waiting| async {
        let part: io::Result<Bytes> = waiting.recv().await?;
        Some((part.map(Frame::data), waiting))
    });
    Ok((size, StreamBody::new(body).boxed_unsync()))
}
