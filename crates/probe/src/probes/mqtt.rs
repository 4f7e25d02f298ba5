//! MQTT: CONNECT in 5.0, then in 3.1.1 where that is refused; over TCP, TLS and WebSocket.
//!
//! A server that asks for a login has shown that it speaks MQTT, and that is what a lane needs: a
//! probe has no login. The client's name is random, so that no device's session is taken over.

use bytes::BytesMut;
use futures_util::{
    FutureExt, SinkExt, StreamExt,
    future::{BoxFuture, Either},
};
use outgate_mqtt::{
    packet::{ConnAck, Connect, Decoder, Disconnect, Packet, Peer, ReasonCode, Version, encode},
    text::Text,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Duration, Instant, timeout},
};
use tokio_tungstenite::tungstenite::Message;

use super::tls;
use crate::{
    ask::Ask,
    evidence::{Finding, MqttEvidence, Outcome, PhaseName, Trouble, Unit},
    families::exercise,
    path::Path,
    registry::{Probe, Sent},
    run::{Run, Stop},
    stream::{Stream, conclude, open_plain, open_tls, open_tls_for},
    text::cut,
    tls::before_answer,
    websocket::{Socket, stop_of, upgrade},
};

/// Largest answer that is taken, in bytes.
const ANSWER_MAX: usize = 16_384;
/// Bytes that are read at a time.
const READ_MAX: usize = 4096;
/// WebSocket messages in which an answer may come.
const MESSAGES_MAX: u32 = 100;
/// Longest CONNECT and DISCONNECT: fixed headers, `MQTT`, level, flags, keep-alive, two lengths of
/// properties, the client's name and the goodbye.
const SENT_MAX: usize = 64;
/// After how many seconds of silence the server may take us for gone.
const KEEP_ALIVE: u16 = 60;
/// How long a goodbye may take, if the time-out leaves as much.
const CLOSE_WAIT: Duration = Duration::from_secs(2);
/// Longest text of the server that is kept, in characters.
const TEXT_MAX: usize = 256;
/// The subprotocol of MQTT over WebSocket [MQTT-6.0.0-3].
const SUBPROTOCOL: &str = "mqtt";
/// The first byte of a CONNACK.
const CONNACK: u8 = 0x20;
/// Bytes after the fixed header of a CONNACK of 3.1.1. That of 5.0 has one more at least.
const CONNACK_3_1_1_LEN: u8 = 2;

/// MQTT over TCP.
pub(crate) struct Mqtt;

impl Probe for Mqtt {
    fn protocols(&self) -> &'static [&'static str] {
        &["mqtt"]
    }

    fn sends(&self, _: &Ask) -> Vec<Sent> {
        vec![sent()]
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run, Way::Tcp).boxed()).boxed()
    }
}

/// MQTT over TLS.
pub(crate) struct Mqtts;

impl Probe for Mqtts {
    fn protocols(&self) -> &'static [&'static str] {
        &["mqtts"]
    }

    fn sends(&self, _: &Ask) -> Vec<Sent> {
        twice(tls::sent()).chain([sent()]).collect()
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run, Way::Tls).boxed()).boxed()
    }
}

/// MQTT over WebSocket over TLS.
pub(crate) struct MqttWss;

impl Probe for MqttWss {
    fn protocols(&self) -> &'static [&'static str] {
        &["mqtt-wss"]
    }

    fn sends(&self, ask: &Ask) -> Vec<Sent> {
        let size = 340 + ask.host.word().len() + ask.http.path.len();
        let handshake = format!("a WebSocket handshake, GET {}", ask.http.path);
        twice(tls::sent())
            .chain([Sent::new(&handshake, size, 2), sent()])
            .collect()
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run, Way::WebSocket).boxed()).boxed()
    }
}

fn sent() -> Sent {
    let what = "an MQTT CONNECT without a login, in 5.0 and if need be in 3.1.1, and a DISCONNECT";
    Sent::new(what, SENT_MAX, 2)
}

/// Whoever does not speak MQTT 5.0 is connected to once more.
fn twice(sent: [Sent; 3]) -> impl Iterator<Item = Sent> {
    sent.into_iter().map(|sent| Sent {
        times_at_most: 2 * sent.times_at_most,
        ..sent
    })
}

/// What carries MQTT.
#[derive(Clone, Copy)]
enum Way {
    Tcp,
    Tls,
    WebSocket,
}

async fn attempt(run: &mut Run<'_>, way: Way) -> Result<(), Stop> {
    match connect(run, way, Version::V5).await? {
        Answer::Given => judge(run),
        Answer::OlderWanted(_) => match connect(run, way, Version::V3_1_1).await? {
            Answer::Given => judge(run),
            Answer::OlderWanted(stop) => Err(stop),
        },
    }
}

/// What came of a CONNECT.
enum Answer {
    /// A CONNACK that does not speak of versions; it stands in the evidence.
    Given,
    /// The server does not speak this version: it says so, or hangs up, as servers do that know
    /// 3.1.1 alone. Holds what to say when no older version is left to try.
    OlderWanted(Stop),
}

async fn connect(run: &mut Run<'_>, way: Way, version: Version) -> Result<Answer, Stop> {
    let opened = match way {
        Way::Tcp => open_plain(run).await?,
        Way::Tls => open_tls_for(run, &[]).await?,
        Way::WebSocket => open_tls(run).await?,
    };
    // No clock of the server comes with MQTT, so a certificate's dates decide as they are.
    if let Some(doubt) = opened.doubt.as_ref()
        && doubt.outcome == Outcome::Fail
    {
        return Err(doubt.clone());
    }
    let mut carrier = match way {
        Way::Tcp | Way::Tls => Carrier::Bytes(opened.stream),
        Way::WebSocket => {
            let scheme = ("wss", 443);
            let path = run.ask.http.path.as_str();
            match upgrade(run, opened.stream, scheme, path, Some(SUBPROTOCOL)).await {
                Ok(socket) => Carrier::Socket(Box::new(socket)),
                Err(stop) => return conclude(opened.doubt, Err(stop)).map(|()| Answer::Given),
            }
        }
    };
    let answer = exchange(run, &mut carrier, version).await;
    if answer.is_ok() {
        goodbye(run, carrier, version).await;
    }
    match answer {
        Ok(answer) => {
            let answer = note(run, answer);
            conclude(opened.doubt, Ok(())).map(|()| answer)
        }
        Err(stop) if hung_up(&stop) => Ok(Answer::OlderWanted(stop)),
        Err(stop) => conclude(opened.doubt, Err(stop)).map(|()| Answer::Given),
    }
}

fn hung_up(stop: &Stop) -> bool {
    let phase = PhaseName::MqttConnect;
    stop.trouble == Trouble::Closed { phase } || stop.trouble == Trouble::Reset { phase }
}

/// Sends a CONNECT and waits for its CONNACK, and the version it is written in.
async fn exchange(
    run: &mut Run<'_>,
    carrier: &mut Carrier,
    version: Version,
) -> Result<(ConnAck, Version), Stop> {
    let question = question(run, version)?;
    let exchange = async {
        carrier.send(question).await?;
        carrier.answer(version).await
    };
    run.phase(PhaseName::MqttConnect, exchange)
        .await
        .map_err(|stop| before_answer(run, stop))
}

fn question(run: &Run<'_>, version: Version) -> Result<BytesMut, Stop> {
    let random: [u8; 6] = run.path.tls().random()?;
    let mut name = "outgate".to_owned();
    for byte in random {
        name.push_str(&format!("{byte:02x}"));
    }
    let mut connect = Connect::new(version, Text::lossy(&name));
    connect.clean_start = true;
    connect.session_expiry = 0;
    connect.keep_alive = KEEP_ALIVE;
    written(&Packet::Connect(Box::new(connect)), version)
}

fn written(packet: &Packet, version: Version) -> Result<BytesMut, Stop> {
    let mut bytes = BytesMut::new();
    encode(packet, version, &mut bytes).map_err(|error| Trouble::Local {
        what: error.to_string(),
    })?;
    Ok(bytes)
}

/// Notes what the server answered.
fn note(run: &mut Run<'_>, (answer, version): (ConnAck, Version)) -> Answer {
    let reason = answer.reason;
    run.attempt.mqtt = Some(MqttEvidence {
        version: match version {
            Version::V5 => "5.0",
            Version::V3_1_1 | Version::V3_1 => "3.1.1",
        },
        code: reason.number(),
        reason: reason.to_string(),
        words: answer.reason_string.map(|words| cut(&words, TEXT_MAX)),
        login_wanted: wants_login(reason),
    });
    if reason == ReasonCode::UnsupportedProtocolVersion {
        Answer::OlderWanted(refused(reason.number(), reason.to_string()))
    } else {
        Answer::Given
    }
}

/// Whether a refusal is one of who asks, and not of the asking: the server speaks MQTT.
fn wants_login(reason: ReasonCode) -> bool {
    matches!(
        reason,
        ReasonCode::BadUserNameOrPassword
            | ReasonCode::NotAuthorized
            | ReasonCode::BadAuthenticationMethod
            | ReasonCode::ClientIdentifierNotValid
    )
}

fn judge(run: &Run<'_>) -> Result<(), Stop> {
    match &run.attempt.mqtt {
        Some(mqtt) if mqtt.code != 0 && !mqtt.login_wanted => {
            Err(refused(mqtt.code, mqtt.reason.clone()))
        }
        Some(_) | None => Ok(()),
    }
}

fn refused(code: u8, reason: String) -> Stop {
    Trouble::MqttRefused { code, reason }.into()
}

/// Ends the conversation as MQTT wants it, so that no will is published and no log complains. What
/// happens then does not matter.
async fn goodbye(run: &mut Run<'_>, mut carrier: Carrier, version: Version) {
    let last = Packet::Disconnect(Disconnect::new(ReasonCode::Success));
    let farewell = async {
        if let Ok(bytes) = written(&last, version) {
            let _ = timeout(CLOSE_WAIT, carrier.end_with(bytes)).await;
        }
        Ok(())
    };
    let _ = run.phase(PhaseName::Close, farewell).await;
}

/// What MQTT's bytes flow through.
enum Carrier {
    Bytes(Box<dyn Stream>),
    Socket(Box<Socket>),
}

impl Carrier {
    async fn send(&mut self, bytes: BytesMut) -> Result<(), Stop> {
        let start = Instant::now();
        match self {
            Self::Bytes(stream) => {
                let sending = async {
                    stream.write_all(&bytes).await?;
                    // TLS may keep it for a while otherwise, and reading does not send it.
                    stream.flush().await
                };
                let sent = sending.await;
                sent.map_err(|error| Stop::io(&error, PhaseName::MqttConnect, start))
            }
            Self::Socket(socket) => socket
                .send(Message::Binary(bytes.freeze()))
                .await
                .map_err(|error| stop_of(&error, PhaseName::MqttConnect, start)),
        }
    }

    /// Reads a CONNACK. To a CONNECT of 5.0 a server that speaks only 3.1.1 answers in that.
    async fn answer(&mut self, asked: Version) -> Result<(ConnAck, Version), Stop> {
        let mut buffer = BytesMut::new();
        for _ in 0..MESSAGES_MAX {
            match read(&mut buffer, asked)? {
                Either::Left(answer) => return Ok(answer),
                Either::Right(()) => self.more(&mut buffer).await?,
            }
        }
        Err(Trouble::TooMuch {
            bound: MESSAGES_MAX.into(),
            unit: Unit::Messages,
        }
        .into())
    }

    /// Waits for more bytes.
    async fn more(&mut self, buffer: &mut BytesMut) -> Result<(), Stop> {
        let start = Instant::now();
        let phase = PhaseName::MqttConnect;
        match self {
            Self::Bytes(stream) => {
                let mut bytes = [0; READ_MAX];
                match stream.read(&mut bytes).await {
                    Ok(0) => Err(Trouble::Closed { phase }.into()),
                    Ok(read) => {
                        buffer.extend_from_slice(bytes.get(..read).unwrap_or_default());
                        Ok(())
                    }
                    Err(error) => Err(Stop::io(&error, phase, start)),
                }
            }
            Self::Socket(socket) => match socket.next().await {
                Some(Ok(Message::Binary(bytes))) => {
                    buffer.extend_from_slice(&bytes);
                    Ok(())
                }
                // MQTT travels in binary messages alone [MQTT-6.0.0-1].
                Some(Ok(Message::Text(_) | Message::Frame(_))) => Err(Trouble::NotMqtt.into()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                Some(Ok(Message::Close(_))) | None => Err(Trouble::Closed { phase }.into()),
                Some(Err(error)) => Err(stop_of(&error, phase, start)),
            },
        }
    }

    async fn end_with(&mut self, bytes: BytesMut) {
        if self.send(bytes).await.is_err() {
            return;
        }
        match self {
            Self::Bytes(stream) => {
                let _ = stream.shutdown().await;
            }
            Self::Socket(socket) => {
                let _ = (**socket).close(None).await;
            }
        }
    }
}

/// Takes a CONNACK out of what has come so far; right when there is no whole one yet.
fn read(buffer: &mut BytesMut, asked: Version) -> Result<Either<(ConnAck, Version), ()>, Stop> {
    let version = match buffer.as_ref() {
        [] | [CONNACK] => return Ok(Either::Right(())),
        [CONNACK, CONNACK_3_1_1_LEN, ..] => Version::V3_1_1,
        [CONNACK, ..] => asked,
        [_, ..] => return Err(Trouble::NotMqtt.into()),
    };
    let decoder = Decoder {
        version,
        max_size: ANSWER_MAX,
        from: Peer::Server,
    };
    match decoder.decode(buffer) {
        Ok(Some(Packet::ConnAck(answer))) => Ok(Either::Left((*answer, version))),
        Ok(Some(_)) => Err(Trouble::NotMqtt.into()),
        Ok(None) => Ok(Either::Right(())),
        Err(outgate_mqtt::packet::DecodeError::TooLarge) => Err(Trouble::TooMuch {
            bound: ANSWER_MAX as u64,
            unit: Unit::MessageBytes,
        }
        .into()),
        Err(error) => Err(Trouble::Malformed {
            what: error.to_string(),
        }
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::BufStream;

    use super::*;

    fn reading(bytes: &[u8]) -> Result<Option<(u8, Version)>, Trouble> {
        match read(&mut BytesMut::from(bytes), Version::V5) {
            Ok(Either::Left((answer, version))) => Ok(Some((answer.reason.number(), version))),
            Ok(Either::Right(())) => Ok(None),
            Err(stop) => Err(stop.trouble),
        }
    }

    #[tokio::test]
    async fn a_stream_that_keeps_what_it_is_given_until_it_is_flushed_sends_it() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut carrier = Carrier::Bytes(Box::new(BufStream::new(near)));
        let asked = carrier.send(BytesMut::from(&b"asked"[..])).await;
        asked.unwrap();
        let mut heard = [0; 5];
        let came = far.read_exact(&mut heard).now_or_never();
        came.unwrap().unwrap();
        assert_eq!(&heard, b"asked");
    }

    #[test]
    fn an_answer_is_read_in_the_version_it_is_written_in() {
        assert_eq!(
            reading(&[0x20, 3, 0, 0x87, 0]),
            Ok(Some((0x87, Version::V5)))
        );
        // Unacceptable protocol version, as a server says it that knows nothing after 3.1.1.
        let old = Ok(Some((0x84, Version::V3_1_1)));
        assert_eq!(reading(&[0x20, 2, 0, 1]), old);
    }

    #[test]
    fn an_answer_in_pieces_is_waited_for_and_nonsense_is_not() {
        for piece in [&[][..], &[0x20], &[0x20, 3], &[0x20, 3, 0, 0]] {
            assert_eq!(reading(piece), Ok(None), "{piece:?}");
        }
        assert_eq!(reading(b"HTTP/1.1 400 Bad"), Err(Trouble::NotMqtt));
        let endless = reading(&[0x20, 0xff, 0xff, 0xff, 0x7f]);
        assert!(
            matches!(endless, Err(Trouble::TooMuch { .. })),
            "{endless:?}"
        );
        let reserved = reading(&[0x20, 2, 2, 0]);
        assert!(
            matches!(reserved, Err(Trouble::Malformed { .. })),
            "{reserved:?}"
        );
    }
}
