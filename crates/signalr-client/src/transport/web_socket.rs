//! WebSocket (RFC 6455).

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::{Method, StatusCode, header};
use outgate_signalr::Protocol;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::{
    CloseFrame, WebSocketConfig, frame::coding::CloseCode,
};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::Opening;
use crate::connect::Stream;
use crate::error::Cause;
use crate::http::status;

const UPGRADE: &str = "the WebSocket's handshake";
/// How many bytes beside a message of the greatest length one of WebSocket may have: servers put
/// what waits into one.
const BATCH: usize = 128 * 1024;
/// Bytes that are read at once. Messages are short, and connections many.
const READ_BUFFER: usize = 8 * 1024;
/// How long the server may take to answer a close.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

type Socket = WebSocketStream<Box<dyn Stream>>;

pub(crate) struct Reader(SplitStream<Socket>);

pub(crate) struct Writer {
    sink: SplitSink<Socket, Message>,
    protocol: Protocol,
}

pub(super) async fn open(opening: Opening<'_>) -> Result<(Reader, Writer), Cause> {
    let limit = opening.server.way.request_limit;
    let upgrading = timeout(limit, upgrade_twice(&opening)).await;
    let socket = upgrading.map_err(|_| Cause::TimedOut {
        what: UPGRADE,
        limit,
    })??;
    let (sink, stream) = socket.split();
    let protocol = opening.protocol;
    Ok((Reader(stream), Writer { sink, protocol }))
}

/// Once more with another token if that was refused.
async fn upgrade_twice(opening: &Opening<'_>) -> Result<Socket, Cause> {
    let first = upgrade(opening).await;
    let refused = matches!(&first, Err(Cause::Status { status, .. })
        if *status == StatusCode::UNAUTHORIZED.as_u16());
    if refused && opening.server.renew_token().await? {
        return upgrade(opening).await;
    }
    first
}

async fn upgrade(opening: &Opening<'_>) -> Result<Socket, Cause> {
    let server = opening.server;
    let scheme = if server.url.authority.secure {
        "wss"
    } else {
        "ws"
    };
    let url = format!("{scheme}://{}{}", server.url.host, opening.target);
    let request = server
        .request(Method::GET, &url)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, generate_key())
        .body(())
        .map_err(|error| Cause::http(UPGRADE, error))?;
    let max = opening.message_max.saturating_add(BATCH);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(max))
        .max_frame_size(Some(max));
    let stream = server.connect().await?;
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, answer)) => {
            server.on_answer(answer.headers());
            Ok(socket)
        }
        Err(Error::Http(answer)) => Err(status(UPGRADE, &answer)),
        Err(error) => Err(error.into()),
    }
}

impl Reader {
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Cause> {
        while let Some(message) = self.0.next().await {
            match message {
                Ok(Message::Text(text)) => return Ok(Some(text.into())),
                Ok(Message::Binary(bytes)) => return Ok(Some(bytes)),
                // The library answers pings and closes by itself; reading on lets it.
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_)) => {
                }
                Err(Error::ConnectionClosed) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

impl Writer {
    pub(super) async fn send(&mut self, records: &[Bytes]) -> Result<(), Cause> {
        for record in records {
            let message = match self.protocol {
                // Microsoft's servers take JSON only as text. All records of it are.
                Protocol::Json => Message::Text(record.clone().try_into().unwrap_or_default()),
                Protocol::MessagePack => Message::Binary(record.clone()),
            };
            self.sink.feed(message).await?;
        }
        Ok(self.sink.flush().await?)
    }

    /// Sends a ping of WebSocket too. Hubs do not answer those of SignalR, and some proxies cut what
    /// is quiet in one direction.
    pub(super) async fn ping(&mut self, record: Bytes) -> Result<(), Cause> {
        self.sink.feed(Message::Ping(Bytes::new())).await?;
        self.send(&[record]).await
    }

    pub(super) async fn close(&mut self) {
        let frame = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        // The connection goes either way.
        let _ = timeout(CLOSE_LIMIT, self.sink.send(Message::Close(Some(frame)))).await;
    }
}
