//! Where an issuer's keys are found, when they are fetched, and for how long they count.

#![cfg(test)]

use outgate_jwt::issuer::{
    FETCH_EVERY, IssuerKeys, KEYS_LAST, KEYS_LINGER, NotTaken, description_of, keys_of,
};
use outgate_jwt::{Algorithm, Demands, KeySet, Refused, make};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::json;

const ISSUER: &str = "https://login.example/realm";

/// When it begins.
const BEGIN: i64 = 1_700_000_000;

/// A year: tokens end later than anything here.
const YEAR: i64 = 365 * 86_400;

#[test]
fn a_description_lies_below_the_issuers_name() {
    let at = "https://login.example/realm/.well-known/openid-configuration";
    for issuer in [ISSUER, "https://login.example/realm/"] {
        assert_eq!(description_of(issuer).as_deref(), Some(at));
    }
    for wrong in [
        "http://login.example",
        "https://",
        "https:///realm",
        "https://ann:secret@login.example",
        "https://login.example?a",
        "https://login.example#a",
        "https://login.example/a b",
        "https://login.example\\@evil.example",
        "file:///etc/passwd",
        "",
    ] {
        assert_eq!(description_of(wrong), None, "{wrong}");
    }
}

#[test]
fn only_the_issuers_own_description_says_where_its_keys_are() {
    let described = |issuer: &str, keys: &str| {
        let text = json!({ "issuer": issuer, "jwks_uri": keys, "more": [1] }).to_string();
        keys_of(ISSUER, text.as_bytes())
    };
    let keys = "https://keys.example/jwks?a=b";
    assert_eq!(described(ISSUER, keys).as_deref(), Some(keys));
    assert_eq!(described("https://evil.example", keys), None);
    assert_eq!(described("https://login.example/realm/", keys), None);
    for wrong in [
        "http://keys.example",
        "file:///k",
        "/jwks",
        "https://a@keys.example",
        "",
    ] {
        assert_eq!(described(ISSUER, wrong), None, "{wrong}");
    }
    let twice = format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"{keys}","jwks_uri":"{keys}"}}"#);
    for wrong in [
        "",
        "[]",
        "{}",
        &twice,
        &format!("{{}}{}", " ".repeat(64 * 1_024)),
    ] {
        assert_eq!(keys_of(ISSUER, wrong.as_bytes()), None, "{wrong:.40}");
    }
}

#[test]
fn keys_are_fetched_first_and_then_as_often_as_they_last() {
    let (pair, keys) = pair("one", 1);
    let token = token("one", &pair);
    let mut issuer = IssuerKeys::default();
    assert_eq!(taken(&issuer, &token, BEGIN), Err(NotTaken::Fetch));
    issuer.on_fetch(BEGIN);
    assert_eq!(taken(&issuer, &token, BEGIN), Err(NotTaken::Away));
    let (shortest, longest) = (*KEYS_LAST.start(), *KEYS_LAST.end());
    for (said, lasts) in [
        (0, shortest),
        (1_000, 1_000),
        (i64::MAX, longest),
        (i64::MIN, shortest),
    ] {
        issuer.on_keys(keys.clone(), said, BEGIN);
        assert_eq!(taken(&issuer, &token, BEGIN + lasts - 1), Ok(()));
        assert_eq!(taken(&issuer, &token, BEGIN + lasts), Err(NotTaken::Fetch));
        // A clock that was put back proves nothing about how old they are.
        assert_eq!(taken(&issuer, &token, BEGIN - 1), Err(NotTaken::Fetch));
    }
}

#[test]
fn while_they_cannot_be_fetched_they_count_an_hour_longer_and_no_more() {
    let (pair, keys) = pair("one", 1);
    let token = token("one", &pair);
    let mut issuer = IssuerKeys::default();
    issuer.on_keys(keys, 1_000, BEGIN);
    let over = BEGIN + 1_000;
    issuer.on_fetch(over);
    assert_eq!(taken(&issuer, &token, over), Ok(()));
    assert_eq!(
        taken(&issuer, &token, over + FETCH_EVERY),
        Err(NotTaken::Fetch)
    );
    let last = over + KEYS_LINGER - 1;
    issuer.on_fetch(last);
    assert_eq!(taken(&issuer, &token, last), Ok(()));
    assert_eq!(taken(&issuer, &token, last + 1), Err(NotTaken::Away));
}

#[test]
fn names_of_keys_that_nobody_knows_have_them_fetched_once_a_minute() {
    let ((one, first), (two, second)) = (pair("one", 1), pair("two", 2));
    let made_up = token("made-up", &one);
    let mut issuer = IssuerKeys::default();
    issuer.on_fetch(BEGIN);
    issuer.on_keys(first, 86_400, BEGIN);
    let mut fetched = 0;
    for now in BEGIN..BEGIN + 10 * FETCH_EVERY {
        match taken(&issuer, &made_up, now) {
            Err(NotTaken::Fetch) => {
                issuer.on_fetch(now);
                fetched += 1;
            }
            other => assert_eq!(other, Err(NotTaken::Refused(Refused::UnknownKey))),
        }
    }
    assert_eq!(fetched, 9);
    // The issuer changes its key: the new one is found, and the old one counts no more.
    let later = BEGIN + 10 * FETCH_EVERY;
    assert_eq!(
        taken(&issuer, &token("two", &two), later),
        Err(NotTaken::Fetch)
    );
    issuer.on_fetch(later);
    issuer.on_keys(second, 86_400, later);
    assert_eq!(taken(&issuer, &token("two", &two), later), Ok(()));
    let old = taken(&issuer, &token("one", &one), later);
    assert_eq!(old, Err(NotTaken::Refused(Refused::UnknownKey)));
}

#[test]
fn a_set_without_a_key_takes_nobodys_place_and_a_wrong_signature_fetches_nothing() {
    let ((one, first), (two, _)) = (pair("one", 1), pair("two", 2));
    let mut issuer = IssuerKeys::default();
    issuer.on_keys(first, 1_000, BEGIN);
    issuer.on_keys(KeySet::default(), 1_000, BEGIN);
    assert_eq!(taken(&issuer, &token("one", &one), BEGIN), Ok(()));
    let forged = taken(&issuer, &token("one", &two), BEGIN);
    assert_eq!(forged, Err(NotTaken::Refused(Refused::Signature)));
}

fn taken(issuer: &IssuerKeys, token: &str, now: i64) -> Result<(), NotTaken> {
    let demands = Demands {
        issuer: ISSUER,
        audiences: &["outgate"],
        algorithms: &[Algorithm::EdDsa],
        kinds: &["JWT"],
        unnamed_kind: false,
        leeway: 0,
        longest: 2 * YEAR,
    };
    issuer.verify(token, &demands, now).map(|_| ())
}

/// A key pair made of a number, and a set with its public key.
fn pair(name: &str, number: u8) -> (Ed25519KeyPair, KeySet) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[number; 32]).unwrap();
    let public = make::public_key(Algorithm::EdDsa, name, pair.public_key().as_ref());
    let set = json!({ "keys": [public.unwrap()] }).to_string();
    (pair, KeySet::read(set.as_bytes()).unwrap())
}

fn token(key: &str, pair: &Ed25519KeyPair) -> String {
    let claims = json!({ "iss": ISSUER, "aud": "outgate", "sub": "ann", "exp": BEGIN + YEAR });
    let unsigned = make::unsigned(Algorithm::EdDsa, key, "JWT", claims.as_object().unwrap());
    make::signed(&unsigned, pair.sign(unsigned.as_bytes()).as_ref())
}
