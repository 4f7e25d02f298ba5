//! Whatever is written reads as it was, and whatever comes is read or refused.

#![cfg(test)]

use outgate_signalr::framing::Records;
use outgate_signalr::json::{self, Raw};
use outgate_signalr::message_pack::{self, Value};
use outgate_signalr::negotiate::{Answer, Request};
use outgate_signalr::{Call, Completed, Headers, MESSAGE_MAX, Message, handshake};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9\"\\\\é\u{1e} ]{0,8}"
}

fn headers() -> impl Strategy<Value = Headers> {
    prop::collection::btree_map(text(), text(), 0..3)
}

fn call<V: Clone + std::fmt::Debug>(
    value: impl Strategy<Value = V>,
) -> impl Strategy<Value = Call<V>> {
    let arguments = prop::collection::vec(value, 0..4);
    let stream_ids = prop::collection::vec(text(), 0..3);
    (headers(), text(), arguments, stream_ids).prop_map(
        |(headers, target, arguments, stream_ids)| Call {
            headers,
            target,
            arguments,
            stream_ids,
        },
    )
}

fn message<V: Clone + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = V> + Clone + 'static,
) -> impl Strategy<Value = Message<V>> {
    let completed = prop_oneof![
        Just(Completed::Void),
        value.clone().prop_map(Completed::Result),
        text().prop_map(Completed::Error),
    ];
    prop_oneof![
        (prop::option::of(text()), call(value.clone()))
            .prop_map(|(id, call)| Message::Invocation { id, call }),
        (text(), call(value.clone())).prop_map(|(id, call)| Message::StreamInvocation { id, call }),
        (headers(), text(), value).prop_map(|(headers, id, item)| Message::StreamItem {
            headers,
            id,
            item
        }),
        (headers(), text(), completed).prop_map(|(headers, id, completed)| Message::Completion {
            headers,
            id,
            completed
        }),
        (headers(), text()).prop_map(|(headers, id)| Message::CancelInvocation { headers, id }),
        Just(Message::Ping),
        (prop::option::of(text()), any::<bool>()).prop_map(|(error, allow_reconnect)| {
            Message::Close {
                error,
                allow_reconnect,
            }
        }),
        any::<u64>().prop_map(|sequence_id| Message::Ack { sequence_id }),
        any::<u64>().prop_map(|sequence_id| Message::Sequence { sequence_id }),
    ]
}

fn raw() -> impl Strategy<Value = Raw> + Clone {
    let value = prop_oneof![
        Just(serde_json::Value::Null),
        any::<i64>().prop_map(serde_json::Value::from),
        text().prop_map(serde_json::Value::from),
        prop::collection::vec(text(), 0..3).prop_map(serde_json::Value::from),
    ];
    value.prop_map(|value| Raw::of(&value).unwrap())
}

fn value() -> impl Strategy<Value = Value> + Clone {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..5).prop_map(Value::Binary),
        prop::collection::vec(any::<u8>(), 8).prop_map(|bytes| Value::Ext(-1, bytes)),
    ];
    leaf.prop_recursive(3, 10, 3, |inner| {
        prop::collection::vec(inner, 0..3).prop_map(Value::Array)
    })
}

proptest! {
    #[test]
    fn messages_in_json_read_as_they_were_written(message in message(raw())) {
        let mut records = Records::new(MESSAGE_MAX);
        records.handle_bytes(&json::write(&message));
        let record = records.poll_text().unwrap().unwrap();
        prop_assert_eq!(json::read(record), Ok(Some(message)));
        prop_assert_eq!(records.poll_text(), Ok(None));
    }

    #[test]
    fn messages_in_message_pack_read_as_they_were_written(message in message(value())) {
        let mut records = Records::new(MESSAGE_MAX);
        records.handle_bytes(&message_pack::write(&message));
        let record = records.poll_binary().unwrap().unwrap();
        prop_assert_eq!(message_pack::read(record), Ok(Some(message)));
        prop_assert_eq!(records.poll_binary(), Ok(None));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = json::read(&bytes);
        let _ = message_pack::read(&bytes);
        let _ = handshake::Request::read(&bytes);
        let _ = handshake::Answer::read(&bytes);
        let _ = Answer::read(&bytes);
        let _ = Request::read(&String::from_utf8_lossy(&bytes));
    }
}
