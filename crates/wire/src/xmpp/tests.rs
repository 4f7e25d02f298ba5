#![cfg(test)]

use proptest::prelude::*;

use super::*;

/// What prosody 0.12 says to a client that is not yet secured.
const PROSODY: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' version='1.0' \
    id='5c0d7f0e' from='pbx.example' xml:lang='en' \
    xmlns:stream='http://etherx.jabber.org/streams'><stream:features>\
    <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>\
    </stream:features>";

fn read(text: &str) -> Result<Option<(Opening, usize)>, XmppError> {
    Opening::read(text.as_bytes())
}

fn features(children: &str) -> Features {
    let text = format!("<stream:stream><stream:features>{children}</stream:features>");
    let Ok(Some((opening, _))) = read(&text) else {
        panic!("{text}")
    };
    let First::Features(features) = opening.first else {
        panic!("{opening:?}")
    };
    features
}

#[test]
fn the_header_names_the_domain_and_lets_it_say_nothing_else() {
    assert!(header("pbx.example").contains("to='pbx.example' version='1.0'"));
    assert!(header("a'/><x").contains("to='a&apos;/&gt;&lt;x'"));
}

#[test]
fn a_server_that_insists_on_tls_is_read() {
    let text = format!("{PROSODY}<more");
    let (opening, length) = read(&text).unwrap().unwrap();
    assert_eq!(length, PROSODY.len());
    assert_eq!(opening.from.as_deref(), Some("pbx.example"));
    let start_tls = Some(Demand::Required);
    let mechanisms = Vec::new();
    let features = Features {
        start_tls,
        mechanisms,
    };
    assert_eq!(opening.first, First::Features(features));
}

#[test]
fn a_beginning_is_waited_for_until_it_is_whole() {
    for end in 0..PROSODY.len() {
        assert_eq!(read(&PROSODY[..end]), Ok(None), "{}", &PROSODY[..end]);
    }
}

#[test]
fn ways_to_log_in_are_listed_and_other_features_are_left_alone() {
    let read = features(
        "<compression><method>zlib</method></compression>\
         <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\
         <mechanisms><mechanism>SCRAM-SHA-1</mechanism> <mechanism>PLAIN</mechanism></mechanisms>",
    );
    assert_eq!(read.start_tls, Some(Demand::Optional));
    assert_eq!(read.mechanisms, ["SCRAM-SHA-1", "PLAIN"]);
    assert_eq!(features(""), Features::default());
    let many = "<mechanism>PLAIN</mechanism>".repeat(99);
    let many = features(&format!("<mechanisms>{many}</mechanisms>"));
    assert_eq!(many.mechanisms.len(), MECHANISMS_MAX);
}

#[test]
fn an_error_is_named_by_its_condition() {
    let text = "<stream:stream from='x'><stream:error>\
        <host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
        <text>This server does not serve it</text></stream:error></stream:stream>";
    let (opening, _) = read(text).unwrap().unwrap();
    assert_eq!(opening.first, First::Error("host-unknown".to_owned()));
}

#[test]
fn what_is_not_xmpp_is_told() {
    for text in [
        "HTTP/1.1 400 Bad Request\r\n",
        "<html><body>",
        "<stream:stream><iq/>",
        "<stream:stream></stream:stream>",
        "<stream:stream></other>",
        "<!DOCTYPE html><html>",
        "<!DOCTYPE a [<!ENTITY b 'c'>]><stream:stream>",
        "<stream:stream><!-- --><stream:features/>",
    ] {
        assert_eq!(read(text), Err(XmppError::NotXmpp), "{text}");
    }
    assert_eq!(
        Opening::read(b"<stream:stream>\xff"),
        Err(XmppError::NotXmpp)
    );
    let deep = format!("<stream:stream><stream:features>{}", "<a>".repeat(99));
    assert_eq!(read(&deep), Err(XmppError::NotXmpp));
    let endless = format!(
        "<stream:stream><stream:features>{}",
        "<a/>".repeat(OPENING_MAX)
    );
    assert_eq!(read(&endless), Err(XmppError::TooLong));
}

#[test]
fn the_answer_to_the_wish_for_tls_is_read() {
    let proceed = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    let answer = TlsAnswer::read(format!("{proceed}<early").as_bytes());
    assert_eq!(answer, Ok(Some((TlsAnswer::Proceed, proceed.len()))));
    let failure = "<failure><reason/></failure></stream:stream>";
    let answer = TlsAnswer::read(failure.as_bytes());
    assert_eq!(answer, Ok(Some((TlsAnswer::Failure, 28))));
    assert_eq!(TlsAnswer::read(b"<procee"), Ok(None));
    assert_eq!(TlsAnswer::read(b"<iq/>"), Err(XmppError::NotXmpp));
    let marked = TlsAnswer::read("\u{feff}<proceed/>".as_bytes());
    assert_eq!(marked, Err(XmppError::NotXmpp));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Opening::read(&bytes);
        let _ = TlsAnswer::read(&bytes);
    }

    #[test]
    fn no_xml_panics_and_more_of_it_changes_nothing(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("<stream:stream from='a'>"), Just("<stream:features>"), Just("<starttls/>"),
                Just("</stream:features>"), Just("<error>"), Just("</error>"), Just("<a>"),
                Just("</a>"), Just("<mechanisms>"), Just("<mechanism>"), Just("&amp;"), Just("x"),
                Just("<proceed/>"), Just("<!"), Just("<?"), Just("<failure>"), Just("</failure>"),
            ],
            0..12,
        ),
        more in "[<a-z/> ]{0,10}",
    ) {
        let text = parts.concat();
        let read = read(&text);
        if matches!(read, Ok(Some(_))) {
            prop_assert_eq!(Opening::read(format!("{text}{more}").as_bytes()), read);
        }
        let _ = TlsAnswer::read(text.as_bytes());
    }
}
