//! Paths of look-ups, read so that nobody after the hub can read them otherwise.
//!
//! What is allowed is compared step by step after decoding, and what is sent is written anew from
//! the same steps. A path that servers are known to read in more than one way (empty steps, dots,
//! slashes that are written otherwise, what is encoded twice, parameters of steps) is none.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The most bytes of a path as it is written.
pub(crate) const MAX_PATH: usize = 2_048;

/// What is written otherwise: all but the unreserved characters (RFC 3986, section 2.3).
const WRITTEN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A path: its steps, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    steps: Vec<String>,
    /// Whether a slash follows the last one.
    open: bool,
}

impl Steps {
    /// Reads a path, with a slash before it or without. None when servers could differ about it.
    #[must_use]
    pub fn read(path: &str) -> Option<Self> {
        if path.len() > MAX_PATH {
            return None;
        }
        let path = path.strip_prefix('/').unwrap_or(path);
        let (path, open) = match path.strip_suffix('/') {
            Some(path) => (path, true),
            None => (path, false),
        };
        if path.is_empty() {
            return (!open).then_some(Self {
                steps: Vec::new(),
                open,
            });
        }
        let steps = path.split('/').map(step).collect::<Option<_>>()?;
        Some(Self { steps, open })
    }

    /// The first step, and what follows.
    #[must_use]
    pub fn split_first(mut self) -> Option<(String, Self)> {
        if self.steps.is_empty() {
            return None;
        }
        let first = self.steps.remove(0);
        self.open &= !self.steps.is_empty();
        Some((first, self))
    }

    /// The only step there is, and no slash after it.
    #[must_use]
    pub fn only(&self) -> Option<&str> {
        match &self.steps[..] {
            [one] if !self.open => Some(one),
            _ => None,
        }
    }

    /// Whether it is `other`, or below it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.steps.starts_with(&other.steps)
            // With a slash at its end, only what is below is meant.
            && (!other.open || self.open || self.steps.len() > other.steps.len())
    }

    /// As it is written in an address, without a slash before it.
    #[must_use]
    pub fn written(&self) -> String {
        let steps = self.steps.iter();
        let steps = steps.map(|step| utf8_percent_encode(step, WRITTEN).to_string());
        let mut path = steps.collect::<Vec<_>>().join("/");
        if self.open {
            path.push('/');
        }
        path
    }
}

/// A step, decoded; none when it could be taken for something else.
fn step(written: &str) -> Option<String> {
    let bytes = written.as_bytes();
    let is_encoding_right = bytes.iter().enumerate().all(|(at, byte)| {
        let digit = |ahead| bytes.get(at + ahead).is_some_and(u8::is_ascii_hexdigit);
        *byte != b'%' || (digit(1) && digit(2))
    });
    if !is_encoding_right {
        return None;
    }
    let decoded = percent_decode_str(written).decode_utf8().ok()?.into_owned();
    let is_odd = |one: char| one.is_control() || ['/', '\\', '%', ';', '?', '#'].contains(&one);
    // Some file systems forget dots and spaces at the end of a name.
    let is_dots = decoded.chars().all(|one| one == '.' || one.is_whitespace());
    let good = !is_dots && !decoded.ends_with(['.', ' ']) && !decoded.contains(is_odd);
    good.then_some(decoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(path: &str) -> Option<String> {
        Steps::read(path).map(|steps| steps.written())
    }

    #[test]
    fn a_path_is_written_as_it_was_read_whatever_its_spelling() {
        for (path, anew) in [
            ("", ""),
            ("/", ""),
            ("a", "a"),
            ("/a/b/", "a/b/"),
            ("%61/b%2Dc", "a/b-c"),
            ("caf%C3%A9", "caf%C3%A9"),
            ("a@b:c", "a%40b%3Ac"),
            ("a b", "a%20b"),
            (".well-known", ".well-known"),
        ] {
            assert_eq!(written(path).as_deref(), Some(anew), "{path}");
        }
    }

    #[test]
    fn what_servers_read_in_more_than_one_way_is_no_path() {
        for path in [
            "//",
            "a//b",
            "//a",
            "a//",
            ".",
            "..",
            "a/../b",
            "a/./b",
            "%2e%2e",
            "a/%2E%2e/b",
            ".%2e",
            "a%2fb",
            "a%5Cb",
            "a\\b",
            "%252e%252e",
            "a%25",
            "a;b",
            "a/..;/b",
            "a%00b",
            "a%0d%0ab",
            "%",
            "%4",
            "%zz",
            "%ff",
            "...",
            ".. ",
            "..%20",
            "a.",
            "a%20",
            "%3f",
            "%23",
        ] {
            assert_eq!(written(path), None, "{path}");
        }
        assert_eq!(written(&"a".repeat(MAX_PATH + 1)), None);
    }

    #[test]
    fn below_is_told_by_whole_steps() {
        for (path, allowed, within) in [
            ("a", "a", true),
            ("a/", "a", true),
            ("a/b", "a", true),
            ("ab", "a", false),
            ("a", "a/b", false),
            ("a", "a/", false),
            ("a/", "a/", true),
            ("a/b", "a/", true),
            ("A", "a", false),
            ("a", "", true),
            ("%61/b", "a", true),
        ] {
            let [path_is, allowed_is] = [path, allowed].map(|path| Steps::read(path).unwrap());
            assert_eq!(path_is.is_within(&allowed_is), within, "{path} {allowed}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_leads_where_it_was_read(path in "[a-c./%25e;~ ]{0,12}") {
            if let Some(steps) = Steps::read(&path) {
                let anew = steps.written();
                prop_assert_eq!(Steps::read(&anew), Some(steps.clone()));
                // Nothing is left for whoever reads addresses as browsers do.
                let url = reqwest::Url::parse(&format!("https://api.example/v1/{anew}")).unwrap();
                prop_assert_eq!(url.host_str(), Some("api.example"));
                let path = format!("/v1/{anew}");
                prop_assert_eq!(url.path(), path.as_str());
                prop_assert!(url.query().is_none() && url.fragment().is_none());
            }
        }

        #[test]
        fn any_text_is_a_path_or_not_but_never_a_panic(path: String) {
            let _ = Steps::read(&path);
        }
    }
}
