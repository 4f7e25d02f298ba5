//! Where the pages are: the ports that the manifest declares for the installed version.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use outgate_manifest::{Direction, Lane, Target};
use socket2::{Domain, Protocol as Carrier, Socket, Type};
use tokio::net::TcpListener;

use crate::config;
use crate::product::{DEVICE, Product, ProductError};
use crate::status::PageKind;

/// What is spoken there, as a manifest has it.
const HTTP: &str = "http";
/// The most ports of one page that the manifest may declare.
const MAX_PORTS: usize = 16;
/// How many connections may wait to be accepted.
const BACKLOG: i32 = 64;

/// A place of a page that is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Door {
    pub(super) kind: PageKind,
    pub(super) address: SocketAddr,
}

/// Where the pages are to be: where the configuration says, else where the manifest does.
pub(super) fn doors(
    config: &config::Page,
    product: Option<&Product>,
) -> Result<Vec<Door>, ProductError> {
    let asked = [
        (PageKind::Diagnostics, &config.listen),
        (PageKind::Connector, &config.connector_listen),
    ];
    let needs_manifest = asked.iter().any(|(_, listen)| listen.is_none());
    let lanes = match product.filter(|_| needs_manifest) {
        Some(product) => product.lanes(None)?.1,
        None => Vec::new(),
    };
    let mut doors: Vec<Door> = Vec::new();
    for (kind, listen) in asked {
        let flow = match kind {
            PageKind::Diagnostics => &config.diagnostics,
            PageKind::Connector => &config.connector,
        };
        let addresses = match listen {
            Some(addresses) => addresses.clone(),
            None => declared(&lanes, flow).map(everywhere).collect(),
        };
        doors.extend(addresses.into_iter().map(|address| Door { kind, address }));
    }
    Ok(doors)
}

/// The ports on which the manifest has others of the site come to the device over HTTP, by that flow.
fn declared<'a>(lanes: &'a [Lane], flow: &'a str) -> impl Iterator<Item = u16> + 'a {
    let is_it = move |lane: &&Lane| {
        let rest = lane.flow.as_str().strip_prefix(flow);
        let to_device = matches!(&lane.to, Target::Party(party) if party.as_str() == DEVICE);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            && to_device
            && lane.from.as_str() != DEVICE
            && lane.direction == Direction::Lan
            && lane.protocol.as_str() == HTTP
    };
    let ports = lanes.iter().filter(is_it).filter_map(|lane| lane.ports);
    ports
        .flat_map(|ports| ports.low()..=ports.high())
        .take(MAX_PORTS)
}

fn everywhere(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
}

/// Listens there; where every address is meant, over both versions of IP, or over IPv4 alone on a
/// machine without the other.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match bind(address) {
        Err(_) if address.ip() == Ipv6Addr::UNSPECIFIED => {
            bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        }
        bound => bound,
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Carrier::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// What to say where it cannot be listened.
pub(super) fn trouble(address: SocketAddr, error: &io::Error) -> String {
    let kind = error.kind();
    let advice = if kind == io::ErrorKind::PermissionDenied {
        "; ports below 1024 want AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit, or \
         other places: page.listen"
    } else if kind == io::ErrorKind::AddrInUse {
        "; another program has that port: end it, or give the page other places: page.listen"
    } else {
        ""
    };
    format!("failed to listen on {address}: {error}{advice}")
}
