//! A connection whose other end must take what is sent to it.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long the other end may take nothing at all while there is something to send.
const MOVES_WITHIN: Duration = Duration::from_secs(60);

/// A connection that fails when nothing of what is sent over it is taken for [`MOVES_WITHIN`].
#[derive(Debug)]
pub(super) struct Patient<C> {
    connection: C,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<C: AsyncWrite + Unpin> Patient<C> {
    pub(super) fn new(connection: C) -> Self {
        Self {
            connection,
            stalled: None,
        }
    }

    fn send<T>(
        &mut self,
        context: &mut Context<'_>,
        send: impl FnOnce(Pin<&mut C>, &mut Context<'_>) -> Poll<Result<T>>,
    ) -> Poll<Result<T>> {
        if let Poll::Ready(sent) = send(Pin::new(&mut self.connection), context) {
            self.stalled = None;
            return Poll::Ready(sent);
        }
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(MOVES_WITHIN)));
        match stalled.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                let why = "the other end takes nothing of what is sent";
                Poll::Ready(Err(Error::new(ErrorKind::TimedOut, why)))
            }
        }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Patient<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.connection).poll_read(context, into)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Patient<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        self.send(context, |to, context| to.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.send(context, |to, context| {
            to.poll_write_vectored(context, bytes)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.send(context, |to, context| to.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.send(context, |to, context| to.poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_for_long_is_given_up() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let mut ours = Patient::new(ours);
        let gave_up = ours.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(gave_up.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_little_now_and_then_is_not() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let slow = async {
            let mut taken = [0; 16];
            for _ in 0..4 {
                tokio::time::sleep(MOVES_WITHIN * 3 / 4).await;
                theirs.read_exact(&mut taken).await.unwrap();
            }
        };
        let mut ours = Patient::new(ours);
        let (sent, ()) = tokio::join!(ours.write_all(&[0; 64]), slow);
        sent.unwrap();
    }
}
