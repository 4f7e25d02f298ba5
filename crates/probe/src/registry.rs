//! Which probe exercises which protocol. A new probe is one file and one line here.

use futures_util::future::BoxFuture;

use crate::{
    ask::Ask,
    evidence::Finding,
    path::Path,
    probes::{
        dhcp::Dhcp,
        dns::Dns,
        events::ServerSentEvents,
        http::{Http, Https},
        icmp::IcmpEcho,
        ldap::{Ldap, Ldaps},
        llmnr::Llmnr,
        mdns::Mdns,
        mqtt::{Mqtt, MqttWss, Mqtts},
        ntp::Ntp,
        polling::LongPolling,
        rtp::Rtp,
        signalr::SignalR,
        sip::{Sip, Sips},
        ssh::Ssh,
        stun::{Stun, Stuns},
        tcp::Tcp,
        tls::Tls,
        websocket::{Ws, Wss},
        xmpp::Xmpp,
    },
};

/// One way to exercise lanes.
pub trait Probe: Send + Sync {
    /// The protocol ids it exercises.
    fn protocols(&self) -> &'static [&'static str];

    /// What [`Probe::run`] would send at the most, to each address it tries. At most two
    /// addresses of each family are tried; questions to the resolver come on top.
    fn sends(&self, ask: &Ask) -> Vec<Sent>;

    /// Exercises the lane. Resolving takes up to the path's time-out and half a second; then each
    /// family, both at the same time, takes up to that time-out for each of the two addresses that
    /// may be tried, plus what the ask says to hold (WebSocket), plus up to a minute until an
    /// address may be sent an echo (ICMP). Never panics, whatever the other side sends.
    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding>;
}

/// Something a probe may send.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Sent {
    /// What it is, in English.
    pub what: String,
    /// Its size at most, in bytes of payload.
    pub bytes_at_most: usize,
    /// How often at most, to one address.
    pub times_at_most: u32,
}

impl Sent {
    pub(crate) fn new(what: &str, bytes_at_most: usize, times_at_most: u32) -> Self {
        Self {
            what: what.to_owned(),
            bytes_at_most,
            times_at_most,
        }
    }
}

/// Every probe there is.
const PROBES: &[&dyn Probe] = &[
    &Dhcp,
    &Dns,
    &Http,
    &Https,
    &IcmpEcho,
    &Ldap,
    &Ldaps,
    &Llmnr,
    &LongPolling,
    &Mdns,
    &Mqtt,
    &MqttWss,
    &Mqtts,
    &Ntp,
    &Rtp,
    &ServerSentEvents,
    &SignalR,
    &Sip,
    &Sips,
    &Ssh,
    &Stun,
    &Stuns,
    &Tcp,
    &Tls,
    &Ws,
    &Wss,
    &Xmpp,
];

/// The probe for a protocol id, if there is one yet.
pub fn probe_for(protocol: &str) -> Option<&'static dyn Probe> {
    PROBES
        .iter()
        .copied()
        .find(|probe| probe.protocols().contains(&protocol))
}

/// Every protocol id that has a probe.
pub fn protocols() -> impl Iterator<Item = &'static str> {
    PROBES.iter().flat_map(|probe| probe.protocols()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::{Host, Transport};

    #[test]
    fn every_protocol_has_one_probe_that_says_what_it_sends() {
        let mut known: Vec<_> = protocols().collect();
        known.sort_unstable();
        let expected = [
            "dhcp",
            "dns",
            "http",
            "https",
            "icmp-echo",
            "ldap",
            "ldaps",
            "llmnr",
            "long-polling",
            "mdns",
            "mqtt",
            "mqtt-wss",
            "mqtts",
            "ntp",
            "rtp",
            "server-sent-events",
            "signalr",
            "sip",
            "sips",
            "ssh",
            "stun",
            "stuns",
            "tcp",
            "tls",
            "ws",
            "wss",
            "xmpp",
        ];
        assert_eq!(known, expected);
        for protocol in known {
            let host = Host::Name("api.example".to_owned());
            let ask = Ask::new(protocol, host, Some(1), Transport::Tcp);
            assert!(
                !probe_for(protocol).unwrap().sends(&ask).is_empty(),
                "{protocol}"
            );
        }
    }

    #[test]
    fn a_protocol_without_a_probe_has_none() {
        assert!(probe_for("gopher").is_none());
    }
}
