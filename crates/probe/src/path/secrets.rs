//! What a report must never repeat, in whatever spelling a peer sends it back.

use std::fmt;

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};

use super::Login;

/// What stands for a secret.
pub(crate) const HIDDEN: &str = "…";
/// The shortest password that is looked for by itself, in bytes: a shorter one is a part of too
/// many words. Together with its user name every password is looked for.
const PASSWORD_MIN: usize = 4;

/// The logins that a path knows, which are found in every spelling in which a peer might send them
/// back: plain and in base64, with escapes of URLs, XML and JSON or without.
#[derive(Clone, Default)]
pub struct Secrets {
    /// The longest first, so that none is hidden in part.
    spellings: Vec<String>,
}

impl Secrets {
    pub(crate) fn of<'a>(logins: impl IntoIterator<Item = &'a Login>) -> Self {
        let mut spellings: Vec<String> = logins.into_iter().flat_map(spellings).collect();
        spellings.sort_by(|one, other| (other.len(), one).cmp(&(one.len(), other)));
        spellings.dedup();
        Self { spellings }
    }

    /// The text with an ellipsis in place of each secret.
    pub fn hide(&self, text: &str) -> String {
        let mut hidden = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let mut spellings = self.spellings.iter();
            let length = spellings.find_map(|spelling| spelt(spelling, rest));
            match length.and_then(|length| rest.get(length..)) {
                Some(after) => {
                    hidden.push_str(HIDDEN);
                    rest = after;
                }
                None => {
                    hidden.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        hidden
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

fn spellings(login: &Login) -> Vec<String> {
    let mut plain = vec![format!("{}:{}", login.user(), login.password())];
    if login.password().len() >= PASSWORD_MIN {
        plain.push(login.password().to_owned());
    }
    let engines = [
        BASE64_STANDARD,
        BASE64_STANDARD_NO_PAD,
        BASE64_URL_SAFE,
        BASE64_URL_SAFE_NO_PAD,
    ];
    let base64 = engines
        .iter()
        .flat_map(|engine| plain.iter().map(|text| engine.encode(text)));
    base64.chain(plain.clone()).collect()
}

/// How many bytes the beginning of a text takes to spell a secret, each of whose bytes may be
/// escaped or not; `None` if it does not. A byte may be read in two ways, so that several places
/// are followed.
fn spelt(secret: &str, text: &str) -> Option<usize> {
    let text = text.as_bytes();
    let mut places = vec![0];
    for wanted in secret.bytes() {
        let mut next = Vec::with_capacity(places.len());
        for place in places {
            let rest = text.get(place..).unwrap_or_default();
            let escape = escape(rest).filter(|(byte, _)| *byte == wanted);
            let literal = rest.first().filter(|byte| **byte == wanted).map(|_| 1);
            let lengths = escape.map(|(_, length)| length).into_iter().chain(literal);
            next.extend(lengths.map(|length| place + length));
        }
        next.sort_unstable();
        next.dedup();
        if next.is_empty() {
            return None;
        }
        places = next;
    }
    places.pop()
}

/// The byte that an escape stands for, and the escape's length.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    /// Those of XML 1.0 §4.6, as writers write them, and of JSON (RFC 8259 §7).
    const ESCAPES: [(&str, u8); 10] = [
        ("&amp;", b'&'),
        ("&lt;", b'<'),
        ("&gt;", b'>'),
        ("&quot;", b'"'),
        ("&#34;", b'"'),
        ("&apos;", b'\''),
        ("&#39;", b'\''),
        ("&#x27;", b'\''),
        ("\\\\", b'\\'),
        ("\\\"", b'"'),
    ];
    if let [b'%', high, low, ..] = text {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        // RFC 3986 §2.1.
        let byte = u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?;
        return Some((byte, 3));
    }
    let mut escapes = ESCAPES.iter();
    let found = escapes.find(|(escape, _)| text.starts_with(escape.as_bytes()));
    found.map(|(escape, byte)| (*byte, escape.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_hidden_in_every_spelling_and_never_printed() {
        let login = Login::new("Aladdin", "open <sesame> & 1/2").unwrap();
        let secrets = Secrets::of([&login]);
        for (text, shown) in [
            ("said open <sesame> & 1/2.", "said …."),
            ("Aladdin:open <sesame> & 1/2", "…"),
            ("open%20%3Csesame%3E%20%26%201%2F2", "…"),
            ("open%20%3csesame%3e%20%26%201%2f2", "…"),
            ("Aladdin:open%20%3Csesame%3E%20&%201%2F2", "…"),
            ("open &lt;sesame&gt; &amp; 1/2", "…"),
            ("ope%6E <sesame&gt; & 1/2 ope", "… ope"),
            ("QWxhZGRpbjpvcGVuIDxzZXNhbWU%2bICYgMS8y", "…"),
            ("Basic QWxhZGRpbjpvcGVuIDxzZXNhbWU+ICYgMS8y", "Basic …"),
            ("QWxhZGRpbjpvcGVuIDxzZXNhbWU-ICYgMS8y", "…"),
            ("Aladdin opens", "Aladdin opens"),
        ] {
            assert_eq!(secrets.hide(text), shown, "{text}");
        }
        assert_eq!(format!("{secrets:?}"), "Secrets(…)");
    }

    #[test]
    fn a_short_password_is_hidden_with_its_user_name_only() {
        let secrets = Secrets::of([&Login::new("u", "p").unwrap()]);
        assert_eq!(secrets.hide("u:p up dTpw p"), "… up … p");
    }
}
