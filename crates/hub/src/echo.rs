//! An echo of SIP and a reflector of RTP, by which `outgate check` sees what becomes of both on
//! their way. Off unless they are configured.
//!
//! Neither knows a device, keeps anything, or answers with more than it was sent, so there is
//! nothing to amplify. Over UDP nobody's address can be trusted: what is sent to it is bounded a
//! source and in all, and ports below 1024 are never answered, so that no service of the system is
//! led to talk with an echo.

mod rtp;
mod sip;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use outgate_core::Clock;
use outgate_core::limits::{Rate, Rates, source};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config;
use crate::metrics::Metrics;

/// How much more all sources together are answered than one.
const SOURCES: u32 = 8;
/// The lowest port that is answered (RFC 6335, section 6: those below are the system's).
const LOWEST_PORT: u16 = 1024;
/// How long a socket rests after an error of the system, so as not to spin.
const REST: Duration = Duration::from_millis(100);

/// The sockets, bound.
#[derive(Debug)]
pub(crate) struct Echo {
    sip: Option<Sip>,
    rtp: Vec<Arc<UdpSocket>>,
    sip_a_second: u32,
    rtp_a_second: u32,
}

#[derive(Debug)]
struct Sip {
    datagrams: Arc<UdpSocket>,
    connections: Arc<TcpListener>,
}

/// An echo could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{address} cannot be opened for the echo of {service}; each port takes an open file")]
pub struct EchoError {
    /// `SIP` or `RTP`.
    service: &'static str,
    /// Where it was to be.
    address: SocketAddr,
    /// Why not.
    source: io::Error,
}

impl Echo {
    /// Binds what is configured.
    pub(crate) async fn open(config: &config::Echo) -> Result<Self, EchoError> {
        let sip = match config.sip {
            Some(address) => Some(sip_sockets(address).await.map_err(failed("SIP", address))?),
            None => None,
        };
        let mut rtp = Vec::new();
        if let Some((address, ports)) = &config.rtp {
            for port in ports.clone() {
                let at = SocketAddr::new(*address, port);
                let socket = UdpSocket::bind(at).await.map_err(failed("RTP", at))?;
                rtp.push(Arc::new(socket));
            }
        }
        Ok(Self {
            sip,
            rtp,
            sip_a_second: config.sip_a_second,
            rtp_a_second: config.rtp_a_second,
        })
    }

    /// Where SIP is echoed, over UDP and TCP.
    pub(crate) fn sip(&self) -> Option<SocketAddr> {
        self.sip.as_ref()?.datagrams.local_addr().ok()
    }

    /// Answers until the hub goes down.
    pub(crate) fn start(
        &self,
        tasks: &mut JoinSet<()>,
        clock: &Clock,
        metrics: &Metrics,
        draining: &watch::Receiver<bool>,
    ) {
        let until = |work: BoxedWork| {
            let draining = draining.clone();
            async move {
                tokio::select! {
                    () = work => {}
                    () = crate::http::begun(draining) => {}
                }
            }
        };
        if let Some(sip) = &self.sip {
            let bounds = Bounds::new("sip", self.sip_a_second, clock, metrics);
            let datagrams = sip::datagrams(Arc::clone(&sip.datagrams), Arc::clone(&bounds));
            tasks.spawn(until(Box::pin(datagrams)));
            let connections = sip::connections(Arc::clone(&sip.connections), bounds);
            tasks.spawn(until(Box::pin(connections)));
        }
        let bounds = Bounds::new("rtp", self.rtp_a_second, clock, metrics);
        for socket in &self.rtp {
            let reflecting = rtp::reflecting(Arc::clone(socket), Arc::clone(&bounds));
            tasks.spawn(until(Box::pin(reflecting)));
        }
    }
}

type BoxedWork = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// The two have one port, also where any will do: then that of TCP is the one.
async fn sip_sockets(address: SocketAddr) -> io::Result<Sip> {
    let connections = TcpListener::bind(address).await?;
    let datagrams = UdpSocket::bind(connections.local_addr()?).await?;
    Ok(Sip {
        datagrams: Arc::new(datagrams),
        connections: Arc::new(connections),
    })
}

fn failed(service: &'static str, address: SocketAddr) -> impl FnOnce(io::Error) -> EchoError {
    move |source| EchoError {
        service,
        address,
        source,
    }
}

/// How often is answered.
#[derive(Debug)]
struct Bounds {
    service: &'static str,
    sources: Rates<IpAddr>,
    all: Rates<()>,
    metrics: Metrics,
}

impl Bounds {
    fn new(service: &'static str, a_second: u32, clock: &Clock, metrics: &Metrics) -> Arc<Self> {
        let all = a_second.saturating_mul(SOURCES);
        Arc::new(Self {
            service,
            sources: Rates::new(Rate::a_second(a_second, a_second), clock.clone()),
            all: Rates::new(Rate::a_second(all, all), clock.clone()),
            metrics: metrics.clone(),
        })
    }

    /// Whether whoever is there may be answered once more; counts it.
    fn allow(&self, peer: SocketAddr) -> bool {
        let allowed = peer.port() >= LOWEST_PORT
            && self.sources.take(&source(peer.ip())).is_ok()
            && self.all.take(&()).is_ok();
        self.metrics.echoed(self.service, allowed);
        allowed
    }
}

/// The next datagram. An error, such as a message that an earlier answer found nobody, ends
/// nothing.
async fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> (usize, SocketAddr) {
    loop {
        match socket.recv_from(buffer).await {
            Ok(received) => return received,
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use outgate_core::Timestamp;

    use super::*;

    fn peer(address: &str) -> SocketAddr {
        address.parse().unwrap()
    }

    #[test]
    fn a_source_is_answered_so_often_and_others_all_the_same_up_to_what_all_may() {
        let clock = Clock::held(Timestamp::from_millis(1_790_000_000_000));
        let bounds = Bounds::new("sip", 5, &clock, &Metrics::default());
        let often = |who: &str| (0..9).filter(|_| bounds.allow(peer(who))).count();
        assert_eq!(often("192.0.2.1:5060"), 5);
        assert_eq!(often("192.0.2.1:5061"), 0);
        // Whoever has a /64 has all of its addresses.
        assert_eq!(often("[2001:db8::1]:5060"), 5);
        assert_eq!(often("[2001:db8::2]:5060"), 0);
        let others = (2..20).map(|last| often(&format!("192.0.2.{last}:5060")));
        assert_eq!(others.sum::<usize>(), 5 * 8 - 10);
        clock.advance(Duration::from_secs(1));
        assert_eq!(often("192.0.2.1:5060"), 5);
    }

    #[test]
    fn a_port_of_the_systems_is_never_answered() {
        let clock = Clock::held(Timestamp::from_millis(1_790_000_000_000));
        let bounds = Bounds::new("rtp", 100, &clock, &Metrics::default());
        assert!(!bounds.allow(peer("192.0.2.1:53")) && !bounds.allow(peer("192.0.2.1:1023")));
        assert!(bounds.allow(peer("192.0.2.1:1024")));
    }
}
