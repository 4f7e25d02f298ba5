//! What Outgate's agents and the hub say to each other.
//!
//! What comes out of an agent's queue is kept once, however often it is sent, and in its order; a
//! command or call is told with everything that there is to know of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use outgate_core::Refusal;
use outgate_core::calls::{Answer, Call, DEADLINE};
use outgate_core::commands::{Command, Settlement};
use outgate_core::events::NewEvent;
use outgate_core::events::streams::Stretch;
use outgate_core::logs::NewLogs;
use outgate_core::sessions::Pass;
use outgate_signalr_server::{Args, Connection, Extension, HubError, InvokeError, State};
use outgate_wire::agent::{self as wire, Blob};
use outgate_wire::otlp::Encoding;
use outgate_wire::signed_time::key_text;
use serde_json::Value;

use super::guest::Guest;
use super::values::told;
use super::{Shared, VIA};
use crate::config::{Method, SignalRHub, SlowClients};
use crate::dialects::otlp;
use crate::metrics::Direction;

/// What the hub is called in metrics: no hub that is configured can be called so.
pub(super) const NAME: &str = "outgate-agent";

/// The most agents at a time.
const CONNECTIONS: u32 = 1_000_000;

/// How long a poll is held, in seconds: proxies often cut what is silent for longer.
const POLL_SECONDS: u32 = 55;

/// What waits for one agent at most: calls and commands are few at a time.
const WAITING: u32 = 256;
const WAITING_KIBIBYTES: u32 = 4_096;

/// For how long an agent may say nothing, in seconds: what the library bears.
const SILENCE_SECONDS: u32 = 30;

/// How many devices are taken back in a second. A handshake with TLS takes a third of a millisecond
/// of one core, and logging in a little more; the rest is for what they say then.
const BACK_A_SECOND: usize = 500;

/// The calls of one agent that are carried out at a time. It sends one delivery of a stream at a
/// time, and so keeps their order itself.
pub(super) const PARALLEL_CALLS: usize = 5;

/// When a command is told again that an agent could not take.
pub(super) const TOLD_AGAIN: Duration = Duration::from_secs(5);

/// The hub as it would be configured.
pub(super) fn settings() -> SignalRHub {
    SignalRHub {
        name: NAME.to_owned(),
        path: Some(wire::PATH.to_owned()),
        methods: BTreeMap::new(),
        others: Method::Refuse,
        slow_clients: SlowClients::Disconnect,
        connections: CONNECTIONS,
        message_bytes: u32::try_from(wire::MAX_MESSAGE).unwrap_or(u32::MAX),
        waiting: WAITING,
        waiting_kibibytes: WAITING_KIBIBYTES,
        poll_seconds: POLL_SECONDS,
        upstream: None,
    }
}

/// `Alive()`: that both ends hear each other, and what the hub wishes.
pub(super) async fn alive(State(hub): State<Arc<Shared>>) -> Result<wire::Alive, HubError> {
    hub.metrics.signalr_invoked(NAME, Direction::In, 1);
    let seconds = hub.core.sessions.count().div_ceil(BACK_A_SECOND).max(1);
    Ok(wire::Alive {
        now_millis: hub.core.clock.now().as_millis(),
        silence_seconds: SILENCE_SECONDS,
        spread_seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
    })
}

/// `SshAuthority()`: whose certificates count at this device's SSH.
pub(super) async fn ssh_authority(
    Extension(guest): Extension<Guest>,
    State(hub): State<Arc<Shared>>,
) -> Result<wire::SshAuthority, HubError> {
    hub.metrics.signalr_invoked(NAME, Direction::In, 1);
    let session = guest.session().map_err(told)?;
    let device = session.device().map_err(told)?;
    let authority = hub.core.identity.ssh_authority(device).map_err(told)?;
    Ok(wire::SshAuthority {
        authority: authority.to_string(),
    })
}

/// `TimeKey()`: by what the hub signs what time it is, for a device whose clock is too wrong for
/// certificates the next time.
pub(super) async fn time_key(State(hub): State<Arc<Shared>>) -> Result<String, HubError> {
    hub.metrics.signalr_invoked(NAME, Direction::In, 1);
    Ok(key_text(&hub.core.identity.time_key().public()))
}

/// `Report(patch, version)`: merges into what the device says of itself, unless that has another
/// version by now; the answer is the version then.
pub(super) async fn report(
    Args(arguments): Args<Vec<Value>>,
    Extension(guest): Extension<Guest>,
    State(hub): State<Arc<Shared>>,
) -> Result<Option<u64>, HubError> {
    hub.metrics.signalr_invoked(NAME, Direction::In, 1);
    let [patch, version @ ..] = &arguments[..] else {
        return Err(told(unread()));
    };
    let if_version = match version {
        [] => None,
        [version] => Some(version.as_u64().ok_or_else(|| told(unread()))?),
        [_, _, ..] => return Err(told(unread())),
    };
    let pass = guest.session().map_err(told)?.pass();
    let reporting = hub
        .core
        .twins
        .report_noting(pass, patch.clone(), if_version, None);
    match reporting.await {
        Ok(half) => Ok(Some(half.version)),
        Err(Refusal::Conflict { .. }) => Ok(None),
        Err(refusal) => Err(told(refusal)),
    }
}

fn unread() -> Refusal {
    Refusal::Invalid {
        field: "arguments".to_owned(),
        why: "a patch, and the version that it is for or none".to_owned(),
    }
}

/// `Deliver(delivery)`: keeps what is new of it. One that comes too soon after others waits for
/// its turn.
pub(super) async fn deliver(
    Args((delivery,)): Args<(wire::Delivery,)>,
    Extension(guest): Extension<Guest>,
    State(hub): State<Arc<Shared>>,
) -> Result<wire::Reached, HubError> {
    hub.metrics.signalr_invoked(NAME, Direction::In, 1);
    take_events(&hub, &|| Ok(guest.session()?.pass()), delivery).await
}

/// Keeps what is new of a delivery, by the right to act that there is then.
pub(super) async fn take_events(
    hub: &Shared,
    pass: &(dyn Fn() -> Result<Pass, Refusal> + Sync),
    delivery: wire::Delivery,
) -> Result<wire::Reached, HubError> {
    let stretch = stretch(delivery);
    let reached = loop {
        let pass = pass().map_err(told)?;
        match hub.core.events.append_stretch(pass, stretch.clone()).await {
            Err(Refusal::Limited { retry_after, .. }) => {
                tracing::trace!(dialect = VIA, "a delivery waits for its turn");
                tokio::time::sleep(retry_after).await;
            }
            kept => break kept.map_err(told)?,
        }
    };
    let refused = reached.refused.into_iter();
    let refused = refused.map(|(number, why)| wire::Refused { number, why });
    Ok(wire::Reached {
        place: reached.place,
        refused: refused.collect(),
    })
}

/// `Log(delivery)`: keeps what is logged. What no reader of OTLP could read is passed over.
pub(super) async fn log(
    Args((delivery,)): Args<(wire::Delivery,)>,
    Extension(guest): Extension<Guest>,
    State(hub): State<Arc<Shared>>,
) -> Result<wire::Reached, HubError> {
    hub.metrics.signalr_invoked(NAME, Direction::In, 1);
    take_logs(&hub, &|| Ok(guest.session()?.pass()), delivery).await
}

/// Keeps what is logged, by the right to act that there is then.
pub(super) async fn take_logs(
    hub: &Shared,
    pass: &(dyn Fn() -> Result<Pass, Refusal> + Sync),
    delivery: wire::Delivery,
) -> Result<wire::Reached, HubError> {
    let mut reached = wire::Reached {
        place: 0,
        refused: Vec::new(),
    };
    for entry in delivery.entries.into_iter().take(wire::MAX_ENTRIES) {
        match read_logs(entry.content_type, entry.payload).await? {
            Ok(logs) => match keep_logs(hub, pass, logs, reached.place == 0).await {
                Ok(()) => {}
                // What is kept is told, so that it does not come again.
                Err(_) if reached.place > 0 => return Ok(reached),
                Err(refusal) => return Err(told(refusal)),
            },
            Err(why) => reached.refused.push(wire::Refused {
                number: entry.number,
                why,
            }),
        }
        reached.place = entry.number;
    }
    Ok(reached)
}

/// Reads logs, or says why they are none.
async fn read_logs(
    content_type: String,
    payload: Blob,
) -> Result<Result<NewLogs, String>, HubError> {
    let Some(encoding) = Encoding::of(&content_type) else {
        return Ok(Err(
            "logs are application/x-protobuf or application/json".to_owned()
        ));
    };
    // Some milliseconds for the largest.
    let read = move || otlp::records(&payload.0, encoding);
    let read = tokio::task::spawn_blocking(read).await;
    let read = read.map_err(|_| told(Refusal::Internal("a reader of logs stopped")))?;
    Ok(read
        .map(|(logs, _)| logs)
        .map_err(|problem| problem.detail().to_owned()))
}

/// Keeps logs. Those that come too soon after others wait for their turn, if they may.
async fn keep_logs(
    hub: &Shared,
    pass: &(dyn Fn() -> Result<Pass, Refusal> + Sync),
    logs: NewLogs,
    may_wait: bool,
) -> Result<(), Refusal> {
    loop {
        match hub.core.logs.append(pass()?, logs.clone()).await {
            Err(Refusal::Limited { retry_after, .. }) if may_wait => {
                tokio::time::sleep(retry_after).await;
            }
            kept => return kept.map(drop),
        }
    }
}

fn stretch(delivery: wire::Delivery) -> Stretch {
    let entry = |entry: wire::Entry| {
        let event = NewEvent {
            name: entry.name,
            content_type: entry.content_type,
            properties: entry.properties,
            payload: entry.payload.0.into(),
        };
        (entry.number, event)
    };
    Stretch {
        stream: delivery.stream,
        entries: delivery.entries.into_iter().map(entry).collect(),
    }
}

/// Tells an agent of a command, and gives what it says has become of it.
pub(super) async fn command(
    hub: &Shared,
    connection: &Connection,
    command: &Command,
    patience: Duration,
) -> Result<Settlement, InvokeError> {
    hub.metrics.signalr_invoked(NAME, Direction::Out, 1);
    let told = wire::Command {
        id: command.id.to_string(),
        name: command.name.clone(),
        content_type: command.content_type.clone(),
        properties: command.properties.clone(),
        payload: blob(&command.payload),
        deliveries: command.deliveries,
        expires: command.expires.to_string(),
    };
    let settled = connection.invoke(wire::COMMAND, (told,), patience).await?;
    Ok(match settled {
        wire::Settlement::Completed => Settlement::Completed,
        wire::Settlement::Rejected => Settlement::Rejected,
        wire::Settlement::Abandoned => Settlement::Abandoned,
    })
}

/// Asks an agent.
pub(super) async fn call(
    hub: &Shared,
    connection: &Connection,
    call: &Call,
) -> Result<Answer, InvokeError> {
    hub.metrics.signalr_invoked(NAME, Direction::Out, 1);
    let asked = wire::Call {
        id: call.id.to_string(),
        method: call.method.clone(),
        content_type: call.content_type.clone(),
        payload: blob(&call.payload),
    };
    let answer: wire::Answer = connection
        .invoke(wire::CALL, (asked,), *DEADLINE.end())
        .await?;
    Ok(Answer {
        status: answer.status.into(),
        content_type: answer.content_type,
        payload: answer.payload.0.into(),
    })
}

fn blob(payload: &Bytes) -> Blob {
    Blob(payload.to_vec())
}
