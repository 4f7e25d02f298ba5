//! What the device says, by a neighbour that has a way to the hub while this one has none: as its own,
//! sealed for the hub, and once.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use outgate_neighbours::{MemberId, SEAL_NONCE_BYTES, Seal, Way};
use outgate_signalr_client::Client;
use outgate_wire::agent::{Blob, HandedOn, Passed, RELAY, Relayed};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::device::Device;
use crate::lan::membership::{Membership, MembershipError};
use crate::lan::neighbours::{Neighbours, Relay, Unsaid};
use crate::queue::{Kind, MAX_BATCH, QueueError, Stretch, deliveries};
use crate::status::LinkState;

/// How often it is looked for a neighbour with a way while there is none, or none that took it.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long to wait at most after what was not handed on; twice as long each time.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// Why a neighbour did not hand something on.
#[derive(Debug, Error)]
enum NotHandedOn {
    #[error("the neighbour did not hand it on")]
    Neighbour(#[from] Unsaid),
    #[error("what came back is not from the hub")]
    NotTheHub,
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Membership(#[from] MembershipError),
    #[error("it cannot be sealed")]
    Unsealed,
}

/// Hands on what neighbours say, over whichever connection to the hub there is.
pub(crate) fn hand_on(current: watch::Receiver<Option<Client>>) -> Relay {
    Relay::new(
        move |asked: Vec<u8>| -> BoxFuture<'static, Option<Vec<u8>>> {
            let client = current.borrow().clone();
            Box::pin(async move {
                let relayed: Relayed = serde_json::from_slice(&asked).ok()?;
                let answer = client?.invoke::<Blob>(RELAY, (relayed,)).await;
                let answer = answer.inspect_err(|error| {
                    tracing::debug!(%error, "the hub does not take what a neighbour says");
                });
                answer.ok().map(|answer| answer.0)
            })
        },
    )
}

/// Has what waits go by a neighbour whenever the device's own link is down, for ever.
pub(crate) async fn carry(device: Device) {
    let Some(membership) = device.membership.clone() else {
        return std::future::pending().await;
    };
    let mut counter = 0;
    loop {
        let mut status = device.board.watch();
        let down = status.wait_for(|status| status.link.state != LinkState::Connected);
        if down.await.is_err() {
            // The board goes only with the agent.
            return std::future::pending().await;
        }
        let up = status.wait_for(|status| status.link.state == LinkState::Connected);
        tokio::select! {
            _ = up => {}
            never = send(&device, &membership, &mut counter) => match never {},
        }
    }
}

/// When something of a kind is sent again that was not handed on.
struct Pause {
    kind: Kind,
    until: Instant,
    wait: Duration,
}

impl Pause {
    fn none(kind: Kind) -> Self {
        Self {
            kind,
            until: Instant::now(),
            wait: LOOK_EVERY,
        }
    }

    fn longer(&mut self) {
        self.until = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(WAIT_MAX);
    }
}

/// Sends what waits, what matters most first, for ever. What is not taken of one kind does not keep it
/// from the other.
async fn send(device: &Device, membership: &Membership, counter: &mut i64) -> Infallible {
    let mut tally = device.queue.tally();
    let mut pauses = Kind::ALL.map(Pause::none);
    loop {
        tally.borrow_and_update();
        let neighbours = membership.running().borrow().clone();
        let way = match &neighbours {
            Some(neighbours) => neighbours.look(|member, now| member.way(now)).await,
            None => Ok(Way::None),
        };
        let (Some(neighbours), Ok(Way::Through(id))) = (neighbours, way) else {
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        };
        let mut sent = false;
        let now = Instant::now();
        for pause in pauses.iter_mut().filter(|pause| pause.until <= now) {
            let to = (&neighbours, &id);
            match send_through(device, membership, (to, pause.kind), counter).await {
                Ok(true) => {
                    *pause = Pause::none(pause.kind);
                    sent = true;
                    break;
                }
                Ok(false) => {}
                Err(error) => {
                    let error = crate::chain::chain(&error);
                    tracing::debug!(%id, error, "not handed on");
                    pause.longer();
                }
            }
        }
        if !sent {
            // Until there is more, or another way to look for.
            let _ = tokio::time::timeout(LOOK_EVERY, tally.changed()).await;
        }
    }
}

/// Sends what is next of a kind; tells whether there was anything.
async fn send_through(
    device: &Device,
    membership: &Membership,
    (to, kind): ((&Arc<Neighbours>, &MemberId), Kind),
    counter: &mut i64,
) -> Result<bool, NotHandedOn> {
    let batch = device.queue.batch_of(kind, MAX_BATCH).await?;
    for stretch in deliveries(&batch) {
        let mut reached = None;
        // Once more where the hub has counted further, as before the agent was started.
        for _ in 0..2 {
            *counter = (*counter + 1).max(millis());
            let handed = ask(membership, to, &stretch, *counter).await?;
            *counter = handed.counter.max(*counter);
            reached = handed.reached;
            if reached.is_some() {
                break;
            }
        }
        let reached = reached.ok_or(NotHandedOn::NotTheHub)?;
        device.queue.reached(&stretch, &reached).await?;
    }
    Ok(!batch.is_empty())
}

async fn ask(
    membership: &Membership,
    (neighbours, to): (&Arc<Neighbours>, &MemberId),
    stretch: &Stretch,
    counter: i64,
) -> Result<HandedOn, NotHandedOn> {
    let passed = Passed {
        counter,
        logs: match stretch.kind {
            Kind::Event => false,
            Kind::Log => true,
        },
        delivery: stretch.delivery.clone(),
    };
    let said = serde_json::to_vec(&passed).map_err(|_| NotHandedOn::Unsealed)?;
    let (seal, name): (Seal, String) = membership.seal().ok_or(NotHandedOn::Unsealed)?;
    let mut nonce = [0; SEAL_NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|_| NotHandedOn::Unsealed)?;
    let sealed = seal.ask(nonce, &said).ok_or(NotHandedOn::Unsealed)?;
    let relayed = Relayed {
        name,
        signature: Blob(membership.sign_relayed(&sealed)?.to_vec()),
        sealed: Blob(sealed),
    };
    let asked = serde_json::to_vec(&relayed).map_err(|_| NotHandedOn::Unsealed)?;
    let answer = neighbours.relay(to, asked).await?;
    let answer = seal.answered(&relayed.sealed.0, &answer);
    let answer = answer.ok_or(NotHandedOn::NotTheHub)?;
    serde_json::from_slice(&answer).map_err(|_| NotHandedOn::NotTheHub)
}

fn millis() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}
