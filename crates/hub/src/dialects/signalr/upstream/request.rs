//! One request to a back end, and what came of it.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use outgate_core::Core;
use outgate_core::secret::Secret;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;

use crate::config::Upstream as Settings;
use crate::dialects::signalr::guest::Guest;
use crate::dialects::signalr::values;
use crate::webhooks::{Chain, Unread, Ways, is_away, read_answer};

/// The most bytes of an answer.
pub(super) const MAX_ANSWER: usize = 256 * 1024;

/// Where requests go.
#[derive(Debug)]
pub(in crate::dialects::signalr) struct To {
    pub(in crate::dialects::signalr) ways: Ways,
    pub(in crate::dialects::signalr) core: Core,
    pub(in crate::dialects::signalr) hub: String,
    pub(in crate::dialects::signalr) settings: Settings,
}

/// What a request is about: that a client has come or gone, or what it invokes.
#[derive(Debug)]
pub(super) struct About {
    /// The name of the client's connection.
    pub(super) connection: String,
    pub(super) category: &'static str,
    pub(super) event: String,
    headers: HeaderMap,
}

/// Why a request has come to nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// The back end is not there, or too busy; for people, and names no address.
    Away(String),
    /// It was refused.
    Refused(StatusCode),
    /// The answer has more than [`MAX_ANSWER`] bytes.
    TooMuch,
}

impl To {
    /// What a back end is told beside the body. What has no form in a header is left out.
    pub(super) fn about(
        &self,
        connection: &str,
        guest: &Guest,
        (category, event): (&'static str, &str),
    ) -> About {
        let user = guest.user();
        let claims = guest.claims().join(", ");
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-asrs-connection-id", connection),
            ("x-asrs-hub", &self.hub),
            ("x-asrs-category", category),
            ("x-asrs-event", event),
            ("x-asrs-user-id", user.as_deref().unwrap_or_default()),
            ("x-asrs-user-claims", &claims),
            ("x-asrs-client-query", guest.query()),
        ] {
            let value = HeaderValue::from_bytes(value.as_bytes());
            if let Some(value) = value.ok().filter(|value| !value.is_empty()) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        About {
            connection: connection.to_owned(),
            category,
            event: event.to_owned(),
            headers,
        }
    }

    /// Sends one request, signed by the access keys that its service has now, and gives the
    /// answer.
    ///
    /// # Errors
    /// [`Failed`].
    pub(super) async fn send(&self, about: &About, body: Bytes) -> Result<Bytes, Failed> {
        let keys = self.core.identity.signing_keys(&self.settings.service);
        let keys = keys.await.map_err(|refusal| Failed::because(&refusal))?;
        let url = url(&self.settings.url, &self.hub, about.category, &about.event);
        let post = self.ways.post(&url);
        let mut post = post.map_err(|error| Failed::because(&error))?;
        let signed = keys.iter().map(|key| signature(key, &about.connection));
        let signed: Vec<String> = signed.collect();
        // A service without a key signs nothing, and its back end is to turn that down.
        if !signed.is_empty() {
            post = post.header("x-asrs-signature", signed.join(","));
        }
        let post = post.header(CONTENT_TYPE, values::JSON);
        let post = post.headers(about.headers.clone()).body(body);
        let lost = |error: reqwest::Error| Failed::because(&error.without_url());
        let mut answer = post.send().await.map_err(lost)?;
        let status = answer.status();
        if is_away(status) {
            return Err(Failed::Away(format!("HTTP {}", status.as_u16())));
        }
        if !status.is_success() {
            return Err(Failed::Refused(status));
        }
        let whole = read_answer(&mut answer, MAX_ANSWER).await;
        whole.map(Bytes::from).map_err(|unread| match unread {
            Unread::Lost(error) => lost(error),
            Unread::TooLong => Failed::TooMuch,
        })
    }
}

impl Failed {
    fn because(why: &dyn std::error::Error) -> Self {
        Self::Away(Chain(why).to_string())
    }
}

/// The template with its parts filled in.
fn url(template: &str, hub: &str, category: &str, event: &str) -> String {
    let event = utf8_percent_encode(event, NON_ALPHANUMERIC).to_string();
    template
        .replace("{hub}", hub)
        .replace("{category}", category)
        .replace("{event}", &event)
}

/// What an access key signs a connection's name with: with its text in base 64.
fn signature(key: &Secret, connection: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.to_base64().as_bytes());
    let tag = hmac::sign(&key, connection.as_bytes());
    let mut text = "sha256=".to_owned();
    for byte in tag.as_ref() {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_in_and_nothing_in_a_name_leads_elsewhere() {
        let template = "https://back.example/{hub}/api/{category}/{event}?code=1";
        assert_eq!(
            url(template, "pos", "messages", "../a b?c"),
            "https://back.example/pos/api/messages/%2E%2E%2Fa%20b%3Fc?code=1"
        );
    }

    #[test]
    fn a_connection_is_signed_as_azure_signs_it() {
        // By Python: hmac.new(b"a2V5", b"c-1", "sha256").hexdigest()
        let key = Secret::new(b"key".to_vec());
        assert_eq!(
            signature(&key, "c-1"),
            "sha256=8897fbd935469c074aa59c7fcd4d8bc545b1c8bbcde42281a08e090415732eb6"
        );
    }
}
