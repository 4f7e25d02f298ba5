//! What is said over a connection to the hub, whichever it is: what waits on disk goes up, what the
//! hub wants comes down, both halves of the twin are compared.

use std::convert::Infallible;
use std::time::Duration;

use outgate_signalr_client::{CallError, Client};
use outgate_wire::agent::{
    Answer, Blob, CALL, COMMAND, Call, Command, DELIVER, DESIRED, LOG, REPORT, Reached, Settlement,
    TWIN,
};
use serde_json::Value;
use thiserror::Error;
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::device::Device;
use crate::queue::{Kind, MAX_BATCH, QueueError, deliveries};
use crate::status::Trouble;
use crate::twin::{Halves, TwinError};

/// How long it is waited after the hub did not take something; it doubles.
const AGAIN_FIRST: Duration = Duration::from_secs(2);
/// The longest that it is waited.
const AGAIN_MAX: Duration = Duration::from_secs(300);

/// Has everything handled that the hub may call.
pub fn listen(client: &Client, device: &Device) {
    let its = device.clone();
    client.answer(COMMAND, move |(command,): (Command,)| {
        let settled = its.inbox.command(command);
        async move {
            // Without room for it, it is to come again.
            Ok::<_, Infallible>(settled.await.unwrap_or(Settlement::Abandoned))
        }
    });
    let its = device.clone();
    client.answer(CALL, move |(call,): (Call,)| {
        let answered = its.inbox.call(call);
        async move { Ok::<_, Infallible>(answered.await.unwrap_or_else(|_| no_room())) }
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
}

fn no_room() -> Answer {
    Answer {
        status: 503,
        content_type: "text/plain".to_owned(),
        payload: Blob(b"too many calls wait for the device's software".to_vec()),
    }
}

/// Speaks over whichever connection carries everything, for as long as there may be one.
pub async fn carry(mut current: watch::Receiver<Option<Client>>, device: &Device) {
    loop {
        let client = current.borrow_and_update().clone();
        let speaking = async {
            if let Some(client) = client {
                converse(&client, device).await;
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
async fn converse(client: &Client, device: &Device) {
    tokio::join!(
        until_over(device, "queue", || send(client, device)),
        until_over(device, "twin", || compare(client, device)),
    );
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
            Err(Stopped::Call(error)) if !is_hubs(&error) => {
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

/// Whether the hub has answered, and said no.
fn is_hubs(error: &CallError) -> bool {
    matches!(error, CallError::Hub { .. } | CallError::Read { .. })
}

fn note(device: &Device, part: &'static str, error: &(dyn std::error::Error + 'static)) {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    tracing::warn!(
        part,
        error = text,
        "the hub or the disk did not take something"
    );
    device.board.trouble(Trouble {
        at: OffsetDateTime::now_utc(),
        part,
        text,
        cause: None,
    });
}

/// Sends what waits, what matters most first, for ever.
async fn send(client: &Client, device: &Device) -> Result<Infallible, Stopped> {
    let queue = &device.queue;
    let mut tally = queue.tally();
    loop {
        tally.borrow_and_update();
        let batch = queue.batch(MAX_BATCH).await?;
        if batch.is_empty() {
            // The queue goes only with the device.
            let _ = tally.changed().await;
            continue;
        }
        for stretch in deliveries(&batch) {
            let method = match stretch.kind {
                Kind::Event => DELIVER,
                Kind::Log => LOG,
            };
            let reached: Reached = client.invoke(method, (&stretch.delivery,)).await?;
            for refused in &reached.refused {
                note(device, "queue", &NeverTaken(refused.why.clone()));
            }
            queue.reached(&stretch, &reached).await?;
        }
    }
}

/// Something that the hub will never take.
#[derive(Debug, Error)]
#[error("the hub will never take something: {0}")]
struct NeverTaken(String);

/// Compares the twin with the hub's, and tells it what the device says of itself, for ever.
async fn compare(client: &Client, device: &Device) -> Result<Infallible, Stopped> {
    let twin = &device.twin;
    let mut said = twin.said();
    let hub: Halves = client.invoke(TWIN, ()).await?;
    twin.compare(hub)?;
    loop {
        said.borrow_and_update();
        while let Some(unheard) = twin.unheard() {
            let version = client.invoke(REPORT, (unheard.patch.clone(),)).await?;
            twin.heard(unheard, version)?;
        }
        // The twin goes only with the device.
        let _ = said.changed().await;
    }
}
