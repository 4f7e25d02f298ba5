//! Saying something on a connection and hearing what is said: SSH, XMPP, LDAP.

use std::net::IpAddr;

use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use crate::{
    ask::Ask,
    evidence::{PhaseName, Trouble},
    run::Stop,
    stream::{BoxedStream, Stream},
};

/// How many bytes are read at a time.
const CHUNK: usize = 4096;

/// Brings a connection to the point where its TLS handshake begins.
pub(crate) type ToTls =
    for<'s> fn(&'s mut BoxedStream, &'s Ask, IpAddr) -> BoxFuture<'s, Result<(), Stop>>;

/// One end of a connection, and what was heard there and not understood yet.
pub(crate) struct Conversation<'s, S> {
    stream: &'s mut S,
    phase: PhaseName,
    heard: Vec<u8>,
}

impl<'s, S: Stream> Conversation<'s, S> {
    pub(crate) fn new(stream: &'s mut S, phase: PhaseName) -> Self {
        Self::resumed(stream, phase, Vec::new())
    }

    /// Goes on with one of which this was heard and not understood.
    pub(crate) fn resumed(stream: &'s mut S, phase: PhaseName, heard: Vec<u8>) -> Self {
        Self {
            stream,
            phase,
            heard,
        }
    }

    pub(crate) async fn say(&mut self, words: &[u8]) -> Result<(), Stop> {
        let start = Instant::now();
        let phase = self.phase;
        let stop = |error| Stop::io(&error, phase, start);
        self.stream.write_all(words).await.map_err(stop)?;
        self.stream.flush().await.map_err(stop)
    }

    /// Listens until `read` understands something. It is given all that is not understood yet, and
    /// says what it means and how many bytes that took, or `None` to hear more; it bounds how much
    /// that may become.
    pub(crate) async fn hear<T>(
        &mut self,
        read: impl Fn(&[u8]) -> Result<Option<(T, usize)>, Trouble>,
    ) -> Result<T, Stop> {
        loop {
            if let Some((meaning, used)) = read(&self.heard)? {
                self.heard.drain(..used.min(self.heard.len()));
                return Ok(meaning);
            }
            self.hear_more().await?;
        }
    }

    async fn hear_more(&mut self) -> Result<(), Stop> {
        let start = Instant::now();
        let phase = self.phase;
        let mut chunk = [0; CHUNK];
        let read = self.stream.read(&mut chunk).await;
        let read = read.map_err(|error| Stop::io(&error, phase, start))?;
        if read == 0 {
            return Err(Trouble::Closed { phase }.into());
        }
        self.heard.extend_from_slice(&chunk[..read]);
        Ok(())
    }

    /// What was heard and not understood.
    pub(crate) fn heard(&self) -> &[u8] {
        &self.heard
    }

    /// Ends the part in the clear. What comes before the handshake could be anybody's, and would
    /// pass for the server's once TLS vouches for it (RFC 6120 §5.4.3.3, CVE-2011-0411).
    pub(crate) fn nothing_more(self) -> Result<(), Stop> {
        if self.heard.is_empty() {
            return Ok(());
        }
        let what = "more words after the agreement to begin TLS".to_owned();
        Err(Trouble::Malformed { what }.into())
    }
}
