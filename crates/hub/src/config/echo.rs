//! Whether and where the hub answers whoever checks the way: SIP, RTP and SignalR.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

use super::signalr::{SignalRHub, is_below, path};
use super::{ConfigError, value, within};

/// The most ports of a range that RTP is reflected on: those of a telephone system, each a socket.
pub const MAX_RTP_PORTS: usize = 10_240;

/// Where the hub echoes; nowhere by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Echo {
    /// Where SIP is echoed, over UDP and TCP.
    pub sip: Option<SocketAddr>,
    /// Where RTP is reflected: an address, and ports of it, at most [`MAX_RTP_PORTS`].
    pub rtp: Option<(IpAddr, RangeInclusive<u16>)>,
    /// How many SIP messages a second of one source are answered, 1 to 1,000.
    pub sip_a_second: u32,
    /// How many RTP packets a second of one source are answered, 1 to 100,000.
    pub rtp_a_second: u32,
    /// The end of SignalR for checks, if there is one.
    pub signalr: Option<SignalRChecks>,
}

/// An end of SignalR that gives whoever asks a handshake and pings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalRChecks {
    /// Where it is.
    pub path: String,
    /// The most connections at a time, 1 to 10,000.
    pub connections: u32,
    /// The most of one source, 1 to 10,000.
    pub connections_a_source: u32,
    /// How long a connection may last, 1 s to an hour.
    pub lasts: Duration,
}

/// The same as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Written {
    sip: Option<SocketAddr>,
    rtp: Option<IpAddr>,
    rtp_ports: Option<[u16; 2]>,
    sip_a_second: Option<u32>,
    rtp_a_second: Option<u32>,
    signalr: Option<String>,
    signalr_connections: Option<u32>,
    signalr_connections_a_source: Option<u32>,
    signalr_seconds: Option<u32>,
}

impl Written {
    /// Fills in the defaults and checks the ranges; `hubs` have the paths that they have.
    pub(super) fn checked(self, hubs: &[SignalRHub]) -> Result<Echo, ConfigError> {
        let signalr = self.signalr(hubs)?;
        let rtp = match (self.rtp, self.rtp_ports) {
            (None, None) => None,
            (Some(address), Some([first, last])) => {
                let ports = first..=last;
                if first == 0 || !(1..=MAX_RTP_PORTS).contains(&ports.len()) {
                    let right = format!("[first, last], from 1 on, at most {MAX_RTP_PORTS} ports");
                    return value("echo.rtp-ports", right);
                }
                Some((address, ports))
            }
            (Some(_), None) => return value("echo.rtp-ports", "[first, last] beside echo.rtp"),
            (None, Some(_)) => return value("echo.rtp", "an address beside echo.rtp-ports"),
        };
        let a_second = |key, given, default, most| within(key, given, default, 1..=most);
        Ok(Echo {
            sip: self.sip,
            rtp,
            sip_a_second: a_second("echo.sip-a-second", self.sip_a_second, 20, 1_000)?,
            // As fast as `outgate check` asks the ports of a range.
            rtp_a_second: a_second("echo.rtp-a-second", self.rtp_a_second, 3_000, 100_000)?,
            signalr,
        })
    }

    fn signalr(&self, hubs: &[SignalRHub]) -> Result<Option<SignalRChecks>, ConfigError> {
        let most = |key, given, default| within(key, given, default, 1..=10_000);
        let connections = most("echo.signalr-connections", self.signalr_connections, 100)?;
        let key = "echo.signalr-connections-a-source";
        let connections_a_source = most(key, self.signalr_connections_a_source, 50)?;
        let key = "echo.signalr-seconds";
        let seconds = within(key, self.signalr_seconds, 60, 1..=3_600)?;
        let Some(text) = self.signalr.clone() else {
            return Ok(None);
        };
        let path = path("echo.signalr", text)?;
        let others = hubs.iter().filter_map(|hub| hub.path.as_deref());
        if others
            .into_iter()
            .any(|other| is_below(other, &path) || is_below(&path, other))
        {
            return value("echo.signalr", "another than the path of a hub of SignalR");
        }
        Ok(Some(SignalRChecks {
            path,
            connections,
            connections_a_source,
            lasts: Duration::from_secs(seconds.into()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Overrides};

    #[test]
    fn nothing_is_echoed_unless_it_is_said_where() {
        let config = Config::new("", Overrides::default()).unwrap();
        assert_eq!((config.echo.sip, config.echo.rtp), (None, None));
        assert_eq!(config.echo.signalr, None);
        let text = "[echo]\nrtp-a-second = 5\nsignalr-seconds = 5\n";
        let config = Config::new(text, Overrides::default()).unwrap();
        assert_eq!((config.echo.sip, config.echo.rtp), (None, None));
        assert_eq!(config.echo.signalr, None);
    }

    #[test]
    fn half_a_place_too_many_ports_and_wrong_rates_are_refused() {
        for text in [
            "rtp = '127.0.0.1'",
            "rtp-ports = [10000, 10001]",
            "rtp = '127.0.0.1'\nrtp-ports = [0, 1]",
            "rtp = '127.0.0.1'\nrtp-ports = [10001, 10000]",
            "rtp = '127.0.0.1'\nrtp-ports = [10000, 20240]",
            "sip-a-second = 0",
            "rtp-a-second = 100001",
            "signalr = '/'",
            "signalr = '/api/checks'",
            "signalr = '/checks'\nsignalr-seconds = 3601",
            "signalr = '/checks'\nsignalr-connections = 0",
            "signalr = '/devices'\n[[signalr.hubs]]\nname = 'a'\npath = '/devices'",
            "signalr = '/devices/checks'\n[[signalr.hubs]]\nname = 'a'\npath = '/devices'",
        ] {
            let text = format!("[echo]\n{text}\n");
            assert!(Config::new(&text, Overrides::default()).is_err(), "{text}");
        }
        let text = "[echo]\nrtp = '127.0.0.1'\nrtp-ports = [10000, 20239]\n";
        assert!(Config::new(text, Overrides::default()).is_ok());
    }
}
