//! Firebase's Realtime Database: the WebSocket protocol of its SDKs at `/.ws`, and its REST
//! interface with event streams at every path that ends in `.json`; and Remote Config's templates.
//!
//! Each namespace is a tree in memory and in the core's `trees`, and has one task that does what is
//! asked in its order (`namespace`): nobody is told of a change, or gets an answer, before what it
//! rests on is on the disk. Many writes wait for one commit.

mod login;
mod namespace;
mod outbox;
mod remote_config;
mod rest;
mod stream;
mod websocket;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use outgate_core::{Core, Refusal};
use outgate_firebase::rules::Rules;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::namespace::Namespace;
use self::outbox::Outbox;
use crate::api::{Bodies, Most};
use crate::config;
use crate::http::begun;
use crate::hub::State;

/// What sessions of this dialect are called.
pub(crate) const VIA: &str = "firebase";

/// The most bytes of requests that are read or wait, of all connections together.
const REQUESTS_MAX: usize = 256 << 20;

/// What follows a namespace in the name of a project's first database, which is no part of it here.
const DEFAULT_DATABASE: &str = "-default-rtdb";

/// The Realtime Database for all connections of a hub.
#[derive(Clone, Debug)]
pub struct Firebase(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: State,
    settings: config::Firebase,
    namespaces: HashMap<String, Namespace>,
    next_number: AtomicU64,
    /// A permit a byte of requests.
    requests: Arc<Semaphore>,
}

impl Firebase {
    /// Finds again what was kept.
    ///
    /// # Errors
    /// As the store.
    pub(crate) async fn open(state: &State) -> Result<Self, Refusal> {
        let settings = state.config.load().firebase.clone();
        let answers = Bodies::within(answers(&settings));
        let mut namespaces = HashMap::new();
        for name in &settings.namespaces {
            let namespace = Namespace::open(&state.core, name, &settings, &answers).await?;
            namespaces.insert(name.clone(), namespace);
        }
        Ok(Self(Arc::new(Inner {
            state: state.clone(),
            settings,
            namespaces,
            next_number: AtomicU64::new(1),
            requests: Arc::new(Semaphore::new(REQUESTS_MAX)),
        })))
    }

    /// The routes; none when there is no namespace.
    pub(crate) fn router(&self) -> axum::Router {
        if self.0.namespaces.is_empty() {
            return axum::Router::new();
        }
        axum::Router::new()
            .route("/.ws", axum::routing::get(websocket::upgrade))
            .route("/.json", axum::routing::any(rest::answer))
            .route("/{*path}", axum::routing::any(rest::answer))
            .merge(remote_config::router(&self.0))
            .with_state(Arc::clone(&self.0))
    }
}

/// The most bytes of what waits to be told or is being told, of all databases and connections: one
/// device reads one whole database at a time, and all together four.
fn answers(settings: &config::Firebase) -> Most {
    let one = settings.bytes;
    let times = |number: usize| one.saturating_mul(number);
    Most {
        each: one,
        site: times(2),
        sites: times(3),
        all: times(4),
    }
}

impl Inner {
    fn core(&self) -> &Core {
        &self.state.core
    }

    fn rules(&self) -> &Rules {
        &self.settings.rules
    }

    /// The namespace that is asked by `ns` or, without that, by the name of the host.
    fn namespace(&self, asked: Option<&str>, host: &str) -> Option<&Namespace> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let name = name.to_ascii_lowercase();
        let by_host = || {
            let suffixes = self.settings.suffixes.iter();
            suffixes
                .filter_map(|suffix| name.strip_suffix(suffix))
                .next()
        };
        let first = || self.settings.namespaces.first().map(String::as_str);
        let name = asked.or_else(by_host).or_else(first)?;
        let name = name.strip_suffix(DEFAULT_DATABASE).unwrap_or(name);
        self.namespaces.get(name)
    }

    /// What waits for somebody new.
    fn outbox(&self) -> Arc<Outbox> {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        Arc::new(Outbox::new(number, self.settings.waiting_bytes))
    }

    /// Waits until there is room for a request of so many bytes.
    async fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let permits = u32::try_from(bytes.min(REQUESTS_MAX)).ok()?;
        let room = Arc::clone(&self.requests).acquire_many_owned(permits);
        room.await.ok()
    }

    /// Milliseconds since 1970.
    fn now(&self) -> i64 {
        self.core().clock.now().as_millis()
    }

    /// Waits until the hub goes down.
    async fn goes_down(&self) {
        begun(self.state.draining.clone()).await;
    }
}
