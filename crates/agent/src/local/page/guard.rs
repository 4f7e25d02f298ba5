//! What is asked of every request, and said by every answer.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use maud::html;

use super::frame::View;
use super::{Site, host};
use crate::local::serving::Peer;

/// Nothing is loaded but our own style, nothing runs, nobody frames us.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; \
    frame-ancestors 'none'; base-uri 'none'";

/// `same-origin` and not `no-referrer`, for with that browsers hide the origin of a form too.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// Answers only who asks this device by a name of its own, and takes forms only from its own pages.
pub(super) async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let mut response = match refusal(&site, &request) {
        Some((status, why)) => {
            let from = request.extensions().get::<Peer>().map(|peer| peer.0);
            tracing::debug!(?from, %status, "a request for a page was refused");
            (status, why).into_response()
        }
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(POLICY));
    response
}

/// In place of a page that is not there.
pub(super) fn missing(view: &View) -> Response {
    let words = view.words();
    let body = html! { p { a href="/" { (words.back) } } };
    view.page(StatusCode::NOT_FOUND, words.missing, &body)
}

fn refusal(site: &Site, request: &Request) -> Option<(StatusCode, &'static str)> {
    let headers = request.headers();
    let Some(asked) = text(headers, &header::HOST) else {
        return Some((StatusCode::BAD_REQUEST, "the request names no host\n"));
    };
    let status = site.device.status();
    let names = status.network.names.iter().chain(&site.config.hosts);
    let names: Vec<&str> = names.chain(&site.machine).map(String::as_str).collect();
    let target = request.uri().authority();
    let is_ours = host::is_own(asked, names.iter().copied())
        && target.is_none_or(|target| target.as_str() == asked);
    if !is_ours {
        let why = "this device does not go by that name: ask by its address, or have the name added \
            to page.hosts in its configuration\n";
        return Some((StatusCode::MISDIRECTED_REQUEST, why));
    }
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    (!reads && !is_own_page(headers, asked)).then_some((
        StatusCode::FORBIDDEN,
        "this was sent from another page than this device's own\n",
    ))
}

/// Whether a form was sent by a page of this very place (RFC 6454, section 7). Beside a cookie's
/// `SameSite` this is what keeps the forms of other pages out, those of other ports among them.
fn is_own_page(headers: &HeaderMap, host: &str) -> bool {
    let origin = text(headers, &header::ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
    origin.is_some_and(|at| at.eq_ignore_ascii_case(host))
        && text(headers, &HeaderName::from_static("sec-fetch-site"))
            .is_none_or(|site| site == "same-origin")
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
