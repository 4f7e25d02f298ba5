//! `/api/enrol`: how a device gets its first credential, by proving a fleet key.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::id::{DeviceId, FleetKeyId};
use outgate_core::{Refusal, Timestamp, identity, limits};
use outgate_door::Facts;

use crate::api::bounds::{ENROLMENT_WITHIN, MAX_ENROLMENT, MAX_ENROLMENTS_EACH};
use crate::api::extract::from_json_within;
use crate::api::problem::Problem;
use crate::api::{Api, view};

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(enrol))
}

/// A device asks to be taken up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Enrolment {
    /// With which fleet key.
    #[schema(value_type = crate::api::names::Name)]
    fleet_key: FleetKeyId,
    /// Who it wants to be.
    #[schema(value_type = crate::api::names::Name)]
    device: DeviceId,
    /// When it says it is; within five minutes of the hub's time.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Its own random text, never used twice with this key.
    #[schema(min_length = 16, max_length = 64, example = "0123456789abcdef")]
    nonce: String,
    /// In base 64: HMAC-SHA256 with the fleet key over `outgate-enrol-1`, the device, `at` in
    /// UTC as the hub writes it (`2026-01-31T12:00:00Z`, with milliseconds if there are any), the
    /// nonce and the request (or nothing), each followed by a line feed.
    #[schema(max_length = 44, content_encoding = "base64")]
    proof: String,
    /// A certificate request (PKCS #10, PEM), when it wants a certificate rather than a key.
    #[schema(max_length = 16384)]
    request: Option<String>,
}

/// Enrol a device
///
/// Needs no login: the proof is one. A name that is known already waits for an operator.
#[utoipa::path(post, path = "/api/enrol", tag = "enrolment", security(()),
    request_body = Enrolment,
    responses(
        (status = 201, description = "The device is in", body = view::Enrolled),
        (status = 202, description = "It waits for approval", body = view::Enrolled)))]
async fn enrol(
    State(api): State<Arc<Api>>,
    Extension(facts): Extension<Facts>,
    request: Request,
) -> Result<(StatusCode, axum::Json<view::Enrolled>), Problem> {
    let peer = facts.peer.ip();
    let enrolment = read(&api, limits::source(peer), request).await?;
    let proof = STANDARD
        .decode(&enrolment.proof)
        .map_err(|_| Refusal::invalid("proof", "base 64 with padding"))?;
    let enrolled = api
        .state
        .core
        .identity
        .enrol(identity::Enrolment {
            fleet_key: enrolment.fleet_key,
            device: enrolment.device,
            at: enrolment.at,
            nonce: enrolment.nonce,
            proof,
            request: enrolment.request,
            peer,
        })
        .await?;
    let status = match enrolled {
        identity::Enrolled::Welcome(_) => StatusCode::CREATED,
        identity::Enrolled::AwaitsApproval(_) => StatusCode::ACCEPTED,
    };
    Ok((status, axum::Json(enrolled.try_into()?)))
}

/// Reads what is asked for. Whoever asks has shown nothing yet, so that everything is bounded
/// before the first byte of the body is taken.
async fn read(api: &Api, source: IpAddr, request: Request) -> Result<Enrolment, Problem> {
    let admitted = api.enrolments.take(&source);
    admitted.map_err(|wait| Problem::limited("enrolments", wait))?;
    let counted = vec![(source.to_string(), MAX_ENROLMENTS_EACH)];
    let _reading = api.enrolling.take(counted).ok_or_else(|| {
        let what = "enrolments at once";
        Problem::limited(what, Duration::from_secs(1))
    })?;
    from_json_within(request, "application/json", MAX_ENROLMENT, ENROLMENT_WITHIN).await
}
