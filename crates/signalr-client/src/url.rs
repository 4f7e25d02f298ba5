//! Where a hub is, and what of it stands in requests.

use std::fmt::Write;

use http::Uri;

use crate::connect::Authority;

/// Longest URL of a hub that is taken, in bytes: what common servers take in a request.
const URL_MAX: usize = 8 * 1024;

/// Text that is no URL of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// It is no URL, or one that names no host.
    #[error("the hub's URL is not of the form https://host/path")]
    Form,
    /// Neither `http` nor `https`.
    #[error("the hub's URL begins with neither http:// nor https://")]
    Scheme,
    /// It holds a login, which would end up in logs.
    #[error("the hub's URL holds a login: pass a token or headers instead")]
    Login,
}

/// A hub's URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HubUrl {
    pub(crate) authority: Authority,
    /// As `Host` wants it: without the usual port.
    pub(crate) host: String,
    path: String,
    /// What the URL has of a query itself, which is repeated in every request.
    query: String,
}

impl HubUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, BadUrl> {
        if text.len() > URL_MAX {
            return Err(BadUrl::Form);
        }
        let uri: Uri = text.parse().map_err(|_| BadUrl::Form)?;
        let secure = match uri.scheme_str() {
            Some("https" | "wss") => true,
            Some("http" | "ws") => false,
            Some(_) => return Err(BadUrl::Scheme),
            None => return Err(BadUrl::Form),
        };
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or(BadUrl::Form)?;
        if uri.authority().is_some_and(|it| it.as_str().contains('@')) {
            return Err(BadUrl::Login);
        }
        let usual = if secure { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(usual);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Self {
            authority: Authority {
                secure,
                host: bare.to_owned(),
                port,
            },
            host: if port == usual {
                host.to_owned()
            } else {
                format!("{host}:{port}")
            },
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
        })
    }

    /// What a request to negotiate asks for.
    pub(crate) fn negotiate(&self, stateful: bool) -> String {
        let path = self.path.trim_end_matches('/');
        let stateful = if stateful {
            "&useStatefulReconnect=true"
        } else {
            ""
        };
        self.ask(
            &format!("{path}/negotiate"),
            &format!("negotiateVersion=1{stateful}"),
        )
    }

    /// What the requests of a connection ask for. Without negotiation it has no name.
    pub(crate) fn connection(&self, token: Option<&str>) -> String {
        let id = token.map(|token| format!("id={}", escaped(token)));
        self.ask(&self.path, &id.unwrap_or_default())
    }

    fn ask(&self, path: &str, query: &str) -> String {
        let query = [&self.query, query]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<&str>>()
            .join("&");
        if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{query}")
        }
    }
}

/// A value as it may stand in a query (RFC 3986 §2.3): whatever a server calls a connection, the
/// request stays one.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Text takes whatever is written to it.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_keep_the_path_and_the_query_of_the_hub() {
        let url = HubUrl::parse("https://a.example/hub/?tenant=7#part").unwrap();
        assert_eq!(url.host, "a.example");
        assert_eq!(url.authority.to_string(), "a.example:443");
        assert_eq!(
            url.negotiate(true),
            "/hub/negotiate?tenant=7&negotiateVersion=1&useStatefulReconnect=true"
        );
        assert_eq!(url.connection(Some("x")), "/hub/?tenant=7&id=x");
        let bare = HubUrl::parse("http://[::1]:8080").unwrap();
        assert_eq!(
            (bare.host.as_str(), bare.authority.port),
            ("[::1]:8080", 8080)
        );
        assert_eq!(bare.authority.to_string(), "[::1]:8080");
        assert_eq!(bare.negotiate(false), "/negotiate?negotiateVersion=1");
        assert_eq!(bare.connection(None), "/");
    }

    #[test]
    fn a_token_changes_nothing_of_a_request_but_its_own_value() {
        let url = HubUrl::parse("http://a.example/").unwrap();
        assert_eq!(
            url.connection(Some("a b&c=\r\n/ä")),
            "/?id=a%20b%26c%3D%0D%0A%2F%C3%A4"
        );
    }

    #[test]
    fn what_is_no_hubs_url_is_refused() {
        let long = format!("http://a.example/{}", "x".repeat(URL_MAX));
        for (text, bad) in [
            ("hub", BadUrl::Form),
            ("/hub", BadUrl::Form),
            ("", BadUrl::Form),
            (&long, BadUrl::Form),
            ("ftp://a.example/", BadUrl::Scheme),
            ("https://user:secret@a.example/", BadUrl::Login),
        ] {
            assert_eq!(HubUrl::parse(text), Err(bad), "{text}");
        }
    }
}
