//! What is said to a server and what it says, as far as it is measured.

use bytes::Bytes;

use super::frames::{BINARY, TEXT, masked};

/// The text that is sent to and fro: 100 bytes.
const TEXT_SENT: &str = "0123456789012345678901234567890123456789\
                         012345678901234567890123456789012345678901234567890123456789";

/// Calls of one connection that are on their way at a time. Their ids are one digit.
pub(crate) const WINDOW: usize = 8;

/// That one is there.
const PING_JSON: &[u8] = b"{\"type\":6}\x1e";
const PING_MESSAGE_PACK: &[u8] = &[2, 0x91, 6];

/// What a server speaks over WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// SignalR in JSON.
    Json,
    /// SignalR in MessagePack.
    MessagePack,
    /// Socket.IO 5 over Engine.IO 4.
    SocketIo,
    /// Texts, which come back as they are.
    Echo,
}

/// A step of what comes before anything else.
pub(crate) enum Step {
    /// Sends this.
    Say(Vec<u8>),
    /// Waits for a message that begins so.
    Hear(&'static [u8]),
}

impl Dialect {
    /// Where its WebSocket is.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Json | Self::MessagePack => "/hub",
            Self::SocketIo => "/socket.io/?EIO=4&transport=websocket",
            Self::Echo => "/",
        }
    }

    /// What comes before anything else.
    pub(crate) fn greeting(self) -> Vec<Step> {
        let shake = |protocol: &str| {
            let request = format!("{{\"protocol\":\"{protocol}\",\"version\":1}}\x1e");
            vec![Step::Say(self.frame(request.as_bytes())), Step::Hear(b"{}")]
        };
        match self {
            Self::Json => shake("json"),
            Self::MessagePack => shake("messagepack"),
            Self::SocketIo => vec![
                Step::Hear(b"0{"),
                Step::Say(self.frame(b"40")),
                Step::Hear(b"40"),
            ],
            Self::Echo => Vec::new(),
        }
    }

    /// The call of that number, below [`WINDOW`], as a frame.
    pub(crate) fn call(self, number: usize) -> Vec<u8> {
        let call = match self {
            Self::Json => format!(
                "{{\"type\":1,\"invocationId\":\"{number}\",\"target\":\"Echo\",\
                 \"arguments\":[\"{TEXT_SENT}\"]}}\x1e"
            )
            .into(),
            Self::MessagePack => {
                let mut body = vec![0x95, 1, 0x80];
                body.extend(packed(&number.to_string()));
                body.extend(packed("Echo"));
                body.push(0x91);
                body.extend(packed(TEXT_SENT));
                with_length(body)
            }
            Self::SocketIo => format!("42{number}[\"echo\",\"{TEXT_SENT}\"]").into(),
            Self::Echo => format!("{number} {TEXT_SENT}").into(),
        };
        self.frame(&call)
    }

    /// What the server says to the call of that number, as it comes out of [`Dialect::record`].
    pub(crate) fn answer(self, number: usize) -> Vec<u8> {
        match self {
            Self::Json => format!(
                "{{\"type\":3,\"invocationId\":\"{number}\",\"result\":\"{TEXT_SENT}\"}}\x1e"
            )
            .into(),
            Self::MessagePack => {
                let mut body = vec![0x95, 3, 0x80];
                body.extend(packed(&number.to_string()));
                body.push(3);
                body.extend(packed(TEXT_SENT));
                with_length(body)
            }
            Self::SocketIo => format!("43{number}[\"{TEXT_SENT}\"]").into(),
            Self::Echo => format!("{number} {TEXT_SENT}").into(),
        }
    }

    /// Has the server tell everybody, as a frame.
    pub(crate) fn broadcast(self) -> Vec<u8> {
        let call = match self {
            Self::Json | Self::MessagePack => self.invocation("Broadcast"),
            Self::SocketIo => format!("42[\"broadcast\",\"{TEXT_SENT}\"]").into(),
            Self::Echo => self.news(),
        };
        self.frame(&call)
    }

    /// What everybody is told then.
    pub(crate) fn news(self) -> Vec<u8> {
        match self {
            Self::Json | Self::MessagePack => self.invocation("News"),
            Self::SocketIo => format!("42[\"news\",\"{TEXT_SENT}\"]").into(),
            Self::Echo => format!("news {TEXT_SENT}").into(),
        }
    }

    /// An invocation of SignalR that nobody waits for.
    fn invocation(self, target: &str) -> Vec<u8> {
        if self == Self::MessagePack {
            let mut body = vec![0x96, 1, 0x80, 0xc0];
            body.extend(packed(target));
            body.push(0x91);
            body.extend(packed(TEXT_SENT));
            // No streams.
            body.push(0x90);
            return with_length(body);
        }
        format!("{{\"type\":1,\"target\":\"{target}\",\"arguments\":[\"{TEXT_SENT}\"]}}\x1e").into()
    }

    /// What the client says from time to time by itself, as a frame.
    pub(crate) fn ping(self) -> Option<Vec<u8>> {
        match self {
            Self::Json => Some(self.frame(PING_JSON)),
            Self::MessagePack => Some(self.frame(PING_MESSAGE_PACK)),
            Self::SocketIo | Self::Echo => None,
        }
    }

    /// What the client answers to that, as a frame.
    pub(crate) fn pong(self, record: &[u8]) -> Option<Vec<u8>> {
        (self == Self::SocketIo && self.is_ping(record)).then(|| self.frame(b"3"))
    }

    /// Whether the server says it by itself: that it is there.
    pub(crate) fn is_ping(self, record: &[u8]) -> bool {
        match self {
            Self::Json => record == PING_JSON,
            Self::MessagePack => record == PING_MESSAGE_PACK,
            Self::SocketIo => record == b"2",
            Self::Echo => false,
        }
    }

    /// Takes the first of the records in a message.
    pub(crate) fn record(self, message: &mut Bytes) -> Option<Bytes> {
        let length = match self {
            Self::Json => message.iter().position(|&byte| byte == 0x1e)? + 1,
            Self::MessagePack => {
                let (low, high) = (*message.first()?, message.get(1).copied());
                // Two bytes say lengths up to 16,383; nothing here is longer.
                match high {
                    Some(high) if low & 0x80 != 0 => {
                        2 + (usize::from(high) << 7 | usize::from(low & 0x7f))
                    }
                    _ => 1 + usize::from(low),
                }
            }
            Self::SocketIo | Self::Echo => message.len(),
        };
        (length > 0 && length <= message.len()).then(|| message.split_to(length))
    }

    fn frame(self, payload: &[u8]) -> Vec<u8> {
        let opcode = if self == Self::MessagePack {
            BINARY
        } else {
            TEXT
        };
        masked(opcode, payload)
    }
}

/// A text of MessagePack, of at most 255 bytes.
fn packed(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    let mut bytes = if length < 32 {
        vec![0xa0 | length]
    } else {
        vec![0xd9, length]
    };
    bytes.extend(text.as_bytes());
    bytes
}

/// A record with its length in front.
fn with_length(body: Vec<u8>) -> Vec<u8> {
    let mut record = Vec::with_capacity(body.len() + 2);
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    let [high, low] = [length >> 7, length & 0x7f].map(|it| u8::try_from(it).unwrap_or(u8::MAX));
    if high == 0 {
        record.push(low);
    } else {
        record.extend([low | 0x80, high]);
    }
    record.extend(body);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_several_records_is_divided_into_them() {
        for dialect in [Dialect::Json, Dialect::MessagePack] {
            let said = [dialect.answer(0), dialect.news(), dialect.answer(7)];
            let mut message = Bytes::from(said.concat());
            let records: Vec<_> = std::iter::from_fn(|| dialect.record(&mut message)).collect();
            assert_eq!(records, said, "{dialect:?}");
        }
    }
}
