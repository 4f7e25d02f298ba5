//! A connection to the hub: a transport over which the hub has answered the handshake.

use std::sync::Arc;

use bytes::Bytes;
use outgate_signalr::framing::Records;
use outgate_signalr::handshake::{Answer, Request};
use outgate_signalr::ladder::Rung;
use outgate_signalr::{Protocol, negotiate::Transport};
use tokio::time::timeout;

use crate::error::Cause;
use crate::http::Server;
use crate::settings::Settings;
use crate::transport::{self, Opening, Reader, Writer};

const HANDSHAKE: &str = "the handshake";

/// A connection that works.
pub(crate) struct Link {
    pub(crate) transport: Transport,
    pub(crate) connection_id: Option<String>,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    /// What the hub has said behind its answer to the handshake.
    pub(crate) records: Records,
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
        let opening = Opening {
            server,
            target: server.url.connection(token),
            protocol: settings.protocol,
            message_max: settings.message_max,
            poll_limit: settings.poll_limit,
        };
        let (mut reader, mut writer) = transport::open(rung.transport, opening).await?;
        let request = Request::new(settings.protocol).to_bytes();
        writer.send(&[Bytes::from(request)]).await?;
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
