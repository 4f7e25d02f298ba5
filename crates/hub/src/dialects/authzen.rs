//! Whether users may do something in the spaces of a device's site, in the form of OpenID's AuthZEN
//! Authorization API 1.0: the device enforces, the hub decides.
//!
//! A subject is a user (`user`), a resource a space (`space`), an action one that roles name. What
//! else is said of them is passed over, as §10.1.1 wants it; other types are denied. Whatever is not
//! allowed by a role is denied.

mod read;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, HeaderName, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use http::header::{CACHE_CONTROL, ETAG, HeaderValue};
use outgate_core::spaces::{Answer, Question};
use outgate_core::{Core, Refusal};
use outgate_door::Facts;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::read::{Asked, Evaluation, Evaluations, Whole};
use super::caller::{Caller, authenticate, hub, share};
use crate::api::{BODY_WITHIN, Bodies, Kind, Places, Problem, from_json_within};

/// What sessions of this are called among the dialects.
const VIA: &str = "authzen";

/// The most bytes of a request: 100 evaluations, each with 2 KiB of its own.
const MAX_BODY: usize = 256 * 1024;

/// The most requests at a time, of all devices and of each.
const MAX_AT_A_TIME: usize = 4_096;
const MAX_EACH: usize = 8;

/// When to come again if a device asks too often at a time.
const RETRY: Duration = Duration::from_secs(1);

/// For how long a device may keep an answer, in seconds, whatever has been taken away meanwhile.
const LASTS: u64 = 60;

/// By what a request is known to who asks (§10.1.3).
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where the description is (§9.2).
const DESCRIPTION: &str = "/.well-known/authzen-configuration";

/// What requests share.
#[derive(Debug)]
pub(super) struct Authzen {
    core: Core,
    bodies: Bodies,
    places: Places,
}

/// Whether they may.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Decision {
    /// Whether they may.
    decision: bool,
    /// Why they may not.
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Why>,
}

/// Why a user may not.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
struct Why {
    /// `no-space` (the device's site has none of that name), `not-allowed` (no role of theirs there
    /// allows it), `not-a-user` or `not-a-space` (of another type), `incomplete` (one of a list that
    /// does not say who, what or where).
    #[schema(example = "not-allowed")]
    reason: &'static str,
}

/// What is answered to several questions: to none in a list what one is answered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Decisions {
    /// In the order of the questions.
    Several {
        /// One for each, up to the one that decides.
        evaluations: Vec<Decision>,
    },
    /// Of the only one.
    One(Decision),
}

/// The routes.
pub(crate) fn router(core: &Core) -> Router {
    let authzen = Arc::new(Authzen {
        core: core.clone(),
        bodies: Bodies::default(),
        places: Places::new(MAX_AT_A_TIME),
    });
    let asked: Router = routes()
        .route_layer(middleware::from_fn_with_state(
            (core.clone(), VIA),
            authenticate,
        ))
        .with_state(authzen)
        .into();
    asked
        .route(DESCRIPTION, get(describe))
        .route_layer(middleware::from_fn(with_its_id))
}

/// The operations.
pub(super) fn routes() -> OpenApiRouter<Arc<Authzen>> {
    OpenApiRouter::new()
        .routes(routes!(evaluate))
        .routes(routes!(evaluate_several))
        .routes(routes!(evaluate_several_by_another_name))
}

/// Gives a request's own name back with its answer, whatever that is.
async fn with_its_id(request: Request, next: Next) -> Response {
    let id = request.headers().get(REQUEST_ID).cloned();
    let mut response = next.run(request).await;
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Ask whether a user may
///
/// In the form of OpenID's AuthZEN Authorization API 1.0, §6. The subject's type is `user`, the
/// resource's `space`: one of the device's site. Names that are not known here are passed over.
#[utoipa::path(post, path = "/access/v1/evaluation", tag = "authorisation",
    request_body = Evaluation,
    params(("x-request-id" = Option<String>, Header, description = "Comes back with the answer")),
    responses((status = 200, description = "Whether they may", body = Decision, headers(
        ("cache-control" = String, description = "For how long the answer may be kept"),
        ("etag" = String, description = "Of which version of the site's spaces it is")))))]
async fn evaluate(
    Shared(authzen): Shared<Arc<Authzen>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let Whole(given) = authzen.read(&caller, request).await?;
    let asked = vec![Asked::of(given, &Evaluation::default())?];
    let (mut decisions, version) = authzen.decide(&caller, asked).await?;
    let decision = decisions.pop();
    let decision = decision.ok_or(Refusal::Internal("a question has no answer"))?;
    answered(&decision, version)
}

/// Ask whether users may
///
/// As AuthZEN §7 has it: `subject`, `action`, `resource` and `context` beside the list are those of
/// whichever evaluation has none of its own, and `options.evaluations_semantic` says whether the
/// first denial or permission is the last that is answered.
#[utoipa::path(post, path = "/access/v1/evaluations", tag = "authorisation",
    request_body = Evaluations,
    params(("x-request-id" = Option<String>, Header, description = "Comes back with the answer")),
    responses((status = 200, description = "Whether they may", body = Decisions, headers(
        ("cache-control" = String, description = "For how long the answers may be kept"),
        ("etag" = String, description = "Of which version of the site's spaces they are")))))]
async fn evaluate_several(
    Shared(authzen): Shared<Arc<Authzen>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let Whole(given) = authzen.read::<Whole<Evaluations>>(&caller, request).await?;
    let (given, defaults) = given.parts();
    let semantic = given.semantic;
    if given.evaluations.is_empty() {
        let asked = vec![Asked::of(Evaluation::default(), &defaults)?];
        let (mut decisions, version) = authzen.decide(&caller, asked).await?;
        let decision = decisions.pop();
        let decision = decision.ok_or(Refusal::Internal("a question has no answer"))?;
        return answered(&Decisions::One(decision), version);
    }
    let asked = given.evaluations.into_iter();
    let asked = asked.map(|one| Asked::of_list(one, &defaults));
    let asked = asked.collect();
    let (mut evaluations, version) = authzen.decide(&caller, asked).await?;
    if let Some(last) = semantic.last(evaluations.iter().map(|one| one.decision)) {
        evaluations.truncate(last + 1);
    }
    answered(&Decisions::Several { evaluations }, version)
}

/// Ask whether users may, by another name
///
/// The same as `/access/v1/evaluations`.
#[utoipa::path(post, path = "/authz/v1/evaluations", tag = "authorisation",
    request_body = Evaluations,
    params(("x-request-id" = Option<String>, Header, description = "Comes back with the answer")),
    responses((status = 200, description = "Whether they may", body = Decisions, headers(
        ("cache-control" = String, description = "For how long the answers may be kept"),
        ("etag" = String, description = "Of which version of the site's spaces they are")))))]
async fn evaluate_several_by_another_name(
    authzen: Shared<Arc<Authzen>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    evaluate_several(authzen, caller, request).await
}

impl Authzen {
    /// What a request asks.
    async fn read<T: serde::de::DeserializeOwned>(
        &self,
        caller: &Caller,
        mut request: Request,
    ) -> Result<T, Problem> {
        let held = self.bodies.none_yet(&share(&caller.session().pass())?);
        request.extensions_mut().insert(held);
        let read = from_json_within(request, "application/json", MAX_BODY, BODY_WITHIN).await;
        // Whatever is wrong in a request but its size is a bad one (§10.1.2).
        read.map_err(|problem| {
            if matches!(problem.kind(), Kind::Invalid | Kind::MediaType) {
                return Problem::new(Kind::Malformed, problem.detail());
            }
            problem
        })
    }

    /// What is decided of each question, and by which version of the site's spaces.
    async fn decide(
        &self,
        caller: &Caller,
        asked: Vec<Asked>,
    ) -> Result<(Vec<Decision>, u64), Problem> {
        let session = caller.session();
        let each = vec![(session.device()?.to_string(), MAX_EACH)];
        let Some(_place) = self.places.take(each) else {
            return Err(Problem::limited("evaluations at a time", RETRY));
        };
        let questions = asked.iter().filter_map(Asked::question);
        let questions: Vec<Question> = questions.cloned().collect();
        let answered = self.core.spaces.ask(&session.pass(), questions).await?;
        let mut answers = answered.answers.into_iter();
        let decisions = asked.iter().map(|asked| match asked {
            Asked::Denied(reason) => Decision::denied(reason),
            Asked::Question(_) => match answers.next() {
                Some(Answer::Permitted) => Decision::PERMITTED,
                Some(Answer::NoSpace) => Decision::denied("no-space"),
                Some(Answer::NotAllowed) | None => Decision::denied("not-allowed"),
            },
        });
        Ok((decisions.collect(), answered.version))
    }
}

impl Decision {
    const PERMITTED: Self = Self {
        decision: true,
        context: None,
    };

    fn denied(reason: &'static str) -> Self {
        Self {
            decision: false,
            context: Some(Why { reason }),
        }
    }
}

/// An answer that who asked may keep for [`LASTS`], and by which version it is.
fn answered(told: &impl Serialize, version: u64) -> Result<Response, Problem> {
    let wrong = |_| Refusal::Internal("an entity tag cannot be written");
    // Weak: one version has many answers.
    let tag = HeaderValue::try_from(format!("W/\"{version}\"")).map_err(wrong)?;
    let kept = HeaderValue::try_from(format!("private, max-age={LASTS}")).map_err(wrong)?;
    Ok(([(CACHE_CONTROL, kept), (ETAG, tag)], Json(told)).into_response())
}

/// Where what is asked (§9), for who knows the hub by that name.
async fn describe(
    Extension(facts): Extension<Facts>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let hub = hub(&facts, &uri, &headers)?;
    let described = json!({
        "policy_decision_point": hub,
        "access_evaluation_endpoint": format!("{hub}/access/v1/evaluation"),
        "access_evaluations_endpoint": format!("{hub}/access/v1/evaluations"),
    });
    let unkept = HeaderValue::from_static("no-store");
    Ok(([(CACHE_CONTROL, unkept)], Json(described)).into_response())
}
