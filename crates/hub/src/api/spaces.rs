//! `/api/sites/{site}/spaces`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::{StatusCode, Uri};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::id::{MAX_NAME, RoleName};
use outgate_core::spaces::{MAX_ACTIONS, MAX_ROLES, Roles};

use crate::api::caller::Caller;
use crate::api::extract::{Asked, Given, Named};
use crate::api::names::{OfSite, OfSpace};
use crate::api::pages::{List, Paging, Part, page};
use crate::api::problem::Problem;
use crate::api::{Api, view};

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_spaces))
        .routes(routes!(get_space, put_space, remove_space))
        .routes(routes!(grant_role))
        .routes(routes!(revoke_role))
}

/// A space as it is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SpaceGiven {
    /// What people call it: 1 to 200 characters, none of them a control character.
    #[schema(example = "Sales")]
    title: String,
    /// Which actions each of its roles allows: 1 to 32 roles, each of at most 64 actions.
    #[schema(schema_with = roles, example = json!({"viewer": ["read"], "editor": ["read", "reload"]}))]
    roles: Roles,
}

/// Who is to have which role.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GrantGiven {
    /// Who, as whoever lets them in calls them: 1 to 256 bytes without spaces and control characters.
    #[schema(min_length = 1, max_length = 256, example = "ann@example.com")]
    user: String,
    /// A role that the space has.
    #[schema(value_type = crate::api::names::Name, example = "editor")]
    role: RoleName,
}

/// Who is to lose which role.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GrantTaken {
    /// Who: 1 to 256 bytes without spaces and control characters.
    #[schema(min_length = 1, max_length = 256, example = "ann@example.com")]
    user: String,
    /// Which role; all that they have in the space when absent.
    #[serde(default)]
    #[schema(value_type = Option<crate::api::names::Name>, example = "editor")]
    role: Option<RoleName>,
}

/// Of roles by their names, the lists of their actions.
pub(super) fn roles() -> Schema {
    let name = || {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.min_length(Some(1))
            .max_length(Some(MAX_NAME))
            .pattern(Some("^[A-Za-z0-9][-A-Za-z0-9._:@=~]*$"))
            .build()
    };
    let actions = ArrayBuilder::new().items(RefOr::T(name().into()));
    let actions = actions.max_items(Some(MAX_ACTIONS)).build();
    let actions = AdditionalProperties::RefOr(RefOr::T(actions.into()));
    ObjectBuilder::new()
        .property_names(Some(name()))
        .additional_properties(Some(actions))
        .min_properties(Some(1))
        .max_properties(Some(MAX_ROLES))
        .build()
        .into()
}

/// List a site's spaces
///
/// By name.
#[utoipa::path(get, path = "/api/sites/{site}/spaces", tag = "spaces", params(OfSite, Paging),
    responses((status = 200, description = "A part of the list", body = List<view::Space>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_spaces(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Named(OfSite { site }): Named<OfSite>,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::Space>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let spaces = &api.state.core.spaces;
    let listed = spaces.list(&caller.actor()?, &site, &page).await?;
    Ok(Part::new(&uri, listed))
}

/// Get a space, and who has which role there
#[utoipa::path(get, path = "/api/sites/{site}/spaces/{space}", tag = "spaces", params(OfSpace),
    responses((status = 200, description = "The space", body = view::SpaceWhole)))]
async fn get_space(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSpace { site, space }): Named<OfSpace>,
) -> Result<Json<view::SpaceWhole>, Problem> {
    let spaces = &api.state.core.spaces;
    let found = spaces.get(&caller.actor()?, &site, &space).await?;
    Ok(Json(found.into()))
}

/// Make a space, or give one another title and other roles
///
/// Grants of a role that it does not have any more end.
#[utoipa::path(put, path = "/api/sites/{site}/spaces/{space}", tag = "spaces", params(OfSpace),
    request_body = SpaceGiven,
    responses((status = 200, description = "The space as it is now", body = view::Space)))]
async fn put_space(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSpace { site, space }): Named<OfSpace>,
    Given(given): Given<SpaceGiven>,
) -> Result<Json<view::Space>, Problem> {
    let (spaces, actor) = (&api.state.core.spaces, caller.actor()?);
    let put = spaces.put(&actor, (site, space), given.title, given.roles);
    Ok(Json(put.await?.into()))
}

/// Remove a space
///
/// With what was granted there.
#[utoipa::path(delete, path = "/api/sites/{site}/spaces/{space}", tag = "spaces",
    params(OfSpace),
    responses((status = 204, description = "It is removed")))]
async fn remove_space(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSpace { site, space }): Named<OfSpace>,
) -> Result<StatusCode, Problem> {
    let spaces = &api.state.core.spaces;
    spaces.remove(&caller.actor()?, &site, &space).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give a user a role in a space
///
/// The same again changes nothing.
#[utoipa::path(post, path = "/api/sites/{site}/spaces/{space}/grants", tag = "spaces",
    params(OfSpace), request_body = GrantGiven,
    responses((status = 200, description = "They have it", body = view::SpaceGrant)))]
async fn grant_role(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSpace { site, space }): Named<OfSpace>,
    Given(given): Given<GrantGiven>,
) -> Result<Json<view::SpaceGrant>, Problem> {
    let (spaces, actor) = (&api.state.core.spaces, caller.actor()?);
    let granted = spaces.grant(&actor, (site, space), given.user.parse()?, given.role);
    Ok(Json(granted.await?.into()))
}

/// Take a role from a user
///
/// All that they have in the space when none is named.
#[utoipa::path(post, path = "/api/sites/{site}/spaces/{space}/grants/revoke", tag = "spaces",
    params(OfSpace), request_body = GrantTaken,
    responses((status = 204, description = "They have it no more")))]
async fn revoke_role(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSpace { site, space }): Named<OfSpace>,
    Given(taken): Given<GrantTaken>,
) -> Result<StatusCode, Problem> {
    let (spaces, actor) = (&api.state.core.spaces, caller.actor()?);
    let revoked = spaces.revoke(&actor, (site, space), taken.user.parse()?, taken.role);
    revoked.await?;
    Ok(StatusCode::NO_CONTENT)
}
