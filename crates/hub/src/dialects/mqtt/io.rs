//! Bytes in and out of one connection.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes read at a time.
const READ: usize = 16 * 1024;

thread_local! {
    /// Where bytes are read to, one for each thread: a connection that is silent holds no buffer.
    static SCRATCH: RefCell<Box<[u8; READ]>> = RefCell::new(Box::new([0; READ]));
}

/// What has happened to a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// So many bytes have come in.
    Read(usize),
    /// Everything that was to go out has gone.
    Written,
    /// The other end has closed.
    Closed,
}

/// Writes what is in `out`; once that has gone, tells so. Reads at the same time, when `wants_more`,
/// and hands what comes to `take`.
pub(super) fn poll_move<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
    out: &mut Outbox,
    wants_more: bool,
    take: &mut impl FnMut(&[u8]),
) -> Poll<io::Result<Moved>> {
    if out.poll_empty(stream, context)?.is_ready() {
        return Poll::Ready(Ok(Moved::Written));
    }
    if !wants_more {
        return Poll::Pending;
    }
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buffer = ReadBuf::new(scratch.as_mut_slice());
        match Pin::new(stream).poll_read(context, &mut buffer) {
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => Poll::Ready(Ok(Moved::Closed)),
            Poll::Ready(Ok(())) => {
                take(buffer.filled());
                Poll::Ready(Ok(Moved::Read(buffer.filled().len())))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    })
}

/// What is to go out.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Not written yet.
    pub(super) bytes: BytesMut,
    /// Whether something was written that has not been flushed.
    unflushed: bool,
}

impl Outbox {
    /// Writes and flushes. Ready when something was in it that has all gone now.
    fn poll_empty<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.bytes.is_empty() {
            match Pin::new(&mut *stream).poll_write(context, &self.bytes) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => {
                    self.bytes.advance(written);
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if !self.unflushed {
            return Poll::Pending;
        }
        match Pin::new(stream).poll_flush(context) {
            Poll::Ready(Ok(())) => {
                self.unflushed = false;
                self.bytes = BytesMut::new();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Writes what the peer takes without being waited for, and says goodbye.
    pub(super) fn last_words<S: AsyncWrite + Unpin>(&mut self, stream: &mut S) {
        let mut context = Context::from_waker(std::task::Waker::noop());
        // Whatever comes of it, the connection is closed next.
        let _ = self.poll_empty(stream, &mut context);
        let _ = Pin::new(stream).poll_shutdown(&mut context);
    }
}
