//! Servers that run together and stop together.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use outgate_wire::dhcp::Settings;
use tokio::{
    net::{TcpListener, UdpSocket},
    task::JoinSet,
};

use crate::{
    Answers, Authority, Clock, Directory, DnsFault, HttpFault, Inspection, NtpFault, Place,
    ProxyRules, TcpFault, TlsError, TlsFault, Validity, dhcp, dns,
    http::{self, Site},
    inspector::{self, Inspector},
    multicast, ntp, proxy, rtp,
    signalr::Hub,
    sip, stun, talk, tcp,
    tls::{self, Door},
};

/// Ports that are tried to find one that is free for UDP and TCP alike.
const PORT_TRIES: usize = 16;

/// Stand-in servers on loopback. Dropping it stops them all and closes their connections.
///
/// Every method that starts a server returns the address it listens at, and the server takes
/// connections from then on. All need a Tokio runtime with its network and time drivers on.
pub struct Stage {
    authority: Arc<Authority>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) servers: JoinSet<()>,
}

impl Stage {
    /// No server yet. TLS servers get their certificates from `authority`; all of them take the
    /// time from `clock`.
    pub fn new(authority: impl Into<Arc<Authority>>, clock: impl Clock + 'static) -> Self {
        Self {
            authority: authority.into(),
            clock: Arc::new(clock),
            servers: JoinSet::new(),
        }
    }

    /// Whom clients have to trust.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Starts HTTPS with WebSocket and SignalR on any path, for any number of names (`*.x` and addresses
    /// too). A client that asks for another name in its handshake is refused with an alert.
    ///
    /// # Errors
    /// A name cannot stand in a certificate, or the place is taken.
    pub async fn https(
        &mut self,
        place: Place,
        names: &[String],
        fault: TlsFault,
    ) -> Result<SocketAddr, StageError> {
        let site = self.site(fault.http());
        let door = Door::new(&self.authority, names, fault, site)
            .map_err(|source| StageError::Tls { source })?;
        let (listener, address) = listen(place).await?;
        self.servers.spawn(tls::serve(listener, Arc::new(door)));
        Ok(address)
    }

    /// Starts the same without fault, but requires a client certificate of the stage's authority
    /// ([`Authority::issue_client`]), and refuses a handshake without one.
    ///
    /// The certificate is judged by the machine's clock, not the stage's.
    ///
    /// # Errors
    /// A name cannot stand in a certificate, or the place is taken.
    pub async fn https_mutual(
        &mut self,
        place: Place,
        names: &[String],
    ) -> Result<SocketAddr, StageError> {
        let site = self.site(HttpFault::None);
        let door = Door::mutual(&self.authority, names, site)
            .map_err(|source| StageError::Tls { source })?;
        let (listener, address) = listen(place).await?;
        self.servers.spawn(tls::serve(listener, Arc::new(door)));
        Ok(address)
    }

    /// Starts plain HTTP with WebSocket and SignalR on any path, for every name.
    ///
    /// # Errors
    /// The place is taken.
    pub async fn http(&mut self, place: Place, fault: HttpFault) -> Result<SocketAddr, StageError> {
        let site = Arc::new(self.site(fault));
        let (listener, address) = listen(place).await?;
        self.servers.spawn(http::serve(listener, site));
        Ok(address)
    }

    /// Starts a bare TCP server that sends back what it gets.
    ///
    /// # Errors
    /// The place is taken.
    pub async fn tcp(&mut self, place: Place, fault: TcpFault) -> Result<SocketAddr, StageError> {
        let (listener, address) = listen(place).await?;
        self.servers.spawn(tcp::serve(listener, fault));
        Ok(address)
    }

    /// Starts NTP, with a clock that is `offset` ahead of the stage's.
    ///
    /// # Errors
    /// The place is taken.
    pub async fn ntp(
        &mut self,
        place: Place,
        offset: time::Duration,
        fault: NtpFault,
    ) -> Result<SocketAddr, StageError> {
        let (socket, address) = bind(place).await?;
        let clock = self.clock.clone();
        self.servers.spawn(ntp::serve(socket, clock, offset, fault));
        Ok(address)
    }

    /// Starts DNS over UDP and TCP at the same port.
    ///
    /// # Errors
    /// The place is taken.
    pub async fn dns(
        &mut self,
        place: Place,
        answers: Answers,
        fault: DnsFault,
    ) -> Result<SocketAddr, StageError> {
        let (listener, socket, address) = listen_and_bind(place).await?;
        let server = Arc::new(dns::Server { answers, fault });
        self.servers.spawn(dns::serve_tcp(listener, server.clone()));
        self.servers.spawn(dns::serve_udp(socket, server));
        Ok(address)
    }

    /// Starts an HTTP proxy that finds hosts in `directory`.
    ///
    /// # Errors
    /// The place is taken.
    pub async fn proxy(
        &mut self,
        place: Place,
        directory: Directory,
        rules: ProxyRules,
    ) -> Result<SocketAddr, StageError> {
        let (listener, address) = listen(place).await?;
        self.servers.spawn(proxy::serve(listener, directory, rules));
        Ok(address)
    }

    /// Starts a middlebox that ends TLS and begins it again towards the real server.
    ///
    /// # Errors
    /// A name cannot stand in a certificate, TLS cannot be set up, or the place is taken.
    pub async fn inspector(
        &mut self,
        place: Place,
        inspection: &Inspection,
    ) -> Result<SocketAddr, StageError> {
        let inspector = Inspector::new(inspection, self.clock.now())
            .map_err(|source| StageError::Tls { source })?;
        let (listener, address) = listen(place).await?;
        self.servers
            .spawn(inspector::serve(listener, Arc::new(inspector)));
        Ok(address)
    }

    /// Starts a responder of mDNS and LLMNR for a name of one label, which has the place's own
    /// address. It hears whoever asks it directly, and no group.
    ///
    /// # Errors
    /// The place is taken.
    pub async fn responder(&mut self, place: Place, label: &str) -> Result<SocketAddr, StageError> {
        let (socket, address) = bind(place).await?;
        let serving = multicast::serve(socket, label.to_owned(), address.ip());
        self.servers.spawn(serving);
        Ok(address)
    }

    /// Starts SSH that says who it is and lets nobody in.
    ///
    /// # Errors
    /// The place is taken.
    pub async fn ssh(&mut self, place: Place) -> Result<SocketAddr, StageError> {
        let (listener, address) = listen(place).await?;
        self.servers.spawn(talk::serve_ssh(listener));
        Ok(address)
    }

    /// Starts a directory that shows its root DSE and nothing else.
    ///
    /// # Errors
    /// The place is taken.
    pub async fn ldap(&mut self, place: Place) -> Result<SocketAddr, StageError> {
        let (listener, address) = listen(place).await?;
        self.servers.spawn(talk::serve_ldap(listener));
        Ok(address)
    }

    /// Starts the same over TLS, for these names.
    ///
    /// # Errors
    /// A name cannot stand in a certificate, or the place is taken.
    pub async fn ldaps(
        &mut self,
        place: Place,
        names: &[String],
    ) -> Result<SocketAddr, StageError> {
        let door = self.door(names)?;
        let (listener, address) = listen(place).await?;
        self.servers.spawn(talk::serve_ldaps(listener, door));
        Ok(address)
    }

    /// Starts XMPP that changes to TLS, for any domain, with certificates for these names.
    ///
    /// # Errors
    /// A name cannot stand in a certificate, or the place is taken.
    pub async fn xmpp(&mut self, place: Place, names: &[String]) -> Result<SocketAddr, StageError> {
        let door = self.door(names)?;
        let (listener, address) = listen(place).await?;
        self.servers.spawn(talk::serve_xmpp(listener, door));
        Ok(address)
    }

    /// Starts a DHCP server that calls itself `server`, tells `settings`, offers the address
    /// `offered` and never hands it over. At the port of DHCP servers it answers as they do, at
    /// another to where the question came from.
    ///
    /// # Errors
    /// The place is taken, or it may not send to everybody.
    pub async fn dhcp(
        &mut self,
        place: Place,
        server: Ipv4Addr,
        offered: Ipv4Addr,
        settings: Settings,
    ) -> Result<SocketAddr, StageError> {
        let (socket, address) = bind(place).await?;
        let error = |source| StageError::Listen { address, source };
        socket.set_broadcast(true).map_err(error)?;
        let serve = dhcp::serve(socket, server, offered, settings);
        self.servers.spawn(serve);
        Ok(address)
    }

    /// Starts STUN over UDP, with one address.
    ///
    /// # Errors
    /// The place is taken.
    pub async fn stun(&mut self, place: Place) -> Result<SocketAddr, StageError> {
        let (socket, address) = bind(place).await?;
        self.servers.spawn(stun::serve(socket));
        Ok(address)
    }

    /// Starts an RTP reflector on one port.
    ///
    /// # Errors
    /// The place is taken.
    pub async fn rtp(&mut self, place: Place) -> Result<SocketAddr, StageError> {
        let (socket, address) = bind(place).await?;
        self.servers.spawn(rtp::serve(socket));
        Ok(address)
    }

    /// Starts a SIP echo over UDP and TCP at the same port.
    ///
    /// # Errors
    /// The place is taken.
    pub async fn sip(&mut self, place: Place) -> Result<SocketAddr, StageError> {
        let (listener, socket, address) = listen_and_bind(place).await?;
        self.servers.spawn(sip::serve_tcp(listener));
        self.servers.spawn(sip::serve_udp(socket));
        Ok(address)
    }

    /// Starts a SIP echo over TLS, with a certificate for each name.
    ///
    /// # Errors
    /// A name cannot stand in a certificate, or the place is taken.
    pub async fn sips(&mut self, place: Place, names: &[String]) -> Result<SocketAddr, StageError> {
        let around = Validity::around(self.clock.now());
        let door = Door::sip(&self.authority, names, around)
            .map_err(|source| StageError::Tls { source })?;
        let (listener, address) = listen(place).await?;
        self.servers.spawn(tls::serve(listener, Arc::new(door)));
        Ok(address)
    }

    /// Stops every server and waits until none listens any more. Dropping stops them too, without
    /// the wait.
    pub async fn stop(mut self) {
        self.servers.shutdown().await;
    }

    pub(crate) fn door(&self, names: &[String]) -> Result<Arc<Door>, StageError> {
        let site = self.site(HttpFault::None);
        let door = Door::new(&self.authority, names, TlsFault::None, site)
            .map_err(|source| StageError::Tls { source })?;
        Ok(Arc::new(door))
    }

    fn site(&self, fault: HttpFault) -> Site {
        Site {
            clock: self.clock.clone(),
            fault,
            hub: Hub::new(),
        }
    }
}

/// A server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// Its place is taken, or the machine has no such address.
    #[error("failed to listen at {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Its certificates or its settings.
    #[error("failed to prepare a TLS server")]
    Tls {
        /// Why.
        source: TlsError,
    },
}

/// That there is no place at an address.
pub(crate) fn spare(address: SocketAddr) -> StageError {
    StageError::Listen {
        address,
        source: io::ErrorKind::AddrNotAvailable.into(),
    }
}

pub(crate) async fn listen(place: Place) -> Result<(TcpListener, SocketAddr), StageError> {
    let address = place.address();
    let error = |source| StageError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(error)?;
    let address = listener.local_addr().map_err(error)?;
    Ok((listener, address))
}

pub(crate) async fn bind(place: Place) -> Result<(UdpSocket, SocketAddr), StageError> {
    let address = place.address();
    let error = |source| StageError::Listen { address, source };
    let socket = UdpSocket::bind(address).await.map_err(error)?;
    let address = socket.local_addr().map_err(error)?;
    Ok((socket, address))
}

/// The port that the system chooses for TCP may be taken for UDP; then another is tried.
async fn listen_and_bind(place: Place) -> Result<(TcpListener, UdpSocket, SocketAddr), StageError> {
    let mut tries = 1..=PORT_TRIES;
    loop {
        tries.next();
        let (listener, address) = listen(place).await?;
        match bind(place.port(address.port())).await {
            Ok((socket, _)) => return Ok((listener, socket, address)),
            Err(_) if place.address().port() == 0 && !tries.is_empty() => {}
            Err(error) => return Err(error),
        }
    }
}
