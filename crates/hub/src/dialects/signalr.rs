//! SignalR as a service: devices come in by their credentials and are what they are over any other
//! dialect, with events, commands, calls and a twin.
//!
//! [`outgate_signalr_server`] speaks the protocol. Requests come by the `entrance`, which makes out
//! who asks (`guest`, by a back end's signature in `signed`); a connection that has made its
//! handshake is a session, held by its `conversation`; what clients call is in `methods`, and what
//! stands in JSON on one side and in payloads on the other, in `values`. Back ends ask by `rest`
//! and are asked by `upstream`. Whoever checks the way needs no token (`checks`). Outgate's own `agent` has a hub to itself, with other methods.

mod agent;
pub(crate) mod checks;
mod conversation;
mod entrance;
mod guest;
mod methods;
mod neighbours;
mod rest;
mod signed;
mod support;
mod upstream;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use http::StatusCode;
use outgate_core::Core;
use outgate_signalr_server::{
    Builder, Hub, Protocol, SignalR as Library, SignalRService, SlowPeer,
};
use outgate_wire::agent as wire;
use tokio::sync::{Semaphore, watch};

use self::guest::Guest;
use self::upstream::Upstream;
use crate::config::{Method, SignalRHub, SlowClients};
use crate::hub::State;
use crate::metrics::Metrics;
use crate::webhooks::{self, SenderError, Ways};

/// What sessions of this dialect are called.
pub(crate) const VIA: &str = "signalr";

/// How long a client may take for the end of its WebSocket: when access is revoked somebody waits
/// for it, and not for longer than [`outgate_core::identity::CLOSING_PATIENCE`].
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The most messages of back ends that are read at a time.
const MAX_BODIES: usize = 64;

/// The SignalR hubs.
#[derive(Clone, Debug)]
pub(crate) struct SignalR(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    core: Core,
    hubs: BTreeMap<String, Served>,
    /// The one that Outgate's agents come to.
    agents: Served,
    /// Places for messages of back ends.
    bodies: Semaphore,
}

/// One of them.
#[derive(Clone, Debug)]
struct Served {
    shared: Arc<Shared>,
    service: SignalRService,
    hub: Hub,
}

/// A hub to which methods are given.
type Methods = Builder<Arc<Shared>>;

/// What handlers of a hub need.
#[derive(Debug)]
struct Shared {
    core: Core,
    metrics: Metrics,
    settings: SignalRHub,
    form: Form,
    upstream: Option<Upstream>,
    /// Whether the whole hub is going down.
    draining: watch::Receiver<bool>,
}

/// In what form devices are told and asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A method of its own for each name, with the payload as its argument.
    Plain,
    /// As Outgate's agents have it: everything that there is to know, in one argument.
    Agent,
}

impl SignalR {
    /// The hubs that are configured; their back ends are asked as webhooks are told.
    ///
    /// # Errors
    /// There is a back end and nothing can be sent.
    pub(crate) fn new(state: &State, pushing: &webhooks::Settings) -> Result<Self, SenderError> {
        let configured = state.config.load().signalr.clone();
        let is_told = |hub: &SignalRHub| hub.upstream.is_some();
        let ways = match configured.iter().any(is_told) {
            true => Some(Ways::new(pushing)?),
            false => None,
        };
        let mut hubs = BTreeMap::new();
        for settings in configured {
            let upstream = ways.as_ref().zip(settings.upstream.as_ref());
            let upstream = upstream.map(|(ways, upstream)| {
                let to = upstream::To {
                    ways: ways.clone(),
                    core: state.core.clone(),
                    hub: settings.name.clone(),
                    settings: upstream.clone(),
                };
                Upstream::new(to, state.metrics.clone(), pushing)
            });
            let name = settings.name.clone();
            hubs.insert(name, Served::new(state, upstream, settings));
        }
        Ok(Self(Arc::new(Inner {
            core: state.core.clone(),
            hubs,
            agents: Served::agents(state),
            bodies: Semaphore::new(MAX_BODIES),
        })))
    }

    /// The routes; those of agents alone when no hub is configured.
    pub(crate) fn router(&self) -> Router {
        let router = entrances(Router::new(), wire::PATH, &self.0.agents);
        if self.0.hubs.is_empty() {
            return router;
        }
        let mut router = router;
        // Azure's clients put a slash before the query, others do not.
        for path in ["/client", "/client/", "/client/negotiate"] {
            let hubs = self.clone();
            router = router.route(path, any(move |request| named(hubs.clone(), request)));
        }
        for path in rest::ROUTES {
            let hubs = self.clone();
            let answer = move |request| rest::answer(hubs.clone(), request);
            router = router.route(path, any(answer));
        }
        for served in self.0.hubs.values() {
            if let Some(path) = &served.shared.settings.path {
                router = entrances(router, path, served);
            }
        }
        router
    }
}

/// The routes of a hub at a path of its own.
fn entrances(router: Router, path: &str, served: &Served) -> Router {
    let paths = [
        path.to_owned(),
        format!("{path}/"),
        format!("{path}/negotiate"),
    ];
    paths.into_iter().fold(router, |router, path| {
        let served = served.clone();
        let enter = move |request| entrance::enter(served.clone(), request);
        router.route(&path, any(enter))
    })
}

/// A request to the hub that its query names, as clients of Azure SignalR Service do.
async fn named(hubs: SignalR, request: Request) -> Response {
    let name = guest::field(request.uri(), "hub").map(str::to_lowercase);
    let served = name.and_then(|name| hubs.0.hubs.get(&name).cloned());
    match served {
        Some(served) => entrance::enter(served, request).await,
        None => (StatusCode::NOT_FOUND, "?hub= names no hub that there is\n").into_response(),
    }
}

impl Served {
    /// A hub that is configured.
    fn new(state: &State, upstream: Option<Upstream>, settings: SignalRHub) -> Self {
        let form = Form::Plain;
        Self::of(
            state,
            Shared::new(state, (form, settings), upstream),
            |it| {
                it.on("twin", methods::twin)
                    .on("report", methods::report)
                    .fallback(methods::any_other)
            },
        )
    }

    /// The hub of agents.
    fn agents(state: &State) -> Self {
        let of = (Form::Agent, agent::settings());
        Self::of(state, Shared::new(state, of, None), |it| {
            // So that an agent is answered that it is heard while something else waits its turn.
            it.parallel_calls(agent::PARALLEL_CALLS)
                .calls_waiting_max(agent::PARALLEL_CALLS)
                .protocols([Protocol::Json])
                .on(wire::ALIVE, agent::alive)
                .on(wire::TIME_KEY, agent::time_key)
                .on(wire::DELIVER, agent::deliver)
                .on(wire::LOG, agent::log)
                .on(wire::TWIN, methods::twin)
                .on(wire::REPORT, agent::report)
                .on(wire::NEIGHBOURS, neighbours::standing)
                .on(wire::NEIGHBOUR_KEY, neighbours::key)
                .on(wire::SSH_AUTHORITY, agent::ssh_authority)
                .on(wire::RELAY, neighbours::relay)
                .on(wire::SUPPORT_JOIN, support::join)
                .on(wire::SUPPORT_REFUSE, support::refuse)
                .on(wire::SUPPORT_SEND, support::send)
                .on(wire::SUPPORT_TAKE, support::take)
                .on(wire::SUPPORT_END, support::end)
        })
    }

    fn of(state: &State, shared: Shared, methods: impl FnOnce(Methods) -> Methods) -> Self {
        let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let shared = Arc::new(shared);
        let settings = &shared.settings;
        let slow = match settings.slow_clients {
            SlowClients::Disconnect => SlowPeer::Disconnect,
            SlowClients::DropOldest => SlowPeer::DropOldest,
        };
        let waiting = number(settings.waiting);
        let waiting_bytes = number(settings.waiting_kibibytes) << 10;
        let poll = Duration::from_secs(settings.poll_seconds.into());
        let metrics = state.metrics.clone();
        let builder = Library::builder().with_state(Arc::clone(&shared));
        let (service, hub) = methods(builder)
            .on_connect(conversation::begin)
            .on_disconnect(conversation::over)
            .authenticate(|parts| {
                let identity = entrance::identity(&parts);
                std::future::ready(identity.ok_or_else(|| StatusCode::UNAUTHORIZED.into_response()))
            })
            .remember_stalls(|parts| Some(Guest::of(parts)?.known_by()))
            .on_stalled(move |_, transport| metrics.signalr_stalled(transport))
            .stateful_reconnect(true)
            .slow_peer(slow)
            .waiting_max(waiting, waiting_bytes)
            .connections_max(number(settings.connections))
            .message_max(number(settings.message_bytes))
            .poll_timeout(poll)
            .close_timeout(LAST_WORDS)
            .build();
        Self {
            shared,
            service,
            hub,
        }
    }
}

impl Shared {
    fn new(
        state: &State,
        (form, settings): (Form, SignalRHub),
        upstream: Option<Upstream>,
    ) -> Self {
        Self {
            core: state.core.clone(),
            metrics: state.metrics.clone(),
            draining: state.draining.clone(),
            upstream,
            form,
            settings,
        }
    }

    /// What becomes of calls of that method.
    fn method(&self, target: &str) -> Method {
        let methods = &self.settings.methods;
        let method = methods.get(target);
        let method = method.or_else(|| methods.get(&target.to_lowercase()));
        method.copied().unwrap_or(self.settings.others)
    }

    /// Whether the whole hub is going down.
    fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }
}
