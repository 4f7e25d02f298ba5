//! One request to a collector, and what came of it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use outgate_core::Timestamp;
use outgate_wire::otlp::{Encoding, PATH, read_reply};
use reqwest::{Client, Response};

use super::ForwardError;
use crate::config::Forward;
use crate::webhooks::{Chain, SenderError, retry_after, tls_config};

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How long a request may take in all (what the SDKs wait).
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The most bytes of an answer's body.
const MAX_ANSWER: usize = 64 * 1024;

/// The most bytes of the file with headers.
const MAX_HEADERS: usize = 16 * 1024;

/// What came of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The collector has it, but for so many records.
    Taken {
        /// How many it rejected.
        rejected: u64,
    },
    /// The collector will never take it as it is.
    Unwanted {
        /// For people.
        why: String,
    },
    /// The collector is not there, too busy, or not set up.
    Away {
        /// For people.
        why: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
}

/// Sends requests.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    client: Client,
    url: String,
    headers: HeaderMap,
}

impl Outcome {
    /// A short word for it, for the label of a counter.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Taken { .. } => "taken",
            Self::Unwanted { .. } => "unwanted",
            Self::Away { .. } => "away",
        }
    }
}

impl Sender {
    pub(super) fn new(forward: &Forward) -> Result<Self, ForwardError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls_config(forward.authority.as_deref())?)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .user_agent(concat!("outgate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(SenderError::Client)?;
        let mut headers = match &forward.headers {
            Some(file) => headers(file)?,
            None => HeaderMap::new(),
        };
        let media_type = HeaderValue::from_static(Encoding::Protobuf.media_type());
        headers.insert(CONTENT_TYPE, media_type);
        Ok(Self {
            client,
            url: format!("{}{PATH}", forward.endpoint.trim_end_matches('/')),
            headers,
        })
    }

    /// Sends one request.
    pub(super) async fn send(&self, body: Vec<u8>, now: Timestamp) -> Outcome {
        let request = self.client.post(&self.url).headers(self.headers.clone());
        match request.body(body).send().await {
            Ok(answer) => judge(answer, now).await,
            Err(error) => Outcome::Away {
                why: Chain(&error.without_url()).to_string(),
                retry_after: None,
            },
        }
    }
}

async fn judge(mut answer: Response, now: Timestamp) -> Outcome {
    let status = answer.status();
    let why = format!("HTTP {}", status.as_u16());
    if status.is_success() {
        let mut body = Vec::new();
        while let Ok(Some(part)) = answer.chunk().await {
            body.extend_from_slice(&part);
            if body.len() > MAX_ANSWER {
                break;
            }
        }
        // One that cannot be read is as good as none: the status says that it was taken.
        let reply = read_reply(&body).unwrap_or_default();
        if reply.rejected > 0 {
            let (rejected, why) = (reply.rejected, reply.why);
            tracing::warn!(rejected, why, "the collector rejected log records");
        }
        return Outcome::Taken {
            rejected: reply.rejected,
        };
    }
    match status {
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => Outcome::Unwanted { why },
        // Also what is to be mended at the collector, or in the configuration: 401, 404.
        _ => {
            let retry_after = retry_after(answer.headers(), now);
            Outcome::Away { why, retry_after }
        }
    }
}

/// Headers out of a file: `Name: value`, one a line.
fn headers(file: &Path) -> Result<HeaderMap, ForwardError> {
    let failed = |why: String| ForwardError::Headers {
        file: file.to_owned(),
        why,
    };
    let mut text = String::new();
    let opened = File::open(file).and_then(|file| {
        let most = u64::try_from(MAX_HEADERS).unwrap_or(u64::MAX);
        file.take(most + 1).read_to_string(&mut text)
    });
    let length = opened.map_err(|error| failed(error.to_string()))?;
    if length > MAX_HEADERS {
        return Err(failed(format!("at most {MAX_HEADERS} bytes")));
    }
    let mut headers = HeaderMap::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let wrong = || failed(format!("line {}: `Name: value` is needed", number + 1));
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}
