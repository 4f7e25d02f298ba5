//! Pages of other origins in browsers (the Fetch standard, "CORS protocol"): which of them may ask
//! what devices ask. None may unless it is configured.
//!
//! A browser shows the certificate that it has for the hub whatever page asks, so of a page that may
//! not ask a certificate proves nothing. Over HTTP such a page is refused whatever it shows. Over a
//! WebSocket, which browsers open without asking first, it is let in only by what it had to know
//! itself: a token or a password. Who knows those needs no browser.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode, Uri};
use outgate_door::Facts;

use super::websocket;
use crate::api::{Kind, Problem};
use crate::hub::State as Hub;
use crate::metrics::Metrics;

/// What pages may do: what there is for devices to do.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");

/// What they may say beside what they always may: what is read here, and what SignalR's and
/// Firebase's clients add.
const MAY_SAY: HeaderValue = HeaderValue::from_static(
    "authorization, content-encoding, content-type, if-match, if-none-match, if-range, range, \
     x-firebase-appcheck, x-firebase-etag, x-firebase-gmpid, x-requested-with, \
     x-signalr-user-agent",
);

/// What they may read of an answer beside what they always may.
const MAY_READ: HeaderValue = HeaderValue::from_static("content-range, etag, retry-after");

/// For how many seconds a browser need not ask again whether it may ask.
const ASKED_FOR: HeaderValue = HeaderValue::from_static("600");

const YES: HeaderValue = HeaderValue::from_static("true");
const VARY: HeaderValue = HeaderValue::from_static("origin");

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who has a request made.
#[derive(Debug, PartialEq, Eq)]
enum By {
    /// No page, or one of the hub's own.
    Nobody,
    /// A page of an origin that is configured.
    Allowed(HeaderValue),
    /// A page of any other.
    Stranger,
}

/// Answers pages for the routes behind this, and keeps from those who may not ask what is not
/// theirs.
pub(super) async fn guard(State(hub): State<Hub>, mut request: Request, next: Next) -> Response {
    let by = by(&request, |origin| {
        hub.config.load().origins.contains(origin)
    });
    let preflight = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match by {
        By::Stranger if preflight => turned_away(&hub.metrics, &request, "preflight"),
        By::Stranger if !websocket::is_asked(request.headers()) => {
            turned_away(&hub.metrics, &request, "request")
        }
        By::Stranger => {
            if forget_certificate(&mut request) {
                note(&hub.metrics, &request, "certificate");
            }
            next.run(request).await
        }
        By::Allowed(origin) => {
            let mut response = if preflight {
                may_ask()
            } else {
                next.run(request).await
            };
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, YES);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, MAY_READ);
            response
        }
        By::Nobody => next.run(request).await,
    };
    // What a browser keeps for one page it must not show to another.
    response.headers_mut().append(header::VARY, VARY);
    response
}

/// Whether a request was made by a page of the hub's own: its origin (RFC 6454, section 7) is where
/// it was sent to. Beside a cookie's `SameSite` this is what keeps other sites' forms out.
pub(crate) fn is_own(headers: &HeaderMap, uri: &Uri, facts: &Facts) -> bool {
    let Some(host) = uri
        .authority()
        .map(|authority| authority.as_str())
        .or_else(|| text(headers, &header::HOST))
    else {
        return false;
    };
    let scheme = if facts.tls.is_some() { "https" } else { "http" };
    let origin = text(headers, &header::ORIGIN).and_then(|origin| origin.split_once("://"));
    // A proxy that we do not see may have taken TLS off.
    origin.is_some_and(|(from, at)| {
        (from == scheme || from == "https") && at.eq_ignore_ascii_case(host)
    }) && text(headers, &FETCH_SITE).is_none_or(|site| site == "same-origin")
}

fn by(request: &Request, is_allowed: impl Fn(&str) -> bool) -> By {
    let headers = request.headers();
    let Some(origin) = headers.get(header::ORIGIN) else {
        // Pictures, scripts and links of a page come without its origin.
        let elsewhere = ["cross-site", "same-site"];
        return match text(headers, &FETCH_SITE) {
            Some(site) if elsewhere.contains(&site) => By::Stranger,
            Some(_) | None => By::Nobody,
        };
    };
    let facts = request.extensions().get::<Facts>();
    if facts.is_some_and(|facts| is_own(headers, request.uri(), facts)) {
        return By::Nobody;
    }
    match origin.to_str() {
        Ok(text) if is_allowed(text) => By::Allowed(origin.clone()),
        Ok(_) | Err(_) => By::Stranger,
    }
}

/// Takes the certificate off what is known of the connection. Whether there was one.
fn forget_certificate(request: &mut Request) -> bool {
    let facts = request.extensions_mut().get_mut::<Facts>();
    let Some(tls) = facts.and_then(|facts| facts.tls.as_mut()) else {
        return false;
    };
    let had_one = !tls.client_chain.is_empty();
    if had_one {
        std::sync::Arc::make_mut(tls).client_chain = [].into();
    }
    had_one
}

fn may_ask() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, MAY_SAY),
        (header::ACCESS_CONTROL_MAX_AGE, ASKED_FOR),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn turned_away(metrics: &Metrics, request: &Request, what: &'static str) -> Response {
    note(metrics, request, what);
    let detail = "pages of other origins ask here only if `[browsers] origins` in the hub's \
        configuration has theirs";
    Problem::new(Kind::Forbidden, detail).into_response()
}

fn note(metrics: &Metrics, request: &Request, what: &'static str) {
    let origin = request.headers().get(header::ORIGIN);
    tracing::debug!(?origin, what, "kept from a page that may not ask");
    metrics.kept_from_page(what);
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
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
        is_own(&headers, &Uri::from_static("/x"), &facts)
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
