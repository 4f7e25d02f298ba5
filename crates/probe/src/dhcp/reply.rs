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
            .map(|bytes| hex(&without_logins(&bytes)[..bytes.len().min(VENDOR_MAX)])),
        lease_seconds: settings.lease_seconds,
        tftp_server: text(settings.tftp_server),
        boot_file: text(settings.boot_file),
        proxy_script: text(settings.proxy_script),
    }
}

/// Bytes of which nobody but their vendor knows what they mean, with `*` for what stands between
/// `://` and an `@`, and between a `?` and the end of such a URL: vendors tell their devices there
/// where to be set up, and as whom.
fn without_logins(bytes: &[u8]) -> Vec<u8> {
    let mut shown = bytes.to_vec();
    let mut from = 0;
    while let Some(at) = position(&shown, from, |rest| rest.starts_with(b"://")) {
        let start = at + 3;
        let end = position(&shown, start, |rest| !rest[0].is_ascii_graphic());
        let end = end.unwrap_or(shown.len());
        let url = &mut shown[start..end];
        let path = url.iter().position(|byte| b"/?".contains(byte));
        let (authority, path) = url.split_at_mut(path.unwrap_or(url.len()));
        if let Some(at) = authority.iter().rposition(|byte| *byte == b'@') {
            authority[..at].fill(b'*');
        }
        if let Some(query) = path.iter().position(|byte| *byte == b'?') {
            path[query + 1..].fill(b'*');
        }
        from = end;
    }
    shown
}

/// The first place from `from` on at which the bytes from there on are what is wanted; these are
/// never none.
fn position(bytes: &[u8], from: usize, wanted: impl Fn(&[u8]) -> bool) -> Option<usize> {
    (from..bytes.len()).find(|at| wanted(&bytes[*at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_in_a_vendors_bytes_is_not_kept() {
        for (said, shown) in [
            (
                &b"\x01\x1ahttp://me:s3cret@acs.test/p\x02\x03abc"[..],
                &b"\x01\x1ahttp://*********@acs.test/p\x02\x03abc"[..],
            ),
            (b"ftp://a?k=s3 http://u@b", b"ftp://a?**** http://*@b"),
            (b"http://", b"http://"),
            (b"\x01\x04plain@x", b"\x01\x04plain@x"),
        ] {
            assert_eq!(without_logins(said), shown);
        }
    }
}
