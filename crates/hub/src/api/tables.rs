//! `/api/tables`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode, Uri};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::id::SiteId;
use outgate_core::tables::{MAX_ROWS, NewTable, Row, TableName};
use outgate_wire::table::{TableError, read_csv, read_json};

use crate::api::bodies::Held;
use crate::api::bounds::BODY_WITHIN;
use crate::api::caller::Caller;
use crate::api::extract::{Asked, Named, whole_within};
use crate::api::pages::{List, Paging, Part, page};
use crate::api::problem::{Kind, Problem};
use crate::api::{Api, view};

/// The most bytes of a table as it is written.
const MAX_BODY: usize = 16 << 20;

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_tables))
        .routes(routes!(load_table, remove_table))
}

/// A table.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct OfTable {
    /// The table.
    #[param(value_type = String, pattern = "^[a-z][a-z0-9_-]{0,63}$", example = "cards")]
    table: TableName,
}

/// What is in a table: CSV with a first line that names the columns, or JSON.
#[derive(ToSchema)]
#[schema(value_type = String)]
struct Content(());

/// Whose devices may ask a table.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// Those of this site; those of all sites when absent.
    #[param(required = false, value_type = crate::api::names::Name)]
    site: Option<SiteId>,
}

/// How a table is to be read, and for whom.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct How {
    /// For the devices of this site; for those of all sites when absent.
    #[param(required = false, value_type = crate::api::names::Name)]
    site: Option<SiteId>,
    /// By which column, or by which name of a list's objects, rows are known. In CSV the first
    /// column when absent.
    #[param(required = false, min_length = 1, max_length = 256, example = "card")]
    key: Option<String>,
}

/// List tables
#[utoipa::path(get, path = "/api/tables", tag = "tables", params(Paging),
    responses((status = 200, description = "A part of the list", body = List<view::Table>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_tables(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::Table>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let listed = api.state.core.tables.list(&caller.actor()?, &page).await?;
    Ok(Part::new(&uri, listed))
}

/// Load a table
///
/// Takes the place of the one of that name, all at once. At most 100,000 rows and 16 MiB. In JSON it
/// is a list of objects, or an object whose names are the keys. Of two of the same name a device
/// asks that of its site.
#[utoipa::path(put, path = "/api/tables/{table}", tag = "tables", params(OfTable, How),
    request_body(content(
        (inline(Content) = "text/csv"), (inline(Content) = "application/json"))),
    responses((status = 200, description = "The table as it is now", body = view::Table)))]
async fn load_table(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfTable { table }): Named<OfTable>,
    Asked(How { site, key }): Asked<How>,
    request: Request,
) -> Result<Json<view::Table>, Problem> {
    let actor = caller.actor()?;
    let new = NewTable {
        name: table,
        site,
        key,
    };
    let tables = &api.state.core.tables;
    tables.may_load(&actor, &new).await?;
    let read = reader(request.headers())?;
    let (parts, body) = request.into_parts();
    let held = parts.extensions.get::<Held>();
    let text = whole_within(body, held, MAX_BODY, BODY_WITHIN).await?;
    let key = new.key.clone();
    // It takes a while, in which nobody else is to wait.
    let rows = tokio::task::spawn_blocking(move || read(&text, key.as_deref(), MAX_ROWS)).await;
    let rows = rows.map_err(|_| outgate_core::Refusal::Internal("a table was not read"))?;
    let rows = rows.map_err(|error| Problem::new(Kind::Malformed, told(&error)))?;
    let rows = rows.into_iter().map(|row| Row {
        key: row.key,
        value: row.value,
    });
    let loaded = tables.load(&actor, new, rows.collect()).await?;
    Ok(Json(loaded.into()))
}

/// Remove a table
#[utoipa::path(delete, path = "/api/tables/{table}", tag = "tables", params(OfTable, Whose),
    responses((status = 204, description = "It is removed")))]
async fn remove_table(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfTable { table }): Named<OfTable>,
    Asked(Whose { site }): Asked<Whose>,
) -> Result<StatusCode, Problem> {
    let tables = &api.state.core.tables;
    let actor = caller.actor()?;
    tables.remove(&actor, &table, site.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

type Read = fn(&[u8], Option<&str>, usize) -> Result<Vec<outgate_wire::table::Row>, TableError>;

/// What reads a body of that type.
fn reader(headers: &HeaderMap) -> Result<Read, Problem> {
    let given = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let given = given.and_then(|given| given.split(';').next());
    let given = given.unwrap_or_default().trim();
    for (kind, read) in [
        ("text/csv", read_csv as Read),
        ("application/json", read_json as Read),
    ] {
        if given.eq_ignore_ascii_case(kind) {
            return Ok(read);
        }
    }
    let detail = "Content-Type: text/csv or application/json is needed";
    Err(Problem::new(Kind::MediaType, detail))
}

fn told(error: &TableError) -> String {
    crate::webhooks::Chain(error).to_string()
}
