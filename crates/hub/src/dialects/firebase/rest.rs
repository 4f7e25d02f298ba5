//! The REST interface: every path that ends in `.json`
//! (<https://firebase.google.com/docs/reference/rest/database>).

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Query as Parameters, Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use outgate_core::identity::Identified;
use outgate_core::secret::Secret;
use outgate_core::sessions::{Ending, Pass};
use outgate_core::{Core, Refusal};
use outgate_door::Facts;
use outgate_firebase::database::Write;
use outgate_firebase::path::joined;
use outgate_firebase::rules::Verb;
use outgate_firebase::wire::Status;
use outgate_firebase::{Draft, Form, Key, Path, Query};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::login::Login;
use super::namespace::{Answer, Namespace, Text, What};
use super::websocket::host;
use super::{Inner, stream as events};
use crate::dialects::login::{Shown, anyone, anyone_over_http};

/// What asks for the hash of what is answered.
const WANTS_ETAG: HeaderName = HeaderName::from_static("x-firebase-etag");

/// Where App Check's tokens stand.
const APP_CHECK: HeaderName = HeaderName::from_static("x-firebase-appcheck");

/// The hash of nothing, as it is written in headers.
const ETAG_OF_NOTHING: &str = "null_etag";

/// The parameters of an address, decoded.
type Named = HashMap<String, String>;

/// What is asked.
struct Asked {
    path: Path,
    named: Named,
    headers: HeaderMap,
}

/// Why it is not answered.
pub(super) struct No(StatusCode, String, Option<u64>);

/// Answers a request.
pub(super) async fn answer(State(firebase): State<Arc<Inner>>, request: Request) -> Response {
    let answered = answered(&firebase, request).await;
    let mut response = answered.unwrap_or_else(No::into_response);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

async fn answered(firebase: &Arc<Inner>, request: Request) -> Result<Response, No> {
    let host = host(&request);
    let nothing = || No::new(StatusCode::NOT_FOUND, "not found");
    let path = request.uri().path().strip_suffix(".json");
    let path = path.ok_or_else(nothing)?;
    let named = Parameters::<Named>::try_from_uri(request.uri());
    let Ok(Parameters(named)) = named else {
        return Err(No::new(
            StatusCode::BAD_REQUEST,
            "the query is not understood",
        ));
    };
    let asked_for = named.get("ns").map(String::as_str);
    let namespace = firebase.namespace(asked_for, &host).ok_or_else(nothing)?;
    let facts = request.extensions().get::<Facts>().cloned();
    let facts = facts.ok_or_else(nothing)?;
    let identified = identified(firebase.core(), &named, request.headers(), &facts).await?;
    let login = Login::of(firebase.core(), &identified, &facts).await?;
    let path = Path::read_encoded(path)?;
    let asked = Asked {
        path,
        named,
        headers: request.headers().clone(),
    };
    if request.method() == Method::GET && events::is_wanted(request.headers()) {
        let cut = request.extensions().get().cloned().unwrap_or_default();
        return events::open(firebase, namespace, login, asked.path, asked.named, cut).await;
    }
    tokio::select! {
        biased;
        ending = login.ended(firebase.core()) => Err(ending.into()),
        answer = asked.answer(firebase, namespace, &login, request) => answer,
    }
}

/// Who asks: by a token in one of the places in which Firebase's clients show theirs, or as over
/// HTTP everywhere.
async fn identified(
    core: &Core,
    named: &Named,
    headers: &HeaderMap,
    facts: &Facts,
) -> Result<Identified, Refusal> {
    let parameter = named.get("auth").or_else(|| named.get("access_token"));
    let app_check = || {
        let is_alone = !headers.contains_key(header::AUTHORIZATION);
        is_alone.then(|| headers.get(APP_CHECK)).flatten()
    };
    let token = match parameter {
        Some(token) => Some(token.as_bytes()),
        None => app_check().map(HeaderValue::as_bytes),
    };
    match token {
        Some(token) => {
            let token = Secret::new(token.to_vec());
            anyone(core, Shown::Token(&token), facts).await
        }
        None => anyone_over_http(core, headers, facts).await,
    }
}

impl Asked {
    async fn answer(
        self,
        firebase: &Inner,
        namespace: &Namespace,
        login: &Login,
        request: Request,
    ) -> Result<Response, No> {
        let pass = login.session.pass();
        let may = |verb, path: &Path| {
            let allowed = firebase.rules().allow(&login.who, verb, path);
            if allowed { Ok(()) } else { Err(No::denied()) }
        };
        let (method, body) = (request.method().clone(), request.into_body());
        if matches!(method, Method::GET | Method::HEAD) {
            may(Verb::Read, &self.path)?;
            firebase.core().messages.may_subscribe(&pass)?;
            let answer = namespace.ask(pass, self.get()?, None).await;
            return self.respond(answer);
        }
        firebase.core().messages.may_send(&pass)?;
        let (write, name, room) = self.write(firebase, &method, body).await?;
        write
            .parts
            .iter()
            .try_for_each(|(path, _)| may(Verb::Write, path))?;
        if let Some((path, _)) = &write.expected {
            may(Verb::Read, path)?;
        }
        self.written(namespace, pass, write, name, room).await
    }

    fn get(&self) -> Result<What, No> {
        let named = self.named.iter();
        let query = Query::read_parameters(named.map(|(name, value)| (&name[..], &value[..])))?;
        let is = |name: &str, value: &str| self.named.get(name).is_some_and(|is| is == value);
        let shallow = is("shallow", "true");
        if shallow && !query.is_for_all() {
            let why = "shallow cannot be mixed with other query parameters";
            return Err(No::new(StatusCode::BAD_REQUEST, why));
        }
        Ok(What::Get {
            path: self.path.clone(),
            query,
            form: if is("format", "export") {
                Form::Exact
            } else {
                Form::Plain
            },
            shallow,
            hashed: self.headers.contains_key(WANTS_ETAG),
        })
    }

    /// What is to be written, and under which name if that has to be made up.
    async fn write(
        &self,
        firebase: &Inner,
        method: &Method,
        body: Body,
    ) -> Result<(Write, Option<Key>, Option<OwnedSemaphorePermit>), No> {
        let max = firebase.settings.request_bytes;
        let room = firebase.room(max).await;
        let body = to_bytes(body, max).await.map_err(|_| {
            No::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the request is too large, or came too slowly",
            )
        })?;
        let data = || {
            serde_json::from_slice::<Value>(&body).map_err(|_| {
                let why = "Invalid data; couldn't parse JSON object, array, or value.";
                No::new(StatusCode::BAD_REQUEST, why)
            })
        };
        let path = self.path.to_string();
        let mut name = None;
        let parts = match method.as_str() {
            "PUT" => vec![Draft::read_at(&path, &data()?)?],
            "DELETE" => vec![(self.path.clone(), Draft::Nothing)],
            "PATCH" => Draft::read_merge(&path, &data()?)?,
            "POST" => {
                let key = made_up(firebase)?;
                name = Some(key.clone());
                let path = self.path.child(key)?.to_string();
                vec![Draft::read_at(&path, &data()?)?]
            }
            _ => return Err(No::new(StatusCode::METHOD_NOT_ALLOWED, "no such method")),
        };
        let expected = self.headers.get(header::IF_MATCH);
        let expected = expected.map(|etag| etag.to_str().unwrap_or_default());
        if expected.is_some() && !matches!(method.as_str(), "PUT" | "DELETE") {
            let why = "if-match is for PUT and DELETE";
            return Err(No::new(StatusCode::BAD_REQUEST, why));
        }
        let expected = expected.map(|etag| match etag.trim_matches('"') {
            ETAG_OF_NOTHING => (self.path.clone(), String::new()),
            etag => (self.path.clone(), etag.to_owned()),
        });
        Ok((Write { parts, expected }, name, room))
    }

    async fn written(
        &self,
        namespace: &Namespace,
        pass: Pass,
        write: Write,
        name: Option<Key>,
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<Response, No> {
        let is_one = write
            .parts
            .first()
            .is_some_and(|(path, _)| *path == self.path);
        let returns = name.is_none();
        let answer = namespace
            .ask(pass, What::Write { write, returns }, room)
            .await;
        let answer = match (answer, name) {
            (Answer::Done, Some(key)) => {
                let name = serde_json::json!({"name": key.as_str()}).to_string();
                Answer::Value(name.into(), None)
            }
            (Answer::Written(mut parts), _) if is_one => {
                let text = parts.pop().map(|(_, text)| text);
                let text = text.unwrap_or_else(|| "null".to_owned());
                Answer::Value(text.into(), None)
            }
            (Answer::Written(parts), _) => Answer::Value(self.merged(&parts).into(), None),
            (other, _) => other,
        };
        self.respond(answer)
    }

    /// What has been written by a merge, by its paths below this one.
    fn merged(&self, parts: &[(Path, String)]) -> String {
        let part = |(path, text): &(Path, String)| {
            let below = path.below(&self.path).unwrap_or_default();
            format!("{}:{text}", Value::from(joined(below)))
        };
        let parts: Vec<String> = parts.iter().map(part).collect();
        format!("{{{}}}", parts.join(","))
    }

    fn respond(&self, answer: Answer) -> Result<Response, No> {
        let (status, text, etag) = match answer {
            Answer::Value(_, None)
                if self
                    .named
                    .get("print")
                    .is_some_and(|print| print == "silent") =>
            {
                return Ok(StatusCode::NO_CONTENT.into_response());
            }
            Answer::Value(text, etag) => (StatusCode::OK, text, etag),
            Answer::Stale(text, etag) => (StatusCode::PRECONDITION_FAILED, text, Some(etag)),
            Answer::Done | Answer::Written(_) => (StatusCode::OK, "null".to_owned().into(), None),
            Answer::Refused(Status::TooBig, why) => {
                return Err(No::new(StatusCode::INSUFFICIENT_STORAGE, &why));
            }
            Answer::Refused(_, why) => return Err(No::new(StatusCode::BAD_REQUEST, &why)),
            Answer::Refusal(refusal) => return Err(refusal.into()),
        };
        let mut response = sent(status, text);
        if let Some(etag) = etag {
            let etag = if etag.is_empty() {
                ETAG_OF_NOTHING
            } else {
                &etag
            };
            let etag = HeaderValue::from_str(etag).map_err(|_| No::denied())?;
            response.headers_mut().insert(header::ETAG, etag);
        }
        Ok(response)
    }
}

fn made_up(firebase: &Inner) -> Result<Key, No> {
    let mut random = [0; 12];
    let filled = SystemRandom::new().fill(&mut random);
    filled.map_err(|_| Refusal::Randomness)?;
    let now = u64::try_from(firebase.now()).unwrap_or(0);
    Ok(Key::made(now, random))
}

/// A text as the answer, which keeps its room until it has been sent.
fn sent(status: StatusCode, Text { text, held }: Text) -> Response {
    let Some(held) = held else {
        return json(status, text);
    };
    let length = HeaderValue::from(text.len());
    let parts = stream::unfold((Some(text), held), |(text, held)| async {
        let part = Bytes::from(text?);
        Some((Ok::<_, Infallible>(part), (None, held)))
    });
    let mut response = json(status, Body::from_stream(parts));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length);
    response
}

fn json(status: StatusCode, text: impl Into<Body>) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    (status, kind, text.into()).into_response()
}

impl No {
    pub(super) fn new(status: StatusCode, why: &str) -> Self {
        Self(status, why.to_owned(), None)
    }

    /// As Firebase says it, whether or not it knows who asks.
    pub(super) fn denied() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Permission denied")
    }

    fn into_response(self) -> Response {
        let Self(status, why, retry_after) = self;
        let mut response = json(status, serde_json::json!({ "error": why }).to_string());
        if let Some(seconds) = retry_after {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Ending> for No {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Draining | Ending::Replaced => Refusal::Draining.into(),
            Ending::Revoked | Ending::Expired | Ending::Dismissed => Self::denied(),
        }
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        let is_denied = matches!(
            refusal,
            Refusal::Unauthenticated
                | Refusal::Revoked
                | Refusal::AwaitsApproval
                | Refusal::Forbidden { .. }
        );
        if is_denied {
            return Self::denied();
        }
        let why = refusal.to_string();
        if let Refusal::Limited { retry_after, .. } = refusal {
            let seconds = retry_after.as_secs() + 1;
            return Self(StatusCode::TOO_MANY_REQUESTS, why, Some(seconds));
        }
        let status = if matches!(refusal, Refusal::Full) {
            StatusCode::INSUFFICIENT_STORAGE
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        Self::new(status, &why)
    }
}

/// What is not understood.
macro_rules! not_understood {
    ($($error:ty),*) => {$(
        impl From<$error> for No {
            fn from(error: $error) -> Self {
                Self::new(StatusCode::BAD_REQUEST, &error.to_string())
            }
        }
    )*};
}

not_understood!(
    outgate_firebase::path::PathError,
    outgate_firebase::query::QueryError,
    outgate_firebase::draft::DraftError
);
