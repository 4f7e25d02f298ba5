//! Where connections and datagrams set out from: an address or an interface of this machine.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    str::FromStr,
};

use socket2::{Domain, SockRef, Socket, Type};

/// Longest name of an interface, in bytes (Linux: IFNAMSIZ without its end).
const INTERFACE_MAX: usize = 15;

/// Any port will do: none is ever spoken to.
const SOME_PORT: u16 = 53;

/// An address or interface of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Source {
    /// Whichever the routing table says.
    #[default]
    Any,
    /// This address. The other family has no way then.
    Address(IpAddr),
    /// The interface of this name, in both families.
    Interface(String),
}

impl Source {
    /// Has a socket set out from here.
    pub(crate) fn bind(&self, socket: SockRef<'_>) -> io::Result<()> {
        match self {
            Self::Any => Ok(()),
            Self::Address(address) => socket.bind(&SocketAddr::new(*address, 0).into()),
            Self::Interface(name) => bind_to_interface(&socket, name),
        }
    }

    /// The same at a port of the caller's choice, in the family of this far end.
    pub(crate) fn bind_at(&self, socket: SockRef<'_>, far: IpAddr, port: u16) -> io::Result<()> {
        let any: IpAddr = match far {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let own = match self {
            Self::Any => any,
            Self::Address(address) => *address,
            Self::Interface(name) => {
                bind_to_interface(&socket, name)?;
                any
            }
        };
        socket.bind(&SocketAddr::new(own, port).into())
    }

    /// A datagram socket for this far end, which has sent nothing yet.
    pub(crate) fn datagram_socket(&self, far: IpAddr) -> io::Result<UdpSocket> {
        let domain = Domain::for_address(SocketAddr::new(far, 0));
        let socket = Socket::new(domain, Type::DGRAM, None)?;
        self.bind(SockRef::from(&socket))?;
        Ok(socket.into())
    }

    /// A datagram socket at this address of the source, as [`Source::towards`] gives it.
    pub(crate) fn datagram_socket_at(&self, own: IpAddr) -> io::Result<UdpSocket> {
        let own = SocketAddr::new(own, 0);
        let socket = Socket::new(Domain::for_address(own), Type::DGRAM, None)?;
        if let Self::Interface(name) = self {
            bind_to_interface(&SockRef::from(&socket), name)?;
        }
        socket.bind(&own.into())?;
        Ok(socket.into())
    }

    /// The address that packets to a far end set out from. Connecting a datagram socket asks the
    /// routing table and sends nothing.
    pub(crate) fn towards(&self, far: IpAddr) -> Option<IpAddr> {
        let socket = self.datagram_socket(far).ok()?;
        socket.connect(SocketAddr::new(far, SOME_PORT)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    }

    /// Whether a far end is of a family that can be reached from here.
    pub(crate) fn fits(&self, far: IpAddr) -> bool {
        match self {
            Self::Any | Self::Interface(_) => true,
            Self::Address(address) => address.is_ipv4() == far.is_ipv4(),
        }
    }

    /// Whether this machine has it, and this process may use it. Sends nothing.
    pub(crate) fn check(&self) -> io::Result<()> {
        let far: IpAddr = match self {
            Self::Address(address) => *address,
            Self::Any | Self::Interface(_) => [127, 0, 0, 1].into(),
        };
        self.datagram_socket(far).map(|_| ())
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn bind_to_interface(socket: &SockRef<'_>, name: &str) -> io::Result<()> {
    socket.bind_device(Some(name.as_bytes()))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bind_to_interface(_: &SockRef<'_>, _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Interface(name) => f.write_str(name),
        }
    }
}

impl FromStr for Source {
    type Err = SourceError;

    /// Reads an address, else the name of an interface.
    fn from_str(text: &str) -> Result<Self, SourceError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let fits = (1..=INTERFACE_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'/');
        fits.then(|| Self::Interface(text.to_owned()))
            .ok_or(SourceError)
    }
}

/// The text is neither an address nor the name of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an address or the name of an interface (at most {INTERFACE_MAX} characters)")]
pub struct SourceError;
