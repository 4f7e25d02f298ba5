//! What can be signed: a request, or a response and the request that it answers.

use http::{HeaderMap, StatusCode};

/// A request as RFC 9421 sees it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method, in the letters in which it was sent.
    pub method: &'a str,
    /// `http` or `https`: not in the message, so the caller says it.
    pub scheme: &'a str,
    /// Host and port, as in `Host` or `:authority`.
    pub authority: &'a str,
    /// The path as it was sent; empty for none.
    pub path: &'a str,
    /// The query as it was sent, without its question mark.
    pub query: Option<&'a str>,
    /// The fields of the head.
    pub fields: &'a HeaderMap,
}

impl Request<'_> {
    /// The authority in small letters and without the scheme's own port (RFC 9421 §2.2.3).
    pub(crate) fn normal_authority(&self) -> String {
        let authority = self.authority.to_ascii_lowercase();
        let usual = match self.scheme.to_ascii_lowercase().as_str() {
            "http" => ":80",
            "https" => ":443",
            _ => return authority,
        };
        match authority.strip_suffix(usual) {
            Some(host) => host.to_owned(),
            None => authority,
        }
    }

    /// The path, `/` where there is none (RFC 9421 §2.2.6).
    pub(crate) fn normal_path(&self) -> &str {
        if self.path.is_empty() { "/" } else { self.path }
    }

    /// The query with its question mark, which stands there even without a query (RFC 9421 §2.2.7).
    pub(crate) fn normal_query(&self) -> String {
        format!("?{}", self.query.unwrap_or_default())
    }

    /// Path and query as the request line has them (RFC 9421 §2.2.5).
    pub(crate) fn target(&self) -> String {
        let query = self.query.map(|query| format!("?{query}"));
        format!("{}{}", self.normal_path(), query.unwrap_or_default())
    }
}

/// A response as RFC 9421 sees it.
#[derive(Debug, Clone, Copy)]
pub struct Response<'a> {
    /// The status.
    pub status: StatusCode,
    /// The fields of the head.
    pub fields: &'a HeaderMap,
    /// What it answers: components with `req` are of it (RFC 9421 §2.4).
    pub request: Option<Request<'a>>,
}

/// What bears a signature.
#[derive(Debug, Clone, Copy)]
pub enum Message<'a> {
    /// A request.
    Request(Request<'a>),
    /// A response.
    Response(Response<'a>),
}

impl<'a> Message<'a> {
    /// The fields of the head.
    pub fn fields(&self) -> &'a HeaderMap {
        match self {
            Self::Request(request) => request.fields,
            Self::Response(response) => response.fields,
        }
    }
}
