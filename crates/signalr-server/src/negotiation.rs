//! `POST …/negotiate`.

use std::sync::Arc;

use axum::response::{IntoResponse as _, Response};
use http::header;
use http::request::Parts;
use outgate_signalr::negotiate::{self, Answer, Connection, Offer, Request};

use crate::hub::Inner;
use crate::service::{Refused, authenticated};

/// The newest version of negotiation that is spoken.
const VERSION: u32 = 1;

pub(crate) async fn negotiate(hub: &Arc<Inner>, parts: Parts) -> Result<Response, Refused> {
    let identity = authenticated(hub, &parts).await?;
    let query = parts.uri.query().unwrap_or_default();
    let Ok(request) = Request::read(query) else {
        let error = "The client requested a non-integer protocol version.".to_owned();
        return Ok(answered(&Answer::Refused { error }));
    };
    if let Some(to) = hub.options.redirect.as_ref().and_then(|to| to(&parts)) {
        return Ok(answered(&Answer::Redirection {
            url: to.url,
            access_token: to.access_token,
        }));
    }
    let offered = &hub.options.transports;
    let key = hub.memory.as_ref().and_then(|memory| (memory.key)(&parts));
    let order = match hub.memory.as_ref().zip(key.as_ref()) {
        Some((memory, key)) => memory.order(key, offered),
        None => offered.clone(),
    };
    let version = request.version.min(VERSION);
    let stateful = hub.options.stateful
        && request.stateful
        && offered.contains(&negotiate::Transport::WebSockets);
    let shared = hub
        .connect(identity, key, version > 0, stateful)
        .map_err(|none| none.refused())?;
    Ok(answered(&Answer::Connection(Connection {
        version,
        connection_id: shared.id.to_string(),
        token: shared.token.clone(),
        transports: order.into_iter().map(Offer::all_of).collect(),
        stateful,
    })))
}

fn answered(answer: &Answer) -> Response {
    let kind = (header::CONTENT_TYPE, "application/json");
    let uncached = (header::CACHE_CONTROL, "no-cache, no-store");
    ([kind, uncached], answer.to_json()).into_response()
}
