//! What devices of AWS IoT Core show, and what somebody says that they may do.

use outgate_aws::jobs::{self, Asked};
use outgate_aws::policy::{Action, Names, Policy};
use outgate_aws::shadow::{self, Address, difference};
use outgate_aws::sigv4::{Request, Signed, no_body};
use serde_json::Value;

/// Reads `data` as a policy document, and asks it.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own.
pub fn aws_policy(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    if let Ok(policy) = Policy::parse(text) {
        let names = Names {
            client_id: "fort-7",
            thing: "fort-7",
        };
        let _ = policy.allows(Action::Connect("fort-7"), names);
        let _ = policy.allows(Action::Publish("forts/fort-7/done"), names);
        let _ = policy.allows(Action::Subscribe("forts/+/#"), names);
    }
}

/// Reads `data` as a request: its path, its query, then a header a line.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, or a signature that holds, which
/// nobody can have made for this secret.
pub fn aws_signature(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let mut lines = text.lines();
    let (path, query) = (lines.next().unwrap_or("/"), lines.next().unwrap_or(""));
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let request = Request {
        method: "GET",
        path,
        query,
        headers: &headers,
        body_sha256: no_body(),
    };
    if let Ok(signed) = Signed::of(&request) {
        assert!(!signed.is_signed_with(b"a secret that nobody has", &request));
        let _ = signed.in_time(0);
    }
}

/// Reads `data` as what a device publishes of its shadows and jobs: a topic, and what follows the
/// first line is the payload.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, an answer that goes elsewhere than
/// below what was asked, or a document that differs from itself.
pub fn aws_thing(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n');
    let (topic, payload) = data.split_at(end.unwrap_or(data.len()));
    let (Ok(topic), payload) = (str::from_utf8(topic), payload.get(1..).unwrap_or_default()) else {
        return;
    };
    if let Some((address, verb)) = Address::asked(topic) {
        assert_eq!(address.accepted(verb), format!("{topic}/accepted"));
        let (token, read) = shadow::Request::read(verb, payload);
        if let Err(rejected) = read {
            let _ = rejected.body(token.as_deref(), 0);
        }
    }
    if let Some((thing, asked)) = Asked::of(topic) {
        assert_eq!(asked.rejected(thing), format!("{topic}/rejected"));
        let (token, read) = jobs::Request::read(asked, payload);
        if let Err(rejected) = read {
            let _ = rejected.body(None, token.as_deref(), 0);
        }
    }
    if let Ok(document) = serde_json::from_slice::<Value>(payload) {
        assert_eq!(difference(&document, &document), None);
    }
}
