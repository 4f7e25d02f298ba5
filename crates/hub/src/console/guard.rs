//! What every answer of the console says to the browser, and what it asks of a form.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Uri};
use outgate_door::Facts;

/// Nothing is loaded but our own script, style and events; nobody frames us.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; \
    base-uri 'none'";

/// `same-origin` and not `no-referrer`, for with that browsers hide the origin of a form too.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// Adds the headers; what is not said to be kept is not kept.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Whether a form was sent from a page of ours: its origin (RFC 6454, section 7) is where it was
/// sent to. Beside the cookie's `SameSite` this is what keeps other sites' forms out.
pub(super) fn is_own(headers: &HeaderMap, uri: &Uri, facts: &Facts) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(host) = uri
        .authority()
        .map(|authority| authority.as_str())
        .or_else(|| text(header::HOST))
    else {
        return false;
    };
    let scheme = if facts.tls.is_some() { "https" } else { "http" };
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    let site = text(HeaderName::from_static("sec-fetch-site"));
    // A proxy that we do not see may have taken TLS off.
    origin.is_some_and(|(from, at)| {
        (from == scheme || from == "https") && at.eq_ignore_ascii_case(host)
    }) && site.is_none_or(|site| site == "same-origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(pairs: &[(&str, &str)]) -> bool {
        let facts = Facts {
            peer: ([127, 0, 0, 1], 1).into(),
            local: ([127, 0, 0, 1], 2).into(),
            tls: None,
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        is_own(&headers, &Uri::from_static("/console/login"), &facts)
    }

    #[test]
    fn only_a_form_from_our_own_page_is_taken() {
        let host = ("host", "hub:8443");
        for (pairs, right) in [
            (&[host, ("origin", "http://hub:8443")][..], true),
            (&[host, ("origin", "https://HUB:8443")], true),
            (&[host], false),
            (&[host, ("origin", "null")], false),
            (&[host, ("origin", "https://hub")], false),
            (&[host, ("origin", "https://evil.example")], false),
            (&[host, ("origin", "https://hub:8443.evil.example")], false),
            (&[("origin", "https://hub:8443")], false),
            (
                &[
                    host,
                    ("origin", "https://hub:8443"),
                    ("sec-fetch-site", "cross-site"),
                ],
                false,
            ),
        ] {
            assert_eq!(own(pairs), right, "{pairs:?}");
        }
    }
}
