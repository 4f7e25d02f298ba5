//! One request to a webhook, and what came of it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use outgate_core::Timestamp;
use outgate_core::secret::Secret;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::webhooks::Settings;
use crate::webhooks::destination::{Carrier, Destinations, NotPermitted};
use crate::webhooks::message::signatures;

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// The most bytes of an answer's body that are read, so that its connection can be used again.
const MAX_ANSWER: usize = 64 * 1024;

/// The most characters that are kept of why a request failed.
const MAX_WHY: usize = 300;

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// The configured authorities cannot be read.
    #[error("the authorities of webhooks in {file:?} cannot be read")]
    Authority {
        /// Their file.
        file: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// A configured authority is none.
    #[error("an authority of webhooks is not accepted")]
    NotAnAuthority(#[source] rustls::Error),
    /// The client could not be made.
    #[error("no client for webhooks can be made")]
    Client(#[source] reqwest::Error),
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The receiver has it.
    Taken,
    /// The receiver does not want this message.
    Rejected(Trouble),
    /// The receiver is not there, or too busy.
    Unreachable(Trouble),
    /// The receiver will never be there again.
    Gone,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// For people; names no address.
    pub(super) why: String,
    /// How long the receiver asks to wait.
    pub(super) retry_after: Option<Duration>,
}

/// What is sent at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) url: &'a str,
    pub(super) secrets: &'a [Secret],
    pub(super) id: &'a str,
    pub(super) body: &'a bytes::Bytes,
    pub(super) at: Timestamp,
}

/// The ways to where may be sent to.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    tls: Client,
    plain: Client,
    tls_to: Destinations,
    plain_to: Destinations,
}

/// Why there is no way to a URL.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoWay {
    /// It is none.
    #[error("the URL is none")]
    NotAUrl,
    /// It must not be sent to.
    #[error(transparent)]
    NotPermitted(NotPermitted),
}

impl Ways {
    /// Ways that trust and reach what the settings say.
    ///
    /// # Errors
    /// [`SenderError`].
    pub(crate) fn new(settings: &Settings) -> Result<Self, SenderError> {
        let tls_to = Destinations::new(&settings.trusted, Carrier::Tls);
        let plain_to = Destinations::new(&settings.trusted, Carrier::Plain);
        let config = tls_config(settings.authority.as_deref())?;
        Ok(Self {
            tls: client(&config, settings, tls_to.clone())?,
            plain: client(&config, settings, plain_to.clone())?,
            tls_to,
            plain_to,
        })
    }

    /// A request to `url`, if that may be sent to.
    ///
    /// # Errors
    /// [`NoWay`].
    pub(crate) fn post(&self, url: &str) -> Result<RequestBuilder, NoWay> {
        let url = Url::parse(url).map_err(|_| NoWay::NotAUrl)?;
        let (client, destinations) = match url.scheme() {
            "https" => (&self.tls, &self.tls_to),
            _ => (&self.plain, &self.plain_to),
        };
        // A host that is an address is not looked up, so it is looked at here.
        let host = url.host_str().unwrap_or_default();
        let address: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
        if address.is_ok_and(|address| !destinations.permit(address)) {
            return Err(NoWay::NotPermitted(NotPermitted));
        }
        Ok(client.post(url))
    }
}

/// Sends requests.
#[derive(Clone, Debug)]
pub(super) struct Sender(Ways);

impl Sender {
    pub(super) fn new(settings: &Settings) -> Result<Self, SenderError> {
        Ways::new(settings).map(Self)
    }

    /// Sends one request. Takes as long as the settings allow at most.
    pub(super) async fn send(&self, request: Request<'_>) -> Outcome {
        let post = match self.0.post(request.url) {
            Ok(post) => post,
            Err(why @ NoWay::NotAUrl) => return Outcome::Rejected(Trouble::because(why)),
            Err(why @ NoWay::NotPermitted(_)) => {
                return Outcome::Unreachable(Trouble::because(why));
            }
        };
        let seconds = request.at.as_millis().div_euclid(1000);
        let signature = signatures(request.secrets, request.id, seconds, request.body);
        let sent = post
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", request.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature)
            .body(request.body.clone())
            .send()
            .await;
        match sent {
            Ok(mut answer) => {
                let outcome = judge(&answer, request.at);
                let mut read = 0;
                while let Ok(Some(part)) = answer.chunk().await {
                    read += part.len();
                    if read > MAX_ANSWER {
                        break;
                    }
                }
                outcome
            }
            Err(error) => Outcome::Unreachable(Trouble::because(Chain(&error.without_url()))),
        }
    }
}

impl Trouble {
    fn because(why: impl std::fmt::Display) -> Self {
        Self {
            why: why.to_string().chars().take(MAX_WHY).collect(),
            retry_after: None,
        }
    }
}

/// An error with all that is behind it.
pub(crate) struct Chain<'a>(pub(crate) &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// What an answer means.
fn judge(answer: &reqwest::Response, now: Timestamp) -> Outcome {
    let status = answer.status();
    let trouble = || Trouble {
        why: format!("HTTP {}", status.as_u16()),
        retry_after: retry_after(answer.headers(), now),
    };
    match status {
        status if status.is_success() => Outcome::Taken,
        StatusCode::GONE => Outcome::Gone,
        status if is_away(status) => Outcome::Unreachable(trouble()),
        _ => Outcome::Rejected(trouble()),
    }
}

/// Whether a status is that of a receiver which is not there, or too busy, whatever it is sent.
pub(crate) fn is_away(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_EARLY
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// How long `Retry-After` asks to wait, if it is there and understood.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    asked_to_wait(text, now)
}

/// Why an answer was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It broke off.
    Lost(reqwest::Error),
    /// It has more bytes than are taken.
    TooLong,
}

/// All of an answer, if it has at most so many bytes.
pub(crate) async fn read_answer(
    answer: &mut reqwest::Response,
    most: usize,
) -> Result<Vec<u8>, Unread> {
    let mut whole = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(Unread::Lost)? {
        if whole.len() + part.len() > most {
            return Err(Unread::TooLong);
        }
        whole.extend_from_slice(&part);
    }
    Ok(whole)
}

/// What `Retry-After` asks for (RFC 9110, section 10.2.3): seconds, or a date.
fn asked_to_wait(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = outgate_wire::http_date::parse(text)?;
    let since = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let date = Timestamp::from_millis(i64::try_from(since.as_millis()).ok()?);
    Some(date.since(now))
}

fn client(
    config: &ClientConfig,
    settings: &Settings,
    destinations: Destinations,
) -> Result<Client, SenderError> {
    Client::builder()
        .tls_backend_preconfigured(config.clone())
        .dns_resolver(Arc::new(destinations))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT_WITHIN)
        .timeout(settings.answer_within)
        .pool_max_idle_per_host(1)
        .user_agent(concat!("outgate/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(SenderError::Client)
}

/// Trusts the system's authorities and those in the file `authority`.
pub(crate) fn tls_config(authority: Option<&Path>) -> Result<ClientConfig, SenderError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "some of the system's authorities cannot be read");
    }
    // One that rustls does not take is passed over, as everywhere.
    roots.add_parsable_certificates(system.certs);
    if let Some(file) = authority {
        let unreadable = |source| SenderError::Authority {
            file: file.to_owned(),
            source,
        };
        for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
            roots
                .add(certificate.map_err(unreadable)?)
                .map_err(SenderError::NotAnAuthority)?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(SenderError::NotAnAuthority)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_receiver_asks_to_wait_is_understood_in_both_forms() {
        // Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
        let now = Timestamp::from_millis(784_111_777_000);
        for (text, seconds) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("Sun, 06 Nov 1994 08:51:37 GMT", Some(120)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("99999999999999999999", None),
        ] {
            let asked = asked_to_wait(text, now);
            assert_eq!(asked, seconds.map(Duration::from_secs), "{text}");
        }
    }
}
