//! What time the hub has, signed, over a connection whose certificate is right in everything but
//! perhaps its dates.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use outgate_probe::{Ask, Path, PathConfig, Shown, Trust};
use outgate_wire::signed_time::{
    ANSWER_MAX, KEY_LEN, NONCE_LEN, PATH, SignedTime, nonce_text, signed,
};
use ring::signature::{ED25519, UnparsedPublicKey};
use time::OffsetDateTime;

use super::{Reading, words::moment};
use crate::hub_http::{self, exchange};
use crate::queue::up;

/// How long the hub may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a time in whole milliseconds leaves out.
const ROUNDED: Duration = Duration::from_millis(1);

/// Where the hub is, and how it proves itself.
#[derive(Clone)]
pub struct Hub {
    /// Its address, as `https://hub.example:8443`.
    pub url: String,
    /// The way to it; its clock plays no part.
    pub way: PathConfig,
    /// SHA-256 of public keys of which one must be in the hub's chain; none: the roots of the way are
    /// the hub's own authority.
    pub pins: Vec<[u8; 32]>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("url", &self.url)
            .field("pins", &self.pins.len())
            .finish_non_exhaustive()
    }
}

/// Asks. `key` is that by which the hub signs, `from` the time that is over for certain.
///
/// # Errors
/// Why there is no time that can be believed.
pub(super) async fn ask(
    hub: &Hub,
    key: &[u8; KEY_LEN],
    from: OffsetDateTime,
) -> Result<Reading, String> {
    let uri: http::Uri = hub.url.parse().map_err(|_| "the hub's address is none")?;
    let ask = asked(hub, &uri)?;
    let path = Path::new(hub.way.clone()).map_err(|error| crate::chain::chain(&error))?;
    let opened = outgate_probe::open_untimed(&ask, &path, from.into()).await;
    let (stream, shown) = opened.map_err(|trouble| trouble.to_string())?;
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|error| error.to_string())?;
    let request = request(&uri, &nonce)?;
    let began = up();
    let answered = tokio::time::timeout(PATIENCE, exchange(stream, request, ANSWER_MAX)).await;
    let answer = answered.map_err(|_| "the hub does not answer in time")??;
    if answer.status() != StatusCode::OK {
        return Err(format!("the hub answers {}", answer.status()));
    }
    let ended = up();
    let now = verified(answer.body(), &nonce, key)?;
    is_valid_at(&shown, now)?;
    let took = ended.saturating_sub(began);
    Ok(Reading {
        server: "the hub".to_owned(),
        // It has looked at its clock at some time between.
        began: now + took / 2 - ended,
        error: took / 2 + ROUNDED,
    })
}

/// The host and port, and who may vouch for it.
fn asked(hub: &Hub, uri: &http::Uri) -> Result<Ask, String> {
    let (mut ask, secure) = hub_http::asked(uri)?;
    if !secure {
        return Err("the hub is on this machine, without TLS".to_owned());
    }
    if !hub.pins.is_empty() {
        ask.tls.trust = Trust::Pinned(hub.pins.clone());
    }
    Ok(ask)
}

/// Nothing in it says who asks.
fn request(uri: &http::Uri, nonce: &[u8; NONCE_LEN]) -> Result<Request<Empty<Bytes>>, String> {
    let folder = uri.path().trim_end_matches('/');
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    Request::get(format!("{folder}{PATH}?nonce={}", nonce_text(nonce)))
        .header(header::HOST, authority)
        .body(Empty::new())
        .map_err(|error| error.to_string())
}

/// The time in an answer, if it is to this question and the hub's.
fn verified(
    body: &[u8],
    nonce: &[u8; NONCE_LEN],
    key: &[u8; KEY_LEN],
) -> Result<OffsetDateTime, String> {
    let answer = SignedTime::read(body, nonce).map_err(|error| error.to_string())?;
    let signature = answer.signature().ok_or("the time is not signed")?;
    UnparsedPublicKey::new(&ED25519, key)
        .verify(&signed(nonce, answer.now_millis), &signature)
        .map_err(|_| "the time is signed by a key that is not the hub's")?;
    let nanos = i128::from(answer.now_millis) * 1_000_000;
    let now = OffsetDateTime::from_unix_timestamp_nanos(nanos);
    now.map_err(|_| "the hub's time is none".to_owned())
}

/// By the time that it has told, the hub's certificate must be right in everything.
fn is_valid_at(shown: &Shown, now: OffsetDateTime) -> Result<(), String> {
    let judged = shown.is_valid_at(SystemTime::from(now));
    judged.map_err(|trouble| format!("at the time that the hub tells, {}: {trouble}", moment(now)))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use outgate_wire::signed_time::key_text;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    const NONCE: [u8; NONCE_LEN] = [1; NONCE_LEN];
    const NOW: i64 = 1_800_000_000_123;

    fn pair(seed: u8) -> (Ed25519KeyPair, [u8; KEY_LEN]) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let public = pair.public_key().as_ref().try_into().unwrap();
        (pair, public)
    }

    fn answer(pair: &Ed25519KeyPair, of: &[u8; NONCE_LEN], shown: &[u8; NONCE_LEN]) -> SignedTime {
        SignedTime {
            now_millis: NOW,
            nonce: nonce_text(shown),
            key: key_text(&pair.public_key().as_ref().try_into().unwrap()),
            signature: STANDARD.encode(pair.sign(&signed(of, NOW))),
        }
    }

    fn told(answer: &SignedTime, key: &[u8; KEY_LEN]) -> Result<i64, String> {
        let body = serde_json::to_vec(answer).unwrap();
        let now = verified(&body, &NONCE, key)?;
        Ok(i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap())
    }

    #[test]
    fn what_the_hub_has_signed_for_this_nonce_is_the_time() {
        let (pair, key) = pair(1);
        assert_eq!(told(&answer(&pair, &NONCE, &NONCE), &key), Ok(NOW));
    }

    #[test]
    fn an_answer_to_another_question_is_refused_also_when_it_says_that_it_is_to_this_one() {
        let (pair, key) = pair(1);
        let other = [2; NONCE_LEN];
        let stale = told(&answer(&pair, &other, &other), &key).unwrap_err();
        assert!(stale.contains("another question"), "{stale}");
        let forged = told(&answer(&pair, &other, &NONCE), &key).unwrap_err();
        assert!(forged.contains("not the hub's"), "{forged}");
    }

    #[test]
    fn a_time_that_was_changed_or_signed_by_somebody_else_is_refused() {
        let ((right, key), (wrong, _)) = (pair(1), pair(2));
        let by_another = told(&answer(&wrong, &NONCE, &NONCE), &key).unwrap_err();
        assert!(by_another.contains("not the hub's"), "{by_another}");
        let mut changed = answer(&right, &NONCE, &NONCE);
        changed.now_millis += 1;
        told(&changed, &key).unwrap_err();
        let mut unsigned = answer(&right, &NONCE, &NONCE);
        unsigned.signature.clear();
        assert_eq!(told(&unsigned, &key).unwrap_err(), "the time is not signed");
    }

    #[test]
    fn nothing_in_the_question_says_who_asks() {
        let uri = "https://hub.example:8443/x/".parse().unwrap();
        let request = request(&uri, &NONCE).unwrap();
        let names: Vec<&str> = request.headers().keys().map(|name| name.as_str()).collect();
        assert_eq!(names, ["host"]);
        let path = format!("/x/agent/time?nonce={}", nonce_text(&NONCE));
        assert_eq!(request.uri().to_string(), path);
    }
}
