use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::{
    op::Query,
    rr::{Name, RecordType},
};
use proptest::prelude::*;

use super::*;

#[test]
fn names_lead_to_their_addresses_of_the_type_asked_for() {
    check("a.example", RecordType::A, "NoError 192.0.2.1");
    check("A.Example", RecordType::A, "NoError 192.0.2.1");
    check("a.example", RecordType::AAAA, "NoError 2001:db8::1");
    check("a.example", RecordType::MX, "NoError");
}

#[test]
fn a_wildcard_stands_for_every_name_below_that_is_not_told_otherwise() {
    check("x.wild.example", RecordType::A, "NoError 192.0.2.2");
    check("y.x.wild.example", RecordType::A, "NoError 192.0.2.2");
    check("exact.wild.example", RecordType::A, "NoError 192.0.2.3");
    check("below.exact.wild.example", RecordType::A, "NXDomain");
}

#[test]
fn a_name_with_only_names_below_it_exists() {
    check("wild.example", RecordType::A, "NoError");
    check("example", RecordType::A, "NoError");
    check(".", RecordType::A, "NoError");
}

#[test]
fn aliases_are_followed_a_bounded_number_of_times() {
    check(
        "alias.example",
        RecordType::A,
        "NoError x.wild.example. 192.0.2.2",
    );
    check(
        "alias.example",
        RecordType::CNAME,
        "NoError x.wild.example.",
    );
    check(
        "dangling.example",
        RecordType::A,
        "NXDomain nowhere.example.",
    );
    let round = "loop.example. ".repeat(9);
    check(
        "loop.example",
        RecordType::A,
        &format!("NoError {}", round.trim()),
    );
}

#[test]
fn the_root_has_a_name_server_and_other_names_do_not_exist() {
    check(".", RecordType::NS, "NoError standin.invalid.");
    check("b.example", RecordType::A, "NXDomain");
}

#[test]
fn denials_say_how_long_to_remember_them() {
    let answer = ask(DnsFault::None, "b.example", RecordType::A).unwrap();
    assert_eq!(answer.authorities[0].record_type(), RecordType::SOA);
}

#[test]
fn each_fault_is_seen_in_the_answer() {
    for (fault, code) in [
        (DnsFault::Refused, ResponseCode::Refused),
        (DnsFault::ServerFailure, ResponseCode::ServFail),
        (DnsFault::NoSuchName, ResponseCode::NXDomain),
    ] {
        let answer = ask(fault, "a.example", RecordType::A).unwrap();
        assert_eq!(answer.metadata.response_code, code);
        assert_eq!(answer.answers, []);
    }
    assert!(ask(DnsFault::Silent, "a.example", RecordType::A).is_none());
    let truncated = ask(DnsFault::Truncated, "a.example", RecordType::A).unwrap();
    assert!(truncated.metadata.truncation);
    assert_eq!(truncated.answers, []);
}

#[test]
fn an_answer_too_long_for_udp_is_truncated() {
    let mut server = server(DnsFault::None);
    for last in 0..40 {
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
        server.answers = server.answers.address("many.example", address).unwrap();
    }
    let question = question("many.example", RecordType::A).to_vec().unwrap();
    let over = |transport| Message::from_vec(&server.respond(&question, transport)?).ok();
    let udp = over(Transport::Udp).unwrap();
    assert!(udp.metadata.truncation && udp.answers.is_empty());
    assert_eq!(over(Transport::Tcp).unwrap().answers.len(), 40);
}

#[test]
fn an_answer_is_never_answered() {
    let server = server(DnsFault::None);
    let question = question("a.example", RecordType::A).to_vec().unwrap();
    let answer = server.respond(&question, Transport::Udp).unwrap();
    assert_eq!(server.respond(&answer, Transport::Udp), None);
}

#[test]
fn a_question_that_asks_nothing_is_malformed() {
    let mut empty = question("a.example", RecordType::A);
    empty.queries.clear();
    let answer = server(DnsFault::None).answer(&empty).unwrap();
    assert_eq!(answer.metadata.response_code, ResponseCode::FormErr);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        server(DnsFault::None).respond(&bytes, Transport::Udp);
    }

    #[test]
    fn no_damaged_question_panics(at in 0_usize..27, byte: u8) {
        let mut bytes = question("a.example", RecordType::A).to_vec().unwrap();
        bytes[at] = byte;
        server(DnsFault::None).respond(&bytes, Transport::Udp);
    }
}

/// Compares the code of the answer and the data of its records.
#[track_caller]
fn check(name: &str, kind: RecordType, expected: &str) {
    let answer = ask(DnsFault::None, name, kind).unwrap();
    let records = answer.answers.iter().map(|record| record.data.to_string());
    let code = format!("{:?}", answer.metadata.response_code);
    let seen: Vec<String> = std::iter::once(code).chain(records).collect();
    assert_eq!(seen.join(" "), expected);
}

fn ask(fault: DnsFault, name: &str, kind: RecordType) -> Option<Message> {
    let question = question(name, kind).to_vec().unwrap();
    let answer = server(fault).respond(&question, Transport::Udp)?;
    Some(Message::from_vec(&answer).unwrap())
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    let mut name = Name::from_ascii(name).unwrap();
    name.set_fqdn(true);
    message.add_query(Query::query(name, kind));
    message
}

fn server(fault: DnsFault) -> Server {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let answers = || {
        Answers::new()
            .address("a.example", ip("192.0.2.1"))?
            .address("a.example", ip("2001:db8::1"))?
            .address("*.wild.example", ip("192.0.2.2"))?
            .address("exact.wild.example", ip("192.0.2.3"))?
            .alias("alias.example", "x.wild.example")?
            .alias("dangling.example", "nowhere.example")?
            .alias("loop.example", "loop.example")
    };
    Server {
        answers: answers().unwrap(),
        fault,
    }
}
