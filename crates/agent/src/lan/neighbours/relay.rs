//! What a member without a way to the hub says through one that has: the request is signed as every
//! other, and what is in it is for the hub alone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use outgate_neighbours::MemberId;
use tokio::sync::OwnedSemaphorePermit;

use super::call::{Line, UNTAKEN_MAX, Unsaid};
use super::envelope::RELAY_PATH;
use super::file;
use super::serve::{self, Site};
use crate::files::Outgoing;

/// The most bytes of what is said at a time: what waits in a queue, in base 64 twice.
pub(super) const RELAYED_MAX_BYTES: usize = 2 << 20;
/// The most bytes of what is answered.
const ANSWER_MAX_BYTES: usize = 256 * 1024;
/// So long the hub may take.
pub(super) const RELAY_MAX: Duration = Duration::from_secs(60);
/// So much is handed on at a time, each of [`RELAYED_MAX_BYTES`].
pub(super) const RELAYED_AT_ONCE: usize = 2;

/// Who hands on what other members say.
#[derive(Clone)]
pub struct Relay(Arc<dyn Fn(Vec<u8>) -> Answered + Send + Sync>);

/// What the hub answers, if it does.
pub(super) type Answered = BoxFuture<'static, Option<Vec<u8>>>;

impl Relay {
    /// Hands on as this does; nothing is answered where there is no way.
    pub fn new(hand_on: impl Fn(Vec<u8>) -> Answered + Send + Sync + 'static) -> Self {
        Self(Arc::new(hand_on))
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Relay")
    }
}

/// Hands on what a member says. Its place is free again when the hub has answered: the hub is at it also
/// when whoever said it has gone.
pub(super) async fn hand_on(
    said: Vec<u8>,
    place: OwnedSemaphorePermit,
    site: &Site,
) -> Response<Outgoing> {
    let Some(relay) = &site.relay else {
        return serve::empty(StatusCode::SERVICE_UNAVAILABLE);
    };
    let answered = tokio::time::timeout(RELAY_MAX, (relay.0)(said));
    let handed_on = tokio::spawn(async move {
        let answer = answered.await;
        drop(place);
        answer
    });
    match handed_on.await {
        Ok(Ok(Some(answer))) => Response::new(serve::whole(answer)),
        Ok(Ok(None) | Err(_)) | Err(_) => serve::empty(StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// Has a member hand something on, and gives what the hub answers.
pub(super) async fn through(to: &MemberId, said: &[u8], site: &Site) -> Result<Vec<u8>, Unsaid> {
    let mut last = Unsaid::Late;
    for address in site.addresses.of_member(to) {
        let asked = async {
            let line = Line::to(to, address, site.own.ip(), UNTAKEN_MAX).await?;
            let coming = file::ask(line, (to, RELAY_PATH), said, site).await?;
            let answer = Limited::new(coming, ANSWER_MAX_BYTES).collect().await;
            Ok(answer.map_err(|_| Unsaid::Declined)?.to_bytes().to_vec())
        };
        match tokio::time::timeout(RELAY_MAX, asked).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(why)) => last = why,
            Err(_) => last = Unsaid::Late,
        }
    }
    Err(last)
}
