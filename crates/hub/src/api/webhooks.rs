//! `/api/webhooks`, and what they did not take.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use http::{StatusCode, Uri};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::id::{DeviceId, SiteId, WebhookId};
use outgate_core::webhooks;

use crate::api::caller::Caller;
use crate::api::events::place;
use crate::api::extract::{Asked, Created, Given, IfMatch, Named, Tagged};
use crate::api::names::OfWebhook;
use crate::api::pages::{List, Paging, Part, page};
use crate::api::problem::Problem;
use crate::api::{Api, view};

/// For how long the secret before signs beside a new one when nothing is asked.
const OVERLAP: u64 = 24 * 60 * 60;

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_webhooks, create_webhook))
        .routes(routes!(get_webhook, change_webhook, remove_webhook))
        .routes(routes!(rotate_webhook))
        .routes(routes!(list_letters))
        .routes(routes!(redeliver_letter))
        .routes(routes!(discard_letter))
}

/// A webhook to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    /// What people call it: at most 128 bytes.
    #[serde(default)]
    #[schema(max_length = 128, example = "Billing")]
    title: String,
    /// Where requests go: `https`, without a user, a password or a fragment; at most 2,048 bytes.
    #[schema(
        format = "uri",
        max_length = 2048,
        example = "https://billing.example/outgate"
    )]
    url: String,
    /// Only events of this site.
    #[schema(value_type = Option<crate::api::names::Name>)]
    site: Option<SiteId>,
    /// Only events of this device.
    #[schema(value_type = Option<crate::api::names::Name>)]
    device: Option<DeviceId>,
    /// Only events whose name begins so.
    #[schema(min_length = 1, max_length = 256, example = "door/")]
    prefix: Option<String>,
    /// How many events a request may carry; 1 when absent. With 1 the body is an object, with more
    /// it is an array.
    #[schema(minimum = 1, maximum = 100)]
    batch: Option<u32>,
    /// The place after which it begins; after the newest event when absent.
    #[schema(minimum = 0, maximum = 9007199254740991_u64)]
    after: Option<u64>,
}

/// What is to change of a webhook; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookChange {
    /// What people call it: at most 128 bytes.
    #[schema(max_length = 128)]
    title: Option<String>,
    /// Where requests go.
    #[schema(format = "uri", max_length = 2048)]
    url: Option<String>,
    /// How many events a request may carry.
    #[schema(minimum = 1, maximum = 100)]
    batch: Option<u32>,
    /// Whether it is sent to.
    active: Option<bool>,
}

/// How a webhook's secret is to be replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookRotation {
    /// For how many seconds the secret before goes on signing beside the new one; a day when
    /// absent.
    #[schema(minimum = 0, maximum = 604800)]
    overlap: Option<u64>,
}

/// List webhooks
///
/// Without their secrets. Only for who sees all sites.
#[utoipa::path(get, path = "/api/webhooks", tag = "webhooks", params(Paging),
    responses((status = 200, description = "A part of the list", body = List<view::Webhook>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_webhooks(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::Webhook>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let webhooks = &api.state.core.webhooks;
    let listed = webhooks.list(&caller.actor()?, &page).await?;
    Ok(Part::new(&uri, listed))
}

/// Make a webhook
///
/// Its secret, by which requests are signed as Standard Webhooks has it, is told only in this
/// answer. Only for administrators of all sites, for the hub sends to wherever they say.
#[utoipa::path(post, path = "/api/webhooks", tag = "webhooks", request_body = NewWebhook,
    responses((status = 201, description = "It is made", body = view::WebhookIssued,
        headers(("location" = String, description = "Its path"), ("etag" = String, description = "Its version")))))]
async fn create_webhook(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Given(new): Given<NewWebhook>,
) -> Result<Created<view::WebhookIssued>, Problem> {
    let new = webhooks::NewWebhook {
        title: new.title,
        url: new.url,
        site: new.site,
        device: new.device,
        prefix: new.prefix,
        batch: new.batch.unwrap_or(1),
        after: new.after.map(place).transpose()?,
    };
    let webhooks = &api.state.core.webhooks;
    let (made, secret) = webhooks.create(&caller.actor()?, new).await?;
    Ok(Created {
        location: format!("/api/webhooks/{}", made.id),
        version: Some(made.version),
        body: view::WebhookIssued::new(made, &secret)?,
    })
}

/// Get a webhook
#[utoipa::path(get, path = "/api/webhooks/{webhook}", tag = "webhooks", params(OfWebhook),
    responses((status = 200, description = "The webhook", body = view::Webhook,
        headers(("etag" = String, description = "Its version")))))]
async fn get_webhook(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfWebhook { webhook }): Named<OfWebhook>,
) -> Result<Tagged<view::Webhook>, Problem> {
    let webhooks = &api.state.core.webhooks;
    let webhook = webhooks.get(&caller.actor()?, &webhook).await?;
    Ok(Tagged::ok(webhook.version, webhook.into()))
}

/// Change a webhook
///
/// One that is not sent to any more is made active again in this way.
#[utoipa::path(patch, path = "/api/webhooks/{webhook}", tag = "webhooks", params(OfWebhook),
    request_body = WebhookChange,
    responses((status = 200, description = "The webhook as it is now", body = view::Webhook,
        headers(("etag" = String, description = "Its version")))))]
async fn change_webhook(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfWebhook { webhook }): Named<OfWebhook>,
    IfMatch(version): IfMatch,
    Given(change): Given<WebhookChange>,
) -> Result<Tagged<view::Webhook>, Problem> {
    let change = webhooks::WebhookChange {
        title: change.title,
        url: change.url,
        batch: change.batch,
        active: change.active,
    };
    let webhooks = &api.state.core.webhooks;
    let webhook = webhooks
        .update(&caller.actor()?, &webhook, change, version)
        .await
        .map_err(|refusal| Problem::from(refusal).of_conditional())?;
    Ok(Tagged::ok(webhook.version, webhook.into()))
}

/// Remove a webhook
///
/// With its place and what it did not take.
#[utoipa::path(delete, path = "/api/webhooks/{webhook}", tag = "webhooks", params(OfWebhook),
    responses((status = 204, description = "It is gone")))]
async fn remove_webhook(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfWebhook { webhook }): Named<OfWebhook>,
) -> Result<StatusCode, Problem> {
    let webhooks = &api.state.core.webhooks;
    webhooks.remove(&caller.actor()?, &webhook).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give a webhook a new secret
///
/// It is told only in this answer.
#[utoipa::path(post, path = "/api/webhooks/{webhook}/rotate", tag = "webhooks",
    params(OfWebhook), request_body = WebhookRotation,
    responses((status = 201, description = "The new secret", body = view::WebhookSecret)))]
async fn rotate_webhook(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfWebhook { webhook }): Named<OfWebhook>,
    Given(rotation): Given<WebhookRotation>,
) -> Result<(StatusCode, axum::Json<view::WebhookSecret>), Problem> {
    let overlap = Duration::from_secs(rotation.overlap.unwrap_or(OVERLAP));
    let webhooks = &api.state.core.webhooks;
    let secret = webhooks.rotate(&caller.actor()?, &webhook, overlap).await?;
    let told = view::WebhookSecret::new(&secret)?;
    Ok((StatusCode::CREATED, axum::Json(told)))
}

/// A message that a webhook did not take.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct OfLetter {
    /// The webhook.
    #[param(value_type = String, min_length = 1, max_length = 128,
        pattern = "^[A-Za-z0-9][-A-Za-z0-9._:@=~]*$", example = "wh-0123456789abcdefghjk")]
    webhook: WebhookId,
    /// The place of the message among all that were not taken.
    #[param(value_type = u64, minimum = 0, maximum = 9007199254740991_u64, example = 3)]
    letter: u64,
}

/// List what a webhook did not take
///
/// The oldest first.
#[utoipa::path(get, path = "/api/webhooks/{webhook}/letters", tag = "webhooks",
    params(OfWebhook, Paging),
    responses((status = 200, description = "A part of the list", body = List<view::Letter>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_letters(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Named(OfWebhook { webhook }): Named<OfWebhook>,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::Letter>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let webhooks = &api.state.core.webhooks;
    let listed = webhooks.letters(&caller.actor()?, &webhook, &page).await?;
    Ok(Part::new(&uri, listed))
}

/// Send again what a webhook did not take
///
/// Soon, and out of its order. It is forgotten once it is taken.
#[utoipa::path(post, path = "/api/webhooks/{webhook}/letters/{letter}/redeliver",
    tag = "webhooks", params(OfLetter),
    responses((status = 204, description = "It is to be sent again")))]
async fn redeliver_letter(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfLetter { webhook, letter }): Named<OfLetter>,
) -> Result<StatusCode, Problem> {
    let webhooks = &api.state.core.webhooks;
    webhooks
        .redeliver(&caller.actor()?, &webhook, letter)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forget what a webhook did not take
#[utoipa::path(delete, path = "/api/webhooks/{webhook}/letters/{letter}", tag = "webhooks",
    params(OfLetter),
    responses((status = 204, description = "It is forgotten")))]
async fn discard_letter(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfLetter { webhook, letter }): Named<OfLetter>,
) -> Result<StatusCode, Problem> {
    let webhooks = &api.state.core.webhooks;
    webhooks.discard(&caller.actor()?, &webhook, letter).await?;
    Ok(StatusCode::NO_CONTENT)
}
