//! From what waits to what the hub is told, and back.

use outgate_wire::agent::{self, Blob, Delivery};
use time::format_description::well_known::Rfc3339;

use super::entry::{Kind, Priority, Said, Waiting};

/// The named text that tells the hub when an event was said, as RFC 3339 has it, if the device
/// knows. One of that name that the event has already stays.
pub const SAID: &str = "said";

/// Entries that matter as much, in their order, as the hub is told of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// How much they matter.
    pub priority: Priority,
    /// What the hub is told. Its stream is of this queue and this priority.
    pub delivery: Delivery,
}

/// The events of a batch, as the hub is told of them. Each stretch is to be answered before the
/// next one of its stream is sent.
#[must_use]
pub fn deliveries(batch: &[Waiting]) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let events = batch.iter();
    for waiting in events.filter(|waiting| waiting.entry.kind == Kind::Event) {
        let priority = waiting.entry.priority;
        match stretches.last_mut() {
            Some(last) if last.priority == priority => last.delivery.entries.push(entry(waiting)),
            Some(_) | None => stretches.push(Stretch {
                priority,
                delivery: Delivery {
                    stream: waiting.id.stream(),
                    entries: vec![entry(waiting)],
                },
            }),
        }
    }
    stretches
}

fn entry(waiting: &Waiting) -> agent::Entry {
    let entry = &waiting.entry;
    let mut properties = entry.properties.clone();
    if let Said::Known(said) | Said::Reckoned(said) = waiting.said
        && let Ok(said) = said.format(&Rfc3339)
    {
        properties.entry(SAID.to_owned()).or_insert(said);
    }
    agent::Entry {
        number: waiting.id.position.number,
        name: entry.name.clone(),
        content_type: entry.content_type.clone(),
        properties,
        payload: Blob(entry.payload.to_vec()),
    }
}
