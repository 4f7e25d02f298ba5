//! From a server's answer to evidence that is safe to keep and to show.

use std::net::IpAddr;

use outgate_wire::{
    dhcp::{Answer, Reply, Settings},
    dhcp6,
};

use crate::{
    evidence::{DhcpServer, DhcpSettings},
    text::cut,
    tls::hex,
};

/// Most characters of a text that are kept.
const TEXT_MAX: usize = 256;
/// Most bytes of option 43 that are kept.
const VENDOR_MAX: usize = 128;

/// What a server's answer from this address says.
pub(crate) fn server(reply: Reply, from: IpAddr, interface: Option<&str>) -> DhcpServer {
    let own = Some(reply.server).filter(|server| !server.is_unspecified());
    DhcpServer {
        server: own.map_or(from, IpAddr::V4),
        interface: interface.map(str::to_owned),
        offers: reply.answer == Answer::Offer,
        informs: reply.answer == Answer::Acknowledgement,
        settings: settings(reply.settings),
    }
}

/// The same of DHCPv6, whose servers are known by no address but that which they answer from.
pub(crate) fn server6(reply: dhcp6::Reply, from: IpAddr, interface: Option<&str>) -> DhcpServer {
    let dhcp6::Settings {
        name_servers,
        domains,
        time_servers,
        time_server_names,
    } = reply.settings;
    let addresses = |all: Vec<_>| all.into_iter().map(IpAddr::V6).collect();
    let names = time_server_names.iter().map(|name| cut(name, TEXT_MAX));
    DhcpServer {
        server: from,
        interface: interface.map(str::to_owned),
        offers: false,
        informs: true,
        settings: DhcpSettings {
            name_servers: addresses(name_servers),
            domain: (!domains.is_empty()).then(|| cut(&domains.join(" "), TEXT_MAX)),
            time_servers: addresses(time_servers),
            time_server_names: names.collect(),
            ..DhcpSettings::default()
        },
    }
}

fn settings(settings: Settings) -> DhcpSettings {
    let text = |text: Option<String>| text.map(|text| cut(&text, TEXT_MAX));
    let addresses = |all: Vec<_>| all.into_iter().map(IpAddr::V4).collect();
    DhcpSettings {
        routers: addresses(settings.routers),
        name_servers: addresses(settings.name_servers),
        domain: text(settings.domain),
        time_servers: addresses(settings.time_servers),
        time_server_names: Vec::new(),
        vendor: settings
            .vendor
            .map(|bytes| hex(&bytes[..bytes.len().min(VENDOR_MAX)])),
        lease_seconds: settings.lease_seconds,
        tftp_server: text(settings.tftp_server),
        boot_file: text(settings.boot_file),
        proxy_script: text(settings.proxy_script),
    }
}
