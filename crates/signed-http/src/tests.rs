#![cfg(test)]
//! A till asks another; both sign. And whoever stands between them tries what there is to try.

mod components;
mod rfc;

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;

use crate::signature::SignatureError;
use crate::{
    BaseError, Component, Cover, KEYS_MAX, Message, NONCES_MAX, Nonces, Policy, Refused, Replayed,
    Request, Response, SIGNATURES_MAX, SignError, Signer, Verified, VerifyingKey, check_content,
    content_digest,
};

const TAG: &str = "lan-v1";
const CONTENT: &[u8] = b"{\"total\":1990}";
const NONCE: &str = "Ym90dGxlZCB3YXRlcg";

fn fields(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in pairs {
        let name: HeaderName = name.parse().unwrap();
        fields.append(name, HeaderValue::from_str(value).unwrap());
    }
    fields
}

fn components(names: &[&str]) -> Vec<Component> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn of_requests() -> Vec<Component> {
    components(&["@method", "@authority", "@path", "@query", "content-digest"])
}

fn of_responses() -> Vec<Component> {
    components(&[
        "@status",
        "content-digest",
        "\"signature\";req;key=\"till\"",
    ])
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn signer(name: &str, seed: u8) -> Signer {
    Signer::from_seed(name, &[seed; 32]).unwrap()
}

fn keys(name: &str) -> Option<VerifyingKey> {
    let seed = match name {
        "till-1" => 1,
        "till-2" => 2,
        _ => return None,
    };
    Some(signer(name, seed).verifying_key())
}

fn cover(components: &[Component]) -> Cover<'_> {
    Cover {
        label: "till",
        components,
        tag: TAG,
        created: now(),
        expires: Some(now() + Duration::from_secs(60)),
        nonce: Some(NONCE),
    }
}

fn policy(components: &[Component]) -> Policy<'_> {
    Policy {
        tag: TAG,
        components,
        max_age: Duration::from_secs(60),
        skew: Duration::from_secs(30),
        nonce: true,
    }
}

fn request(fields: &HeaderMap) -> Request<'_> {
    Request {
        method: "POST",
        scheme: "http",
        authority: "till-2.local:8080",
        path: "/orders",
        query: Some("table=7"),
        fields,
    }
}

/// The fields of a request that till 1 has signed.
fn signed() -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert("content-digest", content_digest(CONTENT));
    let covered = of_requests();
    let message = Message::Request(request(&fields));
    let signed = signer("till-1", 1)
        .sign(&message, &cover(&covered))
        .unwrap();
    signed.put(&mut fields);
    fields
}

fn verified(request: Request<'_>, now: SystemTime) -> Result<Verified, Refused> {
    policy(&of_requests()).verify(&Message::Request(request), now, keys)
}

#[test]
fn what_was_signed_holds_and_says_whose_it_is() {
    let fields = signed();
    let verified = verified(request(&fields), now()).unwrap();
    assert_eq!(
        (verified.keyid.as_str(), verified.label.as_str()),
        ("till-1", "till")
    );
    assert_eq!(verified.parameters.nonce(), Some(NONCE));
    assert_eq!(verified.components, of_requests());
    assert_eq!(check_content(&fields, CONTENT), Ok(()));
}

#[test]
fn whatever_is_changed_of_what_is_covered_is_refused() {
    let fields = signed();
    let original = request(&fields);
    let changed = [
        Request {
            method: "PUT",
            ..original
        },
        Request {
            authority: "till-3.local:8080",
            ..original
        },
        Request {
            authority: "till-2.local",
            ..original
        },
        Request {
            path: "/orders/",
            ..original
        },
        Request {
            path: "/Orders",
            ..original
        },
        Request {
            query: Some("table=8"),
            ..original
        },
        Request {
            query: Some(""),
            ..original
        },
        Request {
            query: None,
            ..original
        },
    ];
    for request in changed {
        let refused = verified(request, now()).unwrap_err();
        assert_eq!(refused, Refused::Forged("till-1".to_owned()), "{request:?}");
    }
    let mut other = fields.clone();
    other.insert("content-digest", content_digest(b"{\"total\":1}"));
    assert!(matches!(
        verified(request(&other), now()),
        Err(Refused::Forged(_))
    ));
    let mut twice = fields.clone();
    twice.append("content-digest", content_digest(CONTENT));
    assert!(matches!(
        verified(request(&twice), now()),
        Err(Refused::Forged(_))
    ));
    assert!(check_content(&fields, b"{\"total\":1}").is_err());
}

/// The fields with one text in those of the signature replaced.
fn replaced(name: &str, from: &str, to: &str) -> HeaderMap {
    let mut fields = signed();
    let text = fields
        .get(name)
        .unwrap()
        .to_str()
        .unwrap()
        .replace(from, to);
    fields.insert(
        HeaderName::from_bytes(name.as_bytes()).unwrap(),
        HeaderValue::from_str(&text).unwrap(),
    );
    fields
}

/// Every change of `Signature-Input` from the first text to the second is refused for this reason.
fn all_are_refused(cases: &[(&str, &str, Refused)]) {
    for (from, to, expected) in cases {
        let fields = replaced("signature-input", from, to);
        let refused = verified(request(&fields), now()).unwrap_err();
        assert_eq!(refused, *expected, "{from} to {to}");
    }
}

#[test]
fn whatever_is_changed_of_what_is_said_of_the_signature_is_refused() {
    let forged = |keyid: &str| Refused::Forged(keyid.to_owned());
    let cases = [
        (";keyid=\"till-1\"", ";keyid=\"till-2\"", forged("till-2")),
        (
            ";keyid=\"till-1\"",
            ";keyid=\"till-9\"",
            Refused::UnknownKey("till-9".to_owned()),
        ),
        (";keyid=\"till-1\"", "", Refused::NotSaid("keyid")),
        (NONCE, "bmV3", forged("till-1")),
        (
            &format!(";nonce=\"{NONCE}\""),
            "",
            Refused::NotSaid("nonce"),
        ),
        ("created=1800000000", "created=1800000001", forged("till-1")),
        (
            "created=1800000000",
            "created=\"1800000000\"",
            Refused::NotSaid("created"),
        ),
        ("expires=1800000060", "expires=1800000061", forged("till-1")),
        (
            "expires=1800000060",
            "expires=\"never\"",
            Refused::NotSaid("expires"),
        ),
        (
            ";tag=\"lan-v1\"",
            ";tag=\"lan-v2\"",
            Refused::Unsigned(TAG.to_owned()),
        ),
        (";tag=", ";later=1;tag=", forged("till-1")),
        (";tag=", ";alg=\"ed25519\";tag=", forged("till-1")),
        (
            ";tag=",
            ";alg=\"hmac-sha256\";tag=",
            Refused::Algorithm("hmac-sha256".to_owned()),
        ),
    ];
    all_are_refused(&cases);
}

#[test]
fn whatever_is_changed_of_what_is_said_to_be_covered_is_refused() {
    let forged = Refused::Forged("till-1".to_owned());
    let cases = [
        (
            "\"@method\" \"@authority\"",
            "\"@authority\" \"@method\"",
            forged,
        ),
        (
            " \"@query\"",
            "",
            Refused::NotCovered("\"@query\"".to_owned()),
        ),
        (
            "\"@query\"",
            "\"@query\" \"@query\"",
            Refused::Base(BaseError::Twice("\"@query\"".to_owned())),
        ),
        (
            "\"@query\"",
            "\"@query\" \"date\"",
            Refused::Base(BaseError::Missing("\"date\"".to_owned())),
        ),
        (
            "till=",
            "other=",
            Refused::Unreadable(SignatureError::Unpaired("other".to_owned())),
        ),
    ];
    all_are_refused(&cases);
}

#[test]
fn a_signature_without_its_parameters_and_one_too_many_are_refused() {
    let mut fields = signed();
    fields.append("signature", HeaderValue::from_static("more=:AAAA:"));
    let unpaired = Refused::Unreadable(SignatureError::Unpaired("more".to_owned()));
    assert_eq!(verified(request(&fields), now()).unwrap_err(), unpaired);
    let input = fields.get("signature-input").unwrap().to_str().unwrap();
    let again = HeaderValue::from_str(&input.replace("till=", "more=")).unwrap();
    fields.append("signature-input", again);
    let several = Refused::Several(TAG.to_owned());
    assert_eq!(verified(request(&fields), now()).unwrap_err(), several);
    let none = HeaderMap::new();
    let unsigned = Refused::Unsigned(TAG.to_owned());
    assert_eq!(verified(request(&none), now()).unwrap_err(), unsigned);
}

#[test]
fn signatures_for_others_do_not_count_and_may_cover_what_is_not_known_here() {
    let mut fields = signed();
    let other = "other=(\"@quantum\" \"x\";sf);tag=\"elsewhere\"";
    fields.append("signature-input", HeaderValue::from_static(other));
    fields.append("signature", HeaderValue::from_static("other=:AAAA:"));
    assert!(verified(request(&fields), now()).is_ok());
}

#[test]
fn more_than_is_read_is_refused() {
    let many: Vec<_> = (0..=SIGNATURES_MAX)
        .map(|one| format!("a{one}=()"))
        .collect();
    let bytes: Vec<_> = (0..=SIGNATURES_MAX)
        .map(|one| format!("a{one}=:AAAA:"))
        .collect();
    let covered = vec!["\"@path\""; crate::COMPONENTS_MAX + 1].join(" ");
    let long = format!("a=();x=\"{}\"", "-".repeat(crate::FIELDS_MAX_BYTES));
    for (input, signature) in [
        (many.join(", "), bytes.join(", ")),
        (
            format!("a=({covered});tag=\"{TAG}\""),
            "a=:AAAA:".to_owned(),
        ),
        (long, "a=:AAAA:".to_owned()),
    ] {
        let fields = fields(&[("signature-input", &input), ("signature", &signature)]);
        let refused = verified(request(&fields), now()).unwrap_err();
        assert!(
            matches!(refused, Refused::Unreadable(SignatureError::TooMuch(_))),
            "{refused:?}"
        );
    }
}

#[test]
fn a_signature_counts_within_its_time_and_what_two_clocks_may_differ() {
    let fields = signed();
    let at = |seconds: u64| {
        verified(
            request(&fields),
            now() + Duration::from_secs(seconds) - Duration::from_secs(100),
        )
    };
    assert_eq!(at(69).unwrap_err(), Refused::NotYet);
    assert!(at(70).is_ok());
    assert!(at(190).is_ok());
    assert_eq!(at(191).unwrap_err(), Refused::TooOld);
    let until = at(100).unwrap().until;
    assert_eq!(until, now() + Duration::from_secs(90));
}

#[test]
fn an_answer_is_bound_to_what_it_answers() {
    let asked = signed();
    let mut fields = HeaderMap::new();
    fields.insert("content-digest", content_digest(b"ok"));
    let covered = of_responses();
    let answer = |asked| Response {
        status: StatusCode::OK,
        fields: asked,
        request: None,
    };
    let response = Response {
        request: Some(request(&asked)),
        ..answer(&fields)
    };
    let signed_answer = signer("till-2", 2)
        .sign(&Message::Response(response), &cover(&covered))
        .unwrap();
    let mut with_signature = fields.clone();
    signed_answer.put(&mut with_signature);
    let verify = |response| policy(&covered).verify(&Message::Response(response), now(), keys);
    let right = Response {
        request: Some(request(&asked)),
        ..answer(&with_signature)
    };
    assert_eq!(verify(right).unwrap().keyid, "till-2");
    let mut asked_otherwise = HeaderMap::new();
    asked_otherwise.insert("content-digest", content_digest(CONTENT));
    let of_requests = of_requests();
    let later = Cover {
        nonce: Some("another"),
        ..cover(&of_requests)
    };
    let message = Message::Request(request(&asked_otherwise));
    let otherwise = signer("till-1", 1).sign(&message, &later).unwrap();
    otherwise.put(&mut asked_otherwise);
    let wrong = Response {
        request: Some(request(&asked_otherwise)),
        ..right
    };
    assert_eq!(
        verify(wrong).unwrap_err(),
        Refused::Forged("till-2".to_owned())
    );
    let status = Response {
        status: StatusCode::ACCEPTED,
        ..right
    };
    assert_eq!(
        verify(status).unwrap_err(),
        Refused::Forged("till-2".to_owned())
    );
    let unbound = Response {
        request: None,
        ..right
    };
    assert!(matches!(
        verify(unbound),
        Err(Refused::Base(BaseError::Missing(_)))
    ));
}

#[test]
fn a_nonce_is_taken_once_of_each_key_while_it_counts() {
    let mut nonces = Nonces::default();
    let until = now() + Duration::from_secs(90);
    let mut take = |key: &str, nonce: &str, at| nonces.take(key, nonce, until, at);
    assert_eq!(take("till-1", NONCE, now()), Ok(()));
    assert_eq!(take("till-1", NONCE, now()), Err(Replayed::Seen));
    assert_eq!(take("till-1", NONCE, until), Err(Replayed::Seen));
    assert_eq!(take("till-2", NONCE, now()), Ok(()));
    assert_eq!(
        take("till-1", NONCE, until + Duration::from_secs(1)),
        Ok(())
    );
}

#[test]
fn no_nonce_is_forgotten_for_want_of_room() {
    let mut nonces = Nonces::default();
    let (until, after) = (
        now() + Duration::from_secs(90),
        now() + Duration::from_secs(91),
    );
    for one in 0..NONCES_MAX {
        assert_eq!(
            nonces.take("till-1", &one.to_string(), until, now()),
            Ok(())
        );
    }
    assert_eq!(
        nonces.take("till-1", "more", until, now()),
        Err(Replayed::TooMany)
    );
    assert_eq!(
        nonces.take("till-1", "0", until, now()),
        Err(Replayed::Seen)
    );
    for one in 1..KEYS_MAX {
        let key = format!("key-{one}");
        assert_eq!(nonces.take(&key, "a", until, now()), Ok(()));
    }
    assert_eq!(
        nonces.take("one-more", "a", until, now()),
        Err(Replayed::TooMany)
    );
    assert_eq!(nonces.take("one-more", "a", after, after), Ok(()));
}

#[test]
fn what_no_field_can_hold_is_not_signed_and_a_key_does_not_print() {
    let covered = of_requests();
    let fields = HeaderMap::new();
    let message = Message::Request(request(&fields));
    let cover = Cover {
        nonce: Some("é"),
        ..cover(&covered)
    };
    assert_eq!(
        signer("a", 1).sign(&message, &cover),
        Err(SignError::Text("é".to_owned()))
    );
    let cover = Cover {
        nonce: None,
        label: "A b",
        ..cover
    };
    assert_eq!(
        signer("a", 1).sign(&message, &cover),
        Err(SignError::Text("A b".to_owned()))
    );
    assert_eq!(
        format!("{:?}", signer("a", 1)),
        "Signer { name: \"a\", .. }"
    );
}

proptest! {
    #[test]
    fn whatever_stands_in_the_fields_is_read_or_refused(
        input in ".{0,200}",
        signature in ".{0,60}",
    ) {
        let value = |text: &str| HeaderValue::from_bytes(text.as_bytes());
        if let (Ok(input), Ok(signature)) = (value(&input), value(&signature)) {
            let mut fields = HeaderMap::new();
            fields.insert("signature-input", input);
            fields.insert("signature", signature);
            prop_assert!(verified(request(&fields), now()).is_err());
        }
    }

    #[test]
    fn whatever_is_signed_holds(
        path in "/[a-z%]{0,20}",
        query in proptest::option::of("[ -~]{0,30}"),
        text in "[ -~]{0,40}",
        nonce in "[ -~]{1,30}",
    ) {
        let mut fields = fields(&[("x-text", &text)]);
        fields.insert("content-digest", content_digest(text.as_bytes()));
        let asked = Request { path: &path, query: query.as_deref(), ..request(&fields) };
        let mut covered = of_requests();
        covered.extend(components(&["x-text", "\"x-text\";bs", "@target-uri", "@request-target"]));
        let cover = Cover { nonce: Some(&nonce), ..cover(&covered) };
        let signed = signer("till-1", 1).sign(&Message::Request(asked), &cover).unwrap();
        let mut with_signature = fields.clone();
        signed.put(&mut with_signature);
        let sent = Request { fields: &with_signature, ..asked };
        let verified = verified(sent, now()).unwrap();
        prop_assert_eq!(verified.parameters.nonce(), Some(nonce.as_str()));
    }
}
