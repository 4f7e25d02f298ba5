//! What an agent and the hub say in a session of remote support.

use std::sync::Arc;

use outgate_core::Refusal;
use outgate_core::id::SupportId;
use outgate_core::secret::Secret;
use outgate_core::support::{Chunk, Joined};
use outgate_signalr_server::{Args, Connection, Extension, HubError, State};
use outgate_wire::agent::{self as wire, Blob};

use super::guest::Guest;
use super::values::told;
use super::{Shared, agent};
use crate::metrics::Direction;

/// `SupportJoin(join)`: opens a session.
pub(super) async fn join(
    connection: Connection,
    Args((join,)): Args<(wire::SupportJoin,)>,
    Extension(guest): Extension<Guest>,
    State(hub): State<Arc<Shared>>,
) -> Result<(), HubError> {
    hub.metrics.signalr_invoked(agent::NAME, Direction::In, 1);
    let session = guest.session().map_err(told)?;
    let (id, key) = opened_by(&join.session, &join.key).map_err(told)?;
    let joined = Joined {
        port: join.port,
        tried: join.tried,
        by: join.by,
    };
    let support = &hub.core.support;
    let opened = support.join(&session, &id, key.expose(), joined).await;
    let over = opened.map_err(told)?;
    tokio::spawn(async move {
        let why = over.await.over().unwrap_or_default();
        // It may have gone, and is over with that.
        let _ = connection.send(wire::SUPPORT_OVER, (id.as_str(), why));
    });
    Ok(())
}

/// `SupportRefuse(end)`: the device does not allow it.
pub(super) async fn refuse(
    Args((end,)): Args<(wire::SupportEnd,)>,
    Extension(guest): Extension<Guest>,
    State(hub): State<Arc<Shared>>,
) -> Result<(), HubError> {
    hub.metrics.signalr_invoked(agent::NAME, Direction::In, 1);
    let session = guest.session().map_err(told)?;
    let key = end.key.as_deref().unwrap_or_default();
    let (id, key) = opened_by(&end.session, key).map_err(told)?;
    let of = (&id, key.expose());
    let refused = hub.core.support.refuse(&session, of, (&end.by, &end.why));
    refused.await.map_err(told)
}

/// `SupportSend(chunk)`: to the operator.
pub(super) async fn send(
    Args((chunk,)): Args<(wire::SupportChunk,)>,
    Extension(guest): Extension<Guest>,
    State(hub): State<Arc<Shared>>,
) -> Result<wire::SupportFlow, HubError> {
    hub.metrics.signalr_invoked(agent::NAME, Direction::In, 1);
    let session = guest.session().map_err(told)?;
    let id = chunk.session.parse().map_err(told)?;
    let sent = Chunk {
        at: chunk.at,
        bytes: chunk.bytes.0,
        last: chunk.last,
    };
    let flow = hub.core.support.device_sends(&session, &id, sent).await;
    let over = flow.map_err(told)?.over();
    Ok(wire::SupportFlow { over })
}

/// `SupportTake(place)`: what has come from the operator.
pub(super) async fn take(
    Args((place,)): Args<(wire::SupportPlace,)>,
    Extension(guest): Extension<Guest>,
    State(hub): State<Arc<Shared>>,
) -> Result<wire::SupportTaken, HubError> {
    hub.metrics.signalr_invoked(agent::NAME, Direction::In, 1);
    let session = guest.session().map_err(told)?;
    let id = place.session.parse().map_err(told)?;
    let taken = hub.core.support.device_takes(&session, &id, place.after);
    let taken = taken.await.map_err(told)?;
    Ok(wire::SupportTaken {
        bytes: Blob(taken.bytes),
        last: taken.last,
        over: taken.flow.over(),
    })
}

/// `SupportEnd(end)`: at once.
pub(super) async fn end(
    Args((end,)): Args<(wire::SupportEnd,)>,
    Extension(guest): Extension<Guest>,
    State(hub): State<Arc<Shared>>,
) -> Result<(), HubError> {
    hub.metrics.signalr_invoked(agent::NAME, Direction::In, 1);
    let session = guest.session().map_err(told)?;
    let id = end.session.parse().map_err(told)?;
    let ended = hub
        .core
        .support
        .device_ends(&session, &id, (&end.by, &end.why));
    ended.await.map_err(told)
}

/// The session, and the key that is said to open it.
fn opened_by(session: &str, key: &str) -> Result<(SupportId, Secret), Refusal> {
    let wrong = || Refusal::invalid("key", "base 64 with padding");
    Ok((
        session.parse()?,
        Secret::from_base64(key).ok_or_else(wrong)?,
    ))
}
