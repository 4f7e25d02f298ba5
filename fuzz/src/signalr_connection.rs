//! A server's end of a SignalR connection, whatever its client and its user do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use outgate_signalr::connection::{Connection, Event, Frame, Handles, Settings, SlowPeer};
use outgate_signalr::framing::Records;
use outgate_signalr::handshake::Answer;
use outgate_signalr::negotiate::Transport;
use outgate_signalr::{Protocol, encode, json, message_pack};

/// Bounds so small that they are reached.
const WAITING_MAX: usize = 4;
const WAITING_BYTES_MAX: usize = 300;
const REPLAY_MAX: usize = 200;
const STREAMS_MAX: usize = 3;
/// Bytes of the longest message that is sent here.
const SENT_MAX: usize = 100;

#[derive(Debug)]
struct Nothing;

impl Handles for Nothing {
    type Upload = ();
    type Download = ();
    type Waiting = ();
}

/// Reads `data` as what happens on a connection: a byte of settings, and then steps, each a byte
/// that says which, followed where it is the client that speaks by a length and so many bytes.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, more in memory than its bounds say,
/// something after the end, or output that a client could not read.
pub fn signalr_connection(data: &[u8]) {
    let Some((settings, mut rest)) = data.split_first() else {
        return;
    };
    let mut play = Play::new(*settings);
    while let Some((step, after)) = rest.split_first() {
        rest = after;
        match step % 8 {
            0 | 1 => {
                let length = rest.first().map_or(0, |length| usize::from(*length));
                let piece = rest.get(1..).unwrap_or_default();
                let (piece, after) = piece.split_at(length.min(piece.len()));
                rest = after;
                play.connection.handle_bytes(piece, play.now);
            }
            2 => play.now += Duration::from_secs(u64::from(step / 8)),
            3 => play.connection.handle_timeout(play.now),
            4 => play.send(step / 8),
            5 => play.listen(),
            6 if play.stateful => play.resume(),
            6 => {
                let _ = play.connection.wait_for_answer(());
            }
            _ => play.connection.close(Some("enough"), true),
        }
        play.events();
        play.bounds();
    }
    play.listen();
}

struct Play {
    connection: Connection<Nothing>,
    now: Duration,
    stateful: bool,
    transport: Transport,
    protocol: Option<Protocol>,
    ended: bool,
    client: Records,
}

impl Play {
    fn new(settings: u8) -> Self {
        let slow_peer = match settings % 3 {
            0 => SlowPeer::Disconnect,
            1 => SlowPeer::DropOldest,
            _ => SlowPeer::Conflate,
        };
        let transport = match settings / 3 % 3 {
            0 => Transport::WebSockets,
            1 => Transport::ServerSentEvents,
            _ => Transport::LongPolling,
        };
        let stateful = settings >= 128;
        let settings = Settings {
            slow_peer,
            waiting_max: WAITING_MAX,
            waiting_bytes_max: WAITING_BYTES_MAX,
            replay_max: REPLAY_MAX,
            streams_max: STREAMS_MAX,
            answers_max: STREAMS_MAX,
            ..Settings::default()
        };
        let mut connection = Connection::new(Arc::new(settings), stateful);
        connection.handle_transport(transport, Duration::ZERO);
        Self {
            connection,
            now: Duration::ZERO,
            stateful,
            transport,
            protocol: None,
            ended: false,
            client: Records::new(usize::MAX),
        }
    }

    fn send(&mut self, which: u8) {
        let protocol = self.protocol.unwrap_or(Protocol::Json);
        let text = "x".repeat(usize::from(which));
        let Ok(bytes) = encode::invocation(protocol, None, "News", &(text,)) else {
            return;
        };
        assert!(bytes.len() <= SENT_MAX);
        let frame = match which % 3 {
            0 => Frame::needed(bytes),
            1 => Frame::news(bytes, None),
            _ => Frame::news(bytes, Some("key".into())),
        };
        let _ = self.connection.send(frame);
    }

    fn events(&mut self) {
        while let Some(event) = self.connection.poll_event(self.now) {
            assert!(!self.ended, "{event:?} after the end");
            match event {
                Event::Opened => self.protocol = self.connection.protocol(),
                Event::Called(called) => {
                    for id in &called.stream_ids {
                        let _ = self.connection.open_upload(id, ());
                    }
                    if let Some(id) = called.id.filter(|_| called.streamed) {
                        let _ = self.connection.open_download(&id, ());
                    }
                }
                Event::Ended(_) => {
                    self.ended = true;
                    let under_way = self.connection.drain();
                    for many in [
                        under_way.uploads.len(),
                        under_way.downloads.len(),
                        under_way.answers.len(),
                    ] {
                        assert!(many <= STREAMS_MAX);
                    }
                }
                Event::Item { .. }
                | Event::Uploaded { .. }
                | Event::Cancelled { .. }
                | Event::Answered { .. } => {}
            }
        }
    }

    fn bounds(&self) {
        assert!(self.connection.waiting() <= WAITING_MAX);
        let most = WAITING_BYTES_MAX + REPLAY_MAX + SENT_MAX;
        assert!(self.connection.waiting_bytes() <= most);
        assert_eq!(self.connection.is_ended(), self.ended);
    }

    /// The client reads all that there is.
    fn listen(&mut self) {
        while let Some(bytes) = self.connection.poll_output(self.now) {
            self.hear(&bytes);
        }
    }

    fn hear(&mut self, bytes: &Bytes) {
        self.client.handle_bytes(bytes);
        let answer = self.client.poll_text().ok().flatten();
        if answer.is_some_and(|answer| Answer::read(answer).is_ok()) {
            return;
        }
        self.client = Records::new(usize::MAX);
        self.client.handle_bytes(bytes);
        let message = match self.protocol {
            Some(Protocol::MessagePack) => {
                let record = self.client.poll_binary().ok().flatten();
                record
                    .and_then(|record| message_pack::read(record).ok())
                    .is_some()
            }
            Some(Protocol::Json) | None => {
                let record = self.client.poll_text().ok().flatten();
                record.and_then(|record| json::read(record).ok()).is_some()
            }
        };
        assert!(message, "{bytes:?}");
        self.client = Records::new(usize::MAX);
    }

    /// The transport breaks, and what was under way is lost.
    fn resume(&mut self) {
        self.client = Records::new(usize::MAX);
        self.connection.handle_transport(self.transport, self.now);
    }
}
