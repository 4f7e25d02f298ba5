//! `/api/devices/{device}/credentials`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use http::StatusCode;
use outgate_mender::VerifyingKey;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::Refusal;
use outgate_core::id::DeviceId;
use outgate_core::identity::{Actor, Identity, Issued};

use crate::api::caller::Caller;
use crate::api::extract::{Given, Named};
use crate::api::names::{OfCredential, OfDevice};
use crate::api::pages::{List, Part};
use crate::api::problem::Problem;
use crate::api::{Api, view};

/// For how long a certificate is signed when nothing is asked.
const CERTIFICATE_LASTS: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// For how long a rotated credential stays valid when nothing is asked.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_credentials, add_credential))
        .routes(routes!(rotate_credential))
        .routes(routes!(revoke_credential))
}

/// What kind of credential a device is to get.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
enum NewCredential {
    /// A pair of symmetric keys.
    Keys {},
    /// A token.
    Token {
        /// What it is for: 1 to 128 characters.
        #[schema(example = "first set-up")]
        label: String,
        /// For how many seconds; for ever when absent.
        lasts: Option<u64>,
    },
    /// A certificate that the device has already.
    Thumbprint {
        /// Its SHA-256, in hexadecimal.
        #[schema(pattern = "^[0-9A-Fa-f]{64}$")]
        thumbprint: String,
    },
    /// A certificate that the hub's own authority signs.
    Certificate {
        /// The request (PKCS #10), in PEM.
        #[schema(max_length = 16384)]
        request: String,
        /// For how many seconds; 90 days when absent.
        lasts: Option<u64>,
    },
    /// A key pair that the device has already, by its public half: how a Mender client proves who
    /// it is.
    PublicKey {
        /// It in PEM (`-----BEGIN PUBLIC KEY-----`): RSA, ECDSA over P-256 or Ed25519.
        #[schema(max_length = 16384)]
        public_key: String,
    },
}

/// How a credential is to be replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// For how many seconds the old one stays valid once the new one has been used; a day when
    /// absent.
    #[schema(example = 86400)]
    overlap: Option<u64>,
    /// A new certificate request (PKCS #10, PEM), when it is a certificate.
    #[schema(max_length = 16384)]
    request: Option<String>,
}

/// List a device's credentials
///
/// Without their secrets, all in one part.
#[utoipa::path(get, path = "/api/devices/{device}/credentials", tag = "credentials",
    params(OfDevice),
    responses((status = 200, description = "The credentials", body = List<view::Credential>)))]
async fn list_credentials(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDevice { device }): Named<OfDevice>,
) -> Result<Part<view::Credential>, Problem> {
    let identity = &api.state.core.identity;
    let credentials = identity.credentials(&caller.actor()?, &device).await?;
    Ok(Part::whole(credentials))
}

/// Give a device a credential
///
/// Its secret is told only in this answer.
#[utoipa::path(post, path = "/api/devices/{device}/credentials", tag = "credentials",
    params(OfDevice), request_body = NewCredential,
    responses((status = 201, description = "The credential, or the pair", body = view::IssuedList)))]
async fn add_credential(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDevice { device }): Named<OfDevice>,
    Given(new): Given<NewCredential>,
) -> Result<(StatusCode, axum::Json<view::IssuedList>), Problem> {
    let identity = &api.state.core.identity;
    let issued = add(identity, &caller.actor()?, &device, new).await?;
    let items: Result<Vec<view::Issued>, Refusal> =
        issued.into_iter().map(view::Issued::try_from).collect();
    let list = view::IssuedList { items: items? };
    Ok((StatusCode::CREATED, axum::Json(list)))
}

async fn add(
    identity: &Identity,
    actor: &Actor,
    device: &DeviceId,
    new: NewCredential,
) -> Result<Vec<Issued>, Refusal> {
    match new {
        NewCredential::Keys {} => identity.add_keys(actor, device).await.map(Vec::from),
        NewCredential::Token { label, lasts } => {
            let lasts = lasts.map(Duration::from_secs);
            let issued = identity.add_token(actor, device, label, lasts).await?;
            Ok(vec![issued])
        }
        NewCredential::Thumbprint { thumbprint } => {
            let thumbprint = sha256(&thumbprint)?;
            let issued = identity.add_thumbprint(actor, device, thumbprint).await?;
            Ok(vec![issued])
        }
        NewCredential::PublicKey { public_key } => {
            let key = VerifyingKey::from_pem(&public_key);
            let key = key.map_err(|error| Refusal::invalid("public_key", error.to_string()))?;
            let print = *key.thumbprint();
            Ok(vec![identity.add_public_key(actor, device, print).await?])
        }
        NewCredential::Certificate { request, lasts } => {
            let lasts = lasts.map_or(CERTIFICATE_LASTS, Duration::from_secs);
            let issued = identity
                .add_certificate(actor, device, &request, lasts)
                .await?;
            Ok(vec![issued])
        }
    }
}

/// The digest that `text` is in hexadecimal.
fn sha256(text: &str) -> Result<[u8; 32], Refusal> {
    let wrong = || Refusal::invalid("thumbprint", "64 hexadecimal digits");
    let mut digest = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    for (byte, place) in digest.iter_mut().zip((0..64).step_by(2)) {
        let pair = text.get(place..place + 2).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(digest)
}

/// Replace a credential
///
/// The new one is pending until it has been used; from then on the old one is valid for the
/// overlap.
#[utoipa::path(post, path = "/api/devices/{device}/credentials/{credential}/rotate",
    tag = "credentials", params(OfCredential), request_body = Rotation,
    responses((status = 201, description = "The new one", body = view::Issued)))]
async fn rotate_credential(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfCredential { device, credential }): Named<OfCredential>,
    Given(rotation): Given<Rotation>,
) -> Result<(StatusCode, axum::Json<view::Issued>), Problem> {
    let overlap = rotation.overlap.map_or(OVERLAP, Duration::from_secs);
    let request = rotation.request.as_deref();
    let identity = &api.state.core.identity;
    let issued = identity
        .rotate(&caller.actor()?, &device, &credential, request, overlap)
        .await?;
    Ok((StatusCode::CREATED, axum::Json(issued.try_into()?)))
}

/// Revoke a credential
///
/// Connections that came in by it are closed before this answers.
#[utoipa::path(post, path = "/api/devices/{device}/credentials/{credential}/revoke",
    tag = "credentials", params(OfCredential),
    responses((status = 200, description = "It is revoked", body = view::Revocation)))]
async fn revoke_credential(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfCredential { device, credential }): Named<OfCredential>,
) -> Result<axum::Json<view::Revocation>, Problem> {
    let identity = &api.state.core.identity;
    let revoked = identity
        .revoke_credential(&caller.actor()?, &device, &credential)
        .await?;
    Ok(axum::Json(revoked.connections.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_64_hexadecimal_digits_of_either_case() {
        assert_eq!(sha256(&"aB".repeat(32)).unwrap(), [0xab; 32]);
        for wrong in ["", "ab", &"+f".repeat(32), &"å".repeat(32), &"0".repeat(65)] {
            assert!(sha256(wrong).is_err(), "{wrong}");
        }
    }
}
