//! PyJWT, which somebody else wrote, signs what holds here, and takes what is signed here.

#![cfg(test)]

use std::io::Write as _;
use std::process::{Command, Stdio};

use outgate_jwt::{Algorithm, Demands, KeySet, Refused, make, verify};
use outgate_testbed::{python, told};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use serde_json::{Value, json};

const NOW: i64 = 1_700_000_000;

fn demands() -> Demands<'static> {
    Demands {
        issuer: "https://login.example",
        audiences: &["outgate"],
        algorithms: &Algorithm::ALL,
        kinds: &["JWT"],
        unnamed_kind: false,
        leeway: 0,
        longest: 600,
    }
}

/// What PyJWT makes of `asked`.
fn pyjwt(asked: &Value) -> Value {
    let mut python = Command::new(python().unwrap())
        .args(["-W", "ignore", "-c", include_str!("peers_jwt/pyjwt.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = python.stdin.take().unwrap();
    input.write_all(asked.to_string().as_bytes()).unwrap();
    drop(input);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn what_pyjwt_signs_by_each_algorithm_holds_and_by_no_other_key() {
    let made = pyjwt(&json!({ "make": NOW }));
    let read = |name: &str| KeySet::read(made[name].to_string().as_bytes()).unwrap();
    let (keys, others) = (read("keys"), read("others"));
    let tokens = made["tokens"].as_object().unwrap();
    assert_eq!((tokens.len(), keys.len()), (5, 5));
    for (algorithm, token) in tokens {
        let token = token.as_str().unwrap();
        let taken = verify(token, &keys, &demands(), NOW);
        assert_eq!(taken.unwrap().text("sub"), Some("ann"), "{algorithm}");
        let by_others = verify(token, &others, &demands(), NOW);
        assert_eq!(by_others, Err(Refused::Signature), "{algorithm}");
    }
}

#[test]
fn what_is_signed_here_pyjwt_takes_and_nothing_that_was_changed() {
    let random = SystemRandom::new();
    let (of_ecdsa, kind) = (
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap(),
        &ECDSA_P256_SHA256_FIXED_SIGNING,
    );
    let ecdsa = EcdsaKeyPair::from_pkcs8(kind, of_ecdsa.as_ref(), &random).unwrap();
    let of_ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let ed25519 = Ed25519KeyPair::from_pkcs8(of_ed25519.as_ref()).unwrap();
    let claims = json!({
        "iss": "https://login.example", "aud": ["outgate"], "sub": "ann", "exp": NOW + 60,
    });
    let text = |algorithm, key| {
        let claims = claims.as_object().unwrap();
        make::unsigned(algorithm, key, "JWT", claims)
    };
    let (one, two) = (text(Algorithm::Es256, "one"), text(Algorithm::EdDsa, "two"));
    let by_ecdsa = ecdsa.sign(&random, one.as_bytes()).unwrap();
    let by_ed25519 = ed25519.sign(two.as_bytes());
    let public = |algorithm, key, public: &[u8]| make::public_key(algorithm, key, public).unwrap();
    let keys = json!({ "keys": [
        public(Algorithm::Es256, "one", ecdsa.public_key().as_ref()),
        public(Algorithm::EdDsa, "two", ed25519.public_key().as_ref()),
    ]});
    let tokens = [
        make::signed(&one, by_ecdsa.as_ref()),
        make::signed(&two, by_ed25519.as_ref()),
        make::signed(&one, by_ed25519.as_ref()),
        make::signed(&text(Algorithm::EdDsa, "one"), by_ed25519.as_ref()),
    ];
    let taken = pyjwt(&json!({ "keys": keys, "tokens": tokens }));
    assert_eq!(taken, json!(["ann", "ann", null, null]));
    let keys = KeySet::read(keys.to_string().as_bytes()).unwrap();
    let ours = tokens.map(|token| verify(&token, &keys, &demands(), NOW).is_ok());
    assert_eq!(ours, [true, true, false, false]);
}
