//! Remote Config's templates
//! (<https://firebase.google.com/docs/reference/remote-config/rest>), a project for each namespace.
//!
//! What a template holds is checked here and evaluated by whoever gets it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Router, middleware};
use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode};
use outgate_core::Refusal;
use outgate_core::templates::{
    Expected, MAX_VERSIONS, NewTemplate, Template, Version, may_publish,
};
use outgate_firebase::template::{self, TEMPLATE_MAX, TemplateError};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Inner, VIA};
use crate::api::{Problem, whole_within};
use crate::dialects::assets::is_known;
use crate::dialects::caller::{Caller, authenticate};

/// The template itself, and what is done with it beside.
const TEMPLATE: &str = "remoteConfig";
const VERSIONS: &str = "remoteConfig:listVersions";
const ROLL_BACK: &str = "remoteConfig:rollback";

/// How many versions are listed where it is not said.
const PAGE: u32 = 10;
/// How long a template may take to come.
const BODY_WITHIN: Duration = Duration::from_secs(60);
/// The most bytes of what a rollback says.
const ROLL_BACK_MAX: usize = 4_096;

/// What Google calls that somebody else was faster (AIP-154).
const MISMATCH: &str = "[VERSION_MISMATCH]: the template is another than If-Match says";

/// What addresses may ask, in the two ways in which Google's services take them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    #[serde(rename = "versionNumber", alias = "version_number")]
    version: Option<u64>,
    #[serde(rename = "validateOnly", alias = "validate_only")]
    validate_only: bool,
    #[serde(rename = "pageSize", alias = "page_size")]
    page_size: Option<u32>,
    #[serde(rename = "pageToken", alias = "page_token")]
    page_token: Option<u64>,
    #[serde(rename = "endVersionNumber", alias = "end_version_number")]
    end_version: Option<u64>,
}

/// Which version a rollback repeats: a text, as Google's 64-bit numbers are.
#[derive(Deserialize)]
struct RollBack {
    #[serde(rename = "versionNumber")]
    version: String,
}

/// Why it is not done: as the hub says it anywhere, or as Google does.
enum No {
    Problem(Problem),
    Said(StatusCode, &'static str, String),
}

/// The routes.
pub(super) fn router(firebase: &Arc<Inner>) -> Router<Arc<Inner>> {
    let methods: MethodRouter<Arc<Inner>> = get(read).put(publish).post(roll_back);
    let core = firebase.core().clone();
    Router::new()
        .route("/v1/projects/{project}/{resource}", methods)
        .route_layer(middleware::from_fn_with_state((core, VIA), authenticate))
}

async fn read(
    State(firebase): State<Arc<Inner>>,
    caller: Caller,
    Path((project, resource)): Path<(String, String)>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, No> {
    let project = firebase.project(project)?;
    let (templates, pass) = (&firebase.core().templates, caller.session().pass());
    match resource.as_str() {
        TEMPLATE => {
            let found = templates.get(&pass, project.clone(), asked.version).await?;
            if found.is_none() && asked.version.is_some() {
                return Err(No::not_found("there is no such version, or not any more"));
            }
            answer(&project, found.as_ref(), &headers)
        }
        VERSIONS => {
            let limit = asked.page_size.unwrap_or(PAGE).clamp(1, MAX_VERSIONS);
            let up_to = asked.end_version.map(|end| end.saturating_add(1));
            let before = asked.page_token.or(up_to);
            let mut listed = templates
                .versions(&pass, project, before, limit + 1)
                .await?;
            let more = listed.len() > limit as usize;
            listed.truncate(limit as usize);
            let last = listed.last().filter(|_| more);
            let mut told = json!({ "versions": listed.iter().map(told).collect::<Vec<_>>() });
            if let Some(last) = last {
                told["nextPageToken"] = last.number.to_string().into();
            }
            Ok(axum::Json(told).into_response())
        }
        _ => Err(No::not_found("there is no such resource")),
    }
}

async fn publish(
    State(firebase): State<Arc<Inner>>,
    caller: Caller,
    Path((project, resource)): Path<(String, String)>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, No> {
    let project = firebase.project(project)?;
    if resource != TEMPLATE {
        return Err(No::not_found("there is no such resource"));
    }
    let (templates, pass) = (&firebase.core().templates, caller.session().pass());
    may_publish(&pass)?;
    let expected = expected(&project, &headers)?;
    let _room = firebase.room(TEMPLATE_MAX).await;
    let text = whole_within(body, None, TEMPLATE_MAX, BODY_WITHIN).await?;
    let template = template::Template::read(&text)?;
    if asked.validate_only {
        let mut response = axum::Json(template.content).into_response();
        // Google marks so that nothing was published.
        response
            .headers_mut()
            .insert(header::ETAG, tag(&project, 0)?);
        return Ok(response);
    }
    let new = NewTemplate {
        content: Value::Object(template.content).to_string(),
        description: template.description,
    };
    let published = templates
        .publish(pass, project.clone(), expected, new)
        .await?;
    answer(&project, Some(&published), &HeaderMap::new())
}

async fn roll_back(
    State(firebase): State<Arc<Inner>>,
    caller: Caller,
    Path((project, resource)): Path<(String, String)>,
    body: Body,
) -> Result<Response, No> {
    let project = firebase.project(project)?;
    if resource != ROLL_BACK {
        return Err(No::not_found("there is no such resource"));
    }
    let text = whole_within(body, None, ROLL_BACK_MAX, BODY_WITHIN).await?;
    let asked: Option<RollBack> = serde_json::from_slice(&text).ok();
    let number = asked.and_then(|asked| asked.version.parse().ok());
    let number = number.ok_or_else(|| No::invalid("versionNumber: expected a number as a text"))?;
    let (templates, pass) = (&firebase.core().templates, caller.session().pass());
    let back = templates.roll_back(pass, project.clone(), number).await?;
    answer(&project, Some(&back), &HeaderMap::new())
}

impl Inner {
    /// The namespace of that name.
    fn project(&self, name: String) -> Result<String, No> {
        let known = self.namespaces.contains_key(&name);
        known
            .then_some(name)
            .ok_or_else(|| No::not_found("there is no such project"))
    }
}

/// What must be there, by `If-Match`, which Google demands of everybody who publishes.
fn expected(project: &str, headers: &HeaderMap) -> Result<Expected, No> {
    let mut given = headers.get_all(header::IF_MATCH).iter();
    let (Some(tag), None) = (given.next(), given.next()) else {
        return Err(No::invalid(
            "[VERSION_MISMATCH]: expected If-Match once, an ETag or *",
        ));
    };
    if tag == "*" {
        return Ok(Expected::Any);
    }
    // Google's own have no quotes, and some clients take off those of others.
    let tag = tag.to_str().unwrap_or_default().trim_matches('"');
    let number = tag.strip_prefix(&format!("etag-{project}-"));
    let number = number.and_then(|number| number.parse().ok());
    number.map(Expected::Version).ok_or_else(No::mismatch)
}

/// The entity tag of a version.
fn tag(project: &str, number: u64) -> Result<HeaderValue, No> {
    let tag = HeaderValue::try_from(format!("\"etag-{project}-{number}\""));
    tag.map_err(|_| No::from(Refusal::Internal("a project's name is no header")))
}

/// A template as Google tells it; an empty one where there is none yet.
fn answer(project: &str, template: Option<&Template>, headers: &HeaderMap) -> Result<Response, No> {
    let tag = tag(
        project,
        template.map_or(0, |template| template.version.number),
    )?;
    let mut response = if is_known(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let content = template.map(|template| serde_json::from_str(&template.content));
        let content = content.transpose();
        let content: Option<Map<String, Value>> =
            content.map_err(|_| Refusal::Internal("a template that is kept cannot be read"))?;
        let mut content = content.unwrap_or_default();
        if let Some(template) = template {
            content.insert("version".to_owned(), told(&template.version));
        }
        axum::Json(content).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, tag);
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    Ok(response)
}

/// A version as Google tells it.
fn told(version: &Version) -> Value {
    let kind = match (version.source, version.forced) {
        (Some(_), _) => "ROLLBACK",
        (None, true) => "FORCED_UPDATE",
        (None, false) => "INCREMENTAL_UPDATE",
    };
    let mut told = json!({
        "versionNumber": version.number.to_string(),
        "updateTime": version.published.to_string(),
        "updateUser": { "name": version.publisher },
        "updateOrigin": "REST_API",
        "updateType": kind,
    });
    if let Some(source) = version.source {
        told["rollbackSource"] = source.to_string().into();
    }
    if !version.description.is_empty() {
        told["description"] = version.description.as_str().into();
    }
    told
}

impl No {
    fn not_found(why: &str) -> Self {
        Self::Said(StatusCode::NOT_FOUND, "NOT_FOUND", why.to_owned())
    }

    fn invalid(why: impl Into<String>) -> Self {
        Self::Said(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", why.into())
    }

    fn mismatch() -> Self {
        Self::Said(StatusCode::CONFLICT, "ABORTED", MISMATCH.to_owned())
    }
}

impl From<Problem> for No {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<TemplateError> for No {
    fn from(error: TemplateError) -> Self {
        Self::invalid(format!("[VALIDATION_ERROR]: {error}"))
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        if matches!(refusal, Refusal::Conflict { .. }) {
            Self::mismatch()
        } else if matches!(refusal, Refusal::NotFound { .. }) {
            Self::not_found(&refusal.to_string())
        } else if matches!(refusal, Refusal::Forbidden { .. }) {
            Self::Said(
                StatusCode::FORBIDDEN,
                "PERMISSION_DENIED",
                refusal.to_string(),
            )
        } else {
            Self::Problem(refusal.into())
        }
    }
}

/// As Google's services say it (AIP-193).
impl IntoResponse for No {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Said(status, name, message) => {
                let error = json!({ "code": status.as_u16(), "message": message, "status": name });
                (status, axum::Json(json!({ "error": error }))).into_response()
            }
        }
    }
}
