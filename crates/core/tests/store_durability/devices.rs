//! A core with devices that say something.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;

use outgate_core::events::{Event, EventFilter, MAX_TAKEN, NewEvent};
use outgate_core::identity::{Actor, Claim, Given, Scope};
use outgate_core::secret::Secret;
use outgate_core::sessions::Session;
use outgate_core::{Clock, Core, Limits, Settings, Timestamp};

/// A core in `folder` that takes events as fast as they come, and leaves `reserve` bytes free.
pub(crate) fn open(folder: &Path, reserve: u64) -> Core {
    Core::open(&Settings {
        clock: Clock::held(Timestamp::from_millis(1_790_000_000_000)),
        limits: Limits {
            events_a_second: 1_000_000,
            event_burst: 1_000_000,
            reserve,
            ..Limits::default()
        },
        ..Settings::new(folder)
    })
    .unwrap()
}

/// Makes a device and gives its token.
pub(crate) async fn device_with_token(core: &Core, device: &str) -> Secret {
    let (admin, device) = (Actor::hub(), device.parse().unwrap());
    let site: outgate_core::id::SiteId = "shop".parse().unwrap();
    if core.identity.site(&admin, &site).await.is_err() {
        let made = core
            .identity
            .create_site(&admin, site.clone(), "Shop".to_owned());
        made.await.unwrap();
    }
    let made = core
        .identity
        .create_device(&admin, device, site, None)
        .await
        .unwrap();
    let token = core
        .identity
        .add_token(&admin, &made.id, "test".to_owned(), None);
    match token.await.unwrap().given {
        Given::Token(token) => token,
        Given::Key(_) | Given::Certificate(_) | Given::Nothing => panic!("a token was expected"),
    }
}

/// Comes in by a token.
pub(crate) async fn come_in(core: &Core, token: &Secret) -> Session {
    let claim = Claim::Token {
        token,
        device: None,
    };
    let identified = core.identity.authenticate(claim).await.unwrap();
    let peer = ([127, 0, 0, 1], 1).into();
    core.open_session(&identified, "test", peer).await.unwrap()
}

pub(crate) fn said(name: String, payload: Bytes) -> NewEvent {
    NewEvent {
        name,
        content_type: String::new(),
        properties: BTreeMap::new(),
        payload,
    }
}

/// All events after the place `after`.
pub(crate) async fn events_after(core: &Core, mut after: u64) -> Vec<Event> {
    let all = EventFilter {
        scope: Scope::All,
        device: None,
        prefix: None,
    };
    let mut events = Vec::new();
    loop {
        let taken = core.events.after(&all, after, MAX_TAKEN).await.unwrap();
        if taken.next == after {
            return events;
        }
        after = taken.next;
        events.extend(taken.events);
    }
}

pub(crate) async fn poll_once<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    std::future::poll_fn(|task| Poll::Ready(future.as_mut().poll(task))).await
}
