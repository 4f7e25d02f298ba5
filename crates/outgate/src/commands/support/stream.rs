//! The operator's end of a session: bytes from and to the standard input and output, or one
//! connection.

use std::io::{Read as _, Write as _};

use anyhow::Context as _;
use outgate_client::Client;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use crate::output::Failure;
use crate::terminal::Raw;

/// Bytes that are read at once: as many as are sent.
const PIECE: usize = 32 * 1024;

/// What was read and waits to be sent, in pieces.
const AHEAD: usize = 2;

/// How a session ended.
pub(super) enum End {
    /// By us: the hub is to be told.
    Here,
    /// By somebody else, or by its time.
    There(String),
}

/// Where bytes come from and go to.
pub(super) struct Ends {
    from: From,
    to: To,
    _raw: Option<Raw>,
}

enum From {
    Standard(mpsc::Receiver<Vec<u8>>),
    Connection(OwnedReadHalf),
}

enum To {
    Standard,
    Connection(OwnedWriteHalf),
}

impl Ends {
    /// The standard input and output, each key as it is pressed if the terminal is to be `raw`.
    pub(super) fn standard(raw: bool) -> Result<Self, Failure> {
        let raw = raw.then(Raw::new).transpose()?;
        let (put, pieces) = mpsc::channel(AHEAD);
        // Nothing can call it back from reading; it ends with the process.
        std::thread::spawn(move || {
            let mut buffer = vec![0; PIECE];
            while let Ok(size @ 1..) = std::io::stdin().read(&mut buffer) {
                let piece = buffer.get(..size).unwrap_or_default().to_vec();
                if put.blocking_send(piece).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            from: From::Standard(pieces),
            to: To::Standard,
            _raw: raw,
        })
    }

    /// The first connection that comes, unless the session is over before.
    pub(super) async fn of(
        listener: &TcpListener,
        client: &Client,
        session: &str,
    ) -> Result<Self, Failure> {
        let over = async {
            loop {
                // So that the hub knows that we are there.
                let taken = client.take_support(session, 0).await?;
                if let Some(why) = taken.over {
                    let why = anyhow::anyhow!("the session is over: {why}");
                    return Err::<std::convert::Infallible, _>(Failure::Refused(why));
                }
                if !taken.bytes.is_empty() || taken.last {
                    // They are there until they are taken; it is asked again soon enough.
                    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
                }
            }
        };
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => {
                let accepted = accepted.context("failed to take a connection");
                accepted.map_err(Failure::Internal)?
            }
            over = over => match over? {},
        };
        let _ = stream.set_nodelay(true);
        let (from, to) = stream.into_split();
        Ok(Self {
            from: From::Connection(from),
            to: To::Connection(to),
            _raw: None,
        })
    }

    /// Passes bytes on both ways until either side has ended.
    pub(super) async fn between(mut self, client: &Client, session: &str) -> Result<End, Failure> {
        let (from, to) = (&mut self.from, &mut self.to);
        let down = down(client, session, to);
        let up = async {
            match up(client, session, from).await? {
                Some(end) => Ok(end),
                // The device may still have something to say.
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = down => ended,
            ended = up => ended,
        }
    }
}

async fn up(client: &Client, session: &str, from: &mut From) -> Result<Option<End>, Failure> {
    let mut at = 0;
    loop {
        let bytes = from.next().await;
        let last = bytes.is_empty();
        let over = client.send_support(session, at, &bytes, last).await?;
        if let Some(why) = over {
            return Ok(Some(End::There(why)));
        }
        if last {
            return Ok(None);
        }
        at += u64::try_from(bytes.len()).unwrap_or(0);
    }
}

async fn down(client: &Client, session: &str, to: &mut To) -> Result<End, Failure> {
    let mut after = 0;
    loop {
        let taken = client.take_support(session, after).await?;
        if let Some(why) = taken.over {
            return Ok(End::There(why));
        }
        // Whoever reads it has gone.
        let size = taken.bytes.len();
        if to.write(taken.bytes).await.is_err() || taken.last {
            return Ok(End::Here);
        }
        after += u64::try_from(size).unwrap_or(0);
    }
}

impl From {
    /// What comes next; nothing at the end.
    async fn next(&mut self) -> Vec<u8> {
        match self {
            Self::Standard(pieces) => pieces.recv().await.unwrap_or_default(),
            Self::Connection(stream) => {
                let mut buffer = vec![0; PIECE];
                let size = stream.read(&mut buffer).await.unwrap_or(0);
                buffer.truncate(size);
                buffer
            }
        }
    }
}

impl To {
    async fn write(&mut self, bytes: Vec<u8>) -> std::io::Result<()> {
        match self {
            // Whoever reads slowly holds up this way alone: what is said to the device goes on.
            Self::Standard => {
                let write = move || {
                    let mut out = std::io::stdout().lock();
                    out.write_all(&bytes)?;
                    out.flush()
                };
                tokio::task::spawn_blocking(write).await?
            }
            Self::Connection(stream) => stream.write_all(&bytes).await,
        }
    }
}
