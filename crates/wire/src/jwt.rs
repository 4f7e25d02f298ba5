//! JSON Web Tokens (RFC 7519) as back ends for Azure SignalR Service make them: signed with
//! HMAC-SHA256, in the compact form (RFC 7515, section 7.1). The signature itself is the caller's to
//! verify, who has the keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The most bytes of a token.
pub const MAX_TOKEN: usize = 8 * 1024;

/// How far the clock of whoever made a token may be off, in seconds.
const SKEW: i64 = 60;

/// What a user is called, by the first of these that a token has.
const USER: [&str; 3] = ["asrs.s.uid", "nameid", "sub"];

/// What a token says for who reads it (RFC 7519, section 4.1).
const FOR_READERS: [&str; 5] = ["aud", "exp", "iat", "nbf", "iss"];

/// A token whose signature nobody has looked at yet.
#[derive(Debug)]
pub struct Unverified<'a> {
    /// What is signed.
    pub signed: &'a str,
    /// By this.
    pub signature: Vec<u8>,
    claims: Map<String, Value>,
}

/// What a token says.
#[derive(Debug)]
pub struct Claims(Map<String, Value>);

#[derive(Deserialize)]
struct Header {
    alg: String,
    /// What a reader must understand (RFC 7515, section 4.1.11), of which there is nothing here.
    crit: Option<Value>,
}

/// Whether a text may be a token of this kind, rather than one of the hub's own.
pub fn looks_like(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Takes a token apart.
pub fn read(text: &str) -> Option<Unverified<'_>> {
    if text.len() > MAX_TOKEN {
        return None;
    }
    let (signed, signature) = text.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let part = |part| URL_SAFE_NO_PAD.decode(part).ok();
    let header: Header = serde_json::from_slice(&part(header)?).ok()?;
    if header.alg != "HS256" || header.crit.is_some() {
        return None;
    }
    Some(Unverified {
        signed,
        signature: part(signature)?,
        claims: serde_json::from_slice(&part(claims)?).ok()?,
    })
}

impl Unverified<'_> {
    /// What it says, once the signature has been found right, if it holds at `now`, in seconds since
    /// 1970. One that does not end is not taken.
    pub fn claims(self, now: i64) -> Option<Claims> {
        let at = |name| self.claims.get(name).map(seconds);
        let ends = at("exp")??;
        let begins = match at("nbf") {
            None => i64::MIN,
            Some(begins) => begins?,
        };
        let holds = now < ends.saturating_add(SKEW) && now >= begins.saturating_sub(SKEW);
        holds.then_some(Claims(self.claims))
    }
}

impl Claims {
    /// For whom it was made: one of them is who reads it.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        let audience = self.0.get("aud");
        let several = audience.and_then(Value::as_array).into_iter().flatten();
        let one = audience.filter(|audience| audience.is_string());
        several.chain(one).filter_map(Value::as_str)
    }

    /// What else it says, as `name: value`: neither what is for its readers nor whose it is.
    pub fn told(&self) -> Vec<String> {
        let others = self.0.iter().filter(|(name, _)| {
            !name.starts_with("asrs.") && !FOR_READERS.contains(&name.as_str())
        });
        let told = others.map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name}: {text}"),
            None => format!("{name}: {value}"),
        });
        told.collect()
    }

    /// Whom it speaks of, if it says so.
    pub fn user(&self) -> Option<&str> {
        let said = USER.into_iter().find_map(|name| self.0.get(name));
        said.and_then(Value::as_str).filter(|user| !user.is_empty())
    }
}

/// A point of time in seconds, whole or not (RFC 7519, section 2, "NumericDate").
fn seconds(value: &Value) -> Option<i64> {
    let whole = value.as_i64();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is beyond all times is the last of them"
    )]
    whole.or_else(|| value.as_f64().map(|seconds| seconds as i64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn token(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(header), part(claims))
    }

    fn claims(claims: &Value, now: i64) -> Option<Claims> {
        let text = token(&json!({"alg": "HS256"}), claims);
        let read = read(&text)?;
        assert_eq!(
            (read.signature.as_slice(), looks_like(&text)),
            (&b"sig"[..], true)
        );
        read.claims(now)
    }

    #[test]
    fn a_token_holds_from_its_beginning_to_its_end_give_or_take_a_minute() {
        let it = json!({"exp": 1_000.5, "nbf": 900, "aud": ["a", "b"], "nameid": "ann"});
        for (now, holds) in [(839, false), (840, true), (1_059, true), (1_060, false)] {
            assert_eq!(claims(&it, now).is_some(), holds, "{now}");
        }
        let read = claims(&it, 950).unwrap();
        assert_eq!(read.audiences().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(read.user(), Some("ann"));
        let own = json!({"exp": 1_000, "nameid": "ann", "asrs.s.uid": "bob", "aud": "c"});
        let own = claims(&own, 0).unwrap();
        assert_eq!(
            (own.user(), own.audiences().next()),
            (Some("bob"), Some("c"))
        );
    }

    #[test]
    fn a_token_without_an_end_or_by_another_algorithm_is_none() {
        for wrong in [
            json!({}),
            json!({"exp": "soon"}),
            json!({"exp": 9, "nbf": "x"}),
        ] {
            assert!(claims(&wrong, 0).is_none(), "{wrong}");
        }
        let fine = json!({"exp": 9});
        for header in [
            json!({"alg": "none"}),
            json!({"alg": "HS512"}),
            json!({"alg": "HS256", "crit": ["x"]}),
            json!({}),
        ] {
            assert!(read(&token(&header, &fine)).is_none(), "{header}");
        }
        for text in [
            "",
            ".",
            "..",
            "a.b.c",
            "e30.e30.",
            &"a".repeat(MAX_TOKEN + 1),
        ] {
            assert!(read(text).is_none(), "{text:.20}");
        }
    }

    proptest! {
        #[test]
        fn a_token_says_what_was_written(
            names in proptest::collection::btree_map("[a-z]{1,8}", "\\PC{0,8}", 0..5),
            audience in "\\PC{0,20}",
        ) {
            let mut said: Map<String, Value> = Map::new();
            for (name, text) in &names {
                said.insert(name.clone(), text.as_str().into());
            }
            said.insert("aud".to_owned(), audience.as_str().into());
            said.insert("exp".to_owned(), 1.into());
            let text = token(&json!({"alg": "HS256", "typ": "JWT"}), &Value::Object(said.clone()));
            let unverified = read(&text).unwrap();
            prop_assert_eq!(format!("{}.c2ln", unverified.signed), text.clone());
            // A beginning that is no number is none.
            if !names.contains_key("nbf") {
                let claims = unverified.claims(0).unwrap();
                prop_assert_eq!(claims.audiences().collect::<Vec<_>>(), [audience.as_str()]);
                let told = claims.told();
                for (name, text) in &names {
                    let is_told = told.contains(&format!("{name}: {text}"));
                    prop_assert_eq!(is_told, !FOR_READERS.contains(&name.as_str()));
                }
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,200}", now: i64) {
            if let Some(unverified) = read(&text) {
                let _ = unverified.claims(now);
            }
        }
    }
}
