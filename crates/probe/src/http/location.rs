//! Where a redirection leads (RFC 9110 §10.2.2), read as browsers read it.

use crate::path::{HIDDEN, normalised};

/// A `Location` header, taken apart.
pub(crate) struct Location {
    /// With the colon; empty if there is none.
    scheme: String,
    /// What stands between `//` and the path; `None` without `//`.
    authority: Option<String>,
    path: String,
    /// After the `?`.
    query: Option<String>,
    has_fragment: bool,
}

/// The host of a `Location`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LocationHost {
    /// The one that was asked.
    Unchanged,
    /// This one, compared as [`normalised`] does.
    Named(String),
    /// None that can be read.
    Unreadable,
}

impl Location {
    pub(crate) fn read(text: &str) -> Self {
        let text = text.trim();
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (format!("{scheme}:"), rest),
            Some(_) | None => (String::new(), text),
        };
        let (rest, has_fragment) = match rest.split_once('#') {
            Some((rest, _)) => (rest, true),
            None => (rest, false),
        };
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query.to_owned())),
            None => (rest, None),
        };
        // Browsers take a backslash for a slash.
        let rest = rest.replace('\\', "/");
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                let (authority, path) = rest.split_at(end);
                (Some(authority.to_owned()), path.to_owned())
            }
            None => (None, rest),
        };
        Self {
            scheme,
            authority,
            path,
            query,
            has_fragment,
        }
    }

    pub(crate) fn host(&self) -> LocationHost {
        let Some(authority) = &self.authority else {
            return if self.scheme.is_empty() {
                LocationHost::Unchanged
            } else {
                LocationHost::Unreadable
            };
        };
        let host_and_port = authority
            .rsplit_once('@')
            .map_or(authority.as_str(), |(_, host)| host);
        let host = match host_and_port.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once(']').map(|(host, _)| host),
            None => host_and_port.split(':').next(),
        };
        match host {
            None | Some("") => LocationHost::Unreadable,
            Some(host) => LocationHost::Named(normalised(host)),
        }
    }

    /// The text without what may be a secret: user name and password, the values of the query, the
    /// fragment.
    pub(crate) fn without_secrets(&self) -> String {
        let mut text = self.scheme.clone();
        if let Some(authority) = &self.authority {
            text.push_str("//");
            match authority.rsplit_once('@') {
                Some((_, host)) => text.extend([HIDDEN, "@", host]),
                None => text.push_str(authority),
            }
        }
        text.push_str(&self.path);
        if let Some(query) = &self.query {
            let parts = query.split('&').map(|part| match part.split_once('=') {
                Some((name, _)) => format!("{name}={HIDDEN}"),
                None => HIDDEN.to_owned(),
            });
            text.push('?');
            text.push_str(&parts.collect::<Vec<_>>().join("&"));
        }
        if self.has_fragment {
            text.extend(["#", HIDDEN]);
        }
        text
    }
}

/// A text of which nobody knows whether it is a URL, without what may be a secret if it is one.
pub(crate) fn without_secrets(text: &str) -> String {
    if text.contains("://") {
        Location::read(text).without_secrets()
    } else {
        text.to_owned()
    }
}

/// RFC 3986 §3.1.
pub(crate) fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_found_as_a_browser_finds_it() {
        let named = |host: &str| LocationHost::Named(host.to_owned());
        for (text, host) in [
            ("https://Login.example./x", named("login.example")),
            ("http://u:p@a.example:8080?x", named("a.example")),
            ("//b.example", named("b.example")),
            ("/\\b.example/x", named("b.example")),
            ("http://a.example\\@b.example/", named("a.example")),
            ("http://[2001:DB8:0::1]:80/", named("2001:db8::1")),
            ("/login", LocationHost::Unchanged),
            ("login?to=http://x.example/", LocationHost::Unchanged),
            ("", LocationHost::Unchanged),
            ("http://", LocationHost::Unreadable),
            ("http://[::1", LocationHost::Unreadable),
            ("mailto:a@b.example", LocationHost::Unreadable),
        ] {
            assert_eq!(Location::read(text).host(), host, "{text}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_hidden() {
        for (text, shown) in [
            (
                "https://u:p@a.example:1/x?token=s3cret&n=1&plain#s3cret",
                "https://…@a.example:1/x?token=…&n=…&…#…",
            ),
            ("/x?a=b=c", "/x?a=…"),
            ("https://x.example/", "https://x.example/"),
        ] {
            assert_eq!(Location::read(text).without_secrets(), shown);
            let url = text.contains("://");
            assert_eq!(without_secrets(text), if url { shown } else { text });
        }
    }
}
