//! What an agent and the hub say about the device's neighbours.

use std::sync::Arc;
use std::time::Duration;

use outgate_core::Refusal;
use outgate_core::identity::{Neighbour, Place};
use outgate_signalr_server::{Args, Connection, Extension, HubError, State};
use outgate_wire::agent::{self as wire, Blob};

use super::guest::Guest;
use super::values::told;
use super::{Shared, agent};
use crate::metrics::Direction;

/// What is said through a neighbour comes over this.
const RELAYED: &str = "relay";

/// The most bytes of a proof; the right ones have 64.
const MAX_PROOF: usize = 64;

/// `Neighbours()`: how the device stands among them.
pub(super) async fn standing(
    Extension(guest): Extension<Guest>,
    State(hub): State<Arc<Shared>>,
) -> Result<wire::Standing, HubError> {
    hub.metrics.signalr_invoked(agent::NAME, Direction::In, 1);
    let pass = guest.session().map_err(told)?.pass();
    let found = hub.core.identity.neighbour(pass).await;
    found.map(shown).map_err(told)
}

/// `NeighbourKey(key)`: by which they are to know it.
pub(super) async fn key(
    Args((shown_key,)): Args<(wire::NeighbourKey,)>,
    Extension(guest): Extension<Guest>,
    State(hub): State<Arc<Shared>>,
) -> Result<wire::Standing, HubError> {
    hub.metrics.signalr_invoked(agent::NAME, Direction::In, 1);
    let pass = guest.session().map_err(told)?.pass();
    let key = <[u8; 32]>::try_from(shown_key.key.0);
    let key = key.map_err(|_| told(Refusal::invalid("key", "32 bytes")))?;
    let proof = shown_key.proof.0;
    if proof.len() > MAX_PROOF {
        return Err(told(Refusal::invalid("proof", "64 bytes")));
    }
    let set = hub.core.identity.set_neighbour_key(pass, key, proof).await;
    set.map(shown).map_err(told)
}

/// How long the hub may take for what a neighbour hands on.
const TAKEN_WITHIN: Duration = Duration::from_secs(20);

/// `Relay(relayed)`: what a neighbour of the device says through it, which is that one's own.
pub(super) async fn relay(
    Args((relayed,)): Args<(wire::Relayed,)>,
    Extension(guest): Extension<Guest>,
    State(hub): State<Arc<Shared>>,
) -> Result<Blob, HubError> {
    hub.metrics.signalr_invoked(agent::NAME, Direction::In, 1);
    let by = guest.session().map_err(told)?.pass();
    let (sealed, signature) = (relayed.sealed.0, relayed.signature.0);
    let identity = &hub.core.identity;
    let heard = identity.relayed(by, relayed.name, sealed, signature).await;
    let heard = heard.map_err(told)?;
    let passed: wire::Passed = serde_json::from_slice(&heard.said)
        .map_err(|_| told(Refusal::invalid("sealed", "what a device says, in JSON")))?;
    let counted = identity.count_relayed(&heard, passed.counter).await;
    let handed = match counted.map_err(told)? {
        Ok(()) => {
            let pass = hub.core.stand_in(&heard.credential, RELAYED).await;
            let pass = pass.map_err(told)?;
            let pass = || Ok(pass.clone());
            let taking = async {
                match passed.logs {
                    true => agent::take_logs(&hub, &pass, passed.delivery).await,
                    false => agent::take_events(&hub, &pass, passed.delivery).await,
                }
            };
            // Whoever says too much waits at home, and not in the place of others.
            let taken = tokio::time::timeout(TAKEN_WITHIN, taking).await;
            let reached = taken.map_err(|_| {
                told(Refusal::Limited {
                    what: "what neighbours hand on",
                    retry_after: TAKEN_WITHIN,
                })
            })??;
            wire::HandedOn {
                counter: passed.counter,
                reached: Some(reached),
            }
        }
        Err(counter) => wire::HandedOn {
            counter,
            reached: None,
        },
    };
    let said = serde_json::to_vec(&handed)
        .map_err(|_| told(Refusal::Internal("an answer cannot be written")))?;
    heard.answer(&said).map(Blob).map_err(told)
}

/// Tells an agent its roster.
pub(super) fn tell(connection: &Connection, place: Place) {
    // Who has gone asks when it comes again.
    let _ = connection.send(wire::ROSTER, (Blob(place.roster),));
}

fn shown(neighbour: Neighbour) -> wire::Standing {
    wire::Standing {
        site: neighbour.site.to_string(),
        device: neighbour.device.to_string(),
        place: neighbour.place.map(|place| wire::Place {
            name: place.name,
            key: Blob(place.key.to_vec()),
            site_key: Blob(place.site_key.to_vec()),
            roster: Blob(place.roster),
            seal: Blob(place.seal.expose().to_vec()),
        }),
    }
}
