//! Logging in with an operator's token, and out.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, StatusCode, Uri, header};
use maud::html;
use outgate_core::Refusal;
use outgate_core::identity::{Claim, Principal};
use outgate_core::limits::{Rate, source};
use outgate_core::secret::Secret;
use outgate_door::Facts;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::visits::{COOKIE, LASTS, Visit};
use super::{Console, page};
use crate::http::origins;

/// How often one source may try.
pub(super) const TRIES: Rate = Rate {
    burst: 10,
    every: Duration::from_secs(6),
};

/// What sessions of the console are called.
const VIA: &str = "console";

/// What the form holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    token: String,
}

/// `GET /console/login`.
pub(super) async fn form() -> Response {
    shown(StatusCode::OK, None)
}

/// `POST /console/login`.
pub(super) async fn enter(
    State(console): State<Arc<Console>>,
    Extension(facts): Extension<Facts>,
    uri: Uri,
    headers: HeaderMap,
    entry: Result<Form<Entry>, FormRejection>,
) -> Response {
    if !origins::is_own(&headers, &uri, &facts) {
        return shown(
            StatusCode::FORBIDDEN,
            Some("This form was sent from another page."),
        );
    }
    if let Err(wait) = console.tries.take(&source(facts.peer.ip())) {
        let seconds = wait.as_secs().saturating_add(1).to_string();
        let said = shown(
            StatusCode::TOO_MANY_REQUESTS,
            Some("Too many tries from your address. Wait a little."),
        );
        return ([(header::RETRY_AFTER, seconds)], said).into_response();
    }
    let Ok(Form(entry)) = entry else {
        return shown(StatusCode::BAD_REQUEST, Some("The form cannot be read."));
    };
    let token = Zeroizing::new(entry.token);
    match begin(&console, &token, &facts).await {
        Ok(cookie) => {
            let cookie = String::from_utf8_lossy(cookie.expose()).into_owned();
            (
                [(header::SET_COOKIE, set(&cookie, LASTS))],
                Redirect::to("/"),
            )
                .into_response()
        }
        Err(Refusal::Limited { .. } | Refusal::Draining) => shown(
            StatusCode::SERVICE_UNAVAILABLE,
            Some("The hub cannot take you in right now. Try again later."),
        ),
        // Why a token does not hold is not told to whoever shows it.
        Err(_) => shown(
            StatusCode::UNAUTHORIZED,
            Some("This token is not accepted."),
        ),
    }
}

/// `POST /console/logout`.
pub(super) async fn leave(
    State(console): State<Arc<Console>>,
    Extension(facts): Extension<Facts>,
    uri: Uri,
    headers: HeaderMap,
    visit: Visit,
) -> Response {
    if !origins::is_own(&headers, &uri, &facts) {
        return StatusCode::FORBIDDEN.into_response();
    }
    console.visits.end(&visit);
    let forget = [(header::SET_COOKIE, set("", Duration::ZERO))];
    (forget, Redirect::to("/console/login")).into_response()
}

async fn begin(console: &Console, token: &str, facts: &Facts) -> Result<Secret, Refusal> {
    let core = &console.state.core;
    let token = Secret::new(token.trim().as_bytes().to_vec());
    let claim = Claim::Token {
        token: &token,
        device: None,
    };
    let identified = core.identity.authenticate(claim).await?;
    let Principal::Operator { .. } = identified.principal else {
        return Err(Refusal::Unauthenticated);
    };
    let session = core.open_session(&identified, VIA, facts.peer).await?;
    console.visits.begin(session)
}

/// The cookie as it is set. `Secure` also where TLS was taken off before us; browsers take it
/// from this very machine without TLS too.
fn set(value: &str, lasts: Duration) -> String {
    let seconds = lasts.as_secs();
    format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict")
}

fn shown(status: StatusCode, trouble: Option<&str>) -> Response {
    let body = html! {
        h1 { "Log in" }
        @if let Some(trouble) = trouble {
            p.trouble role="alert" { (trouble) }
        }
        form method="post" action="/console/login" {
            // Without a name it is not sent; managers of passwords keep the token under it.
            input type="text" value="outgate operator" autocomplete="username" hidden;
            p {
                label for="token" { "Your operator token" }
                input #token name="token" type="password" autocomplete="current-password"
                    required autofocus maxlength="1024" aria-describedby="where";
            }
            p #where .hint {
                "An administrator makes one with "
                code { "outgate operator add" }
                ". The first one lies in the hub's data folder."
            }
            p { button type="submit" { "Log in" } }
        }
    };
    (status, page::bare("Log in", &body)).into_response()
}
