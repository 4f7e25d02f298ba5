#![cfg(test)]

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;

fn question(method: Method) -> Question<'static> {
    Question {
        method,
        to: "pbx.example:5060",
        carrier: Carrier::Udp,
        local: SocketAddr::from(([10, 77, 0, 2], 40000)),
        token: "0123456789abcdef",
    }
}

fn outside() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 1], 61234))
}

fn whole(message: &[u8]) -> Head {
    Head::read(message).unwrap().unwrap()
}

/// RFC 4475 §3.1.1.1: a message that tries what the grammar allows.
const TORTUOUS: &str = "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n\
    TO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n\
    from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n\
    MaX-fOrWaRdS: 0068\r\n\
    Call-ID: wsinv.ndaksdj@192.0.2.1\r\n\
    Content-Length   : 150\r\n\
    cseq: 0009\r\n  INVITE\r\n\
    s :\r\n\
    v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n \
    SIP  /    2.0   / UDP  192.168.255.111   ; branch=z9hG4bK30239\r\n\
    m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n  \
    secondparam ; q = 0.33\r\n\r\n";

#[test]
fn an_address_of_ipv6_stands_in_brackets_wherever_a_uri_or_a_port_does() {
    let local = "[2001:db8::2]:40000".parse().unwrap();
    let question = Question {
        method: Method::Invite,
        to: "[2001:db8::1]:5060",
        carrier: Carrier::Udp,
        local,
        token: "one",
    };
    let said = String::from_utf8(question.encode()).unwrap();
    for line in [
        "INVITE sip:[2001:db8::1]:5060 SIP/2.0\r\n",
        "Via: SIP/2.0/UDP [2001:db8::2]:40000;branch=",
        "From: <sip:outgate@[2001:db8::2]>;tag=",
        "To: <sip:[2001:db8::1]:5060>\r\n",
        "Contact: <sip:outgate@[2001:db8::2]:40000>\r\n",
        // There no port follows (RFC 8866 section 5.7).
        "c=IN IP6 2001:db8::2\r\n",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
}

#[test]
fn the_tortuous_invite_of_rfc_4475_is_read() {
    let head = whole(TORTUOUS.as_bytes());
    let method = "INVITE".to_owned();
    let uri = "sip:vivekg@chair-dnrc.example.com;unknownparam".to_owned();
    assert_eq!(head.start, Start::Request { method, uri });
    assert_eq!(head.field("cseq"), Some("0009 INVITE"));
    assert_eq!(head.field("Subject"), Some(""));
    assert_eq!(head.content_length(), Ok(Some(150)));
    assert_eq!(head.length, TORTUOUS.len());
    assert!(head.field("Contact").unwrap().ends_with("q = 0.33"));
}

#[test]
fn a_via_tells_from_where_a_message_came() {
    let via = Via::read(
        "SIP/2.0/UDP 10.77.0.2:40000;branch=z9hG4bKabc;received=198.51.100.1;rport=61234, \
         SIP/2.0/UDP other.example",
    );
    let expected = Via {
        carrier: "UDP".to_owned(),
        sent_by: "10.77.0.2:40000".to_owned(),
        branch: Some("z9hG4bKabc".to_owned()),
        received: Some(outside().ip()),
        rport: Some(61234),
    };
    assert_eq!(via, Some(expected));
    let via = Via::read("SIP/2.0/TLS [2001:db8::1];received=[2001:db8::2];rport").unwrap();
    assert_eq!(via.received, Some("2001:db8::2".parse().unwrap()));
    assert_eq!(via.rport, None);
}

#[test]
fn a_head_is_not_there_before_its_end() {
    let message = question(Method::Options).encode();
    for length in 0..message.len() {
        assert_eq!(Head::read(&message[..length]), Ok(None), "{length}");
    }
    assert_eq!(whole(&message).length, message.len());
}

#[test]
fn too_long_a_head_and_too_many_fields_are_refused() {
    let mut long = b"SIP/2.0 200 OK\r\nSubject: ".to_vec();
    long.resize(HEAD_MAX - 1, b'x');
    assert_eq!(Head::read(&long), Ok(None));
    long.push(b'x');
    assert_eq!(Head::read(&long), Err(ReadError::TooLong));
    let fields = |count| format!("SIP/2.0 200 OK\r\n{}\r\n", "s: x\r\n".repeat(count));
    assert_eq!(
        whole(fields(FIELDS_MAX).as_bytes()).fields.len(),
        FIELDS_MAX
    );
    let more = fields(FIELDS_MAX + 1);
    assert_eq!(Head::read(more.as_bytes()), Err(ReadError::TooLong));
}

#[test]
fn what_is_not_sip_is_told_so() {
    for text in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "SIP/2.0 20 OK\r\n\r\n",
        "SIP/2.0 700 No\r\n\r\n",
        "OPTIONS sip:a\r\n\r\n",
        "SIP/2.0 200 OK\r\n folded: nothing\r\n\r\n",
        "SIP/2.0 200 OK\r\nno colon\r\n\r\n",
    ] {
        assert_eq!(
            Head::read(text.as_bytes()),
            Err(ReadError::NotSip),
            "{text}"
        );
    }
}

#[test]
fn an_echo_says_what_arrived_and_from_where() {
    let question = question(Method::Invite);
    let message = question.encode();
    assert_eq!(message.len(), QUESTION_MAX);
    let answer = echo(&message, outside()).unwrap();
    assert!(answer.len() <= message.len());
    let head = whole(&answer);
    let code = 488;
    let reason = "Not Acceptable Here".to_owned();
    assert_eq!(head.start, Start::Answer { code, reason });
    let via = head.via().unwrap();
    assert_eq!(via.branch, Some(question.branch()));
    assert_eq!(
        via.received
            .map(|ip| SocketAddr::new(ip, via.rport.unwrap())),
        Some(outside())
    );
    assert_eq!(head.field("Call-ID"), Some(question.call_id().as_str()));
    let arrived = echoed(&head, &answer[head.length..]).unwrap();
    assert_eq!(rewritten(&message, &arrived), []);
    let text = String::from_utf8_lossy(&answer);
    assert!(!text.contains("m=audio"), "a gateway could read {text}");
}

#[test]
fn an_echo_of_ipv6_with_the_longest_addresses_holds_all_that_counts() {
    let local = "[2001:db8:1111:2222:3333:4444:5555:6666]:50000"
        .parse()
        .unwrap();
    let to = "[2001:db8:1111:2222:3333:4444:5555:7777]:5060";
    for method in [Method::Options, Method::Invite] {
        let question = Question {
            to,
            local,
            ..question(method)
        };
        let message = question.encode();
        let answer = echo(&message, local).unwrap();
        let head = whole(&answer);
        if method == Method::Invite {
            let arrived = echoed(&head, &answer[head.length..]).unwrap();
            assert_eq!(rewritten(&message, &arrived), []);
        }
    }
}

#[test]
fn what_a_gateway_rewrote_is_told_line_by_line() {
    let message = question(Method::Invite).encode();
    let text = String::from_utf8(message.clone()).unwrap();
    let changed = text
        .replace(
            "Contact: <sip:outgate@10.77.0.2:40000>",
            "Contact: <sip:outgate@198.51.100.1>",
        )
        .replace("c=IN IP4 10.77.0.2", "c=IN IP4 198.51.100.1")
        .replace("Max-Forwards: 70\r\n", "")
        .replace("\r\nt=0 0", "\r\nt=0 0\r\na=sendrecv");
    let answer = echo(changed.as_bytes(), outside()).unwrap();
    let head = whole(&answer);
    let arrived = echoed(&head, &answer[head.length..]).unwrap();
    let found: Vec<(Option<String>, Option<String>)> = rewritten(&message, &arrived)
        .into_iter()
        .map(|line| (line.sent, line.arrived))
        .collect();
    let line = |text: &str| Some(text.to_owned());
    let expected = [
        (line("Max-Forwards: 70"), None),
        (
            line("Contact: <sip:outgate@10.77.0.2:40000>"),
            line("Contact: <sip:outgate@198.51.100.1>"),
        ),
        (line("c=IN IP4 10.77.0.2"), line("c=IN IP4 198.51.100.1")),
        (None, line("a=sendrecv")),
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_echo_answers_no_answer_and_nothing_that_is_too_short() {
    let message = question(Method::Options).encode();
    let answer = echo(&message, outside()).unwrap();
    assert_eq!(echo(&answer, outside()), None, "two echoes would never end");
    let short = "OPTIONS sip:a SIP/2.0\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1\r\nf: a\r\nt: a\r\n\
                 i: a\r\nCSeq: 1 OPTIONS\r\n\r\n";
    assert_eq!(echo(short.as_bytes(), outside()), None);
    let register = String::from_utf8(message)
        .unwrap()
        .replace("OPTIONS", "REGISTER");
    assert_eq!(echo(register.as_bytes(), outside()), None);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Head::read(&bytes);
        let _ = echo(&bytes, outside());
        let _ = rewritten(&bytes, &bytes);
    }

    #[test]
    fn no_text_panics_and_no_echo_is_longer_than_its_question(
        start in "(OPTIONS|INVITE|SIP/2.0) [ -~]{0,20}( SIP/2.0)?",
        lines in proptest::collection::vec("(v|f|t|i|CSeq|Via|l)?:?[ -~]{0,40}", 0..12),
        body in "[ -~]{0,400}",
    ) {
        let text = format!("{start}\r\n{}\r\n\r\n{body}", lines.join("\r\n"));
        if let Some(answer) = echo(text.as_bytes(), outside()) {
            prop_assert!(answer.len() <= text.len());
        }
        if let Ok(Some(head)) = Head::read(text.as_bytes()) {
            let _ = head.via();
            let _ = head.content_length();
        }
    }
}
