//! `/api/devices/{device}/ssh-certificates`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::caller::Caller;
use crate::api::extract::{Given, Named};
use crate::api::names::OfDevice;
use crate::api::problem::Problem;
use crate::api::{Api, view};

/// For how long a certificate is signed when nothing is asked.
const LASTS: Duration = Duration::from_secs(30 * 60);

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(sign_ssh_certificate))
}

/// Who is to log in where.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSshCertificate {
    /// The account on the device.
    #[schema(pattern = "^[A-Za-z0-9_][A-Za-z0-9._-]{0,31}$", example = "technician")]
    account: String,
    /// The public key of whoever is to log in, as OpenSSH writes it.
    #[schema(
        max_length = 8192,
        example = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH anna@office"
    )]
    key: String,
    /// For how many seconds, 60 to 43200; half an hour when absent.
    #[schema(example = 1800)]
    lasts: Option<u64>,
}

/// Let somebody log in to a device over SSH
///
/// Signs a certificate for their key, which counts for one account of this device alone, from an
/// hour ago until its end. It cannot be taken back. The device's SSH must be on: whoever stands at
/// the device switches it on.
#[utoipa::path(post, path = "/api/devices/{device}/ssh-certificates", tag = "credentials",
    params(OfDevice), request_body = NewSshCertificate,
    responses((status = 201, description = "The certificate", body = view::SshCertificate)))]
async fn sign_ssh_certificate(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDevice { device }): Named<OfDevice>,
    Given(new): Given<NewSshCertificate>,
) -> Result<(StatusCode, axum::Json<view::SshCertificate>), Problem> {
    let identity = &api.state.core.identity;
    let lasts = new.lasts.map_or(LASTS, Duration::from_secs);
    let of = (new.account.as_str(), new.key.as_str());
    let actor = caller.actor()?;
    let signed = identity.sign_ssh(&actor, &device, of, lasts).await?;
    Ok((StatusCode::CREATED, axum::Json(signed.into())))
}
