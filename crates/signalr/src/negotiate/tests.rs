#![cfg(test)]

use super::*;

fn connection(version: u32, id: &str, token: &str) -> Connection {
    Connection {
        version,
        connection_id: id.to_owned(),
        token: Token::new(token.to_owned()),
        transports: Transport::ALL.map(Offer::all_of).to_vec(),
        stateful: false,
    }
}

/// As ASP.NET Core writes it.
const VERSION_1: &str = concat!(
    r#"{"negotiateVersion":1,"connectionId":"public","connectionToken":"secret","#,
    r#""availableTransports":[{"transport":"WebSockets","transferFormats":["Text","Binary"]},"#,
    r#"{"transport":"ServerSentEvents","transferFormats":["Text"]},"#,
    r#"{"transport":"LongPolling","transferFormats":["Text","Binary"]}]}"#
);

#[test]
fn an_answer_of_version_1_has_a_name_and_a_token() {
    let answer = Answer::Connection(connection(1, "public", "secret"));
    assert_eq!(Answer::read(VERSION_1.as_bytes()), Ok(answer.clone()));
    assert_eq!(answer.to_json(), VERSION_1);
}

#[test]
fn an_answer_of_version_0_names_the_connection_by_its_token() {
    let json = r#"{"negotiateVersion":0,"connectionId":"one","availableTransports":[]}"#;
    let answer = Answer::Connection(Connection {
        transports: Vec::new(),
        ..connection(0, "one", "one")
    });
    assert_eq!(Answer::read(json.as_bytes()), Ok(answer.clone()));
    assert_eq!(answer.to_json(), json);
    let bare = Answer::read(br#"{"connectionId":"one"}"#);
    assert_eq!(bare, Ok(answer));
}

#[test]
fn refusals_and_redirections_are_told_apart_from_what_is_not_signalr() {
    let error = "no".to_owned();
    let refused = Answer::Refused { error };
    assert_eq!(Answer::read(br#"{"error":"no"}"#), Ok(refused.clone()));
    assert_eq!(refused.to_json(), r#"{"error":"no"}"#);
    let json = r#"{"url":"https://a.example/hub","accessToken":"x"}"#;
    let redirection = Answer::Redirection {
        url: "https://a.example/hub".to_owned(),
        access_token: Some(Token::new("x".to_owned())),
    };
    assert_eq!(Answer::read(json.as_bytes()), Ok(redirection.clone()));
    assert_eq!(redirection.to_json(), json);
    for other in [
        &b"<html>"[..],
        b"{}",
        b"[]",
        b"[1]",
        b"",
        b"{\"connectionId\":7}",
    ] {
        let none = Err(ProtocolError::Not(Expected::Negotiation));
        assert_eq!(Answer::read(other), none, "{other:?}");
    }
    let long = Answer::read(&vec![b' '; ANSWER_MAX + 1]);
    assert_eq!(long, Err(ProtocolError::TooLong { max: ANSWER_MAX }));
}

#[test]
fn transports_that_are_not_known_and_second_mentions_are_left_out() {
    let body = br#"{"connectionToken":"x","availableTransports":[
        {"transport":"Carrier pigeon","transferFormats":["Text"]},
        {"transport":"LongPolling","transferFormats":["Binary"]},
        {"transport":"LongPolling","transferFormats":["Text"]}]}"#;
    let Ok(Answer::Connection(connection)) = Answer::read(body) else {
        panic!("no connection");
    };
    let offer = Offer {
        transport: Transport::LongPolling,
        text: false,
        binary: true,
    };
    assert_eq!(connection.transports, [offer]);
}

#[test]
fn a_query_is_read_in_any_case_and_beside_what_the_application_puts_there() {
    let request = |version, stateful| Ok(Request { version, stateful });
    assert_eq!(Request::read(""), request(0, false));
    assert_eq!(
        Request::read("negotiateVersion=1&useStatefulReconnect=true"),
        request(1, true)
    );
    assert_eq!(Request::read("a=b&NEGOTIATEVERSION=7"), request(7, false));
    let version = Err(ProtocolError::Part("negotiateVersion"));
    assert_eq!(Request::read("negotiateVersion=one"), version);
}

#[test]
fn a_token_does_not_print() {
    let printed = format!("{:?}", connection(1, "public", "secret"));
    assert!(
        printed.contains("public") && !printed.contains("secret"),
        "{printed}"
    );
}
