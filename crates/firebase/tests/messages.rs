//! What a client says over the WebSocket, and what it is told.

#![cfg(test)]

use std::time::Duration;

use outgate_firebase::database::Told;
use outgate_firebase::session::{
    Due, LAST_WORDS_MAX, LISTENS_MAX, NOBODY_MAX, SILENT_MAX, SILENT_UNASKED, Session,
};
use outgate_firebase::wire::{self, Message, OnDisconnect, Proof, Request, Status};
use outgate_firebase::{Draft, Path};
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(action: &str, body: &Value) -> Request {
    let text = json!({"t": "d", "d": {"r": 7, "a": action, "b": body}}).to_string();
    let Message::Request(7, request) = Message::read(&text).unwrap() else {
        panic!("{text}");
    };
    request
}

#[test]
fn requests_of_the_client_are_read() {
    let path = || "/a/b".to_owned();
    assert_eq!(
        read(
            "q",
            &json!({"p": "/a/b", "q": {"i": "n"}, "t": 3, "h": "x"})
        ),
        Request::Listen {
            path: path(),
            query: json!({"i": "n"}),
            tag: Some(3),
            hash: "x".to_owned()
        }
    );
    assert_eq!(
        read("n", &json!({"p": "/a/b"})),
        Request::Unlisten {
            path: path(),
            tag: None
        }
    );
    assert_eq!(
        read("p", &json!({"p": "/a/b", "d": {"c": 1}, "h": ""})),
        Request::Put {
            path: path(),
            data: json!({"c": 1}),
            hash: Some(String::new())
        }
    );
    assert_eq!(
        read("oc", &json!({"p": "/a/b", "d": null})),
        Request::OnDisconnect {
            path: path(),
            what: OnDisconnect::Cancel
        }
    );
    assert_eq!(
        read("unappeck", &json!({})),
        Request::LogOut(Proof::AppCheck)
    );
    assert_eq!(read("new", &json!({})), Request::Unknown);
    assert_eq!(
        Message::read(r#"{"t":"c","d":{"t":"p","d":{}}}"#),
        Ok(Message::Ping)
    );
    for wrong in [
        "",
        "[]",
        r#"{"t":"x"}"#,
        r#"{"t":"d","d":{"r":-1,"a":"s"}}"#,
        r#"{"t":"d","d":{"r":1,"a":"p","b":{}}}"#,
    ] {
        assert!(Message::read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_credential_does_not_print() {
    let request = read("gauth", &json!({"cred": "secret-token"}));
    assert!(!format!("{request:?}").contains("secret"), "{request:?}");
    let Request::LogIn(Proof::Auth, credential) = request else {
        panic!("{request:?}")
    };
    assert_eq!(credential.expose(), "secret-token");
}

#[test]
fn what_the_server_says_is_json() {
    let told = Told {
        by: 1,
        tag: Some(4),
        path: Path::read("a/\"").unwrap(),
        listened: 1,
        is_merge: true,
        data: r#"{"c":1}"#.into(),
    };
    let texts = [
        (
            wire::hello(5, "h\":1", "s"),
            json!({"t":"c","d":{"t":"h","d":{"ts":5,"v":"5","h":"h\":1","s":"s"}}}),
        ),
        (
            wire::pong().to_owned(),
            json!({"t":"c","d":{"t":"o","d":{}}}),
        ),
        (
            wire::answer(2, Status::Done, "null"),
            json!({"t":"d","d":{"r":2,"b":{"s":"ok","d":null}}}),
        ),
        (
            wire::answer_with(2, Status::Denied, "n\"o"),
            json!({"t":"d","d":{"r":2,"b":{"s":"permission_denied","d":"n\"o"}}}),
        ),
        (
            wire::push(&told),
            json!({"t":"d","d":{"a":"m","b":{"p":"a/\"","t":4,"d":{"c":1}}}}),
        ),
        (
            wire::revoked("a", &Value::Null),
            json!({"t":"d","d":{"a":"c","b":{"p":"a"}}}),
        ),
        (
            wire::revoked("a", &json!({"i":"n"})),
            json!({"t":"d","d":{"a":"c","b":{"p":"a","q":[{"i":"n"}]}}}),
        ),
    ];
    for (text, expected) in texts {
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    }
}

fn part(at: &str, value: &Value) -> (Path, Draft) {
    Draft::read_at(at, value).unwrap()
}

#[test]
fn what_is_left_to_be_written_can_be_taken_back_below_a_path() {
    let mut session = Session::new(Duration::ZERO);
    session
        .leave(vec![part("a/b", &json!(1)), part("c", &json!(2))], 10)
        .unwrap();
    session.leave(vec![part("a", &json!(3))], 10).unwrap();
    session.leave(vec![part("d/e", &json!(4))], 10).unwrap();
    session.cancel(&Path::read("d").unwrap());
    let left = session.into_last_words();
    let parts: Vec<_> = left.into_iter().flat_map(|write| write.parts).collect();
    assert_eq!(parts, [part("a", &json!(3)), part("c", &json!(2))]);
}

#[test]
fn a_connection_holds_no_more_than_its_bounds() {
    let mut session = Session::new(Duration::ZERO);
    for tag in 0..LISTENS_MAX as u64 {
        session
            .listen(Path::root(), Some(tag), Value::Null)
            .unwrap();
    }
    assert!(session.listen(Path::root(), None, Value::Null).is_err());
    assert!(session.listen(Path::root(), Some(0), Value::Null).is_ok());
    let many = (0..=LAST_WORDS_MAX).map(|n| part(&format!("a{n}"), &json!(1)));
    assert!(session.leave(many.collect(), 1).is_err());
    assert!(session.leave(vec![part("a", &json!(1))], 2 << 20).is_err());
}

#[test]
fn who_says_nothing_or_is_nobody_for_too_long_is_to_go() {
    let second = Duration::from_secs(1);
    let mut session = Session::new(second);
    assert_eq!(session.poll_timeout(), second + NOBODY_MAX);
    session.on_login(true, 2 * second);
    assert_eq!(session.handle_timeout(second + NOBODY_MAX / 2), None);
    let asked = session.poll_timeout();
    assert_eq!(asked, second + SILENT_UNASKED);
    assert_eq!(session.handle_timeout(asked), Some(Due::Ask));
    assert_eq!(session.handle_timeout(asked), None);
    assert_eq!(session.poll_timeout(), second + SILENT_MAX);
    assert_eq!(
        session.handle_timeout(second + SILENT_MAX),
        Some(Due::Close)
    );
    session.on_heard(5 * second);
    assert_eq!(session.poll_timeout(), 5 * second + SILENT_UNASKED);
    session.on_login(false, 6 * second);
    let close = 6 * second + NOBODY_MAX;
    session.on_heard(close);
    assert_eq!(session.poll_timeout(), close);
    assert_eq!(session.handle_timeout(close), Some(Due::Close));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,80}", action in "[a-z]{1,8}", body in ".{0,20}") {
        let _ = Message::read(&text);
        let _ = Message::read(&json!({"t": "d", "d": {"r": 1, "a": action, "b": {"p": body, "d": body}}}).to_string());
    }
}
