//! One client's conversation with a hub that has a single method, `Echo`.

use outgate_signalr::{
    Call, Completed, Headers, MESSAGE_MAX, Message, Protocol, ProtocolError,
    framing::Records,
    handshake::{Answer, Request},
    json, message_pack,
};

/// The method that there is. Names of methods are compared without regard to case.
const METHOD: &str = "Echo";

/// A conversation from its handshake to its end, whatever carries it.
pub(super) struct Session {
    records: Records,
    /// Known once the client has made its handshake.
    protocol: Option<Protocol>,
    ended: bool,
}

impl Session {
    pub(super) fn new() -> Self {
        Self {
            records: Records::new(MESSAGE_MAX),
            protocol: None,
            ended: false,
        }
    }

    /// Whether nothing more is to be said or heard.
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether records are bytes rather than text.
    pub(super) fn is_binary(&self) -> bool {
        self.protocol == Some(Protocol::MessagePack)
    }

    /// What says that the connection lives; nothing before the handshake.
    pub(super) fn ping(&self) -> Option<Vec<u8>> {
        self.protocol.map(|protocol| match protocol {
            Protocol::Json => json::write(&Message::Ping),
            Protocol::MessagePack => message_pack::write(&Message::Ping),
        })
    }

    /// Takes what the client says and returns the records that answer it.
    pub(super) fn handle_bytes(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut answers = Vec::new();
        self.records.handle_bytes(bytes);
        while !self.ended {
            match self.step(&mut answers) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    answers.push(self.farewell(error));
                    self.ended = true;
                }
            }
        }
        answers
    }

    /// Takes one record; false when there is none yet.
    fn step(&mut self, answers: &mut Vec<Vec<u8>>) -> Result<bool, ProtocolError> {
        match self.protocol {
            None => {
                let Some(record) = self.records.poll_text()? else {
                    return Ok(false);
                };
                let protocol = Protocol::of(&Request::read(record)?.protocol);
                let error = protocol.is_none().then(|| "no such protocol".to_owned());
                self.ended = protocol.is_none();
                self.protocol = protocol;
                answers.push(Answer { error }.to_bytes());
            }
            Some(Protocol::Json) => {
                let Some(record) = self.records.poll_text()? else {
                    return Ok(false);
                };
                let said = json::read(record)?;
                self.ended = matches!(said, Some(Message::Close { .. }));
                answers.extend(said.and_then(answer).map(|answer| json::write(&answer)));
            }
            Some(Protocol::MessagePack) => {
                let Some(record) = self.records.poll_binary()? else {
                    return Ok(false);
                };
                let said = message_pack::read(record)?;
                self.ended = matches!(said, Some(Message::Close { .. }));
                let answer = said.and_then(answer);
                answers.extend(answer.map(|answer| message_pack::write(&answer)));
            }
        }
        Ok(true)
    }

    /// The last record to a client that is not understood.
    fn farewell(&self, error: ProtocolError) -> Vec<u8> {
        let error = Some(error.to_string());
        let allow_reconnect = false;
        match self.protocol {
            None => Answer { error }.to_bytes(),
            Some(Protocol::Json) => json::write(&Message::Close {
                error,
                allow_reconnect,
            }),
            Some(Protocol::MessagePack) => message_pack::write(&Message::Close {
                error,
                allow_reconnect,
            }),
        }
    }
}

fn answer<V>(said: Message<V>) -> Option<Message<V>> {
    let (id, completed) = match said {
        Message::Invocation { id, call } => (id?, called(call)),
        Message::StreamInvocation { id, call } => {
            let error = format!("{} does not stream", call.target);
            (id, Completed::Error(error))
        }
        Message::StreamItem { .. }
        | Message::Completion { .. }
        | Message::CancelInvocation { .. }
        | Message::Ping
        | Message::Close { .. }
        | Message::Ack { .. }
        | Message::Sequence { .. } => return None,
    };
    Some(Message::Completion {
        headers: Headers::new(),
        id,
        completed,
    })
}

fn called<V>(call: Call<V>) -> Completed<V> {
    if !call.target.eq_ignore_ascii_case(METHOD) {
        return Completed::Error(format!("there is no method {}", call.target));
    }
    let mut arguments = call.arguments.into_iter();
    match (arguments.next(), arguments.next()) {
        (Some(argument), None) => Completed::Result(argument),
        _ => Completed::Error(format!("{METHOD} takes one argument")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut session = Session::new();
        let answers = pieces.iter().flat_map(|piece| session.handle_bytes(piece));
        let answers = answers.collect::<Vec<_>>().concat();
        (answers, session.is_ended())
    }

    #[test]
    fn a_call_in_json_is_echoed_in_whatever_pieces_it_comes() {
        let pieces: [&[u8]; 3] = [
            b"{\"protocol\":\"json\",\"version\":1}\x1e{\"type\":1,\"invo",
            b"cationId\":\"7\",\"target\":\"echo\",\"arguments\":[{\"a\":1}]}",
            b"\x1e{\"type\":6}\x1e{\"type\":1,\"target\":\"Echo\",\"arguments\":[1]}\x1e",
        ];
        let expected = b"{}\x1e{\"type\":3,\"invocationId\":\"7\",\"result\":{\"a\":1}}\x1e";
        assert_eq!(said(&pieces), (expected.to_vec(), false));
    }

    #[test]
    fn a_call_in_message_pack_is_echoed() {
        let pieces: [&[u8]; 2] = [
            b"{\"protocol\":\"messagepack\",\"version\":1}\x1e",
            b"\x0d\x96\x01\x80\xa1x\xa4Echo\x91\x2a\x90\x02\x91\x06",
        ];
        let expected = b"{}\x1e\x07\x95\x03\x80\xa1x\x03\x2a";
        assert_eq!(said(&pieces), (expected.to_vec(), false));
    }

    #[test]
    fn what_cannot_be_called_is_completed_with_an_error() {
        for (message, error) in [
            (
                r#"{"type":1,"invocationId":"1","target":"Nope","arguments":[]}"#,
                "there is no method Nope",
            ),
            (
                r#"{"type":1,"invocationId":"1","target":"Echo","arguments":[]}"#,
                "Echo takes one argument",
            ),
            (
                r#"{"type":4,"invocationId":"1","target":"Echo","arguments":[]}"#,
                "Echo does not stream",
            ),
        ] {
            let handshake = outgate_signalr::handshake::FOR_JSON;
            let text = format!("{handshake}{message}\u{1e}");
            let (answers, ended) = said(&[text.as_bytes()]);
            let answers = String::from_utf8(answers).unwrap();
            assert!(answers.contains(error) && !ended, "{answers}");
        }
    }

    #[test]
    fn whoever_is_not_understood_is_told_and_heard_no_more() {
        let other = said(&[b"{\"protocol\":\"xml\",\"version\":1}\x1e{\"type\":6}\x1e"]);
        assert_eq!(
            other,
            (b"{\"error\":\"no such protocol\"}\x1e".to_vec(), true)
        );
        let handshake = outgate_signalr::handshake::FOR_JSON.as_bytes();
        let (answers, ended) = said(&[handshake, b"hello\x1e"]);
        assert!(ended && answers.starts_with(b"{}\x1e{\"type\":7,\"error\":"));
        let (answers, ended) = said(&[handshake, b"{\"type\":7}\x1e"]);
        assert_eq!((answers.as_slice(), ended), (&b"{}\x1e"[..], true));
    }
}
