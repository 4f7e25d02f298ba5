//! The check as the pages show it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::{HeaderValue, StatusCode, header};
use maud::{Markup, html};
use outgate_check::Verdict;

use super::check::{Done, State as Check};
use super::frame::View;
use super::sections::{moment, pair, section, table};
use super::words::{Words, filled};
use super::{Site, guard};

/// After how many seconds the page of a check that is under way is loaded anew.
const AGAIN: HeaderValue = HeaderValue::from_static("2");
/// The report brings its own style, and loads and runs nothing.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; \
     base-uri 'none'",
);

/// `POST /check`.
pub(super) async fn order(State(site): State<Arc<Site>>, view: View) -> Response {
    if !view.is_in {
        return Redirect::to("/login").into_response();
    }
    if let Some(checks) = &site.checks {
        checks.order(view.language);
    }
    Redirect::to("/check").into_response()
}

/// `GET /check`.
pub(super) async fn show(State(site): State<Arc<Site>>, view: View) -> Response {
    let words = view.words();
    let Some(checks) = &site.checks else {
        return guard::missing(&view);
    };
    let state = checks.state();
    let body = html! {
        @match &state {
            Check::Never => { p { (words.check_never) } }
            Check::Running { done, of } => {
                @let text = filled(words.check_running, "done", &done.to_string());
                p role="status" { (filled(&text, "of", &of.to_string())) }
                progress value=(done) max=(of) aria-label=(words.check) {}
            }
            Check::Failed(why) => {
                p.trouble { (filled(words.check_failed, "why", why)) }
            }
            Check::Done(done) => { (result(done, &view)) }
        }
        (run(&view, &state, words))
        p { a href="/" { (words.back) } }
    };
    let mut response = view.page(StatusCode::OK, words.check, &body);
    if matches!(state, Check::Running { .. }) {
        response.headers_mut().insert(header::REFRESH, AGAIN);
    }
    response
}

/// `GET /check/report`.
pub(super) async fn report(State(site): State<Arc<Site>>, view: View) -> Response {
    let state = site.checks.as_ref().map(|checks| checks.state());
    let Some(Check::Done(done)) = state else {
        return guard::missing(&view);
    };
    let Some(report) = done.report.clone() else {
        return guard::missing(&view);
    };
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, report).into_response()
}

/// The check on the diagnostics page.
pub(super) fn summary(view: &View, state: &Check) -> Markup {
    let words = view.words();
    section(
        "check",
        words.check,
        &html! {
            p { (words.check_lead) }
            @match state {
                Check::Never => { p { (words.check_never) } }
                Check::Running { .. } => {}
                Check::Failed(why) => { p.trouble { (filled(words.check_failed, "why", why)) } }
                Check::Done(done) => { (outcome(done, view)) }
            }
            @if !matches!(state, Check::Never) {
                p { a href="/check" { (words.check_show) } }
            }
            (run(view, state, words))
        },
    )
}

fn run(view: &View, state: &Check, words: &Words) -> Markup {
    html! {
        @if matches!(state, Check::Running { .. }) {
        } @else if view.is_in {
            form method="post" action="/check" {
                button type="submit" { (words.check_run) }
            }
        } @else {
            p { a href="/login" { (words.check_login) } }
        }
    }
}

fn result(done: &Done, view: &View) -> Markup {
    let words = view.words();
    // Its sentences are in the language in which it was asked for.
    let said = done.language.tag();
    let rows = done.causes.iter().map(|cause| {
        [
            html! { span lang=(said) { (cause.what) } },
            html! { (view.language.owner(cause.owner)) },
            html! { span lang=(said) { (cause.act) } },
        ]
    });
    let columns = [words.cause, words.owner, words.act];
    html! {
        (outcome(done, view))
        @if done.causes.is_empty() {
            p { (words.check_no_causes) }
        } @else {
            (table(words.check_causes, columns, rows))
        }
        @if done.report.is_some() {
            p { a href="/check/report" { (words.check_report) } }
        }
    }
}

fn outcome(done: &Done, view: &View) -> Markup {
    let words = view.words();
    let class = match done.verdict {
        Verdict::Pass => "good",
        Verdict::Warn | Verdict::Incomplete => "waits",
        Verdict::Fail => "bad",
    };
    html! {
        dl {
            (pair(words.check_result, &html! {
                span class=(class) { (view.language.verdict(done.verdict)) }
            }))
            (pair(words.started, &moment(Some(done.started), words)))
        }
    }
}
