#![cfg(test)]

use super::*;
use crate::encode::{invocation, plain};
use crate::handshake::FOR_JSON;
use crate::replay::ACK_BYTES;

#[derive(Debug)]
struct Numbers;

impl Handles for Numbers {
    type Upload = u32;
    type Download = u32;
    type Waiting = u32;
}

const SECOND: Duration = Duration::from_secs(1);

fn connection(settings: Settings, stateful: bool) -> Connection<Numbers> {
    Connection::new(Arc::new(settings), stateful)
}

/// One that has made its handshake in JSON over a WebSocket, at the beginning of time.
fn open(settings: Settings) -> Connection<Numbers> {
    let mut connection = connection(settings, false);
    connection.handle_transport(Transport::WebSockets, Duration::ZERO);
    assert_eq!(events(&mut connection, FOR_JSON), ["Opened"]);
    assert_eq!(output(&mut connection), "{}|");
    connection
}

/// What comes of a text.
fn events(connection: &mut Connection<Numbers>, text: &str) -> Vec<String> {
    connection.handle_bytes(text.as_bytes(), Duration::ZERO);
    let events = std::iter::from_fn(|| connection.poll_event(Duration::ZERO));
    events.map(|event| format!("{event:?}")).collect()
}

/// All output as text, with bars for ends of records.
fn output(connection: &mut Connection<Numbers>) -> String {
    let all = std::iter::from_fn(|| connection.poll_output(Duration::ZERO));
    let all = all.collect::<Vec<_>>().concat();
    String::from_utf8(all).unwrap().replace('\u{1e}', "|")
}

fn news(text: &str) -> Frame {
    Frame::news(invocation(Protocol::Json, None, text, &()).unwrap(), None)
}

#[test]
fn a_call_is_told_with_what_it_brings() {
    let mut connection = open(Settings::default());
    let call = "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Go\",\"arguments\":[7]}\u{1e}";
    let told = events(&mut connection, call);
    let [event] = &told[..] else {
        panic!("{told:?}")
    };
    assert!(
        event.contains("target: \"Go\"") && event.contains("Json([7])"),
        "{event}"
    );
}

#[test]
fn nothing_is_sent_before_the_handshake() {
    let mut connection = connection(Settings::default(), false);
    connection.handle_transport(Transport::WebSockets, Duration::ZERO);
    connection.send(news("Early")).unwrap();
    assert_eq!(output(&mut connection), "");
}

#[test]
fn a_handshake_that_cannot_be_is_refused_in_aspnets_words() {
    let long = "x".repeat(40_000);
    for (transport, request, words) in [
        (
            Transport::WebSockets,
            r#"{"protocol":"xml","version":1}"#,
            "The protocol 'xml' is not supported.",
        ),
        (
            Transport::WebSockets,
            r#"{"protocol":"json","version":2}"#,
            "The server does not support version 2 of the 'json' protocol.",
        ),
        (
            Transport::ServerSentEvents,
            r#"{"protocol":"messagepack","version":1}"#,
            "Cannot use the 'messagepack' protocol on the current transport. \
          The transport does not support 'Binary' transfer format.",
        ),
        (
            Transport::WebSockets,
            "GET / HTTP/1.1",
            "An unexpected error occurred during connection handshake.",
        ),
        (
            Transport::WebSockets,
            &long,
            "An unexpected error occurred during connection handshake.",
        ),
    ] {
        let mut connection = connection(Settings::default(), false);
        connection.handle_transport(transport, Duration::ZERO);
        let told = events(
            &mut connection,
            &format!("{request}\u{1e}{{\"type\":6}}\u{1e}"),
        );
        assert!(told.len() == 1 && told[0].starts_with("Ended("), "{told:?}");
        assert_eq!(
            output(&mut connection),
            format!("{{\"error\":\"{words}\"}}|")
        );
        assert!(connection.is_ended());
    }
}

#[test]
fn whoever_makes_no_handshake_is_given_up() {
    let mut connection = connection(Settings::default(), false);
    assert_eq!(connection.poll_timeout(), None);
    connection.handle_transport(Transport::WebSockets, SECOND);
    assert_eq!(connection.poll_timeout(), Some(16 * SECOND));
    connection.handle_timeout(16 * SECOND);
    assert!(matches!(
        connection.poll_event(16 * SECOND),
        Some(Event::Ended(End::NoHandshake))
    ));
    assert_eq!(
        output(&mut connection),
        "{\"error\":\"Handshake was canceled.\"}|"
    );
}

#[test]
fn silence_is_broken_by_pings_and_ended_by_giving_up() {
    let mut connection = open(Settings::default());
    assert_eq!(connection.poll_timeout(), Some(15 * SECOND));
    connection.handle_timeout(15 * SECOND);
    assert_eq!(output(&mut connection), "{\"type\":6}|");
    connection.handle_timeout(30 * SECOND);
    let told = connection.poll_event(30 * SECOND);
    assert!(matches!(told, Some(Event::Ended(End::Silence))), "{told:?}");
    assert!(connection.poll_event(30 * SECOND).is_none());
    let close = "{\"type\":7,\"error\":\"Connection closed with an error.\"}|";
    assert_eq!(output(&mut connection), close);
}

#[test]
fn polls_need_no_pings() {
    let mut connection = connection(Settings::default(), false);
    connection.handle_transport(Transport::LongPolling, Duration::ZERO);
    assert_eq!(events(&mut connection, FOR_JSON), ["Opened"]);
    output(&mut connection);
    assert_eq!(connection.poll_timeout(), None);
    connection.handle_timeout(1000 * SECOND);
    assert_eq!(output(&mut connection), "");
    assert!(!connection.is_ended());
}

#[test]
fn what_is_too_long_or_none_of_signalrs_ends_the_connection() {
    for (detailed_errors, error) in [
        (false, "Connection closed with an error."),
        (
            true,
            "Connection closed with an error. \
             InvalidDataException: The maximum message size of 10B was exceeded.",
        ),
    ] {
        let mut connection = open(Settings {
            message_max: 10,
            detailed_errors,
            ..Settings::default()
        });
        let told = events(&mut connection, "12345678901");
        assert!(told[0].starts_with("Ended(Protocol(TooLong"), "{told:?}");
        assert_eq!(
            output(&mut connection),
            format!("{{\"type\":7,\"error\":\"{error}\"}}|")
        );
    }
}

#[test]
fn a_slow_client_is_ended_and_told() {
    let mut connection = open(Settings {
        waiting_max: 2,
        ..Settings::default()
    });
    connection.send(news("a")).unwrap();
    connection.send(news("b")).unwrap();
    assert_eq!(connection.waiting(), 2);
    assert!(connection.send(news("c")).is_err());
    let told = connection.poll_event(Duration::ZERO);
    assert!(matches!(told, Some(Event::Ended(End::Slow(_)))), "{told:?}");
    assert!(output(&mut connection).starts_with("{\"type\":7"));
    assert!(connection.send(news("d")).is_ok(), "and goes nowhere");
}

#[test]
fn what_waits_is_sent_before_the_end() {
    let mut connection = open(Settings::default());
    connection.send(news("Last")).unwrap();
    connection.close(None, true);
    connection.close(Some("again"), false);
    assert_eq!(
        output(&mut connection),
        "{\"type\":1,\"target\":\"Last\",\"arguments\":[]}|{\"type\":7,\"allowReconnect\":true}|"
    );
}

#[test]
fn streams_and_answers_are_told_to_whom_they_belong() {
    let mut connection = open(Settings {
        streams_max: 1,
        answers_max: 1,
        ..Settings::default()
    });
    connection.open_upload("1", 11).unwrap();
    assert_eq!(
        connection.open_upload("2", 12),
        Err(Full::TooMany { max: 1 })
    );
    connection.open_download("3", 13).unwrap();
    let answer = connection.wait_for_answer(14).unwrap();
    assert_eq!(
        connection.wait_for_answer(15),
        Err(Full::TooMany { max: 1 })
    );
    let said = format!(
        "{}{}{}{}{}{}",
        "{\"type\":2,\"invocationId\":\"1\",\"item\":5}\u{1e}",
        "{\"type\":2,\"invocationId\":\"9\",\"item\":5}\u{1e}",
        "{\"type\":3,\"invocationId\":\"1\",\"error\":\"torn\"}\u{1e}",
        "{\"type\":2,\"invocationId\":\"1\",\"item\":5}\u{1e}",
        "{\"type\":5,\"invocationId\":\"3\"}\u{1e}",
        format_args!("{{\"type\":3,\"invocationId\":\"{answer}\",\"result\":6}}\u{1e}"),
    );
    assert_eq!(
        events(&mut connection, &said),
        [
            "Item { upload: 11, item: Json(5) }",
            "Uploaded { upload: 11, error: Some(\"torn\") }",
            "Cancelled { download: 13 }",
            "Answered { waiting: 14, completed: Result(Json(6)) }",
        ]
    );
    let drained = connection.drain();
    assert_eq!(drained.downloads, [13]);
    assert!(drained.uploads.is_empty() && drained.answers.is_empty());
}

#[test]
fn a_stateful_connection_goes_on_where_its_transport_broke() {
    let mut connection = connection(Settings::default(), true);
    connection.handle_transport(Transport::WebSockets, Duration::ZERO);
    let handshake = FOR_JSON.replace("1}", "2}");
    assert_eq!(events(&mut connection, &handshake), ["Opened"]);
    connection.send(news("a")).unwrap();
    connection.send(news("b")).unwrap();
    output(&mut connection);
    events(
        &mut connection,
        "{\"type\":8,\"sequenceId\":1}\u{1e}{\"type\":1,\"tar",
    );
    connection.send(news("c")).unwrap();
    connection.handle_transport(Transport::WebSockets, SECOND);
    let call = "{\"type\":1,\"target\":\"Go\",\"arguments\":[]}\u{1e}";
    assert!(
        events(&mut connection, call).is_empty(),
        "before the sequence"
    );
    let told = events(
        &mut connection,
        &format!("{{\"type\":9,\"sequenceId\":1}}\u{1e}{call}"),
    );
    assert_eq!(told.len(), 1);
    assert_eq!(
        output(&mut connection),
        "{\"type\":9,\"sequenceId\":2}|{\"type\":1,\"target\":\"b\",\"arguments\":[]}|\
         {\"type\":1,\"target\":\"c\",\"arguments\":[]}|"
    );
    assert_eq!(connection.poll_timeout(), Some(SECOND));
    connection.handle_timeout(SECOND);
    assert_eq!(output(&mut connection), "{\"type\":8,\"sequenceId\":1}|");
}

#[test]
fn a_stateful_connection_acknowledges_much_without_waiting() {
    let mut connection = connection(Settings::default(), true);
    connection.handle_transport(Transport::WebSockets, Duration::ZERO);
    events(&mut connection, &FOR_JSON.replace("1}", "2}"));
    output(&mut connection);
    let text = "x".repeat(ACK_BYTES / 4);
    let call = format!("{{\"type\":1,\"target\":\"Go\",\"arguments\":[\"{text}\"]}}\u{1e}");
    events(&mut connection, &call.repeat(3));
    assert_eq!(output(&mut connection), "");
    // Three came before it, and it reaches the bound; the fifth waits for its time.
    assert_eq!(events(&mut connection, &call.repeat(2)).len(), 2);
    assert_eq!(output(&mut connection), "{\"type\":8,\"sequenceId\":4}|");
}

#[test]
fn a_connection_is_stateful_only_if_the_handshake_says_so_too() {
    let mut connection = connection(Settings::default(), true);
    connection.handle_transport(Transport::ServerSentEvents, Duration::ZERO);
    assert_eq!(events(&mut connection, FOR_JSON), ["Opened"]);
    assert!(!connection.is_stateful());
}

#[test]
fn a_stateful_connection_ends_when_messages_are_lost() {
    let mut connection = connection(Settings::default(), true);
    connection.handle_transport(Transport::WebSockets, Duration::ZERO);
    events(&mut connection, &FOR_JSON.replace("1}", "2}"));
    connection.handle_transport(Transport::WebSockets, Duration::ZERO);
    let told = events(&mut connection, "{\"type\":9,\"sequenceId\":2}\u{1e}");
    assert!(told[0].starts_with("Ended(Lost("), "{told:?}");
}

#[test]
fn a_ping_in_message_pack_goes_out_as_bytes() {
    let mut connection = connection(Settings::default(), false);
    connection.handle_transport(Transport::WebSockets, Duration::ZERO);
    let handshake = FOR_JSON.replace("json", "messagepack");
    assert_eq!(events(&mut connection, &handshake), ["Opened"]);
    assert!(connection.is_binary());
    output(&mut connection);
    connection.handle_timeout(15 * SECOND);
    let ping = connection.poll_output(15 * SECOND);
    assert_eq!(ping, Some(plain(Protocol::MessagePack, &Plain::Ping)));
}
