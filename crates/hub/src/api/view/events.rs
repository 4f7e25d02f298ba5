//! Events and those who take them, and the audit log.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use outgate_core::{Timestamp, audit, consumers, events};

use crate::api::view::Payload;

/// What a device said.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Event {
    /// Its place: goes up with each event of the hub, never twice the same.
    #[schema(example = 1042)]
    pub(crate) place: u64,
    /// Who said it.
    #[schema(example = "till-7")]
    device: String,
    /// Where that device stood.
    #[schema(example = "store-12")]
    site: String,
    /// What it is about.
    #[schema(example = "door/opened")]
    name: String,
    /// A media type, or empty.
    #[schema(example = "application/json")]
    content_type: String,
    /// Named texts beside the payload.
    properties: BTreeMap<String, String>,
    /// When the hub took it.
    #[schema(value_type = String, format = DateTime)]
    received: Timestamp,
    #[serde(flatten)]
    payload: Payload,
}

impl From<events::Event> for Event {
    fn from(event: events::Event) -> Self {
        Self {
            payload: Payload::new(&event.content_type, &event.payload),
            place: event.seq,
            device: event.device.into(),
            site: event.site.into(),
            name: event.name,
            content_type: event.content_type,
            properties: event.properties,
            received: event.received,
        }
    }
}

/// Events in the order of their places, and where to go on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventList {
    /// The events.
    pub(crate) items: Vec<Event>,
    /// The place up to which all has been looked at: what to ask `after` next.
    #[schema(example = 1042)]
    pub(crate) next: u64,
}

impl From<events::Taken> for EventList {
    fn from(taken: events::Taken) -> Self {
        Self {
            items: taken.events.into_iter().map(Event::from).collect(),
            next: taken.next,
        }
    }
}

/// Somebody who takes events and has a place of their own among them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Consumer {
    /// Its name.
    #[schema(example = "billing")]
    pub(crate) id: String,
    /// All events up to this place have been taken.
    #[schema(example = 1042)]
    pub(crate) place: u64,
    /// How many places the newest event is beyond that.
    behind: u64,
    /// Since when it has not moved on, while there is more; now, when there is no more.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) moved: Timestamp,
}

impl Consumer {
    /// A consumer under the name by which the asker knows it.
    pub(crate) fn named(id: String, consumer: &consumers::Consumer) -> Self {
        Self {
            id,
            place: consumer.place,
            behind: consumer.behind,
            moved: consumer.moved,
        }
    }
}

/// Something that was done, and by whom.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEntry {
    /// Its place, from 1 without gaps.
    seq: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who: an operator's name, `hub`, or `device/NAME` for an enrolment.
    #[schema(example = "anna")]
    who: String,
    /// From where, if over the network.
    from: Option<String>,
    /// What.
    #[schema(example = "device.revoke")]
    act: String,
    /// On what.
    #[schema(example = "device/till-7")]
    on: String,
    /// More.
    #[schema(value_type = Object)]
    detail: serde_json::Value,
    /// SHA-256 over the digest of the entry before and this entry, in hexadecimal.
    digest: String,
}

impl From<audit::Entry> for AuditEntry {
    fn from(entry: audit::Entry) -> Self {
        Self {
            seq: entry.seq,
            at: entry.at,
            who: entry.who,
            from: entry.from,
            act: entry.act,
            on: entry.on,
            detail: entry.detail,
            digest: entry.digest,
        }
    }
}

/// Whether the chain of the audit log holds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case", tag = "chain")]
pub(crate) enum Chain {
    /// Every entry follows from the one before.
    Whole {
        /// How many there are.
        entries: u64,
        /// The digest of the newest, to be noted elsewhere.
        head: String,
    },
    /// It does not.
    Broken {
        /// The first entry that does not follow.
        at: u64,
    },
}

impl From<audit::Verified> for Chain {
    fn from(verified: audit::Verified) -> Self {
        match verified {
            audit::Verified::Whole { entries, head } => Self::Whole { entries, head },
            audit::Verified::Broken { at } => Self::Broken { at },
        }
    }
}
