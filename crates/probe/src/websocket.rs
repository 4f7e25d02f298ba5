//! What probes that speak over a WebSocket share: the handshake (RFC 6455 §4), and what errors mean.

use std::time::Duration;

use http::{Request, header};
use tokio::time::Instant;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Error, handshake::client::generate_key, protocol::WebSocketConfig},
};

use crate::{
    evidence::{PhaseName, Trouble, Unit, WebSocketEvidence},
    http::{USER_AGENT, authority, evidence},
    run::{Run, Stop},
    stream::Stream,
    text::cut,
    tls::before_answer,
};

/// Longest message that is taken.
const MESSAGE_MAX: usize = 65_536;
/// Longest subprotocol that is kept, in characters.
const TEXT_MAX: usize = 256;

/// An open WebSocket.
pub(crate) type Socket = WebSocketStream<Box<dyn Stream>>;

/// Makes the handshake. `scheme` has the port that its URLs leave out. With a subprotocol the server
/// must choose it (RFC 6455 §4.1).
pub(crate) async fn upgrade(
    run: &mut Run<'_>,
    stream: Box<dyn Stream>,
    (scheme, usual_port): (&str, u16),
    path: &str,
    subprotocol: Option<&str>,
) -> Result<Socket, Stop> {
    let authority = authority(run, usual_port);
    let mut request = Request::get(format!("{scheme}://{authority}{path}"))
        .header(header::HOST, &authority)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, generate_key());
    if let Some(subprotocol) = subprotocol {
        request = request.header(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    let request = request.body(()).map_err(|error| Trouble::BadAsk {
        what: error.to_string(),
    })?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX));
    let handshake = client_async_with_config(request, stream, Some(config));
    let start = Instant::now();
    match run
        .phase(PhaseName::Upgrade, async { Ok(handshake.await) })
        .await?
    {
        Ok((socket, response)) => {
            let headers = response.headers();
            run.attempt.http = Some(evidence(response.status(), headers, run.path.now()));
            let subprotocol = headers.get(header::SEC_WEBSOCKET_PROTOCOL);
            run.attempt.websocket = Some(WebSocketEvidence {
                subprotocol: subprotocol
                    .map(|value| cut(&String::from_utf8_lossy(value.as_bytes()), TEXT_MAX)),
                pong: None,
                echo: None,
                held: Duration::ZERO,
                messages: 0,
            });
            Ok(socket)
        }
        Err(Error::Http(response)) => {
            let status = response.status();
            run.attempt.http = Some(evidence(status, response.headers(), run.path.now()));
            let trouble = Trouble::UpgradeRefused {
                status: status.as_u16(),
            };
            // The server was reached, but whether a WebSocket gets through was not shown.
            let reached = status.as_u16() < 500 && status.as_u16() != 407;
            Err(if reached {
                Stop::warn(trouble)
            } else {
                trouble.into()
            })
        }
        Err(error) => {
            let stop = stop_of(&error, PhaseName::Upgrade, start);
            Err(before_answer(run, stop))
        }
    }
}

/// What an error of a WebSocket means.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest are answers that break the protocol"
)]
pub(crate) fn stop_of(error: &Error, phase: PhaseName, since: Instant) -> Stop {
    use tokio_tungstenite::tungstenite::error::ProtocolError;

    match error {
        Error::Io(error) => Stop::io(error, phase, since),
        Error::ConnectionClosed | Error::AlreadyClosed => Trouble::Closed { phase }.into(),
        Error::Protocol(
            ProtocolError::HandshakeIncomplete | ProtocolError::ResetWithoutClosingHandshake,
        ) => Trouble::Closed { phase }.into(),
        Error::Protocol(ProtocolError::HttparseError(_)) => Trouble::NotHttp.into(),
        Error::Capacity(_) | Error::AttackAttempt => Trouble::TooMuch {
            bound: MESSAGE_MAX as u64,
            unit: Unit::MessageBytes,
        }
        .into(),
        other if phase == PhaseName::Upgrade => Trouble::UpgradeBroken {
            why: other.to_string(),
        }
        .into(),
        other => Trouble::Malformed {
            what: other.to_string(),
        }
        .into(),
    }
}
