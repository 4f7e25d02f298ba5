//! `Idempotency-Key`: a POST that carries one is carried out once, however often it is sent.
//!
//! The request runs on a task of its own, so that a client that loses its connection gets the
//! answer when it asks again. The answer is kept for 24 hours, sealed with a key made from the
//! caller's token: new credentials can be in it, and the disk holds those nowhere else.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::digest::{Context, SHA256};
use ring::hmac;
use serde::{Deserialize, Serialize};

use outgate_core::Refusal;
use outgate_core::idempotency::{Begun, MAX_ANSWER};
use outgate_core::secret::Secret;

use crate::api::Api;
use crate::api::bodies::Held;
use crate::api::caller::{Caller, bearer, ended};
use crate::api::extract::whole;
use crate::api::problem::{Kind, Problem};

/// The header that carries the key.
const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// Says that an answer is one given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The most characters of a key.
const MAX_KEY: usize = 255;

/// The most requests with a key at a time.
pub(crate) const MAX_RUNNING: usize = 1_024;

/// The bytes of a nonce of AES-GCM (RFC 5116, section 5.1).
const NONCE: usize = 12;

/// The headers of an answer that are kept.
const KEPT_HEADERS: [HeaderName; 3] = [CONTENT_TYPE, LOCATION, ETAG];

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// What a request is known and sealed by.
struct Key {
    mark: [u8; 32],
    seal: [u8; 32],
}

/// Carries a POST with a key out once; lets all else through.
pub(crate) async fn once(
    State(api): State<Arc<Api>>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(HEADER) {
        return next.run(request).await;
    }
    let answer = carry_out(api, caller, request, next).await;
    answer.unwrap_or_else(IntoResponse::into_response)
}

async fn carry_out(
    api: Arc<Api>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = key(&request)?;
    let (parts, body) = request.into_parts();
    // Taken along, so that the body counts until the request has been carried out.
    let held = parts.extensions.get::<Held>().cloned();
    let body = whole(body, held.as_ref()).await?;
    let fingerprint = fingerprint(&parts, &body);
    let request = Request::from_parts(parts, Body::from(body));
    let Ok(running) = Arc::clone(&api.running).try_acquire_owned() else {
        let what = "requests with an idempotency key at once";
        return Err(Problem::limited(what, Duration::from_secs(1)));
    };
    // From the mark on nothing may stop half-way: who hangs up leaves no key that is never settled.
    let task = tokio::spawn(async move {
        let _under_way = (running, held);
        match api
            .state
            .core
            .idempotency
            .begin(caller.share(), key.mark, fingerprint)
            .await?
        {
            Begun::Now => now(&api, caller, &key, next.run(request)).await,
            Begun::Before(sealed) => opened(&key, sealed),
            Begun::Unsettled => {
                let detail = "look whether it was carried out before sending it with another key";
                Err(Problem::new(Kind::Unsettled, detail))
            }
            Begun::Otherwise => {
                let detail = "the same Idempotency-Key, another method, address or body";
                Err(Problem::new(Kind::KeyReused, detail))
            }
        }
    });
    task.await
        .map_err(|_| Refusal::Internal("a request with an idempotency key stopped"))?
}

/// Carries a request out and keeps its answer.
async fn now(
    api: &Api,
    caller: Caller,
    key: &Key,
    response: impl Future<Output = Response>,
) -> Result<Response, Problem> {
    let known = &api.state.core.idempotency;
    let response = tokio::select! {
        response = response => response,
        // What came of it stays unknown: it may have been carried out.
        ending = caller.ended() => return Err(ended(ending)),
    };
    if is_undone(response.status()) {
        known.forget(key.mark).await?;
        return Ok(response);
    }
    let (response, kept) = kept(response).await?;
    if let Some(kept) = kept {
        // It has been carried out; that it cannot be answered a second time is another matter.
        if let Err(refusal) = known.settle(key.mark, sealed(key, &kept)?).await {
            tracing::warn!(error = %refusal, "an answer was not kept");
        }
    }
    Ok(response)
}

/// Whether an answer says that nothing was done, so that the same may be asked again. Of any other
/// that is not known: a call that was not answered in time may have been heard.
fn is_undone(status: StatusCode) -> bool {
    status.is_client_error()
        || status == StatusCode::SERVICE_UNAVAILABLE
        || status == StatusCode::INSUFFICIENT_STORAGE
}

/// The key of a request, made from what is in the header and the token.
fn key(request: &Request) -> Result<Key, Problem> {
    let mut all = request.headers().get_all(HEADER).iter();
    let text = match (all.next(), all.next()) {
        (Some(one), None) => one.to_str().unwrap_or_default(),
        (_, _) => "",
    };
    let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if text.is_empty() || text.len() > MAX_KEY || !printable {
        let detail = "Idempotency-Key: once, 1 to 255 printable characters";
        return Err(Problem::new(Kind::Malformed, detail));
    }
    let token = bearer(request.headers())?;
    let secret = hmac::Key::new(hmac::HMAC_SHA256, token.expose());
    let made = |what: &str| {
        let mut made = [0; 32];
        let tag = hmac::sign(&secret, format!("outgate {what}\n{text}").as_bytes());
        made.copy_from_slice(tag.as_ref());
        made
    };
    Ok(Key {
        mark: made("mark"),
        seal: made("seal"),
    })
}

/// What must be the same for a request to be the same.
fn fingerprint(parts: &http::request::Parts, body: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    let address = parts.uri.path_and_query().map_or("", |it| it.as_str());
    context.update(parts.method.as_str().as_bytes());
    context.update(b" ");
    context.update(address.as_bytes());
    context.update(b"\n");
    context.update(body);
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// The response, and a copy of it to keep if it is small enough.
async fn kept(response: Response) -> Result<(Response, Option<Kept>), Problem> {
    let (parts, body) = response.into_parts();
    let body = whole(body, None).await?;
    let headers = KEPT_HEADERS.iter().filter_map(|name| {
        let value = parts.headers.get(name)?.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    let kept = match std::str::from_utf8(&body) {
        Ok(text) if text.len() < MAX_ANSWER / 2 => Some(Kept {
            status: parts.status.as_u16(),
            headers: headers.collect(),
            body: text.to_owned(),
        }),
        Ok(_) | Err(_) => None,
    };
    Ok((Response::from_parts(parts, Body::from(body)), kept))
}

fn sealed(key: &Key, kept: &Kept) -> Result<Vec<u8>, Refusal> {
    let failed = Refusal::Internal("an answer cannot be sealed");
    let mut text = serde_json::to_vec(kept).map_err(|_| failed.clone())?;
    let nonce = Secret::random(NONCE)?;
    let mut sealed = nonce.expose().to_vec();
    let nonce = Nonce::try_assume_unique_for_key(nonce.expose()).map_err(|_| failed.clone())?;
    cipher(key)?
        .seal_in_place_append_tag(nonce, Aad::from(key.mark), &mut text)
        .map_err(|_| failed)?;
    sealed.append(&mut text);
    Ok(sealed)
}

fn opened(key: &Key, mut sealed: Vec<u8>) -> Result<Response, Problem> {
    let failed = || Problem::from(Refusal::Internal("a kept answer cannot be opened"));
    let (nonce, text) = sealed.split_at_mut_checked(NONCE).ok_or_else(failed)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| failed())?;
    let text = cipher(key)?
        .open_in_place(nonce, Aad::from(key.mark), text)
        .map_err(|_| failed())?;
    let kept: Kept = serde_json::from_slice(text).map_err(|_| failed())?;
    let mut response = Response::new(Body::from(kept.body));
    *response.status_mut() = StatusCode::from_u16(kept.status).map_err(|_| failed())?;
    for (name, value) in kept.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    let yes = HeaderValue::from_static("true");
    response.headers_mut().insert(REPLAYED, yes);
    Ok(response)
}

fn cipher(key: &Key) -> Result<LessSafeKey, Refusal> {
    UnboundKey::new(&AES_256_GCM, &key.seal)
        .map(LessSafeKey::new)
        .map_err(|_| Refusal::Internal("AES-256-GCM takes 32 bytes"))
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::*;

    fn asked(token: &str, key: &str) -> Key {
        asked_by(&format!("Bearer {token}"), key)
    }

    fn asked_by(authorization: &str, key: &str) -> Key {
        let request = http::Request::builder()
            .header(AUTHORIZATION, authorization)
            .header(HEADER, key);
        super::key(&request.body(Body::empty()).unwrap()).unwrap()
    }

    #[test]
    fn an_answer_is_opened_by_the_same_caller_and_key_only() {
        let kept = Kept {
            status: 201,
            headers: vec![("location".to_owned(), "/api/sites/a".to_owned())],
            body: "og_op_secret".to_owned(),
        };
        let mine = asked("mine", "k");
        let sealed = sealed(&mine, &kept).unwrap();
        assert!(!sealed.windows(12).any(|part| part == b"og_op_secret"));
        let response = opened(&mine, sealed.clone()).unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.headers()[LOCATION], "/api/sites/a");
        assert!(opened(&asked("theirs", "k"), sealed.clone()).is_err());
        assert!(opened(&asked("mine", "other"), sealed.clone()).is_err());
        assert!(opened(&mine, sealed[..5].to_vec()).is_err());
    }

    #[test]
    fn callers_do_not_meet_by_the_same_key() {
        assert_ne!(asked("mine", "k").mark, asked("theirs", "k").mark);
        let mine = asked("mine", "k");
        assert_ne!(mine.mark, mine.seal);
        assert_eq!(asked_by("bearer  mine", "k").mark, mine.mark);
    }
}
