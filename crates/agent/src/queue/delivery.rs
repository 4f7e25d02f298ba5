//! From what waits to what the hub is told, and back.

use outgate_wire::agent::{self, Blob, Delivery};
use time::format_description::well_known::Rfc3339;

use super::entry::{Kind, MAX_PROPERTIES, MAX_PROPERTIES_BYTES, Priority, Said, Waiting};

/// The named text that tells the hub when an event was said, as RFC 3339 has it, if the device
/// knows. One of that name that the event has already stays.
pub const SAID: &str = "said";

/// Entries of one kind that matter as much, in their order, as the hub is told of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// What they are to the hub.
    pub kind: Kind,
    /// How much they matter.
    pub priority: Priority,
    /// What the hub is told. Its stream is of this queue and this priority.
    pub delivery: Delivery,
}

/// A batch as the hub is told of it. Each stretch is to be answered before the next one of its stream
/// is sent.
#[must_use]
pub fn deliveries(batch: &[Waiting]) -> Vec<Stretch> {
    let what = |waiting: &Waiting| (waiting.entry.kind, waiting.entry.priority);
    let stretches = batch.chunk_by(|one, next| what(one) == what(next));
    let stretches = stretches.filter_map(|stretch| {
        let first = stretch.first()?;
        let (kind, priority) = what(first);
        Some(Stretch {
            kind,
            priority,
            delivery: Delivery {
                stream: first.id.stream(),
                entries: stretch.iter().map(entry).collect(),
            },
        })
    });
    stretches.collect()
}

fn entry(waiting: &Waiting) -> agent::Entry {
    let entry = &waiting.entry;
    let mut properties = entry.properties.clone();
    let bytes: usize = properties
        .iter()
        .map(|(name, text)| name.len() + text.len())
        .sum();
    if let Said::Known(said) | Said::Reckoned(said) = waiting.said
        && let Ok(said) = said.format(&Rfc3339)
        // Better undated than refused.
        && properties.len() < MAX_PROPERTIES
        && bytes + SAID.len() + said.len() <= MAX_PROPERTIES_BYTES
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
