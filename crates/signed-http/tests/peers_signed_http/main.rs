//! Python's `http-message-signatures` believes what is signed here, what it signs is believed here,
//! and neither believes what was changed on the way.

#![cfg(test)]

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use outgate_signed_http::{
    Component, Cover, Message, Policy, Refused, Request, Response, Signer, Verified, check_content,
    content_digest,
};
use outgate_testbed::python;
use serde_json::{Value as Json, json};

const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/peers_signed_http/peer.py"
);
const TAG: &str = "lan-v1";
const CONTENT: &str = "{\"total\":1990}";
const SEED: [u8; 32] = [7; 32];
const COVERED: [&str; 6] = [
    "\"@method\"",
    "\"@authority\"",
    "\"@path\"",
    "\"@query\"",
    "\"x-note\";bs",
    "\"content-digest\"",
];
const ANSWERED: [&str; 4] = [
    "\"@status\"",
    "\"content-digest\"",
    "\"@method\";req",
    "\"signature\";req;key=\"till\"",
];

/// What Python says to this.
fn peer(question: &Json) -> Json {
    let mut child = Command::new(python().unwrap())
        .arg(SCRIPT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(question.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{question}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn components(texts: &[&str]) -> Vec<Component> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn fields() -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.append("x-note", HeaderValue::from_static("one, two"));
    fields.append("x-note", HeaderValue::from_static("three"));
    fields.insert("content-digest", content_digest(CONTENT.as_bytes()));
    fields
}

fn request(fields: &HeaderMap) -> Request<'_> {
    Request {
        method: "POST",
        scheme: "http",
        authority: "till-2.local:8080",
        path: "/orders/%C3%A9",
        query: Some("table=7&q=a%20b"),
        fields,
    }
}

fn signer() -> Signer {
    Signer::from_seed("till-1", &SEED).unwrap()
}

fn cover(components: &[Component]) -> Cover<'_> {
    let now = SystemTime::now();
    Cover {
        label: "till",
        components,
        tag: TAG,
        created: now,
        expires: Some(now + Duration::from_secs(300)),
        nonce: Some("Ym90dGxlZCB3YXRlcg"),
    }
}

fn verified(message: &Message<'_>, covered: &[&str]) -> Result<Verified, Refused> {
    let components = components(covered);
    let policy = Policy {
        tag: TAG,
        components: &components,
        max_age: Duration::from_secs(300),
        skew: Duration::from_secs(300),
        nonce: true,
    };
    let key = signer().verifying_key();
    policy.verify(message, SystemTime::now(), |name| {
        (name == "till-1").then_some(key)
    })
}

fn pairs(fields: &HeaderMap) -> Json {
    let pairs = fields
        .iter()
        .map(|(name, value)| json!([name.as_str(), value.to_str().unwrap()]));
    pairs.collect()
}

fn from_pairs(pairs: &Json) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for pair in pairs.as_array().unwrap() {
        let [name, value] = [0, 1].map(|part| pair[part].as_str().unwrap());
        let name: HeaderName = name.parse().unwrap();
        fields.append(name, value.parse().unwrap());
    }
    fields
}

/// A request as Python is told of it.
fn told(request: &Request<'_>) -> Json {
    let (scheme, authority, path) = (request.scheme, request.authority, request.path);
    json!({
        "method": request.method,
        "url": format!("{scheme}://{authority}{path}?{}", request.query.unwrap()),
        "headers": pairs(request.fields),
    })
}

fn question(does: &str, message: Json, covered: &[&str]) -> Json {
    json!({
        "do": does, "message": message, "components": covered, "tag": TAG, "keyid": "till-1",
        "seed": SEED, "body": CONTENT,
    })
}

fn signed_request() -> HeaderMap {
    let mut fields = fields();
    let covered = components(&COVERED);
    let signed = signer().sign(&Message::Request(request(&fields)), &cover(&covered));
    signed.unwrap().put(&mut fields);
    fields
}

#[test]
fn python_believes_a_request_that_is_signed_here_and_not_a_changed_one() {
    let fields = signed_request();
    let asked = request(&fields);
    let answer = peer(&question("verify", told(&asked), &COVERED));
    assert_eq!(answer, json!({"keyid": "till-1", "covered": COVERED}));
    let changed = Request {
        path: "/orders/1",
        ..asked
    };
    let answer = peer(&question("verify", told(&changed), &COVERED));
    assert!(answer["refused"].is_string(), "{answer}");
}

#[test]
fn python_believes_an_answer_that_is_bound_to_its_request_and_to_no_other() {
    let asked = signed_request();
    let mut fields = HeaderMap::new();
    fields.insert("content-digest", content_digest(CONTENT.as_bytes()));
    let response = Response {
        status: StatusCode::ACCEPTED,
        fields: &fields,
        request: Some(request(&asked)),
    };
    let covered = components(&ANSWERED);
    let signed = signer()
        .sign(&Message::Response(response), &cover(&covered))
        .unwrap();
    let mut with_signature = fields.clone();
    signed.put(&mut with_signature);
    let message = |asked: &Request<'_>| json!({ "status": 202, "headers": pairs(&with_signature), "request": told(asked) });
    let answer = peer(&question("verify", message(&request(&asked)), &ANSWERED));
    assert_eq!(answer, json!({"keyid": "till-1", "covered": ANSWERED}));
    let mut other = asked.clone();
    other.insert("signature", HeaderValue::from_static("till=:AAAA:"));
    let answer = peer(&question("verify", message(&request(&other)), &ANSWERED));
    assert!(answer["refused"].is_string(), "{answer}");
}

#[test]
fn a_request_that_python_signs_is_believed_and_a_changed_one_is_not() {
    let unsigned = fields();
    let signed = peer(&question("sign", told(&request(&unsigned)), &COVERED));
    let fields = from_pairs(&signed["headers"]);
    let asked = request(&fields);
    let found = verified(&Message::Request(asked), &COVERED).unwrap();
    assert_eq!(found.components, components(&COVERED));
    assert_eq!(found.parameters.alg(), Some("ed25519"));
    assert_eq!(check_content(&fields, CONTENT.as_bytes()), Ok(()));
    let changed = Request {
        query: Some("table=8"),
        ..asked
    };
    let refused = verified(&Message::Request(changed), &COVERED).unwrap_err();
    assert_eq!(refused, Refused::Forged("till-1".to_owned()));
}

#[test]
fn an_answer_that_python_signs_is_believed_and_another_status_is_not() {
    let asked = signed_request();
    let mut fields = HeaderMap::new();
    fields.insert("content-digest", content_digest(CONTENT.as_bytes()));
    let message = json!({
        "status": 202, "headers": pairs(&fields), "request": told(&request(&asked)),
    });
    let signed = peer(&question("sign", message, &ANSWERED));
    let fields = from_pairs(&signed["headers"]);
    let response = Response {
        status: StatusCode::ACCEPTED,
        fields: &fields,
        request: Some(request(&asked)),
    };
    assert!(verified(&Message::Response(response), &ANSWERED).is_ok());
    let other = Response {
        status: StatusCode::OK,
        ..response
    };
    let refused = verified(&Message::Response(other), &ANSWERED).unwrap_err();
    assert_eq!(refused, Refused::Forged("till-1".to_owned()));
}
