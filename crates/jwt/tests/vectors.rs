//! What is taken and what is not, as data: a token a line of `vectors/tokens.jsonl`, made of the
//! header and the claims that stand there and signed as it says. The keys are the test's alone.

#![cfg(test)]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use outgate_jwt::{Algorithm, Claims, Demands, KeySet, Refused, verify};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::Value;

fn lines() -> Vec<Value> {
    let lines = include_str!("vectors/tokens.jsonl").lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn known() -> Value {
    serde_json::from_str(include_str!("vectors/keys.json")).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn verified(token: &str, known: &Value) -> Result<Claims, Refused> {
    let keys = serde_json::json!({ "keys": known["keys"] }).to_string();
    let keys = KeySet::read(keys.as_bytes()).unwrap();
    assert_eq!(keys.len(), 3);
    let all = |name: &str| -> Vec<&str> {
        let all = known[name].as_array().unwrap();
        all.iter().map(|one| one.as_str().unwrap()).collect()
    };
    let algorithms: Vec<Algorithm> = all("algorithms")
        .iter()
        .map(|name| name.parse().unwrap())
        .collect();
    let demands = Demands {
        issuer: text(known, "issuer"),
        audiences: &[text(known, "audience")],
        algorithms: &algorithms,
        kinds: &all("kinds"),
        unnamed_kind: true,
        leeway: known["leeway"].as_i64().unwrap(),
        longest: known["longest"].as_i64().unwrap(),
    };
    verify(token, &keys, &demands, known["now"].as_i64().unwrap())
}

#[test]
fn every_token_of_the_table_is_taken_or_refused_for_what_is_wrong_with_it() {
    let known = known();
    let mut wrong = Vec::new();
    for line in lines() {
        let token = made(&line, &known);
        let came = match verified(&token, &known) {
            Ok(_) => Value::Null,
            Err(refused) => format!("{refused:?}").into(),
        };
        if came != line["refused"] {
            wrong.push(format!("{}: {came}, not {}", line["name"], line["refused"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_claim_is_told_as_it_was_signed() {
    let known = known();
    let token = made(&lines()[0], &known);
    let claims = verified(&token, &known).unwrap();
    assert_eq!(claims.text("sub"), Some("ann"));
    assert_eq!(claims.time("exp"), Some(1_700_000_300));
    assert_eq!(claims.text("exp"), None);
}

#[test]
fn private_shared_and_unfit_keys_are_passed_over() {
    let known = known();
    let mut private = known["keys"][0].clone();
    private["d"] = "AA".into();
    let mut encrypting = known["keys"][1].clone();
    encrypting["use"] = "enc".into();
    let shared = serde_json::json!({ "kty": "oct", "k": "AAAA", "kid": "ec" });
    let set = serde_json::json!({ "keys": [private, encrypting, shared, 1] }).to_string();
    assert!(KeySet::read(set.as_bytes()).unwrap().is_empty());
    for wrong in ["", "[]", "{}", r#"{"keys":1}"#, r#"{"keys":[],"keys":[]}"#] {
        KeySet::read(wrong.as_bytes()).unwrap_err();
    }
    let many = serde_json::json!({ "keys": vec![known["keys"][0].clone(); 65] }).to_string();
    KeySet::read(many.as_bytes()).unwrap_err();
}

/// The token that a line describes.
fn made(line: &Value, known: &Value) -> String {
    let part = |name| URL_SAFE_NO_PAD.encode(text(line, name));
    let unsigned = format!("{}.{}", part("header"), part("claims"));
    let by = if line["change"] == "der" {
        "der"
    } else {
        text(line, "by")
    };
    let signature = signature(by, unsigned.as_bytes(), known);
    let (mut header, mut claims, mut signature) = (
        part("header"),
        part("claims"),
        URL_SAFE_NO_PAD.encode(signature),
    );
    let whole =
        |header: &str, claims: &str, signature: &str| format!("{header}.{claims}.{signature}");
    match text(line, "change") {
        "header" => header = URL_SAFE_NO_PAD.encode(text(line, "header").replace("JWT", "jwt")),
        "claims" => claims = URL_SAFE_NO_PAD.encode(text(line, "claims").replace("ann", "bob")),
        "no-signature" => signature.clear(),
        "zeros" => signature = URL_SAFE_NO_PAD.encode([0; 64]),
        "longer" => signature.push_str("AAAA"),
        "padding" => signature.push_str("=="),
        // 64 bytes leave four bits of the last letter unused, which are zeros.
        "bits" => {
            let last = signature.pop().unwrap();
            let other = char::from(u8::try_from(last).unwrap() + 1);
            signature.push(other);
        }
        "two-parts" => return format!("{header}.{claims}"),
        "four-parts" => return whole(&header, &claims, &signature) + ".AAAA",
        "five-parts" => return whole(&header, &claims, &signature) + ".AAAA.AAAA",
        "empty" => return String::new(),
        "space" => return format!(" {}", whole(&header, &claims, &signature)),
        _ => {}
    }
    whole(&header, &claims, &signature)
}

fn signature(by: &str, text_signed: &[u8], known: &Value) -> Vec<u8> {
    let random = SystemRandom::new();
    let private = |name: &str| STANDARD.decode(text(&known["private"], name)).unwrap();
    let ecdsa = |name: &str, algorithm: &'static EcdsaSigningAlgorithm| {
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &private(name), &random).unwrap();
        pair.sign(&random, text_signed).unwrap().as_ref().to_vec()
    };
    let mac = |key: &[u8]| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
        ring::hmac::sign(&key, text_signed).as_ref().to_vec()
    };
    match by {
        "ec" | "stranger" => ecdsa(by, &ECDSA_P256_SHA256_FIXED_SIGNING),
        "der" => ecdsa("ec", &ECDSA_P256_SHA256_ASN1_SIGNING),
        "ed" => {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&private("ed")).unwrap();
            pair.sign(text_signed).as_ref().to_vec()
        }
        "rsa" => {
            let pair = RsaKeyPair::from_pkcs8(&private("rsa")).unwrap();
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &random, text_signed, &mut signature)
                .unwrap();
            signature
        }
        "hmac:pem" => mac(text(known, "rsa-pem").as_bytes()),
        "hmac:modulus" => mac(text(&known["keys"][2], "n").as_bytes()),
        "none" => Vec::new(),
        other => panic!("no such key: {other}"),
    }
}
