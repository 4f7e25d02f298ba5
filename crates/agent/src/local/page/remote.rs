//! The SSH switch as the page shows it: who is logged in may switch it, and nobody else may anywhere.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;

use super::frame::View;
use super::sections::{list, moment, pair, section};
use super::words::filled;
use super::{Site, guard};
use crate::chain::chain;
use crate::local::serving::Peer;
use crate::status::{Ssh, SshState};

/// For how many minutes it is switched on unless somebody says otherwise.
const MINUTES: u64 = 30;

/// What the form holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    switch: To,
    minutes: Option<u64>,
}

/// What it is to be.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum To {
    On,
    Off,
}

/// `POST /ssh`.
pub(super) async fn switch(
    State(site): State<Arc<Site>>,
    Extension(Peer(from)): Extension<Peer>,
    view: View,
    wish: Result<Form<Wish>, FormRejection>,
) -> Response {
    let Some(switch) = &site.ssh else {
        return guard::missing(&view);
    };
    if !view.is_in {
        return Redirect::to("/login").into_response();
    }
    let wish = match wish {
        Ok(Form(wish)) => wish,
        Err(error) => return failed(&view, StatusCode::BAD_REQUEST, &error.body_text()),
    };
    let by = format!("the diagnostics page, from {}", from.ip().to_canonical());
    let minutes = wish.minutes.unwrap_or(MINUTES);
    let switched = match wish.switch {
        To::On => {
            switch
                .on(Duration::from_secs(minutes.saturating_mul(60)), &by)
                .await
        }
        To::Off => switch.off(&by).await,
    };
    match switched {
        Ok(()) => Redirect::to("/#ssh").into_response(),
        Err(error) => failed(&view, StatusCode::CONFLICT, &chain(&error)),
    }
}

fn failed(view: &View, status: StatusCode, why: &str) -> Response {
    let words = view.words();
    let body = html! {
        p.trouble role="alert" { (filled(words.ssh_failed, "why", why)) }
        p { a href="/" { (words.back) } }
    };
    view.page(status, words.ssh, &body)
}

/// The switch on the diagnostics page.
pub(super) fn summary(view: &View, ssh: &Ssh) -> Markup {
    let words = view.words();
    let (class, state) = match ssh.state {
        SshState::Off => ("quiet", words.ssh_off),
        SshState::On => ("waits", words.ssh_on),
        SshState::Ending => ("waits", words.ssh_ending),
    };
    let is_off = matches!(ssh.state, SshState::Off);
    section(
        "ssh",
        words.ssh,
        &html! {
            dl {
                (pair(words.state, &html! { span class=(class) { (state) } }))
                @if !is_off {
                    (pair(words.ssh_until, &moment(ssh.until, words)))
                    (pair(words.ssh_by, &html! {
                        span lang="en" { (ssh.by.as_deref().unwrap_or(words.unknown)) }
                    }))
                    (pair(words.address, &list(&ssh.listen, words)))
                    (pair(words.ssh_connections, &html! { (ssh.connections) }))
                }
                (pair(words.ssh_users, &list(&ssh.users, words)))
                @if let Some(key) = &ssh.host_key {
                    (pair(words.ssh_host_key, &html! { (key) }))
                }
            }
            @if !view.is_in {
                p { a href="/login" { (words.ssh_login) } }
            } @else if is_off {
                (switch_on(view, ssh))
            } @else {
                form method="post" action="/ssh" {
                    input type="hidden" name="switch" value="off" hidden;
                    button type="submit" { (words.ssh_switch_off) }
                }
            }
        },
    )
}

fn switch_on(view: &View, ssh: &Ssh) -> Markup {
    let words = view.words();
    let most = ssh.most_minutes;
    html! {
        form method="post" action="/ssh" {
            input type="hidden" name="switch" value="on" hidden;
            p {
                label for="minutes" { (filled(words.ssh_minutes, "n", &most.to_string())) }
                input #minutes name="minutes" type="number" min="1" max=(most)
                    value=(MINUTES.min(most)) required;
            }
            p { button type="submit" { (words.ssh_switch_on) } }
        }
    }
}
