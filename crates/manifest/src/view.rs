//! Lanes as JSON: the stable form that programs read.

use schemars::JsonSchema;
use serde::Serialize;

use crate::document::flow::{Inspection, TrustKind};
use crate::document::product::Need;
use crate::lane::{Direction, Lane};
use crate::manifest::Manifest;
use crate::port::Transport;
use crate::selection::Selection;
use crate::text::Text;

/// The version of the JSON form. It grows only when a field changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// What stands for the newest version, when no version was asked for.
pub const NEWEST: &str = "newest";

/// The lanes of a product.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LanesView {
    /// Version of the JSON form.
    pub schema: u32,
    /// The product's id.
    pub product: String,
    /// The version asked for, or `newest`.
    pub version: String,
    /// The lanes, in the order of the manifest.
    pub lanes: Vec<LaneView>,
}

impl LanesView {
    /// The view of lanes that were expanded for a selection.
    pub fn new(manifest: &Manifest, selection: &Selection, lanes: &[Lane]) -> Self {
        Self {
            schema: SCHEMA,
            product: manifest.product().id.to_string(),
            version: selection
                .version
                .as_ref()
                .map_or_else(|| NEWEST.into(), ToString::to_string),
            lanes: lanes.iter().map(LaneView::from).collect(),
        }
    }
}

/// One lane.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LaneView {
    /// Id of its flow.
    pub flow: String,
    /// Id of the party that starts the conversation.
    pub from: String,
    /// Where it goes.
    pub to: ToView,
    /// `tcp`, `udp` or `icmp`.
    pub transport: Transport,
    /// First and last port; null for ICMP and where the document names none.
    pub ports: Option<[u16; 2]>,
    /// What is spoken.
    pub protocol: &'static str,
    /// How badly it is needed.
    pub need: Need,
    /// Which way it crosses the customer's border.
    pub direction: Direction,
    /// The oldest version of TLS allowed; null where none is stated or TLS has no part in it.
    pub tls_min: Option<&'static str>,
    /// Who vouches for the server's certificate, where it is stated.
    pub tls_trust: Option<TrustKind>,
    /// Whether it must be exempt from TLS inspection, where it is stated.
    pub tls_inspection: Option<Inspection>,
    /// The product versions that need it; null for all.
    pub versions: Option<String>,
    /// Ids of the flows that must work first.
    pub after: Vec<String>,
    /// Its rung in a fallback ladder; null where there is none.
    pub ladder: Option<LadderView>,
    /// The name in whose place this destination may be opened; null where there is none.
    pub alternative_to: Option<String>,
    /// The feature it belongs to; null where it belongs to the product as such.
    pub feature: Option<String>,
    /// What it is for, by language.
    pub why: Text,
    /// The manifest that it was imported from; null for the product's own.
    pub imported_from: Option<String>,
}

impl LaneView {
    /// Its ports in words: `443`, `10000-20000`, or nothing where there are none.
    pub fn port_words(&self) -> String {
        match self.ports {
            Some([low, high]) if low == high => low.to_string(),
            Some([low, high]) => format!("{low}-{high}"),
            None => String::new(),
        }
    }

    /// What carries it, its ports if there are any, and what is spoken: `tcp 443 https`.
    pub fn carriage(&self) -> String {
        let ports = self.port_words();
        let gap = if ports.is_empty() { "" } else { " " };
        format!("{}{gap}{ports} {}", self.transport, self.protocol)
    }
}

/// Where a lane goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ToView {
    /// `name`, `wildcard`, `address`, `network`, `party`, `dhcp`, `multicast` or `service-tag`.
    pub kind: &'static str,
    /// The name, address or id.
    pub value: String,
}

/// A place in a fallback ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LadderView {
    /// Id of the flow whose ladder it is.
    pub of: String,
    /// From 1, which is tried first.
    pub step: usize,
}

impl From<&Lane> for LaneView {
    fn from(lane: &Lane) -> Self {
        let tls = lane.tls.as_ref();
        Self {
            flow: lane.flow.to_string(),
            from: lane.from.to_string(),
            to: ToView {
                kind: lane.to.kind(),
                value: lane.to.value(),
            },
            transport: lane.transport,
            ports: lane.ports.map(|ports| [ports.low(), ports.high()]),
            protocol: lane.protocol.as_str(),
            need: lane.need,
            direction: lane.direction,
            tls_min: tls.and_then(|tls| tls.min).map(|min| min.as_str()),
            tls_trust: tls.and_then(|tls| tls.trust),
            tls_inspection: tls.and_then(|tls| tls.inspection),
            versions: lane.versions.as_ref().map(ToString::to_string),
            after: lane.after.iter().map(ToString::to_string).collect(),
            ladder: lane.ladder.as_ref().map(|rung| LadderView {
                of: rung.of.to_string(),
                step: rung.step,
            }),
            alternative_to: lane.alternative_to.clone(),
            feature: lane.feature.as_ref().map(ToString::to_string),
            why: lane.why.clone(),
            imported_from: lane
                .provenance
                .as_ref()
                .map(|from| from.product.to_string()),
        }
    }
}
