//! Whether an answer is the one that is due.

use http::HeaderMap;
use ring::digest::{SHA256, digest};

use super::{Location, LocationHost, location};
use crate::{ask::Expected, path::normalised, text::cut};

/// Longest text that is quoted, in characters.
const TEXT_MAX: usize = 100;
/// What a page has on which somebody is to log in, or that leads to one; lower case.
const PORTAL_MARKS: [&str; 3] = ["<form", "http-equiv=\"refresh\"", "location.href"];

/// What is wrong with an answer, in words; `None` if it is the one that is due. `cut_off`: the body
/// goes on beyond what was read.
pub(crate) fn mismatch(
    expected: &Expected,
    headers: &HeaderMap,
    body: &[u8],
    cut_off: bool,
) -> Option<String> {
    wrong_header(expected, headers)
        .or_else(|| wrong_redirection(expected, headers))
        .or_else(|| wrong_body(expected, body, cut_off))
}

fn wrong_header(expected: &Expected, headers: &HeaderMap) -> Option<String> {
    let (name, wanted) = expected.header.as_ref()?;
    let mut values = headers.get_all(name.as_str()).iter();
    let has = values.any(|value| {
        let value = String::from_utf8_lossy(value.as_bytes());
        wanted.as_ref().is_none_or(|wanted| value.contains(wanted))
    });
    (!has).then(|| match wanted {
        None => format!("it has no header {name}"),
        Some(wanted) => format!("it has no header {name} with `{}`", short(wanted)),
    })
}

fn wrong_redirection(expected: &Expected, headers: &HeaderMap) -> Option<String> {
    let wanted = expected.redirect_host.as_ref()?;
    match location(headers).as_ref().map(Location::host) {
        Some(LocationHost::Named(host)) if host == normalised(wanted) => None,
        Some(LocationHost::Named(host)) => {
            Some(format!("it leads to {}, not to {wanted}", short(&host)))
        }
        Some(LocationHost::Unchanged | LocationHost::Unreadable) | None => {
            Some(format!("it does not lead to {wanted}"))
        }
    }
}

fn wrong_body(expected: &Expected, body: &[u8], cut_off: bool) -> Option<String> {
    if let Some(text) = &expected.body
        && !contains(body, text.as_bytes())
    {
        return Some(format!("its body does not contain `{}`", short(text)));
    }
    if let Some(wanted) = &expected.sha256
        && (cut_off || digest(&SHA256, body).as_ref() != wanted)
    {
        return Some("its body has another SHA-256".to_owned());
    }
    let (at, wanted) = expected.json.as_ref()?;
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let Some(json) = json else {
        return Some("its body is not JSON".to_owned());
    };
    let Some(found) = json.pointer(at) else {
        return Some(format!("its body has no {}", short(at)));
    };
    let found = match found {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => found.to_string(),
    };
    match wanted {
        Some(wanted) if *wanted != found => Some(format!(
            "{} of its body is `{}`, not `{}`",
            short(at),
            short(&found),
            short(wanted)
        )),
        Some(_) | None => None,
    }
}

/// Whether a page is one on which people log in.
pub(crate) fn is_login_page(body: &[u8]) -> bool {
    let page = String::from_utf8_lossy(body).to_ascii_lowercase();
    page.contains("<html") && PORTAL_MARKS.iter().any(|mark| page.contains(mark))
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

fn short(text: &str) -> String {
    cut(text, TEXT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(change: impl FnOnce(&mut Expected), body: &str) -> Option<String> {
        let mut expected = Expected::default();
        change(&mut expected);
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json".parse().unwrap());
        headers.insert("location", "https://www.example.com/a".parse().unwrap());
        mismatch(&expected, &headers, body.as_bytes(), false)
    }

    #[test]
    fn an_answer_that_is_due_has_nothing_wrong_with_it() {
        let all = |expected: &mut Expected| {
            expected.header = Some(("Content-Type".to_owned(), Some("json".to_owned())));
            expected.body = Some("up".to_owned());
            let sum = digest(&SHA256, br#"{"status":"up","n":7}"#);
            expected.sha256 = sum.as_ref().try_into().ok();
            expected.json = Some(("/n".to_owned(), Some("7".to_owned())));
            expected.redirect_host = Some("WWW.example.com".to_owned());
        };
        assert_eq!(wrong(all, r#"{"status":"up","n":7}"#), None);
        assert_eq!(wrong(|_| {}, ""), None);
    }

    #[test]
    fn whatever_else_is_told_in_words() {
        let header = |name: &str| Some((name.to_owned(), Some("html".to_owned())));
        for (words, found) in [
            (
                "it has no header content-type with `html`",
                wrong(|it| it.header = header("content-type"), ""),
            ),
            (
                "its body does not contain `up`",
                wrong(|it| it.body = Some("up".to_owned()), "down"),
            ),
            (
                "its body has another SHA-256",
                wrong(|it| it.sha256 = Some([7; 32]), "down"),
            ),
            (
                "its body is not JSON",
                wrong(|it| it.json = Some(("/a".to_owned(), None)), "<html>"),
            ),
            (
                "its body has no /a",
                wrong(|it| it.json = Some(("/a".to_owned(), None)), "{}"),
            ),
            (
                "/a of its body is `no`, not `yes`",
                wrong(
                    |it| it.json = Some(("/a".to_owned(), Some("yes".to_owned()))),
                    r#"{"a":"no"}"#,
                ),
            ),
            (
                "it leads to www.example.com, not to portal.test",
                wrong(|it| it.redirect_host = Some("portal.test".to_owned()), ""),
            ),
        ] {
            assert_eq!(found.as_deref(), Some(words));
        }
    }

    #[test]
    fn a_login_page_is_told_from_other_pages() {
        assert!(is_login_page(b"<HTML><body><FORM action=/login>"));
        assert!(!is_login_page(b"<html><body>hello"));
        assert!(!is_login_page(b"{\"form\":\"<form\"}"));
    }
}
