//! Who is logged in to the console.
//!
//! A visit holds a session of the core, as any other connection does: a revocation ends it, and
//! waits until nothing of it is left.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Redirect, Response};
use http::header;
use http::request::Parts;
use outgate_core::clock::{Clock, Timestamp};
use outgate_core::identity::Actor;
use outgate_core::secret::Secret;
use outgate_core::sessions::Session;
use outgate_core::{Refusal, identity::Scope};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Console;

/// The cookie's name. Browsers take one of this kind only over TLS (or from this very machine),
/// for this very host and the whole of it (RFC 6265bis, section 4.1.3.2).
pub(super) const COOKIE: &str = "__Host-outgate";

/// How long a visit lasts at the most.
pub(super) const LASTS: Duration = Duration::from_secs(12 * 3_600);

/// How long a visit lasts without a page being asked for.
const IDLE: Duration = Duration::from_secs(2 * 3_600);

/// The most visits at a time.
const MAX_VISITS: usize = 1_024;

/// The most visits of one operator at a time; a further one ends their oldest.
const MAX_OF_ONE: usize = 8;

/// The most live streams of one visit.
const MAX_STREAMS: usize = 6;

/// Random bytes of a cookie.
const COOKIE_BYTES: usize = 32;

/// All visits, by the digest of their cookie.
#[derive(Debug)]
pub(super) struct Visits {
    clock: Clock,
    live: Mutex<HashMap<[u8; 32], Entry>>,
}

#[derive(Debug)]
struct Entry {
    visit: Visit,
    began: Timestamp,
    seen: Timestamp,
}

/// An operator who is logged in. Whoever holds a copy keeps the session open.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    /// Their session.
    pub(super) session: Arc<Session>,
    /// Is cancelled when the visit is over, however it came to its end.
    pub(super) over: CancellationToken,
    /// Places for live streams.
    pub(super) streams: Arc<Semaphore>,
    key: [u8; 32],
}

impl Visits {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            live: Mutex::default(),
        }
    }

    /// Begins a visit of the operator who holds `session`. Gives what the cookie holds.
    pub(super) fn begin(self: &Arc<Self>, session: Session) -> Result<Secret, Refusal> {
        let cookie = Secret::new(
            Secret::random(COOKIE_BYTES)?
                .to_base64_url()
                .as_bytes()
                .to_vec(),
        );
        let visit = Visit {
            session: Arc::new(session),
            over: CancellationToken::new(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            key: cookie.digest(),
        };
        let now = self.clock.now();
        let mut live = self.live.lock();
        let principal = visit.session.principal();
        let same = live
            .values()
            .filter(|entry| entry.visit.session.principal() == principal);
        if same.clone().count() >= MAX_OF_ONE {
            let oldest = same.min_by_key(|entry| entry.began);
            if let Some(key) = oldest.map(|entry| entry.visit.key) {
                end(&mut live, &key);
            }
        }
        if live.len() >= MAX_VISITS {
            return Err(Refusal::Limited {
                what: "visits of the console",
                retry_after: Duration::from_secs(60),
            });
        }
        let entry = Entry {
            visit: visit.clone(),
            began: now,
            seen: now,
        };
        live.insert(visit.key, entry);
        drop(live);
        tokio::spawn(Arc::clone(self).attend(visit));
        Ok(cookie)
    }

    /// Ends a visit.
    pub(super) fn end(&self, visit: &Visit) {
        end(&mut self.live.lock(), &visit.key);
    }

    /// Ends the visit when its session ends or its time is over, and goes away when it has ended.
    async fn attend(self: Arc<Self>, visit: Visit) {
        tokio::select! {
            _ = visit.session.ended() => {}
            () = tokio::time::sleep(LASTS) => {}
            () = visit.over.cancelled() => {}
        }
        self.end(&visit);
    }

    /// The visit whose cookie this is.
    fn find(&self, cookie: &str) -> Option<Visit> {
        let key = Secret::new(cookie.as_bytes().to_vec()).digest();
        let now = self.clock.now();
        let mut live = self.live.lock();
        let entry = live.get_mut(&key)?;
        let stale = now.since(entry.began) >= LASTS || now.since(entry.seen) >= IDLE;
        if stale || entry.visit.session.pass().check().is_err() {
            end(&mut live, &key);
            return None;
        }
        entry.seen = now;
        Some(entry.visit.clone())
    }
}

fn end(live: &mut HashMap<[u8; 32], Entry>, key: &[u8; 32]) {
    if let Some(entry) = live.remove(key) {
        entry.visit.over.cancel();
    }
}

impl Visit {
    /// The operator, for what they ask of the core.
    pub(super) fn actor(&self) -> Result<Actor, Refusal> {
        Actor::of(&self.session)
    }

    /// What they see.
    pub(super) fn scope(&self) -> Result<Scope, Refusal> {
        self.actor().map(|actor| actor.scope)
    }
}

impl FromRequestParts<Arc<Console>> for Visit {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        console: &Arc<Console>,
    ) -> Result<Self, Response> {
        let cookies = parts.headers.get_all(header::COOKIE).iter();
        let cookie = cookies
            .filter_map(|value| value.to_str().ok())
            .flat_map(|text| text.split(';'))
            .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='));
        cookie
            .and_then(|cookie| console.visits.find(cookie))
            .ok_or_else(|| Redirect::to("/console/login").into_response())
    }
}
