//! A question of DHCP or DHCPv6, and what its answer says.

use std::net::{IpAddr, Ipv4Addr};

use outgate_wire::{
    dhcp::{self, DhcpError, Kind},
    dhcp6::{self, Dhcp6Error},
};

use super::reply;
use crate::{
    evidence::{DhcpServer, Family},
    path::Path,
    run::Stop,
};

/// A question.
#[derive(Clone, Copy)]
pub(crate) enum Question {
    V4(dhcp::Question),
    V6(dhcp6::Question),
}

/// Why a datagram is not its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It answers another question.
    Another,
    /// It answers none; the text says why.
    Rubbish(String),
}

impl Question {
    /// For settings alone, from this address.
    pub(crate) fn inform(own: IpAddr, hardware: [u8; 6], path: &Path) -> Result<Self, Stop> {
        match own {
            IpAddr::V4(own) => Self::v4(Kind::Inform(own), hardware, path),
            IpAddr::V6(_) => {
                let id = path.tls().random()?;
                Ok(Self::V6(dhcp6::Question { id, hardware }))
            }
        }
    }

    /// For an offer of an address of IPv4.
    pub(crate) fn discover(hardware: [u8; 6], path: &Path) -> Result<Self, Stop> {
        Self::v4(Kind::Discover, hardware, path)
    }

    fn v4(kind: Kind, hardware: [u8; 6], path: &Path) -> Result<Self, Stop> {
        let id = u32::from_be_bytes(path.tls().random()?);
        Ok(Self::V4(dhcp::Question { kind, id, hardware }))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::V4(question) => question.encode(),
            Self::V6(question) => question.encode(),
        }
    }

    /// What a datagram from this address says, if it is the answer.
    pub(crate) fn read(
        &self,
        bytes: &[u8],
        from: IpAddr,
        interface: Option<&str>,
    ) -> Result<DhcpServer, Unread> {
        match self {
            Self::V4(question) => match question.read(bytes) {
                Ok(reply) => Ok(reply::server(reply, from, interface)),
                Err(DhcpError::Another) => Err(Unread::Another),
                Err(error) => Err(Unread::Rubbish(error.to_string())),
            },
            Self::V6(question) => match question.read(bytes) {
                Ok(reply) => Ok(reply::server6(reply, from, interface)),
                Err(Dhcp6Error::Another) => Err(Unread::Another),
                Err(error) => Err(Unread::Rubbish(error.to_string())),
            },
        }
    }
}

/// The ports of servers and of clients, and whom everybody's servers are asked at.
pub(crate) struct Places {
    pub(crate) server: u16,
    pub(crate) client: u16,
    pub(crate) everybody: IpAddr,
}

/// Where DHCP is spoken in a family.
pub(crate) fn places(family: Family) -> Places {
    match family {
        Family::V4 => Places {
            server: dhcp::SERVER_PORT,
            client: dhcp::CLIENT_PORT,
            everybody: Ipv4Addr::BROADCAST.into(),
        },
        Family::V6 => Places {
            server: dhcp6::SERVER_PORT,
            client: dhcp6::CLIENT_PORT,
            everybody: dhcp6::SERVERS.into(),
        },
    }
}
