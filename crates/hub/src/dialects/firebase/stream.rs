//! Event streams of the REST interface: what stands at a path, and every change of it
//! (<https://firebase.google.com/docs/reference/rest/database#section-streaming>).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use http::HeaderMap;
use http::header::ACCEPT;
use outgate_firebase::database::{Listen, Told};
use outgate_firebase::path::joined;
use outgate_firebase::rules::Verb;
use outgate_firebase::{Form, Path, Query};

use super::Inner;
use super::login::Login;
use super::namespace::{Answer, Namespace, What};
use super::outbox::{Letter, Outbox};
use super::rest::No;
use crate::api::Held;
use crate::http::{Cut, watched};

/// How often a silent stream shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Whether a stream is asked for.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter();
    let mut accepted = accepted.filter_map(|accept| accept.to_str().ok());
    accepted.any(|accept| accept.contains("text/event-stream"))
}

/// Somebody who is told of changes.
struct Following {
    firebase: Arc<Inner>,
    namespace: Namespace,
    outbox: Arc<Outbox>,
    login: Arc<Login>,
    path: Path,
    /// The room of what is being sent.
    held: Option<Held>,
}

/// Begins a stream.
pub(super) async fn open(
    firebase: &Arc<Inner>,
    namespace: &Namespace,
    login: Login,
    path: Path,
    named: std::collections::HashMap<String, String>,
    cut: Cut,
) -> Result<Response, No> {
    let named = named.iter();
    let query = Query::read_parameters(named.map(|(name, value)| (&name[..], &value[..])))?;
    if !firebase.rules().allow(&login.who, Verb::Read, &path) {
        return Err(No::denied());
    }
    let pass = login.session.pass();
    firebase.core().messages.may_subscribe(&pass)?;
    let outbox = firebase.outbox();
    let login = Arc::new(login);
    let following = Following {
        firebase: Arc::clone(firebase),
        namespace: namespace.clone(),
        outbox: Arc::clone(&outbox),
        login: Arc::clone(&login),
        path: path.clone(),
        held: None,
    };
    let listen = Listen {
        by: outbox.number,
        tag: None,
        query,
        form: Form::Plain,
    };
    let what = What::Listen {
        outbox,
        path,
        listen,
        known: None,
    };
    match namespace.ask(pass, what, None).await {
        Answer::Refusal(refusal) => return Err(refusal.into()),
        Answer::Refused(_, why) => {
            return Err(No::new(http::StatusCode::SERVICE_UNAVAILABLE, &why));
        }
        Answer::Done | Answer::Value(..) | Answer::Written(_) | Answer::Stale(..) => {}
    }
    let over = {
        let (firebase, login) = (Arc::clone(firebase), login);
        async move {
            login.ended(firebase.core()).await;
        }
    };
    let events = stream::unfold(Some(following), Following::next);
    Ok(Sse::new(watched(events, cut, over)).into_response())
}

impl Following {
    async fn next(going_on: Option<Self>) -> Option<(Result<Event, Infallible>, Option<Self>)> {
        let mut following = going_on?;
        following.held = None;
        let core = following.firebase.core();
        let (event, goes_on) = tokio::select! {
            biased;
            ending = following.login.ended(core) => (revoked(ending), false),
            letter = tokio::time::timeout(HEARTBEAT, following.outbox.next()) => match letter {
                Err(_) => (Event::default().event("keep-alive").data("null"), true),
                Ok(Ok(Letter::Told(told, held))) => {
                    following.held = Some(held);
                    (changed(&told), true)
                }
                Ok(Ok(Letter::Message(..)) | Err(_)) => {
                    (Event::default().event("cancel").data("null"), false)
                }
            },
        };
        Some((Ok(event), goes_on.then_some(following)))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let (namespace, path) = (self.namespace.clone(), self.path.clone());
        let what = What::Forget {
            by: self.outbox.number,
            listens: vec![(path, None)],
            gone: true,
        };
        tokio::spawn(async move { namespace.forget(what).await });
    }
}

fn revoked(ending: outgate_core::sessions::Ending) -> Event {
    use outgate_core::sessions::Ending;
    match ending {
        Ending::Draining | Ending::Replaced => Event::default().event("cancel").data("null"),
        Ending::Revoked | Ending::Expired | Ending::Dismissed => Event::default()
            .event("auth_revoked")
            .data("\"the token no longer holds\""),
    }
}

fn changed(told: &Told) -> Event {
    let below = told.path.keys().get(told.listened..).unwrap_or_default();
    let path = serde_json::Value::from(format!("/{}", joined(below)));
    let data = format!("{{\"path\":{path},\"data\":{}}}", told.data);
    let kind = if told.is_merge { "patch" } else { "put" };
    Event::default().event(kind).data(data)
}
