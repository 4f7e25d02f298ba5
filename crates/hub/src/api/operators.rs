//! `/api/operators` and their tokens, and `/api/me`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use http::{StatusCode, Uri};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::id::{OperatorId, SiteId};
use outgate_core::identity::{Principal, Scope};

use crate::api::caller::Caller;
use crate::api::extract::{Asked, Created, Given, Named};
use crate::api::names::{OfOperator, OfToken};
use crate::api::pages::{List, Paging, Part, page};
use crate::api::problem::Problem;
use crate::api::{Api, view};

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(get_me))
        .routes(routes!(list_operators, create_operator))
        .routes(routes!(revoke_operator))
        .routes(routes!(list_operator_tokens, add_operator_token))
        .routes(routes!(revoke_operator_token))
}

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
struct Me {
    /// Their name.
    #[schema(example = "anna")]
    id: String,
    /// What they may do; absent for a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<view::Role>,
    /// The only site that they see; `null` for every site.
    site: Option<String>,
    /// The name of the token they showed.
    token: String,
}

/// An operator to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOperator {
    /// Their name.
    #[schema(value_type = crate::api::names::Name)]
    id: OperatorId,
    /// What they may do.
    role: view::Role,
    /// The only site that they see; every site when absent.
    #[schema(value_type = Option<crate::api::names::Name>)]
    site: Option<SiteId>,
}

/// A token to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// What it is for: 1 to 128 characters.
    #[schema(example = "laptop")]
    pub(crate) label: String,
    /// For how many seconds; for ever when absent.
    pub(crate) lasts: Option<u64>,
}

/// What somebody sees who may see one site, or every one.
pub(crate) fn scope(site: Option<SiteId>) -> Scope {
    site.map_or(Scope::All, Scope::Site)
}

/// Get who asks
#[utoipa::path(get, path = "/api/me", tag = "operators",
    responses((status = 200, description = "Who asks", body = Me)))]
async fn get_me(caller: Caller) -> axum::Json<Me> {
    let presence = caller.session().presence();
    let (id, role) = match &presence.principal {
        Principal::Operator { operator, role, .. } => {
            (operator.as_str(), Some(view::Role::from(*role)))
        }
        Principal::Service { service, .. } => (service.as_str(), None),
        Principal::Device { device, .. } => (device.as_str(), None),
    };
    axum::Json(Me {
        id: id.to_owned(),
        role,
        site: view::only_site(caller.scope()),
        token: presence.credential.to_string(),
    })
}

/// List operators
#[utoipa::path(get, path = "/api/operators", tag = "operators", params(Paging),
    responses((status = 200, description = "A part of the list", body = List<view::Operator>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_operators(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::Operator>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let identity = &api.state.core.identity;
    let listed = identity.operators(&caller.actor()?, &page).await?;
    Ok(Part::new(&uri, listed))
}

/// Make an operator
///
/// Their first token is told only in this answer.
#[utoipa::path(post, path = "/api/operators", tag = "operators", request_body = NewOperator,
    responses((status = 201, description = "They are made", body = view::OperatorIssued)))]
async fn create_operator(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Given(new): Given<NewOperator>,
) -> Result<Created<view::OperatorIssued>, Problem> {
    let identity = &api.state.core.identity;
    let scope = scope(new.site);
    let (operator, issued) = identity
        .create_operator(&caller.actor()?, new.id, new.role.into(), scope)
        .await?;
    Ok(Created {
        location: format!("/api/operators/{}", operator.id),
        version: None,
        body: view::OperatorIssued {
            operator: operator.into(),
            issued: issued.try_into()?,
        },
    })
}

/// Revoke an operator
///
/// With all their tokens; what they have open is closed before this answers. The last
/// administrator of all sites cannot be revoked.
#[utoipa::path(post, path = "/api/operators/{operator}/revoke", tag = "operators",
    params(OfOperator),
    responses((status = 200, description = "They are revoked", body = view::Revocation)))]
async fn revoke_operator(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfOperator { operator }): Named<OfOperator>,
) -> Result<axum::Json<view::Revocation>, Problem> {
    let identity = &api.state.core.identity;
    let revoked = identity
        .revoke_operator(&caller.actor()?, &operator)
        .await?;
    Ok(axum::Json(revoked.connections.into()))
}

/// List an operator's tokens
///
/// Without the tokens themselves, all in one part.
#[utoipa::path(get, path = "/api/operators/{operator}/tokens", tag = "operators",
    params(OfOperator),
    responses((status = 200, description = "The tokens", body = List<view::Credential>)))]
async fn list_operator_tokens(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfOperator { operator }): Named<OfOperator>,
) -> Result<Part<view::Credential>, Problem> {
    let identity = &api.state.core.identity;
    let tokens = identity
        .operator_tokens(&caller.actor()?, &operator)
        .await?;
    Ok(Part::whole(tokens))
}

/// Give an operator another token
///
/// It is told only in this answer.
#[utoipa::path(post, path = "/api/operators/{operator}/tokens", tag = "operators",
    params(OfOperator), request_body = NewToken,
    responses((status = 201, description = "The token", body = view::Issued)))]
async fn add_operator_token(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfOperator { operator }): Named<OfOperator>,
    Given(new): Given<NewToken>,
) -> Result<(StatusCode, axum::Json<view::Issued>), Problem> {
    let lasts = new.lasts.map(Duration::from_secs);
    let identity = &api.state.core.identity;
    let issued = identity
        .add_operator_token(&caller.actor()?, &operator, new.label, lasts)
        .await?;
    Ok((StatusCode::CREATED, axum::Json(issued.try_into()?)))
}

/// Revoke a token of an operator
///
/// What was opened with it is closed before this answers.
#[utoipa::path(post, path = "/api/operators/{operator}/tokens/{token}/revoke", tag = "operators",
    params(OfToken),
    responses((status = 200, description = "It is revoked", body = view::Revocation)))]
async fn revoke_operator_token(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfToken { operator, token }): Named<OfToken>,
) -> Result<axum::Json<view::Revocation>, Problem> {
    let identity = &api.state.core.identity;
    let revoked = identity
        .revoke_operator_token(&caller.actor()?, &operator, &token)
        .await?;
    Ok(axum::Json(revoked.connections.into()))
}
