//! The one text that stands for a request, so that both ends sign the same.

use std::borrow::Cow;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{Request, hex};

/// All but what RFC 3986 §2.3 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The same, with slashes left as they are.
const IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// The most pairs of a query.
const MAX_PAIRS: usize = 256;

/// A request, and what of it is signed.
pub(super) struct Canonical<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) signed_headers: &'a [String],
    /// Whether the signature stands in the query.
    pub(super) in_query: bool,
    /// Whether the security token in the query is signed.
    pub(super) with_token: bool,
}

impl Canonical<'_> {
    /// The canonical request, or `None` when there can be none: a header that is said to be signed
    /// is not there, or the path means something else than it says.
    pub(super) fn text(&self) -> Option<String> {
        let request = self.request;
        let mut text = format!("{}\n{}\n{}\n", request.method, self.path()?, self.query()?);
        for name in self.signed_headers {
            writeln!(text, "{name}:{}", self.header(name)?).ok()?;
        }
        let names = self.signed_headers.join(";");
        write!(text, "\n{names}\n{}", hex(&request.body_sha256)).ok()?;
        Some(text)
    }

    /// The path, each step encoded once more, as every service but S3 has it.
    fn path(&self) -> Option<String> {
        let path = self.request.path;
        // What other ends take out before they sign.
        let mut steps = path.strip_prefix('/')?.split('/').peekable();
        while let Some(step) = steps.next() {
            if matches!(step, "." | "..") || (step.is_empty() && steps.peek().is_some()) {
                return None;
            }
        }
        Some(utf8_percent_encode(path, IN_PATH).to_string())
    }

    fn query(&self) -> Option<String> {
        let query = self.request.query;
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (again(name)?, again(value)?);
            let left_out = match name.as_str() {
                "X-Amz-Signature" => self.in_query,
                "X-Amz-Security-Token" => self.in_query && !self.with_token,
                _ => false,
            };
            if !left_out {
                pairs.push((name, value));
            }
        }
        if pairs.len() > MAX_PAIRS {
            return None;
        }
        pairs.sort();
        let pairs: Vec<String> = pairs
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Some(pairs.join("&"))
    }

    /// All values of a header, with white space as it counts.
    fn header(&self, name: &str) -> Option<String> {
        let headers = self.request.headers.iter();
        let values: Vec<String> = headers
            .filter(|(its, _)| its.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        (!values.is_empty()).then(|| values.join(","))
    }
}

/// The same text, encoded in the one way that counts.
fn again(text: &str) -> Option<String> {
    let plain: Cow<'_, str> = percent_decode_str(text).decode_utf8().ok()?;
    Some(utf8_percent_encode(&plain, RESERVED).to_string())
}
