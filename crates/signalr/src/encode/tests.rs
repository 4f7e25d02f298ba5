#![cfg(test)]

use std::collections::BTreeMap;

use super::*;
use crate::{Call, Headers, json::Raw, message_pack::Value};

fn call<V>(target: &str, arguments: Vec<V>) -> Call<V> {
    Call {
        headers: Headers::new(),
        target: target.to_owned(),
        arguments,
        stream_ids: Vec::new(),
    }
}

#[derive(Serialize)]
struct Order {
    table: u8,
}

#[test]
fn a_call_is_the_message_that_it_stands_for() {
    for id in [None, Some("a\"b")] {
        let written = invocation(Protocol::Json, id, "Send", &("é", Order { table: 1 })).unwrap();
        let arguments = vec![
            Raw::of(&"é").unwrap(),
            Raw::of(&Order { table: 1 }).unwrap(),
        ];
        let id = id.map(str::to_owned);
        let call = call("Send", arguments);
        assert_eq!(written, json::write(&Message::Invocation { id, call }));
    }
    let order = Value::Map(vec![("table".into(), 1.into())]);
    for id in [None, Some("7")] {
        let written = invocation(
            Protocol::MessagePack,
            id,
            "Send",
            &("é", Order { table: 1 }),
        );
        let id = id.map(str::to_owned);
        let call = call("Send", vec!["é".into(), order.clone()]);
        let message = Message::Invocation { id, call };
        assert_eq!(written.unwrap(), message_pack::write(&message));
    }
}

#[test]
fn a_call_without_arguments_has_an_empty_list() {
    let written = invocation(Protocol::Json, None, "Go", &()).unwrap();
    let go = Message::Invocation {
        id: None,
        call: call::<Raw>("Go", vec![]),
    };
    assert_eq!(written, json::write(&go));
    let written = invocation(Protocol::MessagePack, None, "Go", &()).unwrap();
    let go = Message::Invocation {
        id: None,
        call: call::<Value>("Go", vec![]),
    };
    assert_eq!(written, message_pack::write(&go));
}

#[test]
fn results_and_items_are_the_messages_that_they_stand_for() {
    let (headers, id) = (Headers::new(), "1".to_owned());
    let item = Message::StreamItem {
        headers,
        id,
        item: Raw::of(&[1, 2]).unwrap(),
    };
    let written = stream_item(Protocol::Json, "1", &[1, 2]).unwrap();
    assert_eq!(written, json::write(&item));
    let result = completion_of("1", Completed::Result(Raw::of(&()).unwrap()));
    let written = completion(Protocol::Json, "1", &()).unwrap();
    assert_eq!(written, json::write(&result));
    let (headers, id) = (Headers::new(), "1".to_owned());
    let item = Message::StreamItem {
        headers,
        id,
        item: Value::from(-5),
    };
    let written = stream_item(Protocol::MessagePack, "1", &-5).unwrap();
    assert_eq!(written, message_pack::write(&item));
    let result = completion_of("1", Completed::Result(Value::from("x")));
    let written = completion(Protocol::MessagePack, "1", &"x").unwrap();
    assert_eq!(written, message_pack::write(&result));
}

#[test]
fn a_value_without_a_form_is_refused() {
    let odd = BTreeMap::from([(vec![1], 1)]);
    assert!(matches!(
        completion(Protocol::Json, "1", &odd),
        Err(EncodeError::Json(_))
    ));
}

#[test]
fn a_ping_in_message_pack_is_exactly_three_bytes() {
    assert_eq!(
        plain(Protocol::MessagePack, &Plain::Ping),
        &[2, 0x91, 6][..]
    );
}
