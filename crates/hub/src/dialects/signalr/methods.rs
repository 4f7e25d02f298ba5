//! What devices may call.

use std::collections::BTreeMap;
use std::sync::Arc;

use outgate_core::Refusal;
use outgate_core::events::NewEvent;
use outgate_core::twin::Half;
use outgate_signalr_server::{
    Args, Connection, Extension, HubError, InvocationId, RawArgs, State, Target,
};
use serde_json::{Value, json};

use super::guest::Guest;
use super::values::{self, told};
use super::{Shared, VIA};
use crate::config::Method;
use crate::metrics::Direction;

/// `twin()`: both halves of the device's twin.
pub(super) async fn twin(
    Extension(guest): Extension<Guest>,
    State(hub): State<Arc<Shared>>,
) -> Result<Value, HubError> {
    let session = guest.session().map_err(told)?;
    let twin = hub.core.twins.own(&session).await.map_err(told)?;
    Ok(json!({ "desired": half(&twin.desired), "reported": half(&twin.reported) }))
}

fn half(half: &Half) -> Value {
    json!({ "version": half.version, "document": half.document })
}

/// `report(patch)`: merges into what the device says of itself; the answer is the version then.
pub(super) async fn report(
    Args((patch,)): Args<(Value,)>,
    Extension(guest): Extension<Guest>,
    State(hub): State<Arc<Shared>>,
) -> Result<u64, HubError> {
    let pass = guest.session().map_err(told)?.pass();
    let reported = hub.core.twins.report_noting(pass, patch, None, None).await;
    Ok(reported.map_err(told)?.version)
}

/// Everything else, as the configuration has it.
pub(super) async fn any_other(
    connection: Connection,
    Target(target): Target,
    InvocationId(id): InvocationId,
    RawArgs(arguments): RawArgs,
    Extension(guest): Extension<Guest>,
    State(hub): State<Arc<Shared>>,
) -> Result<Value, HubError> {
    let name = &hub.settings.name;
    hub.metrics.signalr_invoked(name, Direction::In, 1);
    match (hub.method(&target), &hub.upstream) {
        (Method::Upstream, Some(upstream)) => {
            let call = (id, target.as_str());
            upstream
                .invoke(connection.id(), &guest, call, arguments)
                .await
        }
        (Method::Refuse | Method::Upstream, _) => Err(HubError::new("Method does not exist.")),
        (Method::Event, _) if !guest.is_device() => {
            Err(HubError::new("only what devices say is kept as an event"))
        }
        (Method::Event, _) => {
            let event = NewEvent {
                name: target,
                content_type: values::JSON.to_owned(),
                properties: BTreeMap::new(),
                payload: values::payload_of(arguments),
            };
            keep(&hub, &guest, event).await.map_err(told)?;
            Ok(Value::Null)
        }
    }
}

/// Keeps an event. One that comes too soon after others waits for its turn, and so do the calls
/// that come after it over the same connection.
async fn keep(hub: &Shared, guest: &Guest, event: NewEvent) -> Result<(), Refusal> {
    loop {
        let pass = guest.session()?.pass();
        let kept = hub.core.events.append_noting(pass, event.clone(), None);
        match kept.await {
            Err(Refusal::Limited { retry_after, .. }) => {
                tracing::trace!(dialect = VIA, "an event waits for its turn");
                tokio::time::sleep(retry_after).await;
            }
            kept => return kept.map(drop),
        }
    }
}
