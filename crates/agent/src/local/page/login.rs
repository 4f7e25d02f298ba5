//! Logging in with the local password or a one-time code, and out.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use http::{HeaderMap, StatusCode, header};
use maud::html;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::frame::View;
use super::password::{self, Password};
use super::visits::{COOKIE, LASTS, set};
use super::words::filled;
use super::{Site, code, cookie};
use crate::chain::chain;
use crate::local::serving::Peer;
use crate::queue::Clock as _;

/// What the form holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    secret: String,
}

/// `GET /login`.
pub(super) async fn form(view: View) -> Response {
    shown(&view, StatusCode::OK, None)
}

/// `POST /login`.
pub(super) async fn enter(
    State(site): State<Arc<Site>>,
    Extension(Peer(from)): Extension<Peer>,
    view: View,
    entry: Result<Form<Entry>, FormRejection>,
) -> Response {
    let words = view.words();
    if let Err(wait) = site.attempts.lock().take(from.ip(), Instant::now()) {
        let seconds = wait.as_secs().saturating_add(1).to_string();
        let why = filled(words.login_slow, "n", &seconds);
        let said = shown(&view, StatusCode::TOO_MANY_REQUESTS, Some(&why));
        return ([(header::RETRY_AFTER, seconds)], said).into_response();
    }
    let Ok(Form(entry)) = entry else {
        return shown(&view, StatusCode::BAD_REQUEST, Some(words.login_wrong));
    };
    let secret = Zeroizing::new(entry.secret);
    if !is_right(&site, secret).await {
        tracing::warn!(from = %from.ip(), "somebody failed to log in to the diagnostics page");
        return shown(&view, StatusCode::UNAUTHORIZED, Some(words.login_wrong));
    }
    let begun = site.visits.lock().begin(Instant::now());
    let Ok(value) = begun else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    site.attempts.lock().forget(from.ip());
    tracing::info!(from = %from.ip(), "somebody has logged in to the diagnostics page");
    let cookie = [(header::SET_COOKIE, set(&value, LASTS))];
    (cookie, Redirect::to("/")).into_response()
}

/// `POST /logout`.
pub(super) async fn leave(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    if let Some(value) = cookie(&headers, COOKIE) {
        site.visits.lock().end(value);
    }
    let forget = [(header::SET_COOKIE, set("", std::time::Duration::ZERO))];
    (forget, Redirect::to("/")).into_response()
}

/// Whether somebody is logged in.
pub(super) fn is_in(site: &Site, headers: &HeaderMap) -> bool {
    let value = cookie(headers, COOKIE);
    value.is_some_and(|value| site.visits.lock().is_in(value, Instant::now()))
}

/// Whether that is a code, or the password.
async fn is_right(site: &Site, secret: Zeroizing<String>) -> bool {
    if code::take(&site.folder, &secret, &site.clock.now()) {
        return true;
    }
    let Some(path) = site.config.password_file.as_deref() else {
        return false;
    };
    let password = match read(path) {
        Ok(password) => password,
        Err(error) => {
            let why = format!("failed to read {} (page.password-file)", path.display());
            super::note(&site.device, format!("{why}: {}", chain(&error)));
            return false;
        }
    };
    // One at a time, also of those whose asker has gone: each takes a processor for a while.
    let Ok(turn) = Arc::clone(&site.verifying).acquire_owned().await else {
        return false;
    };
    let verifying = tokio::task::spawn_blocking(move || {
        let is_it = password.is(&secret);
        drop(turn);
        is_it
    });
    verifying.await.unwrap_or(false)
}

fn read(path: &Path) -> io::Result<Password> {
    let mut text = String::new();
    File::open(path)?
        .take(password::MAX_FILE)
        .read_to_string(&mut text)?;
    text.parse().map_err(io::Error::other)
}

fn shown(view: &View, status: StatusCode, trouble: Option<&str>) -> Response {
    let words = view.words();
    let invalid = trouble.map(|_| "true");
    let body = html! {
        @if let Some(trouble) = trouble {
            p #trouble .trouble role="alert" { (trouble) }
        }
        form method="post" action="/login" {
            // Without a name it is not sent; managers of passwords keep the password under it.
            input type="text" value="outgate" autocomplete="username" hidden;
            p {
                label for="secret" { (words.login_secret) }
                input #secret name="secret" type="password" autocomplete="current-password"
                    required maxlength=(password::MOST) aria-describedby="where"
                    aria-invalid=[invalid];
            }
            p #where .hint { (words.login_where) " " code { "outgate agent code" } }
            p { button type="submit" { (words.login) } }
        }
    };
    view.page(status, words.login, &body)
}
