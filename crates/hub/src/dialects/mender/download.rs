//! Releases, as clients fetch them: by an address that holds a ticket, in ranges.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
};
use http_body_util::BodyExt as _;
use outgate_core::Refusal;
use outgate_core::identity::TicketFor;
use outgate_door::Facts;
use tower_http::services::ServeFile;

use super::answer::Refused;
use super::{Desk, MAX_SENT_EACH, VIA, place};
use crate::dialects::assets::tag_of;
use crate::dialects::caller::{Caller, guarded};
use crate::http::Cut;

/// What Mender's server calls an artifact.
const ARTIFACT: HeaderValue = HeaderValue::from_static("application/vnd.mender-artifact");

/// Sends a release, or the range of it that is asked for, until what the address was got by ends.
pub(super) async fn fetch(
    State(desk): State<Arc<Desk>>,
    Extension(facts): Extension<Facts>,
    cut: Cut,
    Path(ticket): Path<String>,
    request: Request,
) -> Response {
    let fetched = fetched(&desk, &facts, cut, &ticket, request).await;
    fetched.unwrap_or_else(IntoResponse::into_response)
}

async fn fetched(
    desk: &Desk,
    facts: &Facts,
    cut: Cut,
    ticket: &str,
    request: Request,
) -> Result<Response, Refused> {
    let core = &desk.core;
    let shown = core
        .identity
        .by_ticket(TicketFor::Download, ticket.as_bytes());
    let shown = shown.await?;
    let session = core
        .open_session(&shown.identified, VIA, facts.peer)
        .await?;
    let caller = Caller::from(session);
    let held = place(&desk.sent, &caller, MAX_SENT_EACH)?;
    let id = super::deployment(&shown.about)?;
    let release = core.deployments.brought(caller.session(), &id).await?;
    let tag = tag_of(&release.digest.to_string())?;
    let path = core.releases.path(&release);
    let answer = async move {
        let served = ServeFile::new(path).try_call(of(request, &tag)).await;
        let mut served = served.map_err(|error| {
            tracing::error!(%error, "a release cannot be read");
            Refused(Refusal::Internal("a release cannot be read"))
        })?;
        let headers = served.headers_mut();
        headers.insert(ETAG, tag);
        headers.insert(CONTENT_TYPE, ARTIFACT);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        headers.remove(LAST_MODIFIED);
        // The place is held until all of it is sent.
        Ok(served.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _held = &held;
                frame
            }))
        }))
    };
    guarded(caller, cut, answer).await
}

/// The request without conditions that the file knows nothing of: a range is of the release, or,
/// when the client has another one in mind, the whole is sent.
fn of(mut request: Request, tag: &HeaderValue) -> Request {
    let headers = request.headers_mut();
    if headers.get(IF_RANGE).is_some_and(|theirs| theirs != tag) {
        headers.remove(RANGE);
    }
    for name in [
        IF_MATCH,
        IF_NONE_MATCH,
        IF_RANGE,
        IF_MODIFIED_SINCE,
        IF_UNMODIFIED_SINCE,
    ] {
        headers.remove(name);
    }
    request
}
