//! What a hub says over a transport, however it comes in pieces.

use outgate_signalr::{
    MESSAGE_MAX, Message, Protocol, ProtocolError, framing::Records, handshake::Answer, json,
    message_pack,
};

use super::refused;
use crate::{
    evidence::{Trouble, Unit},
    run::Stop,
};

/// What a hub says when it closes a connection without a reason.
const NO_REASON: &str = "the connection is closed";

/// Listens for the answer to the handshake, and after it for the end of the connection.
pub(super) struct Heard {
    protocol: Protocol,
    records: Records,
    welcome: bool,
}

impl Heard {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            records: Records::new(MESSAGE_MAX),
            welcome: false,
        }
    }

    /// Whether the hub has accepted the handshake.
    pub(super) fn is_welcome(&self) -> bool {
        self.welcome
    }

    /// Takes what came.
    pub(super) fn handle_bytes(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.records.handle_bytes(bytes);
        if !self.welcome {
            let Some(record) = self.records.poll_text().map_err(stop)? else {
                return Ok(());
            };
            match Answer::read(record).map_err(stop)? {
                Answer { error: None } => self.welcome = true,
                Answer { error: Some(error) } => return Err(refused(&error)),
            }
        }
        match self.protocol {
            Protocol::Json => {
                while let Some(record) = self.records.poll_text().map_err(stop)? {
                    hear(json::read(record))?;
                }
            }
            Protocol::MessagePack => {
                while let Some(record) = self.records.poll_binary().map_err(stop)? {
                    hear(message_pack::read(record))?;
                }
            }
        }
        Ok(())
    }
}

fn hear<V>(message: Result<Option<Message<V>>, ProtocolError>) -> Result<(), Stop> {
    match message.map_err(stop)? {
        Some(Message::Close { error, .. }) => Err(refused(error.as_deref().unwrap_or(NO_REASON))),
        Some(
            Message::Invocation { .. }
            | Message::StreamItem { .. }
            | Message::Completion { .. }
            | Message::StreamInvocation { .. }
            | Message::CancelInvocation { .. }
            | Message::Ping
            | Message::Ack { .. }
            | Message::Sequence { .. },
        )
        | None => Ok(()),
    }
}

fn stop(error: ProtocolError) -> Stop {
    match error {
        ProtocolError::TooLong { max } => Trouble::TooMuch {
            bound: max as u64,
            unit: Unit::MessageBytes,
        },
        ProtocolError::TooDeep | ProtocolError::Not(_) | ProtocolError::Part(_) => {
            Trouble::NotSignalR
        }
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(pieces: &[&[u8]]) -> Result<bool, Trouble> {
        heard_in(Protocol::Json, pieces)
    }

    fn heard_in(protocol: Protocol, pieces: &[&[u8]]) -> Result<bool, Trouble> {
        let mut heard = Heard::new(protocol);
        for piece in pieces {
            heard.handle_bytes(piece).map_err(|stop| stop.trouble)?;
        }
        Ok(heard.is_welcome())
    }

    fn no(error: &str) -> Result<bool, Trouble> {
        Err(Trouble::SignalRRefused {
            error: error.to_owned(),
        })
    }

    #[test]
    fn a_welcome_may_come_in_pieces_and_with_more_behind_it() {
        assert_eq!(heard(&[b"{", b"}"]), Ok(false));
        assert_eq!(heard(&[b"{", b"}\x1e{\"type\":6}\x1e"]), Ok(true));
        let unknown = b"{}\x1e{\"type\":77}\x1e".as_slice();
        assert_eq!(heard(&[unknown]), Ok(true));
    }

    #[test]
    fn a_refusal_and_an_end_are_told_in_the_hubs_words() {
        assert_eq!(heard(&[b"{\"error\":\"which?\"}\x1e"]), no("which?"));
        let ended = b"{}\x1e{\"type\":7,\"error\":\"full\"}\x1e".as_slice();
        assert_eq!(heard(&[ended]), no("full"));
        assert_eq!(heard(&[b"{}\x1e{\"type\":7}\x1e"]), no(NO_REASON));
    }

    #[test]
    fn behind_the_handshake_messages_may_be_bytes() {
        let packed = |pieces: &[&[u8]]| heard_in(Protocol::MessagePack, pieces);
        assert_eq!(packed(&[b"{}\x1e\x02", b"\x91\x06"]), Ok(true));
        assert_eq!(packed(&[b"{}\x1e\x08\x93\x07\xa4full\xc2"]), no("full"));
        assert_eq!(packed(&[b"{}\x1e\x02\x06\x06"]), Err(Trouble::NotSignalR));
    }

    #[test]
    fn nonsense_and_too_much_are_told_apart() {
        assert_eq!(heard(&[b"hello\x1e"]), Err(Trouble::NotSignalR));
        assert_eq!(heard(&[b"{}\x1ehello\x1e"]), Err(Trouble::NotSignalR));
        let much = heard(&[&vec![b' '; MESSAGE_MAX + 1]]);
        let too_much = Trouble::TooMuch {
            bound: MESSAGE_MAX as u64,
            unit: Unit::MessageBytes,
        };
        assert_eq!(much, Err(too_much));
    }
}
