//! One API that is asked for devices, and what came of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_LANGUAGE, CACHE_CONTROL, CONNECTION, CONTENT_DISPOSITION, CONTENT_LANGUAGE,
    CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RETRY_AFTER, VARY,
};
use http::{HeaderMap, Method, StatusCode};
use outgate_core::Clock;
use outgate_core::identity::Principal;
use reqwest::{Client, Url};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::Steps;
use super::breaker::{Breaker, Permission};
use super::reach::Reach;
use crate::api::{Kind, Problem};
use crate::config::LiveUpstream;
use crate::webhooks::{Chain, SenderError, Unread, read_answer, tls_config};

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// The most bytes of what the hub shows an API.
const MAX_KEY: u64 = 8 * 1_024;

/// When to come again when as many are asking as may.
const RETRY: Duration = Duration::from_secs(1);

/// What of a request's head is handed on: nothing that says who asks, or how to carry it.
const ASKED: [HeaderName; 8] = [
    ACCEPT,
    ACCEPT_LANGUAGE,
    CONTENT_TYPE,
    CONTENT_LANGUAGE,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_UNMODIFIED_SINCE,
];

/// What of an answer's head is handed back.
const ANSWERED: [HeaderName; 9] = [
    CACHE_CONTROL,
    CONTENT_DISPOSITION,
    CONTENT_LANGUAGE,
    CONTENT_TYPE,
    ETAG,
    LAST_MODIFIED,
    RETRY_AFTER,
    VARY,
    HeaderName::from_static("request-id"),
];

/// By which the API is told who asks.
const DEVICE: HeaderName = HeaderName::from_static("outgate-device");
const SITE: HeaderName = HeaderName::from_static("outgate-site");

/// Whether the hub's key may be sent in that header: in none that carries the request, says who
/// asks, or is the device's to write.
pub(crate) fn may_hold_key(name: &HeaderName) -> bool {
    const NEVER: [&str; 14] = [
        "connection",
        "content-encoding",
        "content-length",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    ];
    !NEVER.contains(&name.as_str()) && !ASKED.contains(name) && *name != DEVICE && *name != SITE
}

/// Why an API cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// What it is trusted by cannot be used.
    #[error("the API {name} cannot be asked")]
    Trust {
        /// Its name.
        name: String,
        /// Why.
        source: SenderError,
    },
    /// What the hub shows it cannot be read.
    #[error("the key for the API {name} cannot be read from {file:?}")]
    Key {
        /// Its name.
        name: String,
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What the hub shows it is no header.
    #[error("the key for the API {name} in {file:?} is not one line of printable ASCII")]
    NotAKey {
        /// Its name.
        name: String,
        /// The file.
        file: PathBuf,
    },
}

/// What a device asks.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: Steps,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// An API.
#[derive(Debug)]
pub(super) struct Upstream {
    settings: LiveUpstream,
    client: Client,
    key: Option<(HeaderName, HeaderValue)>,
    breaker: Breaker,
    places: Arc<Semaphore>,
    clock: Clock,
}

impl Upstream {
    /// One as it is configured.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub(super) fn new(settings: &LiveUpstream, clock: Clock) -> Result<Self, UpstreamError> {
        let trust = |source| UpstreamError::Trust {
            name: settings.name.clone(),
            source,
        };
        let config = tls_config(settings.authority.as_deref()).map_err(trust)?;
        let client = Client::builder()
            .tls_backend_preconfigured(config)
            .dns_resolver(Arc::new(Reach::new(&settings.networks)))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT_WITHIN.min(settings.answer))
            .timeout(settings.answer)
            .user_agent(concat!("outgate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| trust(SenderError::Client(error)))?;
        let key = settings.key.as_ref();
        let key = key.map(|(header, file)| Ok((header.clone(), key_in(&settings.name, file)?)));
        Ok(Self {
            client,
            key: key.transpose()?,
            breaker: Breaker::new(settings.break_after, settings.rest),
            places: Arc::new(Semaphore::new(settings.at_once)),
            settings: settings.clone(),
            clock,
        })
    }

    /// The most bytes of a request's body.
    pub(super) fn request_bytes(&self) -> usize {
        self.settings.request_bytes
    }

    /// What devices are told that may not ask for that, or not by that method.
    pub(super) fn forbids(&self, method: &Method, path: &Steps) -> Option<Outcome> {
        let mut paths = self.settings.paths.iter();
        if !paths.any(|allowed| path.is_within(allowed)) {
            return Some(Outcome::nothing_there());
        }
        if !self.settings.methods.contains(method) {
            let problem = Problem::new(Kind::MethodNotAllowed, "not by this method");
            return Some(Outcome::turned_down("not-allowed", problem));
        }
        None
    }

    /// Asks the API for `whose` device. Takes as long as is configured at most.
    pub(super) async fn ask(&self, whose: &Principal, asked: Asked) -> Outcome {
        let Ok(_place) = self.places.try_acquire() else {
            let problem = Problem::busy("look-ups at this API", RETRY);
            return Outcome::turned_down("busy", problem);
        };
        let permission = match self.breaker.permit(self.clock.now()) {
            Ok(permission) => permission,
            Err(left) => {
                let problem = Problem::away("the API has failed, and is left alone", left);
                return Outcome::turned_down("left-alone", problem);
            }
        };
        let of_head = asked.method == Method::HEAD;
        let Some(request) = self.request(whose, asked) else {
            return Outcome::nothing_there();
        };
        let answered = match request.send().await {
            Ok(answer) => self.handed_back(answer, of_head).await,
            Err(error) => Err(Failed::of(error)),
        };
        match answered {
            Ok(response) => self.answered(permission, response),
            Err(failed) => self.failed(permission, failed),
        }
    }

    /// What the device gets of the API's answer.
    async fn handed_back(
        &self,
        mut answer: reqwest::Response,
        of_head: bool,
    ) -> Result<Response, Failed> {
        let status = answer.status();
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            return Err(Failed::Elsewhere);
        }
        // Which would say of the device what is meant of the hub.
        if matches!(
            status,
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED
        ) {
            return Err(Failed::NotLetIn);
        }
        let mut headers = picked(answer.headers(), &ANSWERED);
        let most = self.settings.answer_bytes;
        let declared = answer.content_length();
        if of_head {
            // There is no body to tell it.
            headers.extend(declared.map(|length| (CONTENT_LENGTH, HeaderValue::from(length))));
        } else if declared.is_some_and(|length| length > most as u64) {
            return Err(Failed::TooLarge);
        }
        let body = match read_answer(&mut answer, most).await {
            Ok(body) => body,
            Err(Unread::TooLong) => return Err(Failed::TooLarge),
            Err(Unread::Lost(error)) => return Err(Failed::of(error)),
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    fn answered(&self, permission: Permission, response: Response) -> Outcome {
        let status = response.status();
        // Of what one request meets in the API itself the next need not be afraid.
        let is_away = matches!(
            status,
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
        );
        let word = if is_away {
            self.rests(permission);
            "failed"
        } else if status.is_server_error() {
            permission.answered();
            "failed"
        } else {
            permission.answered();
            if status.is_client_error() {
                "refused"
            } else {
                "answered"
            }
        };
        let response = Ok(response);
        Outcome { word, response }
    }

    /// The request to the API; none when it would not lead below its address.
    fn request(&self, whose: &Principal, asked: Asked) -> Option<reqwest::RequestBuilder> {
        let url = address(&self.settings.url, &asked.path, asked.query.as_deref())?;
        let mut headers = handed_on(&asked.headers);
        if let Principal::Device { device, site, .. } = whose {
            headers.insert(DEVICE, HeaderValue::from_str(device.as_str()).ok()?);
            headers.insert(SITE, HeaderValue::from_str(site.as_str()).ok()?);
        }
        if let Some((name, key)) = &self.key {
            headers.insert(name.clone(), key.clone());
        }
        let request = self.client.request(asked.method, url).headers(headers);
        Some(if asked.body.is_empty() {
            request
        } else {
            request.body(asked.body)
        })
    }

    fn failed(&self, permission: Permission, failed: Failed) -> Outcome {
        let name = &self.settings.name;
        match &failed {
            // It is there; something is wrong with what it answers.
            Failed::Elsewhere | Failed::NotLetIn | Failed::TooLarge => permission.answered(),
            Failed::Late => self.rests(permission),
            Failed::Away(why) => {
                tracing::debug!(upstream = name, why, "an API cannot be reached");
                self.rests(permission);
            }
        }
        failed.told()
    }

    fn rests(&self, permission: Permission) {
        if permission.failed(self.clock.now()) {
            let (name, rest) = (&self.settings.name, self.settings.rest.as_secs());
            tracing::warn!(upstream = name, rest, "an API fails, and is left alone");
        }
    }
}

/// What came of a look-up.
pub(super) struct Outcome {
    /// Under which word it is counted.
    pub(super) word: &'static str,
    /// What the device is told.
    pub(super) response: Result<Response, Problem>,
}

impl Outcome {
    /// Nothing that devices may ask for.
    pub(super) fn nothing_there() -> Self {
        let problem = Problem::new(Kind::NotFound, "nothing that may be looked up there");
        Self::turned_down("not-allowed", problem)
    }

    pub(super) fn turned_down(word: &'static str, problem: Problem) -> Self {
        let response = Err(problem);
        Self { word, response }
    }
}

/// Why an API has not answered.
#[derive(Debug)]
enum Failed {
    /// In time.
    Late,
    /// At all: why, for the log.
    Away(String),
    /// But sent elsewhere, where nobody follows.
    Elsewhere,
    /// But does not take what the hub shows it.
    NotLetIn,
    /// But with more than is taken.
    TooLarge,
}

impl Failed {
    fn of(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::Late
        } else {
            Self::Away(Chain(&error.without_url()).to_string())
        }
    }

    fn told(self) -> Outcome {
        let bad = |word, text| Outcome::turned_down(word, Problem::new(Kind::Upstream, text));
        match self {
            Self::Late => {
                let text = "the API did not answer in time";
                Outcome::turned_down("late", Problem::new(Kind::UpstreamLate, text))
            }
            Self::Away(_) => bad("away", "the API cannot be reached"),
            Self::Elsewhere => bad(
                "elsewhere",
                "the API sends elsewhere, which is not followed",
            ),
            Self::NotLetIn => bad("not-let-in", "the API does not let the hub in"),
            Self::TooLarge => bad("too-large", "the API answers with more than is handed on"),
        }
    }
}

/// What the hub shows an API: one line of printable ASCII.
fn key_in(name: &str, file: &Path) -> Result<HeaderValue, UpstreamError> {
    use std::io::Read as _;
    let read = || {
        let mut text = Zeroizing::new(String::new());
        std::fs::File::open(file)?
            .take(MAX_KEY)
            .read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|source| UpstreamError::Key {
        name: name.to_owned(),
        file: file.to_owned(),
        source,
    })?;
    let value = HeaderValue::from_str(text.trim()).ok();
    let value = value.filter(|value| !value.is_empty() && value.to_str().is_ok());
    let mut value = value.ok_or_else(|| UpstreamError::NotAKey {
        name: name.to_owned(),
        file: file.to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Where a path is at the API; none when it would lead anywhere else.
fn address(base: &Url, path: &Steps, query: Option<&str>) -> Option<Url> {
    let below = format!("{}/{}", base.path().trim_end_matches('/'), path.written());
    let mut url = base.clone();
    url.set_path(&below);
    url.set_query(query);
    let same = url.scheme() == base.scheme()
        && url.host() == base.host()
        && url.port() == base.port()
        && url.path() == below;
    same.then_some(url)
}

/// What of a request's head the API is given. What `Connection` names is for the hub alone
/// (RFC 9110, section 7.6.1), and of what comes twice it cannot be known which is meant.
fn handed_on(headers: &HeaderMap) -> HeaderMap {
    let mut kept = picked(headers, &ASKED);
    let named = headers.get_all(CONNECTION).iter();
    let named = named.filter_map(|value| value.to_str().ok());
    for name in named.flat_map(|value| value.split(',')) {
        kept.remove(name.trim());
    }
    kept
}

/// Those of the headers that are on the list and come once.
fn picked(headers: &HeaderMap, list: &[HeaderName]) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in list {
        let mut values = headers.get_all(name).iter();
        if let (Some(value), None) = (values.next(), values.next()) {
            kept.insert(name.clone(), value.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_comes_once_and_is_not_of_the_connection_is_handed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("accept", "application/json"),
            ("accept-language", "nb"),
            ("content-type", "a/b"),
            ("content-type", "c/d"),
            ("authorization", "Bearer og_lookup_secret"),
            ("cookie", "a=b"),
            ("host", "other.example"),
            ("x-forwarded-for", "10.0.0.1"),
            ("outgate-device", "somebody-else"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("connection", "close, Accept-Language"),
        ] {
            let name = HeaderName::from_static(name);
            headers.append(name, HeaderValue::from_static(value));
        }
        let kept = handed_on(&headers);
        let names: Vec<_> = kept.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["accept"]);
    }

    #[test]
    fn an_address_stays_below_that_of_the_api() {
        let base = Url::parse("https://api.example:8443/v1/").unwrap();
        let path = |text| Steps::read(text).unwrap();
        for (asked, query, address_is) in [
            ("a/b", None, "https://api.example:8443/v1/a/b"),
            (
                "a/",
                Some("q=1&r=//x"),
                "https://api.example:8443/v1/a/?q=1&r=//x",
            ),
            (
                "@evil.example",
                None,
                "https://api.example:8443/v1/%40evil.example",
            ),
            ("", None, "https://api.example:8443/v1/"),
        ] {
            let url = address(&base, &path(asked), query).unwrap();
            assert_eq!(url.as_str(), address_is);
        }
    }
}
