//! Look-ups that the hub answers itself, from a table that was loaded into it.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use outgate_core::Refusal;
use outgate_core::sessions::Pass;
use outgate_core::tables::{TableName, Tables};
use ring::digest::{SHA256, digest};

use super::Steps;
use super::upstream::Outcome;
use crate::api::{ApiProblem, Kind, Problem};
use crate::dialects::assets::{is_known, tag_of};

/// What look-ups in tables are counted under.
pub(super) const TARGET: &str = "tables";

/// What a device asks.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
    pub(super) path: &'a Steps,
}

/// What the table `name` has, if there is one; a row is all that may be asked for.
pub(super) async fn answer(
    tables: &Tables,
    pass: &Pass,
    name: &str,
    asked: Asked<'_>,
) -> Option<Outcome> {
    let (Ok(name), Some(key)) = (name.parse::<TableName>(), asked.path.only()) else {
        return None;
    };
    let found = match tables.find(pass, name, key.to_owned()).await {
        Ok(found) => found,
        // Nor is there an API of that name.
        Err(Refusal::NotFound { .. }) => return None,
        Err(refusal) => return Some(Outcome::turned_down("not-read", refusal.into())),
    };
    if *asked.method != Method::GET && *asked.method != Method::HEAD {
        let problem = Problem::new(Kind::MethodNotAllowed, "a table is only read");
        return Some(Outcome::turned_down("not-allowed", problem));
    }
    Some(match found {
        None => {
            let problem = Problem::new(Kind::NotFound, "the table has no such row");
            Outcome::turned_down("refused", problem)
        }
        Some(row) => match response(row, asked.headers) {
            Ok(response) => Outcome {
                word: "answered",
                response: Ok(response),
            },
            Err(problem) => Outcome::turned_down("not-read", problem),
        },
    })
}

fn response(row: String, headers: &HeaderMap) -> Result<Response, ApiProblem> {
    let digest = digest(&SHA256, row.as_bytes());
    let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    let tag = tag_of(&hex.collect::<String>())?;
    let mut response = if is_known(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let json = HeaderValue::from_static("application/json");
        ([(CONTENT_TYPE, json)], Body::from(row)).into_response()
    };
    let out = response.headers_mut();
    out.insert(ETAG, tag);
    out.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}
