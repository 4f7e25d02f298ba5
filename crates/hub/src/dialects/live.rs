//! Live look-ups: `/live/NAME/…`, which is answered by the API that is configured under that name, or
//! from a table that was loaded into the hub (`table`).
//!
//! A device comes in by two keys (`login`), and asks with the token that it gets for them. What it
//! asks for is read so that nobody after the hub can read it otherwise (`steps`), compared with
//! what is allowed, and handed on (`upstream`) to where the API's addresses may be (`reach`), as
//! long as that answers (`breaker`).

mod breaker;
mod login;
mod reach;
mod steps;
mod table;
mod upstream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware;
use axum::response::Response;
use axum::routing::any;
use outgate_core::Core;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{ApiProblem, BODY_WITHIN, Bodies, Kind, Places, Problem, whole_within};
use crate::config::Config;
use crate::dialects::caller::{Caller, share_of_anyone};
use crate::hub::State as Hub;
use crate::metrics::Metrics;
use upstream::{Asked, Outcome, Upstream};

pub(crate) use reach::Reach;
pub use steps::Steps;
pub use upstream::UpstreamError;
pub(crate) use upstream::may_hold_key;

/// What sessions of this dialect are called.
const VIA: &str = outgate_core::identity::LOOKUPS;

/// The most look-ups of one device at a time.
const MAX_LOOKUPS_EACH: usize = 4;

/// The most look-ups at a time.
const MAX_LOOKUPS: usize = 4_096;

/// The most bytes of what follows the question mark.
const MAX_QUERY: usize = 2_048;

/// When to come again when as many look something up as may.
const RETRY: Duration = Duration::from_secs(1);

/// What is looked up that is not configured.
const NOTHING: &str = "none";

/// What requests share.
#[derive(Debug)]
pub(crate) struct Live {
    core: Core,
    metrics: Metrics,
    bodies: Bodies,
    /// Steps of logins.
    steps: Places,
    lookups: Places,
    token: Duration,
    upstreams: Upstreams,
}

/// The APIs by their names.
#[derive(Debug)]
pub(crate) struct Upstreams(BTreeMap<String, Upstream>);

impl Upstreams {
    /// Those that are configured.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub(crate) fn of(config: &Config) -> Result<Self, UpstreamError> {
        let upstreams = config.live.upstreams.iter().map(|settings| {
            let upstream = Upstream::new(settings, outgate_core::Clock::System)?;
            Ok((settings.name.clone(), upstream))
        });
        upstreams.collect::<Result<_, _>>().map(Self)
    }
}

impl Live {
    /// For how long a token is given.
    fn token_lasts(&self) -> Duration {
        self.token
    }
}

/// The routes.
pub(crate) fn router(state: &Hub, upstreams: Upstreams) -> axum::Router {
    let live = Arc::new(Live {
        core: state.core.clone(),
        metrics: state.metrics.clone(),
        bodies: Bodies::default(),
        steps: Places::new(login::MAX_STEPS),
        lookups: Places::new(MAX_LOOKUPS),
        token: state.config.load().live.token,
        upstreams,
    });
    let asked = axum::Router::new()
        .route("/live/{*path}", any(look_up))
        .route_layer(middleware::from_fn_with_state(
            Arc::clone(&live),
            login::authenticate,
        ));
    let open: axum::Router<Arc<Live>> = logins().into();
    open.merge(asked).with_state(live)
}

/// The operations, as they are described.
pub(super) fn routes() -> OpenApiRouter<Arc<Live>> {
    logins().routes(routes!(look_up))
}

fn logins() -> OpenApiRouter<Arc<Live>> {
    OpenApiRouter::new()
        .routes(routes!(login::fleet))
        .routes(routes!(login::token))
}

/// Look something up
///
/// By whichever method is allowed there. What is answered is what the API answers, which learns who
/// asks by `outgate-device` and `outgate-site`.
#[utoipa::path(get, path = "/live/{path}", tag = "live", operation_id = "look_up",
    security(("lookup" = [])),
    params(("path" = String, Path, min_length = 1, max_length = 2048, example = "flow/balances/17",
        description = "The name of what is asked, and steps with slashes between them")),
    responses(
        (status = 200, description = "What the API answers", content_type = "*/*",
            body = inline(Answer)),
        (status = 502, description = "The API answers wrongly or not at all"),
        (status = 504, description = "The API does not answer in time")))]
async fn look_up(
    State(live): State<Arc<Live>>,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiProblem> {
    let began = Instant::now();
    let path = request.uri().path().strip_prefix("/live");
    let path = path.and_then(Steps::read).and_then(Steps::split_first);
    let (target, outcome) = match path {
        None => {
            let detail = "a path without empty steps and dots is needed";
            let problem = Problem::new(Kind::Malformed, detail);
            (NOTHING, Outcome::turned_down("not-allowed", problem))
        }
        Some((name, path)) => match live.upstreams.0.get_key_value(&name) {
            None => {
                let asked = table::Asked {
                    method: request.method(),
                    headers: request.headers(),
                    path: &path,
                };
                in_table(&live, &caller, &name, asked).await
            }
            Some((name, upstream)) => {
                let outcome = forwarded(&live, upstream, &caller, path, request).await;
                (name.as_str(), outcome)
            }
        },
    };
    live.metrics
        .looked_up(target, outcome.word, began.elapsed());
    outcome.response
}

/// What a table of the hub's own has, and under what it is counted.
async fn in_table(
    live: &Live,
    caller: &Caller,
    name: &str,
    asked: table::Asked<'_>,
) -> (&'static str, Outcome) {
    let pass = caller.session().pass();
    match table::answer(&live.core.tables, &pass, name, asked).await {
        Some(outcome) => (table::TARGET, outcome),
        None => (NOTHING, Outcome::nothing_there()),
    }
}

/// What comes of asking the API.
async fn forwarded(
    live: &Live,
    upstream: &Upstream,
    caller: &Caller,
    path: Steps,
    mut request: Request,
) -> Outcome {
    if let Some(outcome) = upstream.forbids(request.method(), &path) {
        return outcome;
    }
    let share = share_of_anyone(&caller.session().pass());
    let whose = vec![(share.whose.clone(), MAX_LOOKUPS_EACH)];
    let Some(_place) = live.lookups.take(whose) else {
        let problem = Problem::limited("look-ups at once", RETRY);
        return Outcome::turned_down("busy", problem);
    };
    let query = request.uri().query().map(str::to_owned);
    if query.as_ref().is_some_and(|query| query.len() > MAX_QUERY) {
        let problem = Problem::new(Kind::AddressTooLong, "at most 2,048 bytes after the ?");
        return Outcome::turned_down("not-read", problem);
    }
    let held = live.bodies.none_yet(&share);
    let body = std::mem::take(request.body_mut());
    let body = whole_within(body, Some(&held), upstream.request_bytes(), BODY_WITHIN).await;
    let body = match body {
        Ok(body) => body,
        Err(problem) => return Outcome::turned_down("not-read", problem),
    };
    let asked = Asked {
        method: request.method().clone(),
        path,
        query,
        headers: std::mem::take(request.headers_mut()),
        body,
    };
    upstream.ask(caller.session().principal(), asked).await
}

/// What is answered: bytes of any kind.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
struct Answer(());
