//! What is said over a connection to the hub, whichever it is: what waits on disk goes up, what the
//! hub wants comes down, both halves of the twin are compared.

use std::convert::Infallible;
use std::time::Duration;

use outgate_signalr_client::{CallError, Client, State};
use outgate_wire::agent::{
    ALIVE, Alive, Answer, Blob, CALL, COMMAND, Call, Command, DELIVER, DESIRED, LOG, NEIGHBOUR_KEY,
    NEIGHBOURS, REPORT, ROSTER, Reached, SUPPORT, Settlement, Standing, TIME_KEY, TWIN,
};
use serde_json::Value;
use thiserror::Error;
use time::OffsetDateTime;
use tokio::sync::{oneshot, watch};

use crate::chain::chain;
use crate::clock::Keeper;
use crate::device::Device;
use crate::lan::membership::MembershipError;
use crate::queue::{Kind, MAX_BATCH, QueueError, deliveries};
use crate::twin::{Halves, Twin, TwinError};

/// How long it is waited after the hub did not take something; it doubles.
const AGAIN_FIRST: Duration = Duration::from_secs(2);
/// The longest that it is waited.
const AGAIN_MAX: Duration = Duration::from_secs(300);

/// How long it is waited before a command is given back for which there is no room.
const ROOM_AFTER: Duration = Duration::from_secs(5);
/// The longest that anybody waits for the answer to a call at the hub.
const CALL_LASTS: Duration = Duration::from_secs(300);

/// How often the hub is asked who the neighbours are, though it tells of changes by itself.
const STANDING_EVERY: Duration = Duration::from_secs(6 * 60 * 60);

/// How often the hub is asked what time it has.
const TIME_EVERY: Duration = Duration::from_secs(60 * 60);
/// To what it tells it.
const ROUNDED: Duration = Duration::from_millis(1);
/// How soon it must answer to be believed.
const TIME_SOON: Duration = Duration::from_secs(2);

/// Has everything handled that the hub may call.
pub fn listen(client: &Client, device: &Device) {
    let (its, states) = (device.clone(), client.state());
    client.answer(COMMAND, move |(command,): (Command,)| {
        let (settled, states) = (its.inbox.command(command), states.clone());
        async move {
            let settled = match unless_over(states, settled).await {
                Some(settled) => settled,
                None => {
                    // There is no room for it now.
                    tokio::time::sleep(ROOM_AFTER).await;
                    Settlement::Abandoned
                }
            };
            Ok::<_, Infallible>(settled)
        }
    });
    let (its, states) = (device.clone(), client.state());
    client.answer(CALL, move |(call,): (Call,)| {
        let answered = if call.method == SUPPORT {
            supported(&its, &call)
        } else {
            its.inbox.call(call)
        };
        let states = states.clone();
        async move {
            let answer = tokio::time::timeout(CALL_LASTS, unless_over(states, answered));
            Ok::<_, Infallible>(answer.await.ok().flatten().unwrap_or_else(no_room))
        }
    });
    let its = device.clone();
    client.on(DESIRED, move |(version, document): (u64, Value)| {
        let device = its.clone();
        async move {
            if let Err(error) = device.twin.desired(version, document) {
                note(&device, "twin", &error);
            }
        }
    });
    if let Some(membership) = device.membership.clone() {
        let its = device.clone();
        client.on(ROSTER, move |(roster,): (Blob,)| {
            let (device, membership) = (its.clone(), membership.clone());
            async move {
                if let Err(error) = membership.take_roster(roster) {
                    note(&device, "neighbours", &error);
                }
            }
        });
    }
}

/// What is received, unless nobody sends it or the connection is over before: then nobody waits for
/// it any more.
async fn unless_over<T>(
    mut states: watch::Receiver<State>,
    received: oneshot::Receiver<T>,
) -> Option<T> {
    tokio::select! {
        received = received => received.ok(),
        _ = states.wait_for(State::is_over) => None,
    }
}

/// The answer to the hub's question for a session of remote support.
fn supported(device: &Device, call: &Call) -> oneshot::Receiver<Answer> {
    let answer = match &device.support {
        Some(desk) => desk.on_call(call),
        None => Answer {
            status: 403,
            content_type: "text/plain".to_owned(),
            payload: Blob(b"the device's configuration has no remote support".to_vec()),
        },
    };
    let (tell, told) = oneshot::channel();
    // The receiver is here.
    let _ = tell.send(answer);
    told
}

fn no_room() -> Answer {
    Answer {
        status: 503,
        content_type: "text/plain".to_owned(),
        payload: Blob(b"the device's software does not answer".to_vec()),
    }
}

/// Speaks over whichever connection carries everything, for as long as there may be one; `clock` is
/// told what time the hub has.
pub async fn carry(mut current: watch::Receiver<Option<Client>>, device: &Device, clock: &Keeper) {
    loop {
        let client = current.borrow_and_update().clone();
        let speaking = async {
            if let Some(client) = client {
                converse(&client, device, clock).await;
            }
            // There is another one, or none, as soon as the link has seen that this one is over.
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            changed = current.changed() => if changed.is_err() { return },
            never = speaking => match never {},
        }
    }
}

/// Speaks over a connection until it is over.
async fn converse(client: &Client, device: &Device, clock: &Keeper) {
    // Before anything else is said, so that the hub is told when it was.
    let told = ask_time(client, clock).await;
    let told = told.unwrap_or_else(|error| {
        tracing::debug!(%error, "the hub does not say what time it has");
        false
    });
    match client.invoke::<String>(TIME_KEY, ()).await {
        Ok(key) => clock.on_hub_key(&key),
        // One of an older version has none.
        Err(error) => tracing::debug!(%error, "the hub does not say by what it signs the time"),
    }
    let wait = if told { TIME_EVERY } else { AGAIN_FIRST };
    let events = watch::Sender::new(Events::Waiting);
    tokio::join!(
        until_over(device, "queue", || say(client, device, &events)),
        until_over(device, "queue", || log(client, device, events.subscribe())),
        until_over(device, "twin", || compare(client, device)),
        until_over(device, "clock", || keep_time(client, clock, wait)),
        until_over(device, "neighbours", || meet(client, device)),
    );
}

/// Asks the hub again and again what time it has, for ever.
async fn keep_time(
    client: &Client,
    clock: &Keeper,
    mut wait: Duration,
) -> Result<Infallible, Stopped> {
    loop {
        tokio::time::sleep(wait).await;
        let told = ask_time(client, clock).await?;
        wait = if told {
            TIME_EVERY
        } else {
            (wait * 2).min(TIME_EVERY)
        };
    }
}

/// Asks the hub what time it has, and believes it when the answer comes soon; tells whether it did.
async fn ask_time(client: &Client, clock: &Keeper) -> Result<bool, CallError> {
    let asked = tokio::time::Instant::now();
    let alive: Alive = client.invoke(ALIVE, ()).await?;
    let took = asked.elapsed();
    let nanos = i128::from(alive.now_millis) * 1_000_000;
    let hub = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
    let Some(now) = hub.and_then(|hub| hub.checked_add((took / 2).try_into().ok()?)) else {
        return Ok(false);
    };
    if took > TIME_SOON {
        return Ok(false);
    }
    Ok(clock.hub(now, took / 2 + ROUNDED))
}

/// Why something did not go on.
#[derive(Debug, Error)]
enum Stopped {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Twin(#[from] TwinError),
    #[error(transparent)]
    Neighbours(#[from] MembershipError),
}

/// Does something again and again while the hub, or the disk, does not take it, with ever longer
/// waits; until the connection is over.
async fn until_over<F>(device: &Device, part: &'static str, mut work: impl FnMut() -> F)
where
    F: Future<Output = Result<Infallible, Stopped>>,
{
    let mut wait = AGAIN_FIRST;
    loop {
        let began = tokio::time::Instant::now();
        match work().await {
            Ok(never) => match never {},
            Err(Stopped::Call(error @ (CallError::NotConnected | CallError::Lost))) => {
                tracing::debug!(%error, part, "the connection is over");
                return;
            }
            Err(error) => note(device, part, &error),
        }
        if began.elapsed() > AGAIN_MAX {
            wait = AGAIN_FIRST;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(AGAIN_MAX);
    }
}

fn note(device: &Device, part: &'static str, error: &(dyn std::error::Error + 'static)) {
    let text = chain(error);
    tracing::warn!(
        part,
        error = text,
        "the hub or the disk did not take something"
    );
    device.board.note(part, text);
}

/// Whether there are events for the hub that it may take now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Events {
    /// There are, or there may be.
    Waiting,
    /// There are none, or it does not take them.
    None,
}

/// Sends the events that wait, what matters most first, for ever.
async fn say(
    client: &Client,
    device: &Device,
    events: &watch::Sender<Events>,
) -> Result<Infallible, Stopped> {
    let mut tally = device.queue.tally();
    loop {
        tally.borrow_and_update();
        events.send_replace(Events::Waiting);
        let sent = send(client, device, Kind::Event).await;
        if !matches!(sent, Ok(true)) {
            events.send_replace(Events::None);
        }
        if !sent? {
            // The queue goes only with the device.
            let _ = tally.changed().await;
        }
    }
}

/// Sends the logs that wait whenever there are no events, for ever. A hub that does not take them, or
/// not so soon, has the events all the same.
async fn log(
    client: &Client,
    device: &Device,
    mut events: watch::Receiver<Events>,
) -> Result<Infallible, Stopped> {
    let mut tally = device.queue.tally();
    loop {
        tally.borrow_and_update();
        // Whoever says whether there are any goes only with this.
        let _ = events.wait_for(|events| *events == Events::None).await;
        if !send(client, device, Kind::Log).await? {
            let _ = tally.changed().await;
        }
    }
}

/// Sends what is next of a kind; tells whether there was anything.
async fn send(client: &Client, device: &Device, kind: Kind) -> Result<bool, Stopped> {
    let queue = &device.queue;
    let batch = queue.batch_of(kind, MAX_BATCH).await?;
    let method = match kind {
        Kind::Event => DELIVER,
        Kind::Log => LOG,
    };
    for stretch in deliveries(&batch) {
        let reached: Reached = client.invoke(method, (&stretch.delivery,)).await?;
        for refused in &reached.refused {
            note(device, "queue", &NeverTaken(refused.why.clone()));
        }
        queue.reached(&stretch, &reached).await?;
    }
    Ok(!batch.is_empty())
}

/// Something that the hub will never take.
#[derive(Debug, Error)]
#[error("the hub will never take something: {0}")]
struct NeverTaken(String);

/// Compares the twin with the hub's, and tells it what the device says of itself, for ever.
async fn compare(client: &Client, device: &Device) -> Result<Infallible, Stopped> {
    let twin = &device.twin;
    let mut said = twin.said();
    ask_twin(client, twin).await?;
    loop {
        said.borrow_and_update();
        while let Some(unheard) = twin.unheard() {
            let (patch, version) = (unheard.patch.clone(), unheard.version);
            match client.invoke(REPORT, (patch, version)).await? {
                Some(version) => twin.heard(unheard, version)?,
                // What was said over another connection has come meanwhile.
                None => ask_twin(client, twin).await?,
            }
        }
        // The twin goes only with the device.
        let _ = said.changed().await;
    }
}

/// Asks the hub what it has.
async fn ask_twin(client: &Client, twin: &Twin) -> Result<(), Stopped> {
    let asked = twin.told();
    let hub: Halves = client.invoke(TWIN, ()).await?;
    Ok(twin.compare(hub, asked)?)
}

/// Asks where the device stands among its neighbours, and shows its key where the hub does not know
/// it; again and again, for ever.
async fn meet(client: &Client, device: &Device) -> Result<Infallible, Stopped> {
    let Some(membership) = &device.membership else {
        return std::future::pending().await;
    };
    loop {
        let mut standing: Standing = client.invoke(NEIGHBOURS, ()).await?;
        if let Some(key) = membership.to_show(&standing)? {
            standing = client.invoke(NEIGHBOUR_KEY, (key,)).await?;
        }
        membership.take(standing)?;
        tokio::time::sleep(STANDING_EVERY).await;
    }
}
