//! Asks and paths that never leave this machine.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use outgate_probe::{
    Ask, ConnectTo, Finding, Host, Path, PathConfig, ResolverChoice, Transport, probe_for,
};

/// Long enough for a busy machine, short enough for a server that says nothing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// A path on which every host and port is `to`, and whose resolver is a closed port.
pub(crate) fn config_to(to: SocketAddr) -> PathConfig {
    PathConfig {
        connect_to: vec![ConnectTo::new(None, None, to.ip(), Some(to.port()))],
        resolver: nowhere(),
        timeout: PATIENCE,
        ..PathConfig::default()
    }
}

/// A resolver's address at which nobody listens.
pub(crate) fn nowhere() -> ResolverChoice {
    ResolverChoice::at(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9))
}

/// An ask for `api.example` on the protocol's usual port.
pub(crate) fn ask(protocol: &str) -> Ask {
    let (port, transport) = match protocol {
        "ntp" => (Some(123), Transport::Udp),
        "dns" => (Some(53), Transport::Udp),
        "rtp" => (Some(10_000), Transport::Udp),
        "sip" => (Some(5060), Transport::Udp),
        "stun" => (Some(3478), Transport::Udp),
        "icmp-echo" => (None, Transport::Icmp),
        "mqtt" => (Some(1883), Transport::Tcp),
        "http" | "ws" => (Some(80), Transport::Tcp),
        _ => (Some(443), Transport::Tcp),
    };
    Ask::new(
        protocol,
        Host::Name("api.example".to_owned()),
        port,
        transport,
    )
}

/// Runs the ask's probe.
pub(crate) async fn run(ask: &Ask, config: PathConfig) -> Finding {
    run_on(ask, &Path::new(config).unwrap()).await
}

/// Runs the ask's probe on a path that others use, too.
pub(crate) async fn run_on(ask: &Ask, path: &Path) -> Finding {
    probe_for(&ask.protocol).unwrap().run(ask, path).await
}
