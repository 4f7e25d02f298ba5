//! Requests to the hub by an address with a key in it.

use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderName;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};

use super::{Address, Failed};
use crate::assets::Hub;
use crate::chain::chain;
use crate::files::Coming;
use crate::hub_http;

/// How long the hub may take until it begins to answer, beside the time for what is sent.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The slowest that something may be sent, in bytes a second.
const SLOWEST: u64 = 4 << 10;

/// How long it may be silent in the middle.
const SILENT_MAX: Duration = Duration::from_secs(60);

/// The most bytes of an answer that is no file.
const ANSWER_MAX: usize = 2 << 20;

/// The most characters of an error's code.
const CODE_MAX: usize = 64;

/// Asks the hub; `more` is added to the address. Nothing is shown but the key in that.
pub(super) async fn ask(
    hub: &Hub,
    (method, address, more): (Method, &Address, &str),
    headers: &[(HeaderName, HeaderValue)],
    body: Bytes,
) -> Result<Response<Coming>, Failed> {
    let sent = u64::try_from(body.len()).unwrap_or(u64::MAX);
    let within = ANSWER_WITHIN + Duration::from_secs(sent / SLOWEST);
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    request.headers_mut().extend(headers.iter().cloned());
    let path = format!("{}{more}", address.0);
    let asking = hub_http::send((&hub.at, &path), hub.way.clone(), request);
    match tokio::time::timeout(within, asking).await {
        Ok(answer) => answer.map_err(|error| Failed::ForNow(chain(&error))),
        Err(_) => Err(Failed::ForNow("the hub does not answer".to_owned())),
    }
}

/// The next bytes of the body, or none after the last.
pub(super) async fn next(answer: &mut Response<Coming>) -> Result<Option<Bytes>, Failed> {
    loop {
        let frame = tokio::time::timeout(SILENT_MAX, answer.frame()).await;
        let Ok(frame) = frame else {
            return Err(Failed::ForNow("the hub fell silent".to_owned()));
        };
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(Failed::ForNow(chain(&error))),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

/// The whole of a short answer.
pub(super) async fn text(answer: Response<Coming>) -> Result<String, Failed> {
    let body = Limited::new(answer.into_body(), ANSWER_MAX).collect();
    let whole = tokio::time::timeout(SILENT_MAX, body).await;
    let cut = || Failed::ForNow("the hub's answer was cut off".to_owned());
    let whole = whole.map_err(|_| cut())?.map_err(|_| cut())?;
    Ok(String::from_utf8_lossy(&whole.to_bytes()).into_owned())
}

/// What it means that the answer is none of those that were wanted.
pub(super) fn refused(answer: &Response<Coming>) -> Failed {
    let status = answer.status();
    let code = answer.headers().get("x-ms-error-code");
    let code = code.and_then(|code| code.to_str().ok()).unwrap_or("-");
    let code: String = code.chars().take(CODE_MAX).collect();
    let text = format!("the hub answers {status} ({code})");
    match status {
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::CONFLICT
        | StatusCode::PRECONDITION_FAILED
        | StatusCode::RANGE_NOT_SATISFIABLE
        | StatusCode::TOO_MANY_REQUESTS => Failed::ForNow(text),
        other if other.is_client_error() => Failed::ForGood(text),
        _ => Failed::ForNow(text),
    }
}
