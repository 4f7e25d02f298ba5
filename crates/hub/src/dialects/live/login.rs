//! Who may look something up: the fleet's key first, then the device's own.
//!
//! `POST /live/fleet` takes what the fleet's key has signed and gives a challenge. `POST /live/token`
//! takes that, and what the device's own key has signed of it (or a certificate, a token or a key,
//! shown as anywhere else), and gives a token. Before the first is right, nobody learns whether a
//! device is there or a key is its own.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderValue};
use outgate_core::id::{DeviceId, FleetKeyId};
use outgate_core::identity::{CHALLENGE_LASTS, Claim, FleetProof, Identified, own_text};
use outgate_core::limits::Attempt;
use outgate_core::secret::Secret;
use outgate_core::{Refusal, Timestamp};
use outgate_door::Facts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Live, VIA};
use crate::api::{
    ApiProblem, BODY_WITHIN, Kind, Place, Problem, bearer, from_json_within, turned_away,
};
use crate::dialects::caller::{Caller, answered};
use crate::dialects::login;
use crate::http::Cut;

/// The most bytes of a body.
const MAX_BODY: usize = 4 * 1_024;

/// The most steps of logins of one source at a time.
const MAX_STEPS_EACH: usize = 32;

/// The most steps of logins at a time: their bodies hold 4 MiB at most.
pub(super) const MAX_STEPS: usize = 1_024;

/// When to come again when as many come in as may.
const RETRY: std::time::Duration = std::time::Duration::from_secs(1);

/// What a device shows of its fleet's key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Fleet {
    /// Which fleet key.
    #[schema(value_type = String, example = "fk-3k8…")]
    fleet_key: FleetKeyId,
    /// Who the device is.
    #[schema(value_type = String, example = "T7")]
    device: DeviceId,
    /// What time it is there: within five minutes of the hub's.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// HMAC-SHA256 with the fleet key over three lines: `outgate-live-1`, the device's name, and
    /// the time as it stands here; in base 64.
    #[schema(format = Byte)]
    proof: String,
}

/// What its own key is shown with.
#[derive(Serialize, ToSchema)]
pub(super) struct Challenge {
    challenge: String,
    /// Within how many seconds.
    expires_in: u64,
}

/// What a device shows of its own key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Own {
    /// What the hub gave for the fleet's key.
    challenge: String,
    /// HMAC-SHA256 with one of the device's own keys over two lines: `outgate-live-2` and the
    /// challenge; in base 64. Left out by who shows a certificate, or `Authorization`.
    #[schema(format = Byte)]
    proof: Option<String>,
}

/// By what something is looked up.
#[derive(Serialize, ToSchema)]
pub(super) struct Token {
    /// To be shown as `Authorization: Bearer TOKEN`, below `/live/` and nowhere else.
    token: String,
    /// For how many seconds it holds.
    expires_in: u64,
}

/// Show the fleet's key
///
/// The first step before looking something up.
#[utoipa::path(post, path = "/live/fleet", tag = "live", request_body = Fleet,
    operation_id = "show_fleet_key", security(()),
    responses((status = 200, description = "The key is right", body = Challenge)))]
pub(super) async fn fleet(
    State(live): State<Arc<Live>>,
    Extension(facts): Extension<Facts>,
    request: Request,
) -> Result<Response, ApiProblem> {
    let peer = facts.peer.ip();
    let _place = place(&live, peer)?;
    let shown: Fleet = from_json_within(request, "application/json", MAX_BODY, BODY_WITHIN).await?;
    let attempt = Attempt::new(peer, Some(shown.device.as_str()));
    let failed = &live.core.failed_logins;
    failed.check(&attempt)?;
    let begun = match STANDARD.decode(&shown.proof) {
        Ok(proof) => {
            let proof = FleetProof {
                fleet_key: shown.fleet_key.clone(),
                device: shown.device.clone(),
                at: shown.at,
                proof,
                peer,
            };
            live.core.identity.begin_lookups(proof).await
        }
        Err(_) => Err(Refusal::Unauthenticated),
    };
    let challenge = begun.map_err(|refusal| told(&live, &attempt, refusal))?;
    Ok(never_kept(Challenge {
        challenge: text(&challenge)?,
        expires_in: CHALLENGE_LASTS.as_secs(),
    }))
}

/// Show the device's own key
///
/// The second step before looking something up.
#[utoipa::path(post, path = "/live/token", tag = "live", request_body = Own,
    operation_id = "show_own_key", security((), ("token" = []), ("key" = []), ("certificate" = [])),
    responses((status = 200, description = "Both keys are right", body = Token)))]
pub(super) async fn token(
    State(live): State<Arc<Live>>,
    Extension(facts): Extension<Facts>,
    request: Request,
) -> Result<Response, ApiProblem> {
    let peer = facts.peer.ip();
    let _place = place(&live, peer)?;
    let headers = request.headers().clone();
    let own: Own = from_json_within(request, "application/json", MAX_BODY, BODY_WITHIN).await?;
    let challenge = Secret::new(own.challenge.clone().into_bytes());
    // Before anybody's own key is looked at.
    let stranger = Attempt::new(peer, None);
    live.core.failed_logins.check(&stranger)?;
    let device = live.core.identity.challenged(&challenge);
    let device = device.map_err(|refusal| told(&live, &stranger, refusal))?;
    let identified = match &own.proof {
        Some(_) if headers.contains_key(AUTHORIZATION) => {
            let text = "proof or Authorization, not both";
            return Err(Problem::new(Kind::Malformed, text));
        }
        Some(proof) => signed(&live, &device, &own.challenge, proof, peer).await?,
        None => shown(&live, &headers, &facts).await?,
    };
    let lasts = live.token_lasts();
    let token = live
        .core
        .identity
        .lookup_token(&challenge, &identified, lasts, peer);
    let token = token
        .await
        .map_err(|refusal| told(&live, &stranger, refusal))?;
    // It may have been revoked just now, which a session would notice.
    live.core
        .admit(&identified, VIA, facts.peer)
        .await
        .map_err(turned_away)?;
    Ok(never_kept(Token {
        token: text(&token.token)?,
        expires_in: token.expires.since(live.core.clock.now()).as_secs(),
    }))
}

/// Lets only those pass who show a token for look-ups.
pub(super) async fn authenticate(
    State(live): State<Arc<Live>>,
    Extension(facts): Extension<Facts>,
    cut: Cut,
    request: Request,
    next: Next,
) -> Response {
    match sign_in(&live, &facts, request.headers()).await {
        Ok(caller) => answered(caller, cut, request, next).await,
        Err(problem) => problem.into_response(),
    }
}

async fn sign_in(live: &Live, facts: &Facts, headers: &HeaderMap) -> Result<Caller, ApiProblem> {
    let token = bearer(headers)?;
    let attempt = Attempt::new(facts.peer.ip(), None);
    live.core.failed_logins.check(&attempt)?;
    let identified = live
        .core
        .identity
        .authenticate(Claim::Lookup { token: &token })
        .await
        .map_err(|refusal| told(live, &attempt, refusal))?;
    let session = live.core.open_session(&identified, VIA, facts.peer).await;
    Ok(session.map_err(turned_away)?.into())
}

/// The device that has signed the challenge with a key of its own.
async fn signed(
    live: &Live,
    device: &DeviceId,
    challenge: &str,
    proof: &str,
    peer: IpAddr,
) -> Result<Identified, ApiProblem> {
    let attempt = Attempt::new(peer, Some(device.as_str()));
    live.core.failed_logins.check(&attempt)?;
    let signed = match STANDARD.decode(proof) {
        Ok(proof) => {
            let text = own_text(challenge);
            let claim = Claim::Signed {
                device,
                text: text.as_bytes(),
                signature: &proof,
                until: live.core.clock.now().after(live.token_lasts()),
            };
            live.core.identity.authenticate(claim).await
        }
        Err(_) => Err(Refusal::Unauthenticated),
    };
    signed.map_err(|refusal| told(live, &attempt, refusal))
}

/// Who shows a credential as anywhere else.
async fn shown(live: &Live, headers: &HeaderMap, facts: &Facts) -> Result<Identified, ApiProblem> {
    let identified = login::over_http(&live.core, headers, facts).await;
    identified.map_err(turned_away)
}

/// What somebody is told who is not let in, which is counted when what they showed proves nothing.
fn told(live: &Live, attempt: &Attempt, refusal: Refusal) -> ApiProblem {
    if matches!(refusal, Refusal::Unauthenticated) {
        live.metrics.login_refused(VIA);
        if let Err(limited) = live.core.failed_logins.count(attempt) {
            return limited.into();
        }
    }
    turned_away(refusal)
}

fn place(live: &Live, peer: IpAddr) -> Result<Place, ApiProblem> {
    let source = outgate_core::limits::source(peer).to_string();
    let place = live.steps.take(vec![(source, MAX_STEPS_EACH)]);
    place.ok_or_else(|| Problem::limited("logins at once", RETRY))
}

/// An answer with something secret in it.
fn never_kept(body: impl Serialize) -> Response {
    let mut response = Json(body).into_response().map(Body::new);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn text(secret: &Secret) -> Result<String, Refusal> {
    let text = String::from_utf8(secret.expose().to_vec());
    text.map_err(|_| Refusal::Internal("a token is no text"))
}
