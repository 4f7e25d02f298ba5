//! A connection to the hub: a transport over which the hub has answered the handshake.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use outgate_signalr::framing::Records;
use outgate_signalr::handshake::{Answer, Request};
use outgate_signalr::ladder::Rung;
use outgate_signalr::{Protocol, negotiate::Transport};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::error::Cause;
use crate::http::Server;
use crate::settings::Settings;
use crate::transport::{self, Opening, Reader, Writer};

const HANDSHAKE: &str = "the handshake";
/// The version of a handshake on a connection that outlives its transport.
const STATEFUL_VERSION: u32 = 2;
/// How long it is tried to take a connection up again: what ASP.NET Core keeps it for.
const RESUME_LIMIT: Duration = Duration::from_secs(15);
/// Between the first two tries; it doubles.
const RESUME_WAIT: Duration = Duration::from_secs(1);

/// A connection that works.
pub(crate) struct Link {
    pub(crate) transport: Transport,
    pub(crate) connection_id: Option<String>,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    /// What the hub has said behind its answer to the handshake.
    pub(crate) records: Records,
    /// How the connection is taken up again, if it outlives its transport.
    pub(crate) again: Option<Again>,
}

/// Where a connection is that outlives its transport.
pub(crate) struct Again {
    server: Arc<Server>,
    target: String,
}

impl Again {
    /// Opens another transport, as long as the server still keeps the connection.
    pub(crate) async fn open(&self, settings: &Settings) -> Option<(Reader, Writer)> {
        let give_up = Instant::now() + RESUME_LIMIT;
        let mut wait = RESUME_WAIT;
        loop {
            let opening = opening(settings, &self.server, self.target.clone());
            let opening = transport::open(Transport::WebSockets, opening);
            match timeout_at(give_up, opening).await {
                Ok(Ok(opened)) => return Some(opened),
                // It no longer does.
                Ok(Err(Cause::Status { .. })) | Err(_) => return None,
                Ok(Err(_)) => {}
            }
            sleep_until((Instant::now() + wait).min(give_up)).await;
            wait *= 2;
        }
    }
}

fn opening<'a>(settings: &Settings, server: &'a Arc<Server>, target: String) -> Opening<'a> {
    Opening {
        server,
        target,
        protocol: settings.protocol,
        message_max: settings.message_max,
        poll_limit: settings.poll_limit,
    }
}

impl Link {
    /// Opens a transport and makes the handshake, within the rung's patience.
    pub(crate) async fn open(
        settings: &Settings,
        server: &Arc<Server>,
        rung: Rung,
    ) -> Result<Self, Cause> {
        let limit = rung.patience;
        let opened = timeout(limit, Self::open_in_time(settings, server, rung)).await;
        opened.map_err(|_| Cause::TimedOut {
            what: HANDSHAKE,
            limit,
        })?
    }

    async fn open_in_time(
        settings: &Settings,
        server: &Arc<Server>,
        rung: Rung,
    ) -> Result<Self, Cause> {
        let token = rung.connection.as_ref().map(|it| it.token.expose());
        let target = server.url.connection(token);
        let stateful = rung.connection.as_ref().is_some_and(|it| it.stateful)
            && rung.transport == Transport::WebSockets;
        let opening = opening(settings, server, target.clone());
        let (mut reader, mut writer) = transport::open(rung.transport, opening).await?;
        let mut request = Request::new(settings.protocol);
        if stateful {
            request.version = STATEFUL_VERSION;
        }
        writer.send(&[Bytes::from(request.to_bytes())]).await?;
        let mut records = Records::new(settings.message_max);
        while !is_welcome(&mut records)? {
            let piece = reader.next().await?.ok_or(Cause::CutOff)?;
            records.handle_bytes(&piece);
        }
        Ok(Self {
            transport: rung.transport,
            connection_id: rung.connection.map(|it| it.connection_id),
            reader,
            writer,
            records,
            again: stateful.then(|| Again {
                server: server.clone(),
                target,
            }),
        })
    }
}

fn is_welcome(records: &mut Records) -> Result<bool, Cause> {
    match records.poll_text()? {
        None => Ok(false),
        // It would pass for a welcome otherwise: a welcome may hold anything but an error.
        Some(record) if Request::read(record).is_ok() => Err(Cause::Unexpected {
            what: HANDSHAKE,
            wanted: "a hub's answer: it echoes",
        }),
        Some(record) => match Answer::read(record)?.error {
            None => Ok(true),
            Some(error) => Err(Cause::Refused { error }),
        },
    }
}

/// The next record, if all of it is there.
pub(crate) fn poll(records: &mut Records, protocol: Protocol) -> Result<Option<&[u8]>, Cause> {
    Ok(match protocol {
        Protocol::Json => records.poll_text()?,
        Protocol::MessagePack => records.poll_binary()?,
    })
}
