//! The style sheet, the script and the icon.

use axum::response::{IntoResponse, Response};
use http::header;

/// Colours keep a contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3), in light and dark.
const STYLE: &str = include_str!("console.css");

/// Adds events as they come; whatever they say becomes text.
const SCRIPT: &str = include_str!("live.js");

const ICON: &str = include_str!("icon.svg");

/// `GET /console/console.css`.
pub(super) async fn style() -> Response {
    asset("text/css; charset=utf-8", STYLE)
}

/// `GET /console/live.js`.
pub(super) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

/// `GET /console/icon.svg`.
pub(super) async fn icon() -> Response {
    asset("image/svg+xml", ICON)
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        // Short, so that an upgrade shows soon.
        (header::CACHE_CONTROL, "private, max-age=300"),
    ];
    (headers, text).into_response()
}
