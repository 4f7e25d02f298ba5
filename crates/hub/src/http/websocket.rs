//! The opening handshake of WebSockets (RFC 6455, section 4.2).

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Why a request does not become a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotOurs {
    /// It asks for no WebSocket, or on a connection that cannot become one.
    NoUpgrade,
    /// It asks for another version of the WebSocket protocol.
    Version,
    /// It has no usable key.
    Key,
    /// It does not say that it speaks this.
    Subprotocol(&'static str),
}

/// What the client is answered, and the connection to come.
pub(crate) struct Accepted {
    /// The answer.
    pub(crate) response: Response,
    /// The connection, once the answer is out.
    pub(crate) upgrade: hyper::upgrade::OnUpgrade,
}

/// Reads the opening handshake. The client has to offer one of `subprotocols`, if there are any.
pub(crate) fn accept(
    request: &mut Request,
    subprotocols: &[&'static str],
) -> Result<Accepted, NotOurs> {
    let headers = request.headers();
    if request.method() != Method::GET || !is_asked(headers) {
        return Err(NotOurs::NoUpgrade);
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION) != Some(&HeaderValue::from_static("13")) {
        return Err(NotOurs::Version);
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or(NotOurs::Key)?;
    // 16 bytes in base 64.
    if key.len() != 24 {
        return Err(NotOurs::Key);
    }
    let accept = derive_accept_key(key.as_bytes());
    let offered = |name: &&&str| lists(headers, &header::SEC_WEBSOCKET_PROTOCOL, name);
    let subprotocol = match subprotocols {
        [] => None,
        [first, ..] => {
            let found = subprotocols.iter().find(offered);
            Some(found.ok_or(NotOurs::Subprotocol(first))?)
        }
    };
    let upgrade = request
        .extensions_mut()
        .remove::<hyper::upgrade::OnUpgrade>()
        .ok_or(NotOurs::NoUpgrade)?;
    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .body(Body::empty())
        .map_err(|_| NotOurs::Key)?;
    if let Some(subprotocol) = subprotocol {
        let name = HeaderValue::from_static(subprotocol);
        let headers = response.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, name);
    }
    Ok(Accepted { response, upgrade })
}

/// Whether a request wants to become a WebSocket, by its headers.
pub(crate) fn is_asked(headers: &HeaderMap) -> bool {
    lists(headers, &header::CONNECTION, "upgrade") && lists(headers, &header::UPGRADE, "websocket")
}

/// Whether one of the comma-separated items of the header is `item`, in whatever case.
fn lists(headers: &HeaderMap, name: &header::HeaderName, item: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|listed| listed.trim().eq_ignore_ascii_case(item))
}

impl IntoResponse for NotOurs {
    fn into_response(self) -> Response {
        let text = |text: &str| text.to_owned();
        let (status, text) = match self {
            Self::NoUpgrade => (
                StatusCode::UPGRADE_REQUIRED,
                text("this is where WebSockets connect\n"),
            ),
            Self::Version => (
                StatusCode::UPGRADE_REQUIRED,
                text("only version 13 of the WebSocket protocol is spoken\n"),
            ),
            Self::Key => (
                StatusCode::BAD_REQUEST,
                text("Sec-WebSocket-Key is wrong\n"),
            ),
            Self::Subprotocol(name) => (
                StatusCode::BAD_REQUEST,
                format!("Sec-WebSocket-Protocol must offer {name}\n"),
            ),
        };
        let mut response = (status, text).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(
                header::SEC_WEBSOCKET_VERSION,
                HeaderValue::from_static("13"),
            );
        }
        response
    }
}
