//! Sockets: made or handed in, and set up.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::settings::{At, Limits};
use crate::systemd;

/// How long a connection may be idle before the kernel asks whether the other end is still there,
/// how long it waits for an answer, and how often it asks. Between them a peer that vanished is
/// noticed within two minutes, although nothing is sent to it.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);

/// How long what was sent may stay without an answer (`TCP_USER_TIMEOUT`, RFC 5482).
const UNANSWERED: Duration = Duration::from_secs(60);

/// A listening socket.
pub(crate) fn listener(at: At) -> io::Result<TcpListener> {
    let socket = match at {
        At::Address(address) => bound(address)?,
        At::Inherited(index) => systemd::take(index)?,
    };
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

fn bound(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Without it a restart would have to wait for the connections of the last run to time out.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.bind(&address.into())?;
    socket.listen(Limits::BACKLOG)?;
    Ok(socket.into())
}

/// Sets up an accepted connection: small messages go out at once, and peers that vanished are
/// noticed.
pub(crate) fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    socket.set_tcp_user_timeout(Some(UNANSWERED))
}
