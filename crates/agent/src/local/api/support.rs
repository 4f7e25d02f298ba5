//! Sessions of remote support: what is asked for, and whether it is allowed.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::parameters::Deciding;
use super::unkept;
use crate::device::Device;
use crate::local::extract::{Asked, Named};
use crate::local::problem::Problem;
use crate::support::{Desk, SupportError};

/// Who decides when nobody says who it is.
const SOMEBODY: &str = "the device's software";

pub(super) fn described() -> OpenApiRouter<Device> {
    OpenApiRouter::new()
        .routes(routes!(sessions))
        .routes(routes!(decide))
}

/// Read the sessions of remote support
///
/// Those that wait to be allowed, those that go on, and the last ones that are over.
#[utoipa::path(get, path = "/support", tag = "support",
    responses((status = 200, description = "The oldest first", body = Object)))]
async fn sessions(State(device): State<Device>) -> Result<Response, Problem> {
    Ok(unkept(of_device(&device)?.sessions()))
}

/// What becomes of a session.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Decision {
    /// It is opened.
    Allow,
    /// It is not.
    Refuse,
    /// It ends.
    End,
}

/// Decide on a session of remote support
#[utoipa::path(post, path = "/support/{session}/{decision}", tag = "support",
    params(("session" = String, Path, description = "The session's name"),
        ("decision" = inline(Decision), Path, description = "What becomes of it"), Deciding),
    responses((status = 204, description = "It is so")))]
async fn decide(
    State(device): State<Device>,
    Named((session, decision)): Named<(String, Decision)>,
    Asked(Deciding { by }): Asked<Deciding>,
) -> Result<StatusCode, Problem> {
    let desk = of_device(&device)?;
    let by = by.filter(|by| !by.is_empty());
    let by = by.as_deref().unwrap_or(SOMEBODY);
    match decision {
        Decision::Allow => desk.allow(&session, by)?,
        Decision::Refuse => desk.refuse(&session, by)?,
        Decision::End => desk.end(&session, by)?,
    }
    Ok(StatusCode::NO_CONTENT)
}

fn of_device(device: &Device) -> Result<&Desk, Problem> {
    let none = || {
        let detail = "the device's configuration has no remote support";
        Problem::new(StatusCode::NOT_FOUND, detail)
    };
    device.support().ok_or_else(none)
}

impl From<SupportError> for Problem {
    fn from(error: SupportError) -> Self {
        let status = match error {
            SupportError::Unknown => StatusCode::NOT_FOUND,
            SupportError::Open | SupportError::Asked => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}
