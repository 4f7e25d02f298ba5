//! What Microsoft's documents and clients write, byte by byte.

#![cfg(test)]

use outgate_signalr::json::{self, Raw};
use outgate_signalr::message_pack::{self, Value};
use outgate_signalr::{Call, Completed, DEPTH_MAX, Headers, Message, ProtocolError};

fn raw(text: &str) -> Raw {
    serde_json::from_str(text).unwrap()
}

fn call<V>(target: &str, arguments: Vec<V>, stream_ids: &[&str]) -> Call<V> {
    Call {
        headers: Headers::new(),
        target: target.to_owned(),
        arguments,
        stream_ids: stream_ids.iter().map(|id| (*id).to_owned()).collect(),
    }
}

fn completion<V>(id: &str, completed: Completed<V>) -> Message<V> {
    Message::Completion {
        headers: Headers::new(),
        id: id.to_owned(),
        completed,
    }
}

fn id(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// The examples of `HubProtocol.md` in JSON, and how they read: calls and streams.
fn calls_in_json() -> Vec<(&'static str, Message<Raw>)> {
    vec![
        (
            r#"{"type":1,"invocationId":"123","target":"Send","arguments":[42,"Test Message"]}"#,
            Message::Invocation {
                id: id("123"),
                call: call("Send", vec![raw("42"), raw("\"Test Message\"")], &[]),
            },
        ),
        (
            r#"{"type":1,"target":"Send","arguments":[42],"streamIds":["1"]}"#,
            Message::Invocation {
                id: None,
                call: call("Send", vec![raw("42")], &["1"]),
            },
        ),
        (
            r#"{"type":2,"invocationId":"123","item":null}"#,
            Message::StreamItem {
                headers: Headers::new(),
                id: "123".to_owned(),
                item: raw("null"),
            },
        ),
        (
            r#"{"type":4,"invocationId":"123","target":"Count","arguments":[]}"#,
            Message::StreamInvocation {
                id: "123".to_owned(),
                call: call("Count", Vec::new(), &[]),
            },
        ),
        (
            r#"{"type":5,"invocationId":"123"}"#,
            Message::CancelInvocation {
                headers: Headers::new(),
                id: "123".to_owned(),
            },
        ),
    ]
}

/// The same: ends of calls, and what is about the connection.
fn ends_in_json() -> Vec<(&'static str, Message<Raw>)> {
    vec![
        (
            r#"{"type":3,"invocationId":"123"}"#,
            completion("123", Completed::Void),
        ),
        (
            r#"{"type":3,"invocationId":"123","result":null}"#,
            completion("123", Completed::Result(raw("null"))),
        ),
        (
            r#"{"type":3,"invocationId":"123","error":"It didn't work!"}"#,
            completion("123", Completed::Error("It didn't work!".to_owned())),
        ),
        (r#"{"type":6}"#, Message::Ping),
        (
            r#"{"type":7,"error":"gone","allowReconnect":true}"#,
            Message::Close {
                error: id("gone"),
                allow_reconnect: true,
            },
        ),
        (
            r#"{"type":8,"sequenceId":1394}"#,
            Message::Ack { sequence_id: 1394 },
        ),
        (
            r#"{"type":9,"sequenceId":1234}"#,
            Message::Sequence { sequence_id: 1234 },
        ),
    ]
}

#[test]
fn messages_in_json_are_read_and_written_as_in_the_document() {
    for (text, message) in [calls_in_json(), ends_in_json()].concat() {
        assert_eq!(json::read(text.as_bytes()), Ok(Some(message.clone())));
        assert_eq!(json::write(&message), format!("{text}\u{1e}").as_bytes());
    }
    assert_eq!(json::PING.as_bytes(), json::write(&Message::Ping));
}

/// The examples of `HubProtocol.md` in MessagePack, after the length, and how they read.
fn in_message_pack() -> Vec<(&'static [u8], Message<Value>)> {
    let xyz = || "xyz".to_owned();
    let method = |stream_ids: &[&str]| call("method", vec![Value::from(42)], stream_ids);
    vec![
        (
            b"\x96\x01\x80\xa3xyz\xa6method\x91\x2a\x90",
            Message::Invocation {
                id: id("xyz"),
                call: method(&[]),
            },
        ),
        (
            b"\x96\x01\x80\xc0\xa6method\x91\x2a\x91\xa1s",
            Message::Invocation {
                id: None,
                call: method(&["s"]),
            },
        ),
        (
            b"\x94\x02\x80\xa3xyz\x2a",
            Message::StreamItem {
                headers: Headers::new(),
                id: xyz(),
                item: Value::from(42),
            },
        ),
        (
            b"\x95\x03\x80\xa3xyz\x01\xa5Error",
            completion("xyz", Completed::Error("Error".to_owned())),
        ),
        (
            b"\x95\x03\x80\xa3xyz\x03\x2a",
            completion("xyz", Completed::Result(Value::from(42))),
        ),
        (
            b"\x96\x04\x80\xa3xyz\xa6method\x91\x2a\x90",
            Message::StreamInvocation {
                id: xyz(),
                call: method(&[]),
            },
        ),
        (
            b"\x93\x05\x80\xa3xyz",
            Message::CancelInvocation {
                headers: Headers::new(),
                id: xyz(),
            },
        ),
        (b"\x91\x06", Message::Ping),
        (
            b"\x93\x07\xa3xyz\xc3",
            Message::Close {
                error: id("xyz"),
                allow_reconnect: true,
            },
        ),
        (b"\x92\x08\x2a", Message::Ack { sequence_id: 42 }),
        (b"\x92\x09\x2a", Message::Sequence { sequence_id: 42 }),
    ]
}

#[test]
fn messages_in_message_pack_are_read_and_written_as_in_the_document() {
    let void = completion("xyz", Completed::Void);
    let mut examples = in_message_pack();
    examples.push((b"\x94\x03\x80\xa3xyz\x02", void));
    for (record, message) in examples {
        assert_eq!(message_pack::read(record), Ok(Some(message.clone())));
        let mut framed = vec![u8::try_from(record.len()).unwrap()];
        framed.extend_from_slice(record);
        assert_eq!(message_pack::write(&message), framed);
    }
}

#[test]
fn a_close_may_be_short_and_an_array_longer_than_is_known() {
    let close = Message::Close {
        error: id("xyz"),
        allow_reconnect: false,
    };
    assert_eq!(message_pack::read(b"\x92\x07\xa3xyz"), Ok(Some(close)));
    assert_eq!(message_pack::read(b"\x92\x06\x2a"), Ok(Some(Message::Ping)));
    let old = message_pack::read(b"\x95\x01\x80\xc0\xa1m\x90");
    let invocation = Message::Invocation {
        id: None,
        call: call("m", Vec::new(), &[]),
    };
    assert_eq!(old, Ok(Some(invocation)));
}

#[test]
fn a_kind_that_is_not_known_is_to_be_ignored() {
    assert_eq!(json::read(br#"{"type":99,"target":7}"#).ok(), None);
    assert_eq!(json::read(br#"{"type":99,"new":{}}"#), Ok(None));
    assert_eq!(message_pack::read(b"\x92\x63\x2a"), Ok(None));
}

#[test]
fn what_is_no_message_is_refused_with_what_is_wrong() {
    let part = ProtocolError::Part;
    for (text, error) in [
        (r#"{"target":"Send"}"#, part("type")),
        (r#"{"type":1,"arguments":[]}"#, part("target")),
        (r#"{"type":1,"target":"Send"}"#, part("arguments")),
        (r#"{"type":2,"invocationId":"1"}"#, part("item")),
        (r#"{"type":3}"#, part("invocationId")),
        (
            r#"{"type":3,"invocationId":"1","result":1,"error":"x"}"#,
            part("result"),
        ),
        (r#"{"type":8}"#, part("sequenceId")),
    ] {
        assert_eq!(json::read(text.as_bytes()), Err(error), "{text}");
    }
    for (record, error) in [
        (&b"\x90"[..], part("type")),
        (b"\x92\x01\x2a", part("headers")),
        (b"\x95\x03\x80\xa1x\x04\x2a", part("result kind")),
        (b"\x93\x05\x80\xa1\xff", part("invocationId")),
    ] {
        assert_eq!(message_pack::read(record), Err(error), "{record:?}");
    }
    for text in ["", "[6]", "6", "hello", r#"{"type":6}{"#] {
        assert!(json::read(text.as_bytes()).is_err(), "{text}");
    }
    for record in [&b""[..], b"\x06", b"\x91\x06\x06", b"\xdd\xff\xff\xff\xff"] {
        assert!(message_pack::read(record).is_err(), "{record:?}");
    }
}

#[test]
fn what_is_nested_too_deep_is_refused_however_deep() {
    let json = |inner: usize| {
        let (open, close) = ("[".repeat(inner), "]".repeat(inner));
        format!(r#"{{"type":2,"invocationId":"]\"[","item":{open}{close}}}"#)
    };
    assert!(json::read(json(DEPTH_MAX - 1).as_bytes()).is_ok());
    for deep in [DEPTH_MAX, 100_000] {
        let read = json::read(json(deep).as_bytes());
        assert_eq!(read, Err(ProtocolError::TooDeep));
    }
    let packed = |inner: usize| {
        let mut record = b"\x94\x02\x80\xa1x".to_vec();
        record.extend(std::iter::repeat_n(0x91, inner));
        record.push(0xc0);
        record
    };
    assert!(message_pack::read(&packed(DEPTH_MAX - 1)).is_ok());
    for deep in [DEPTH_MAX, 100_000] {
        let read = message_pack::read(&packed(deep));
        assert_eq!(read, Err(ProtocolError::TooDeep));
    }
}
