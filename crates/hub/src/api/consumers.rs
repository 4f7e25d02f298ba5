//! `/api/consumers`: back ends that fetch events, each with a place of its own.
//!
//! Consumers of the API have names of their own below `api:`, those of somebody who sees one site
//! below `api:SITE:`, so that nobody moves another's place.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::events::EventFilter;
use outgate_core::id::{ConsumerId, DeviceId};
use outgate_core::identity::{Actor, Role, Scope};
use outgate_core::{Core, Refusal};

use crate::api::bounds;
use crate::api::caller::Caller;
use crate::api::events::{patience, place};
use crate::api::extract::{Asked, Given, Named};
use crate::api::pages::List;
use crate::api::problem::{Kind, Problem};
use crate::api::{Api, follow, view};

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_consumers))
        .routes(routes!(register_consumer, remove_consumer))
        .routes(routes!(take_events))
        .routes(routes!(advance_consumer))
}

/// A consumer.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct OfConsumer {
    /// The consumer, by the name that the caller gave it.
    #[param(value_type = String, min_length = 1, max_length = 100,
        pattern = "^[A-Za-z0-9][-A-Za-z0-9._:@=~]*$", example = "billing")]
    consumer: ConsumerId,
}

/// A consumer, also one of somebody else.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct OfAnyConsumer {
    /// The consumer, by the name that the list tells.
    #[param(value_type = String, min_length = 1, max_length = 128,
        pattern = "^[A-Za-z0-9][-A-Za-z0-9._:@=~]*$", example = "mqtt:billing:main")]
    consumer: ConsumerId,
}

/// Where a consumer is to begin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Registration {
    /// After this place; after the newest event when absent.
    #[schema(minimum = 0, maximum = 9007199254740991_u64)]
    after: Option<u64>,
}

/// How far a consumer is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Advance {
    /// All events up to this place have been taken: `next` of what was taken, or the place of the
    /// last event that was seen to.
    #[schema(minimum = 0, maximum = 9007199254740991_u64)]
    place: u64,
}

/// Which of its events a consumer takes.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only of this device.
    #[param(required = false, value_type = crate::api::names::Name)]
    device: Option<DeviceId>,
    /// Only whose name begins so.
    #[param(required = false, min_length = 1, max_length = 256)]
    prefix: Option<String>,
    /// The most events of the answer.
    #[param(required = false, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// For how many seconds to wait for an event if there is none.
    #[param(required = false, minimum = 0, maximum = 60, default = 0)]
    wait: Option<u64>,
}

/// Below what the caller's consumers are kept.
fn own(scope: &Scope) -> String {
    match scope {
        Scope::All => "api:".to_owned(),
        Scope::Site(site) => format!("api:{site}:"),
    }
}

/// The most characters of a consumer's name, as the document says, so that there is room for whose
/// it is.
const MAX_CONSUMER: usize = 100;

/// Under which name the caller's consumer is kept.
fn kept(caller: &Caller, consumer: &ConsumerId) -> Result<ConsumerId, Refusal> {
    if consumer.as_str().contains(':') {
        return Err(Refusal::not_found("consumer", consumer));
    }
    if consumer.as_str().len() > MAX_CONSUMER {
        return Err(Refusal::invalid("consumer", "a shorter name"));
    }
    let kept = format!("{}{consumer}", own(&caller.scope()));
    kept.parse()
        .map_err(|_| Refusal::invalid("consumer", "a shorter name"))
}

/// List consumers
///
/// Those of everybody who sees the same sites as the caller, by the names that they were given;
/// for whoever sees all sites also those of one site, of webhooks and of services, which have a
/// colon in their names. What a consumer has not taken is kept for it.
#[utoipa::path(get, path = "/api/consumers", tag = "events",
    responses((status = 200, description = "The consumers", body = List<view::Consumer>)))]
async fn list_consumers(
    State(api): State<Arc<Api>>,
    caller: Caller,
) -> Result<axum::Json<List<view::Consumer>>, Problem> {
    let (scope, own) = (caller.scope(), own(&caller.scope()));
    // The hub asks, for a caller who sees one site may still see their own.
    let all = api.state.core.consumers.list(&Actor::hub()).await?;
    let seen = all.iter().filter_map(|one| {
        let id = one.id.as_str();
        match id.strip_prefix(&own).filter(|name| !name.contains(':')) {
            Some(name) => Some(view::Consumer::named(name.to_owned(), one)),
            None if scope == Scope::All => Some(view::Consumer::named(id.to_owned(), one)),
            None => None,
        }
    });
    Ok(axum::Json(List {
        items: seen.collect(),
        next: None,
    }))
}

/// Register a consumer
///
/// Does nothing when it is there.
#[utoipa::path(put, path = "/api/consumers/{consumer}", tag = "events", params(OfConsumer),
    request_body = Registration,
    responses((status = 200, description = "The consumer as it is now", body = view::Consumer)))]
async fn register_consumer(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfConsumer { consumer }): Named<OfConsumer>,
    Given(registration): Given<Registration>,
) -> Result<axum::Json<view::Consumer>, Problem> {
    caller.may_consume()?;
    let after = registration.after.map(place).transpose()?;
    let id = kept(&caller, &consumer)?;
    let by = Some(caller.session().pass());
    let kept = api.state.core.consumers.register(by, &id, after).await?;
    Ok(axum::Json(view::Consumer::named(consumer.into(), &kept)))
}

/// Remove a consumer
///
/// Nothing is kept for it any more. An administrator of all sites removes those of others and of
/// services by the whole name that the list tells. That of a webhook goes with the webhook.
#[utoipa::path(delete, path = "/api/consumers/{consumer}", tag = "events", params(OfAnyConsumer),
    responses((status = 204, description = "It is gone")))]
async fn remove_consumer(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfAnyConsumer { consumer }): Named<OfAnyConsumer>,
) -> Result<StatusCode, Problem> {
    caller.may_consume()?;
    let named = ["api:", "mqtt:"].map(|whose| consumer.as_str().starts_with(whose));
    let whole = named.contains(&true)
        && caller
            .actor()
            .is_ok_and(|actor| actor.role == Role::Admin && actor.scope == Scope::All);
    let core = &api.state.core;
    is_of_no_webhook(core, &caller, &consumer).await?;
    let id = match whole {
        true => consumer,
        false => kept(&caller, &consumer)?,
    };
    core.consumers
        .remove(Some(caller.session().pass()), &id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses the place of a webhook, which is the webhook's own, and says what to do instead.
async fn is_of_no_webhook(
    core: &Core,
    caller: &Caller,
    consumer: &ConsumerId,
) -> Result<(), Problem> {
    let (Ok(actor), Ok(webhook)) = (caller.actor(), consumer.as_str().parse()) else {
        return Ok(());
    };
    match core.webhooks.get(&actor, &webhook).await {
        Ok(_) => {
            let detail = format!(
                "this is the place of a webhook: DELETE /api/webhooks/{webhook} removes both"
            );
            Err(Problem::new(Kind::InUse, detail))
        }
        // Who does not see webhooks does not see that there is one.
        Err(Refusal::NotFound { .. } | Refusal::Forbidden { .. }) => Ok(()),
        Err(refusal) => Err(refusal.into()),
    }
}

/// Take a consumer's next events
///
/// Its place stays until it is moved on: what is taken is given again until then.
#[utoipa::path(get, path = "/api/consumers/{consumer}/events", tag = "events",
    params(OfConsumer, Wanted),
    responses((status = 200, description = "Its next events", body = view::EventList)))]
async fn take_events(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfConsumer { consumer }): Named<OfConsumer>,
    Asked(wanted): Asked<Wanted>,
) -> Result<impl IntoResponse + use<>, Problem> {
    let (limit, wait) = patience(wanted.limit, wanted.wait)?;
    let id = kept(&caller, &consumer)?;
    let filter = EventFilter {
        scope: caller.scope(),
        device: wanted.device,
        prefix: wanted.prefix.map(bounds::prefix).transpose()?,
    };
    let _open = match wait.is_zero() {
        true => None,
        false => Some(api.streams.stream(caller.share())?),
    };
    let consumers = &api.state.core.consumers;
    let taken = follow::poll(&api, wait, || consumers.take(&id, &filter, limit)).await?;
    Ok(axum::Json(view::EventList::from(taken)))
}

/// Move a consumer on
///
/// Never back. What is before its place need not be kept for it any more.
#[utoipa::path(post, path = "/api/consumers/{consumer}/advance", tag = "events",
    params(OfConsumer), request_body = Advance,
    responses((status = 204, description = "It has moved, or was there already")))]
async fn advance_consumer(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfConsumer { consumer }): Named<OfConsumer>,
    Given(advance): Given<Advance>,
) -> Result<StatusCode, Problem> {
    caller.may_consume()?;
    let place = place(advance.place)?;
    let id = kept(&caller, &consumer)?;
    let by = Some(caller.session().pass());
    api.state.core.consumers.advance(by, &id, place).await?;
    Ok(StatusCode::NO_CONTENT)
}
