//! What a script gives back: `PROXY a:1; SOCKS5 b:2; DIRECT`.

use crate::{ERROR_MAX, ScriptError};

/// Most hops that are kept of one answer.
pub const ANSWER_HOPS_MAX: usize = 16;
/// Longest answer that is read, in bytes.
const ANSWER_MAX: usize = 4096;

/// One thing to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// How it is spoken to.
    pub kind: HopKind,
    /// Host and port as they were written; empty for [`HopKind::Direct`].
    pub place: String,
}

/// How a hop is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HopKind {
    /// No proxy (`DIRECT`).
    Direct,
    /// HTTP (`PROXY`, `HTTP`).
    Http,
    /// HTTP inside TLS (`HTTPS`).
    Https,
    /// SOCKS 5 (`SOCKS5`, `SOCKS`).
    Socks5,
}

impl HopKind {
    fn read(word: &str) -> Option<Self> {
        const WORDS: [(&str, HopKind); 6] = [
            ("DIRECT", HopKind::Direct),
            ("PROXY", HopKind::Http),
            ("HTTP", HopKind::Http),
            ("HTTPS", HopKind::Https),
            ("SOCKS", HopKind::Socks5),
            ("SOCKS5", HopKind::Socks5),
        ];
        let found = WORDS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(word));
        found.map(|(_, kind)| *kind)
    }
}

/// Reads an answer. None, and an empty one, mean a direct way, as in browsers. Kinds that nobody
/// here speaks (SOCKS 4) are left out; an answer of nothing else is an error.
pub fn hops(answer: Option<&str>) -> Result<Vec<Hop>, ScriptError> {
    let answer = answer.unwrap_or_default();
    let direct = Hop {
        kind: HopKind::Direct,
        place: String::new(),
    };
    if answer.trim().is_empty() {
        return Ok(vec![direct]);
    }
    let hops = answer.split(';').filter_map(|part| {
        let mut words = part.split_whitespace();
        let kind = HopKind::read(words.next()?)?;
        let place = words.next();
        match (kind, place) {
            (HopKind::Direct, None) => Some(direct.clone()),
            (HopKind::Direct, Some(_)) => None,
            (HopKind::Http | HopKind::Https | HopKind::Socks5, place) => Some(Hop {
                kind,
                place: place?.to_owned(),
            }),
        }
    });
    let hops: Vec<Hop> = hops.take(ANSWER_HOPS_MAX).collect();
    if hops.is_empty() || answer.len() > ANSWER_MAX {
        return Err(ScriptError::Answer {
            answer: shown(answer),
        });
    }
    Ok(hops)
}

/// An answer that is none, for an error. What stands before an `@` is left out but for the first
/// word: it may be a login.
fn shown(answer: &str) -> String {
    let word: String = answer
        .trim_start()
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    let text = match answer.rsplit_once('@') {
        Some((login, place)) if login.trim_start().starts_with(&format!("{word} ")) => {
            format!("{word} …@{place}")
        }
        Some((_, place)) => format!("…@{place}"),
        None => answer.to_owned(),
    };
    let shown = text.chars().filter(|one| !one.is_control());
    shown.take(ERROR_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(answer: &str) -> Vec<(HopKind, String)> {
        let found = hops(Some(answer)).unwrap();
        found.into_iter().map(|hop| (hop.kind, hop.place)).collect()
    }

    #[test]
    fn hops_are_read_in_their_order() {
        let expected = [
            (HopKind::Http, "a:1".to_owned()),
            (HopKind::Socks5, "b:2".to_owned()),
            (HopKind::Direct, String::new()),
        ];
        assert_eq!(kinds("PROXY a:1; SOCKS5  b:2 ;direct"), expected);
        assert_eq!(
            kinds("SOCKS4 a:1; HTTPS b:2"),
            [(HopKind::Https, "b:2".to_owned())]
        );
    }

    #[test]
    fn nothing_means_direct_and_nonsense_is_an_error() {
        for answer in [None, Some(""), Some(" ")] {
            assert_eq!(hops(answer).unwrap()[0].kind, HopKind::Direct);
        }
        for answer in ["nonsense", "PROXY", "SOCKS4 a:1", "DIRECT a:1"] {
            assert!(
                matches!(hops(Some(answer)), Err(ScriptError::Answer { .. })),
                "{answer}"
            );
        }
        assert!(hops(Some(&"PROXY a:1;".repeat(1000))).is_err());
    }

    #[test]
    fn an_answer_that_is_none_is_told_without_a_login() {
        for (answer, told) in [
            ("PROXI u:s3cret@a:1; DIRECT x", "PROXI …@a:1; DIRECT x"),
            ("PROXI u:s3 cr;et@a:1", "PROXI …@a:1"),
            ("u:s3cret@a:1", "…@a:1"),
            ("http://u:s3@cret@a:1", "…@a:1"),
            ("PROXI a:1", "PROXI a:1"),
        ] {
            let answer = hops(Some(answer)).unwrap_err();
            let told = told.to_owned();
            assert_eq!(answer, ScriptError::Answer { answer: told });
        }
    }
}
