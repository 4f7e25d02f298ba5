//! `/api/devices/{device}/push`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::bounds::MAX_PUSHES_EACH;
use crate::api::caller::Caller;
use crate::api::extract::{Asked, Given, Named};
use crate::api::names::OfDevice;
use crate::api::problem::{Kind, Problem};
use crate::api::{Api, view};
use crate::push::{Message, forget_gone};

/// How many seconds a message is tried for when nothing is asked.
const DEADLINE: u64 = 30;

/// When to come again if there are too many at once.
const RETRY: Duration = Duration::from_secs(10);

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list_registrations, push_message))
}

/// What to push.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPush {
    /// What is shown: a title.
    title: Option<String>,
    /// What is shown below it.
    body: Option<String>,
    /// Named texts for the application. With title and body at most 4 KiB.
    #[serde(default)]
    data: BTreeMap<String, String>,
    /// Whether a sleeping device is woken.
    #[serde(default)]
    urgent: bool,
    /// For how many seconds it is worth delivering, 28 days at most; as long as the service
    /// delivers when absent.
    #[schema(maximum = 2_419_200, example = 3600)]
    lasts: Option<u64>,
    /// A later message of the same name takes the place of this one.
    #[schema(min_length = 1, max_length = 64, example = "orders")]
    collapse: Option<String>,
}

/// How long to try.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Trying {
    /// For how many seconds it is tried.
    #[param(required = false, minimum = 1, maximum = 300, default = 30)]
    deadline: Option<u64>,
}

/// Where a device is reached by push
#[utoipa::path(get, path = "/api/devices/{device}/push", tag = "push", params(OfDevice),
    responses((status = 200, description = "Its registrations", body = view::RegistrationList)))]
async fn list_registrations(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDevice { device }): Named<OfDevice>,
) -> Result<axum::Json<view::RegistrationList>, Problem> {
    let registrations = &api.state.core.registrations;
    let listed = registrations.list(&caller.actor()?, &device).await?;
    Ok(axum::Json(listed.into()))
}

/// Push a message to a device
///
/// It is handed to Firebase Cloud Messaging for each registration of the device, connected or not.
/// This answers once that has been done, or the deadline has come.
#[utoipa::path(post, path = "/api/devices/{device}/push", tag = "push",
    params(OfDevice, Trying), request_body = NewPush,
    responses((status = 200, description = "What came of it", body = view::Pushed)))]
async fn push_message(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDevice { device }): Named<OfDevice>,
    Asked(trying): Asked<Trying>,
    Given(new): Given<NewPush>,
) -> Result<axum::Json<view::Pushed>, Problem> {
    let deadline = trying.deadline.unwrap_or(DEADLINE);
    if !(1..=300).contains(&deadline) {
        return Err(Problem::new(Kind::Malformed, "deadline: 1 to 300 seconds"));
    }
    let message = Message {
        title: new.title,
        body: new.body,
        data: new.data,
        urgent: new.urgent,
        lasts: new.lasts.map(Duration::from_secs),
        collapse: new.collapse,
    };
    message.check()?;
    let counted = vec![(caller.name(), MAX_PUSHES_EACH)];
    let place = api.pushes.take(counted);
    let _place = place.ok_or_else(|| Problem::limited("messages pushed at once", RETRY))?;
    let registrations = &api.state.core.registrations;
    let to = registrations.push(&caller.actor()?, &device).await?;
    if !api.state.push.is_there() {
        let detail = "no way to push: [push.fcm] is not configured";
        return Err(Problem::new(Kind::NotFound, detail));
    }
    let deadline = Duration::from_secs(deadline);
    let outcomes = api.state.push.send(&message, &to, deadline).await;
    forget_gone(&api.state.core, &device, to, &outcomes).await?;
    Ok(axum::Json(outcomes.into()))
}
