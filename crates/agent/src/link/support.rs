//! The support channel: a connection of its own to the hub, over the first of several ports that
//! leads there, in the order that the manifest declares.
//!
//! A port counts when the hub has answered over it, not when it opens: what stands on ports 443 and 80
//! of a customer's network may be anything.

use outgate_manifest::{Id, Lane, Transport};
use outgate_signalr_client::{CallError, Client};
use outgate_wire::agent::{ALIVE, Alive};
use tokio::time::timeout;

use super::climb;
use super::driver::Plan;
use crate::chain::chain;

/// The most ports that are tried.
pub const PORTS_MAX: usize = 16;

/// The most characters of the reason why one does not lead to the hub.
const WHY_MAX: usize = 400;

/// Why a port over UDP is not tried.
const NO_QUIC: &str = "not tried: the agent has no QUIC";

/// One of the ports that are declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared {
    /// Over TCP.
    Tcp(u16),
    /// Over UDP: listed, and left out with the reason.
    Udp(u16),
}

/// The ports over which a flow goes, each once, in the order in which its ladder is climbed: at most
/// [`PORTS_MAX`].
#[must_use]
pub fn ports(lanes: &[Lane], flow: &Id) -> Vec<Declared> {
    let step = |lane: &Lane| lane.ladder.as_ref().map_or(1, |rung| rung.step);
    let mut lanes: Vec<&Lane> = lanes
        .iter()
        .filter(|lane| {
            let of = lane.ladder.as_ref().map_or(&lane.flow, |rung| &rung.of);
            of == flow
        })
        .collect();
    // The order within a step stays that of the manifest.
    lanes.sort_by_key(|lane| step(lane));
    let mut ports = Vec::new();
    for lane in lanes {
        let declared: fn(u16) -> Declared = match lane.transport {
            Transport::Tcp => Declared::Tcp,
            Transport::Udp => Declared::Udp,
            Transport::Icmp => continue,
        };
        let Some(range) = lane.ports else { continue };
        let all = (range.low()..=range.high()).map(declared);
        let room = PORTS_MAX - ports.len();
        let new: Vec<Declared> = all
            .filter(|port| !ports.contains(port))
            .take(room)
            .collect();
        ports.extend(new);
    }
    ports
}

/// The port of a URL, or that of its scheme.
#[must_use]
pub fn own(url: &str) -> Declared {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let given = authority.rsplit_once(':').map(|(_, port)| port.parse());
    let of_scheme = if scheme == "http" { 80 } else { 443 };
    Declared::Tcp(given.and_then(Result::ok).unwrap_or(of_scheme))
}

/// A support channel that is open.
#[derive(Debug)]
pub struct Support {
    /// The port that leads to the hub.
    pub port: u16,
    /// What was tried before, or left out, and why it does not lead there.
    pub tried: Vec<String>,
    /// The connection over it; it ends when the last clone is dropped.
    pub client: Client,
}

/// No port leads to the hub.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no port leads to the hub: {}", each(.tried))]
pub struct Unreachable {
    /// The ports that were tried, in order, and why each does not.
    pub tried: Vec<String>,
}

fn each(tried: &[String]) -> String {
    if tried.is_empty() {
        return "none is declared".to_owned();
    }
    tried.join("; ")
}

/// Opens the support channel to the host of the plan's hub. Each port has as long as the hub may take
/// for an answer ([`Settings::answer`](super::Settings::answer)): firewalls drop what they do not like,
/// and somebody waits for support.
///
/// # Errors
/// Why each of the ports does not lead to the hub.
pub async fn open(plan: &Plan, ports: &[Declared]) -> Result<Support, Unreachable> {
    let limit = plan.settings.answer;
    let mut tried = Vec::new();
    for declared in ports.iter().copied().take(PORTS_MAX) {
        let port = match declared {
            Declared::Tcp(port) => port,
            Declared::Udp(port) => {
                tried.push(format!("udp {port}: {NO_QUIC}"));
                continue;
            }
        };
        let opening = timeout(limit, open_at(plan, port)).await;
        let late = || Err(format!("the hub did not answer within {limit:?}"));
        match opening.unwrap_or_else(|_| late()) {
            Ok(client) => {
                return Ok(Support {
                    port,
                    tried,
                    client,
                });
            }
            Err(why) => tried.push(told(port, &why)),
        }
    }
    Err(Unreachable { tried })
}

/// Why a port does not lead to the hub, on one line.
fn told(port: u16, why: &str) -> String {
    let why = why.chars().filter(|sign| !sign.is_control());
    format!("tcp {port}: {}", why.take(WHY_MAX).collect::<String>())
}

async fn open_at(plan: &Plan, port: u16) -> Result<Client, String> {
    let hub = at(&plan.hub, port);
    let client = climb::client(plan, &hub, &plan.settings.transports)?;
    let started = client.start().await;
    started.map_err(|cause| chain(&cause))?;
    match client.invoke::<Alive>(ALIVE, ()).await {
        Ok(_) | Err(CallError::Hub { .. } | CallError::Read { .. }) => Ok(client),
        Err(error) => Err(chain(&error)),
    }
}

/// A URL with another port.
fn at(url: &str, port: u16) -> String {
    let start = url.find("://").map_or(0, |place| place + 3);
    let (scheme, rest) = url.split_at(start);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // The colons of an address of IPv6 stand in brackets.
    let host = match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        Some(_) | None => authority,
    };
    format!("{scheme}{host}:{port}{path}")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use outgate_manifest::{Library, Manifest, Selection, parse};

    use super::*;

    /// The shipped manifests.
    struct Shelf;

    impl Library for Shelf {
        fn find(&self, reference: &str) -> Result<Option<(String, String)>, String> {
            let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profiles");
            let file = format!("{reference}.yaml");
            let places = [profiles.join(&file), profiles.join("parts").join(&file)];
            let place = places.iter().find(|place| place.is_file());
            let text = place.map(fs::read_to_string).transpose();
            let text = text.map_err(|error| error.to_string())?;
            Ok(text.map(|text| (file, text)))
        }
    }

    fn lanes(id: &str) -> Vec<Lane> {
        let (name, text) = Shelf.find(id).unwrap().unwrap();
        let manifest: Manifest = parse(&name, &text, &Shelf).unwrap();
        manifest.lanes(&Selection::default()).unwrap()
    }

    #[test]
    fn the_ports_of_capitechs_support_are_tried_as_its_document_says() {
        let mut lanes = lanes("capitech");
        let flow = lanes
            .iter()
            .find_map(|lane| Some(lane.ladder.as_ref()?.of.clone()))
            .unwrap();
        let tcp = |declared: &Declared| matches!(declared, Declared::Tcp(_));
        let declared = ports(&lanes, &flow);
        assert!(declared[..2].contains(&Declared::Udp(5938)), "{declared:?}");
        let in_order = [5938, 443, 80].map(Declared::Tcp);
        let declared: Vec<_> = declared.into_iter().filter(tcp).collect();
        assert_eq!(declared, in_order);
        // However the lanes are listed.
        lanes.reverse();
        let declared: Vec<_> = ports(&lanes, &flow).into_iter().filter(tcp).collect();
        assert_eq!(declared, in_order);
        assert!(ports(&lanes, &"nobody-s".parse().unwrap()).is_empty());
    }

    #[test]
    fn a_url_has_the_port_that_it_names_or_that_of_its_scheme() {
        for (url, port) in [
            ("https://hub.example/agent", 443),
            ("https://hub.example:8443/agent", 8443),
            ("http://[::1]:99/agent?a=b:c", 99),
            ("http://[::1]", 80),
        ] {
            assert_eq!(own(url), Declared::Tcp(port), "{url}");
        }
    }

    #[test]
    fn a_url_gets_another_port_and_stays_the_same_otherwise() {
        for (url, wanted) in [
            ("https://hub.example/agent", "https://hub.example:80/agent"),
            (
                "https://hub.example:8443/agent",
                "https://hub.example:80/agent",
            ),
            ("http://[::1]:99/agent?a=b:c", "http://[::1]:80/agent?a=b:c"),
            ("http://[::1]", "http://[::1]:80"),
            ("https://hub.example?a=b", "https://hub.example:80?a=b"),
        ] {
            assert_eq!(at(url, 80), wanted);
        }
    }
}
