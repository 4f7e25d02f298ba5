//! An MQTT server at which nobody has a login: it answers a CONNECT, over TCP, TLS or WebSocket.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use outgate_mqtt::packet::{ConnAck, Packet, ReasonCode, Version, decode, encode};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async_with_config,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::HeaderValue,
        protocol::WebSocketConfig,
    },
};

use crate::{
    Place, Stage, StageError, listen,
    stage::listen as listen_at,
    tls::{self, Door},
};

/// The largest CONNECT that is read, in bytes.
const MAX_CONNECT: usize = 4096;
/// The longest that a client may take to say who it is.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The WebSocket subprotocol (MQTT 5.0 section 6).
const SUBPROTOCOL: &str = "mqtt";

impl Stage {
    /// Starts MQTT 3.1.1 and 5.0 over TCP. It reads a CONNECT and answers that it wants a login.
    ///
    /// # Errors
    /// The place is taken.
    pub async fn mqtt(&mut self, place: Place) -> Result<SocketAddr, StageError> {
        let (listener, address) = listen_at(place).await?;
        self.servers.spawn(listen::serve_each(listener, greet));
        Ok(address)
    }

    /// Starts the same over TLS, for these names.
    ///
    /// # Errors
    /// A name cannot stand in a certificate, or the place is taken.
    pub async fn mqtts(
        &mut self,
        place: Place,
        names: &[String],
    ) -> Result<SocketAddr, StageError> {
        let door = self.door(names)?;
        let (listener, address) = listen_at(place).await?;
        let serving = listen::serve_each(listener, move |stream| {
            let door = door.clone();
            async move {
                if let Some(stream) = tls::secured(stream, &door).await {
                    greet(stream).await;
                }
            }
        });
        self.servers.spawn(serving);
        Ok(address)
    }

    /// Starts the same over WebSocket over TLS, on any path.
    ///
    /// # Errors
    /// A name cannot stand in a certificate, or the place is taken.
    pub async fn mqtt_wss(
        &mut self,
        place: Place,
        names: &[String],
    ) -> Result<SocketAddr, StageError> {
        let door = self.door(names)?;
        let (listener, address) = listen_at(place).await?;
        let serving = listen::serve_each(listener, move |stream| over_socket(stream, door.clone()));
        self.servers.spawn(serving);
        Ok(address)
    }
}

/// Reads a CONNECT and answers it. Whoever says something else, or nothing, is left.
async fn greet(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut heard = BytesMut::new();
    let mut chunk = [0; 1024];
    let listening = async {
        loop {
            let length = stream.read(&mut chunk).await.ok().filter(|it| *it > 0)?;
            heard.extend_from_slice(chunk.get(..length)?);
            if let Some(answer) = answer(&mut heard)? {
                return Some(answer);
            }
        }
    };
    let Ok(Some(answer)) = time::timeout(CONNECT_TIMEOUT, listening).await else {
        return;
    };
    if stream.write_all(&answer).await.is_ok() {
        listen::close(stream).await;
    }
}

async fn over_socket(stream: tokio::net::TcpStream, door: Arc<Door>) {
    let Some(stream) = tls::secured(stream, &door).await else {
        return;
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_CONNECT))
        .max_frame_size(Some(MAX_CONNECT));
    let upgrade = accept_hdr_async_with_config(stream, choose, Some(config));
    if let Ok(Ok(socket)) = time::timeout(CONNECT_TIMEOUT, upgrade).await {
        // However it ends, the connection is dropped.
        let _ended = time::timeout(CONNECT_TIMEOUT, greet_in_socket(socket)).await;
    }
}

async fn greet_in_socket<S>(mut socket: WebSocketStream<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut heard = BytesMut::new();
    while let Some(Ok(message)) = socket.next().await {
        // MQTT travels in binary messages alone [MQTT-6.0.0-1].
        let Message::Binary(bytes) = message else {
            continue;
        };
        heard.extend_from_slice(&bytes);
        match answer(&mut heard) {
            Some(None) => {}
            Some(Some(answer)) => {
                let answer = Message::Binary(answer.freeze());
                if socket.send(answer).await.is_ok() {
                    // The goodbye is the client's to hear or not.
                    let _closed = socket.close(None).await;
                }
                return;
            }
            None => return,
        }
    }
}

/// Chooses the subprotocol, which a client must have offered [MQTT-6.0.0-3].
#[expect(
    clippy::result_large_err,
    reason = "the type is that of the WebSocket library"
)]
fn choose(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered = request.headers().get_all("sec-websocket-protocol").iter();
    let mut words = offered.filter_map(|value| value.to_str().ok());
    if !words.any(|words| words.split(',').any(|word| word.trim() == SUBPROTOCOL)) {
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = http::StatusCode::BAD_REQUEST;
        return Err(refusal);
    }
    let chosen = HeaderValue::from_static(SUBPROTOCOL);
    response
        .headers_mut()
        .insert("sec-websocket-protocol", chosen);
    Ok(response)
}

/// The answer to a whole CONNECT; `Some(None)` when it is not whole yet, `None` to all else.
#[expect(
    clippy::option_option,
    reason = "not yet and never are told apart for a few lines only"
)]
fn answer(heard: &mut BytesMut) -> Option<Option<BytesMut>> {
    let Some(packet) = decode(heard, Version::V5, MAX_CONNECT).ok()? else {
        return Some(None);
    };
    let Packet::Connect(connect) = packet else {
        return None;
    };
    let refusal = ConnAck::new(ReasonCode::NotAuthorized);
    let mut answer = BytesMut::new();
    encode(
        &Packet::ConnAck(Box::new(refusal)),
        connect.version,
        &mut answer,
    )
    .ok()?;
    Some(Some(answer))
}

#[cfg(test)]
mod tests {
    use outgate_mqtt::packet::Connect;
    use outgate_mqtt::text::Text;

    use super::*;

    fn connect(version: Version) -> BytesMut {
        let mut bytes = BytesMut::new();
        let connect = Connect::new(version, Text::lossy("a-client"));
        encode(&Packet::Connect(Box::new(connect)), version, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_client_of_either_version_is_told_that_it_may_not_and_in_its_own_words() {
        let told = answer(&mut connect(Version::V3_1_1)).unwrap().unwrap();
        assert_eq!(told.as_ref(), [0x20, 2, 0, 5]);
        let told = answer(&mut connect(Version::V5)).unwrap().unwrap();
        assert_eq!(told.as_ref(), [0x20, 3, 0, 0x87, 0]);
    }

    #[test]
    fn a_part_is_waited_for_and_what_is_not_a_connect_is_left() {
        let mut part = connect(Version::V5).split_to(5);
        assert_eq!(answer(&mut part), Some(None));
        assert_eq!(answer(&mut BytesMut::from(&[0xc0, 0][..])), None);
        assert_eq!(answer(&mut BytesMut::from(&b"GET / HTTP/1.1"[..])), None);
    }
}
