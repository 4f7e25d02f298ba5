//! What the device's software shares with that of the other devices of its site, and the numbers of
//! which no two devices give the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::ETAG;
use http::{HeaderMap, HeaderValue, StatusCode};
use outgate_neighbours::{
    Dot, EditError, Member, Name, Number, Place, Unsaved, VALUE_MAX_BYTES, Vector,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::parameters::{Part, Which, time};
use super::view::{Octets, Payload};
use super::{is_known, unkept};
use crate::device::{Device, within};
use crate::lan::neighbours::{Neighbours, Stopped};
use crate::local::extract::{Asked, Given, Named};
use crate::local::problem::Problem;

pub(super) fn described() -> OpenApiRouter<Device> {
    OpenApiRouter::new()
        .routes(routes!(state))
        .routes(routes!(add, remove))
        .routes(routes!(set, unset))
        .routes(routes!(number))
}

/// What is shared.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Shared {
    /// By what it belongs to, as `orders` or `order:17`.
    state: BTreeMap<String, Of>,
}

/// What belongs to one thing.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Of {
    /// The items of its set, in the order of who added them.
    items: Vec<Item>,
    /// Its fields.
    fields: BTreeMap<String, Payload>,
}

/// An item of a set.
#[derive(Debug, Serialize, ToSchema)]
struct Item {
    /// Its name, by which it is taken away.
    #[schema(example = "17@till-1")]
    id: String,
    #[serde(flatten)]
    payload: Payload,
}

/// A change that is on the disk.
#[derive(Debug, Serialize, ToSchema)]
struct Changed {
    /// The name of what was added or set.
    #[schema(example = "17@till-1")]
    id: String,
}

/// A number that no other device of the site gives.
#[derive(Debug, Serialize, ToSchema)]
struct Numbered {
    /// As it is to be shown.
    #[schema(example = "till-1/17")]
    text: String,
    /// Who issued it.
    #[schema(example = "till-1")]
    issuer: String,
    /// From 1 on, among those of its issuer.
    number: u64,
}

/// Which numbers.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Numbers {
    /// The device's own, without a gap.
    Receipt,
    /// Short ones, dealt out by who coordinates, or by the device itself while it is alone.
    Ticket,
}

/// Read what the site shares
///
/// As far as this device knows: each changes it while it is alone, and all come to the same when
/// they meet. With `If-None-Match` and `wait` the answer comes when something has changed.
#[utoipa::path(get, path = "/site/state", tag = "site", params(Part),
    responses((status = 200, description = "What is shared", body = Shared,
            headers(("etag" = String, description = "Changes with anything that is shared"))),
        (status = 304, description = "Nothing has changed")))]
async fn state(
    State(device): State<Device>,
    Asked(part): Asked<Part>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wait = time(part.wait)?;
    let of = part.of.as_deref().map(name).transpose()?;
    let neighbours = of_device(&device)?;
    let mut view = neighbours.view();
    loop {
        view.mark_unchanged();
        let of = of.clone();
        let (known, shared) = neighbours
            .look(move |member, _| (member.shared().vector(), shared(member, of.as_ref())))
            .await?;
        let tag = tag(&known);
        if !is_known(&headers, &tag) {
            let mut response = unkept(shared);
            if let Ok(tag) = HeaderValue::try_from(tag) {
                response.headers_mut().insert(ETAG, tag);
            }
            return Ok(response);
        }
        let news = view.wait_for(|view| view.known != known);
        match within(wait, news).await {
            Some(Ok(_)) => {}
            Some(Err(_)) => return Err(Stopped.into()),
            None => return Ok(StatusCode::NOT_MODIFIED.into_response()),
        }
    }
}

/// Add an item to a shared set
///
/// Its value is the body, of at most 4,096 bytes. It is on the disk when this is answered, and the
/// others have it as soon as they hear. It stays when another device takes away all that it knew.
#[utoipa::path(post, path = "/site/state/{of}", tag = "site",
    params(("of" = String, Path, description = "What it belongs to, as `orders`")),
    request_body(content = inline(Octets), content_type = "application/octet-stream",
        description = "Of at most 4,096 bytes"),
    responses((status = 201, description = "It is added", body = Changed)))]
async fn add(
    State(device): State<Device>,
    Named(of): Named<String>,
    Given(body): Given,
) -> Result<(StatusCode, Json<Changed>), Problem> {
    let (of, value) = (name(&of)?, value(&body)?);
    let neighbours = of_device(&device)?;
    let added = neighbours.change(move |member, now| member.add(&of, value, now));
    Ok((StatusCode::CREATED, Json(added.await??.into())))
}

/// Take an item away from a shared set
///
/// One that is not there any more is taken away as well.
#[utoipa::path(delete, path = "/site/state/{of}", tag = "site",
    params(("of" = String, Path, description = "What it belongs to, as `orders`"), Which),
    responses((status = 204, description = "It is taken away")))]
async fn remove(
    State(device): State<Device>,
    Named(of): Named<String>,
    Asked(which): Asked<Which>,
) -> Result<StatusCode, Problem> {
    let (of, dot) = (name(&of)?, dot(&which.id)?);
    let neighbours = of_device(&device)?;
    let of_it = {
        let dot = dot.clone();
        move |member: &mut Member, _| member.shared().items(&of).any(|(it, _)| *it == dot)
    };
    if neighbours.look(of_it).await? {
        let change = move |member: &mut Member, now| member.take_away([dot], now);
        neighbours.change(change).await??;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Set a shared field
///
/// Its value is the body, of at most 4,096 bytes. Of values that devices set without knowing of each
/// other the latest counts.
#[utoipa::path(put, path = "/site/state/{of}/{field}", tag = "site",
    params(("of" = String, Path, description = "What it belongs to, as `order:17`"),
        ("field" = String, Path, description = "The field's name")),
    request_body(content = inline(Octets), content_type = "application/octet-stream",
        description = "Of at most 4,096 bytes"),
    responses((status = 200, description = "It is set", body = Changed)))]
async fn set(
    State(device): State<Device>,
    Named((of, field)): Named<(String, String)>,
    Given(body): Given,
) -> Result<Json<Changed>, Problem> {
    let (of, field, value) = (name(&of)?, name(&field)?, value(&body)?);
    let neighbours = of_device(&device)?;
    let set = neighbours.change(move |member, now| member.set(&of, &field, value, now));
    Ok(Json(set.await??.into()))
}

/// Take a shared field away
#[utoipa::path(delete, path = "/site/state/{of}/{field}", tag = "site",
    params(("of" = String, Path, description = "What it belongs to, as `order:17`"),
        ("field" = String, Path, description = "The field's name")),
    responses((status = 204, description = "It is taken away")))]
async fn unset(
    State(device): State<Device>,
    Named((of, field)): Named<(String, String)>,
) -> Result<StatusCode, Problem> {
    let place = Place {
        of: name(&of)?,
        field: Some(name(&field)?),
    };
    let neighbours = of_device(&device)?;
    let of_it = move |member: &mut Member, _| {
        let all = member.shared().all().filter(|(at, _, _)| **at == place);
        all.map(|(_, dot, _)| dot.clone()).collect::<Vec<Dot>>()
    };
    let dots = neighbours.look(of_it).await?;
    if !dots.is_empty() {
        let change = move |member: &mut Member, now| member.take_away(dots, now);
        neighbours.change(change).await??;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Get the next number
///
/// No two devices of the site are ever given the same, whatever is cut or killed.
#[utoipa::path(post, path = "/site/numbers/{series}", tag = "site",
    params(("series" = inline(Numbers), Path, description = "Which numbers")),
    responses((status = 201, description = "It is this device's", body = Numbered)))]
async fn number(
    State(device): State<Device>,
    Named(series): Named<Numbers>,
) -> Result<(StatusCode, Json<Numbered>), Problem> {
    let neighbours = of_device(&device)?;
    let given = neighbours.change(move |member, now| {
        Ok::<Unsaved<Number>, EditError>(match series {
            Numbers::Receipt => member.receipt(),
            Numbers::Ticket => member.ticket(now),
        })
    });
    Ok((StatusCode::CREATED, Json(given.await??.into())))
}

fn of_device(device: &Device) -> Result<Arc<Neighbours>, Problem> {
    let Some(membership) = &device.membership else {
        let detail = "this device is alone: its configuration has no [neighbours]";
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let running = membership.running().borrow().clone();
    running.ok_or_else(|| {
        let detail =
            "the neighbours do not run: the hub has not told yet who they are, or see /status";
        Problem::later(StatusCode::SERVICE_UNAVAILABLE, detail.to_owned(), 5)
    })
}

fn shared(member: &Member, only: Option<&Name>) -> Shared {
    let mut shared = Shared::default();
    for (place, dot, value) in member.shared().all() {
        if only.is_some_and(|only| place.of != *only) {
            continue;
        }
        let of = shared.state.entry(place.of.to_string()).or_default();
        match &place.field {
            None => of.items.push(Item {
                id: shown(dot),
                payload: Payload::guessed(value),
            }),
            Some(field) if !of.fields.contains_key(field.as_str()) => {
                let latest = member.shared().field(&place.of, field).unwrap_or_default();
                let latest = Payload::guessed(latest);
                of.fields.insert(field.to_string(), latest);
            }
            Some(_) => {}
        }
    }
    shared
}

fn tag(known: &Vector) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    std::hash::Hash::hash(known, &mut hasher);
    format!("\"{:x}\"", std::hash::Hasher::finish(&hasher))
}

fn name(text: &str) -> Result<Name, Problem> {
    text.parse().map_err(|_| {
        let detail = "names have 1 to 136 letters, digits and -._~/:@=";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    })
}

fn value(body: &[u8]) -> Result<Vec<u8>, Problem> {
    if body.len() > VALUE_MAX_BYTES {
        return Err(EditError::TooLong.into());
    }
    Ok(body.to_vec())
}

fn shown(dot: &Dot) -> String {
    format!("{}@{}", dot.number, dot.member)
}

fn dot(text: &str) -> Result<Dot, Problem> {
    let read = || {
        let (number, member) = text.split_once('@')?;
        Some(Dot {
            member: member.parse().ok()?,
            number: number.parse().ok()?,
        })
    };
    read().ok_or_else(|| {
        let detail = "id: as it was told when it was added, 17@till-1";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    })
}

impl From<Dot> for Changed {
    fn from(dot: Dot) -> Self {
        Self { id: shown(&dot) }
    }
}

impl From<Number> for Numbered {
    fn from(number: Number) -> Self {
        Self {
            text: number.to_string(),
            issuer: number.issuer.to_string(),
            number: number.number,
        }
    }
}

impl From<Stopped> for Problem {
    fn from(stopped: Stopped) -> Self {
        Self::later(StatusCode::SERVICE_UNAVAILABLE, stopped.to_string(), 5)
    }
}

impl From<EditError> for Problem {
    fn from(error: EditError) -> Self {
        let status = match error {
            EditError::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            EditError::TooMany => StatusCode::CONFLICT,
            EditError::Full | EditError::EndOfTime => StatusCode::INSUFFICIENT_STORAGE,
        };
        Self::new(status, error.to_string())
    }
}
