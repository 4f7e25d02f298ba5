//! `NAME:PORT:ADDRESS:PORT`, as curl's `--connect-to` has it.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use crate::ask::Host;

/// The longest text that is read.
const TEXT_MAX: usize = 1024;

/// A detour: whoever asks for this host and port is sent to that one.
///
/// It replaces resolution and port, never what is said inside the connection: server name
/// indication, certificate name and `Host` header stay those of the lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectTo {
    name: Option<String>,
    port: Option<u16>,
    to_host: Option<Host>,
    to_port: Option<u16>,
}

impl ConnectTo {
    /// A detour for one name (`None`: any) and port (`None`: any).
    pub fn new(name: Option<&str>, port: Option<u16>, to: IpAddr, to_port: Option<u16>) -> Self {
        Self {
            name: name.map(normalised),
            port,
            to_host: Some(Host::Address(to)),
            to_port,
        }
    }

    /// Where `host` and `port` are sent, if this detour is about them.
    pub(crate) fn apply(&self, host: &Host, port: Option<u16>) -> Option<(Host, Option<u16>)> {
        let name_fits = self
            .name
            .as_ref()
            .is_none_or(|name| *name == normalised(&host.word()));
        let port_fits = self.port.is_none() || self.port == port;
        (name_fits && port_fits).then(|| {
            let to_host = self.to_host.clone().unwrap_or_else(|| host.clone());
            (to_host, port.map(|port| self.to_port.unwrap_or(port)))
        })
    }
}

impl FromStr for ConnectTo {
    type Err = ConnectToError;

    /// Reads `NAME:PORT:ADDRESS:PORT`; each part may be empty, an IPv6 address is in brackets.
    fn from_str(text: &str) -> Result<Self, ConnectToError> {
        if text.len() > TEXT_MAX {
            return Err(ConnectToError::TooLong);
        }
        let (name, rest) = take_host(text)?;
        let (port, rest) = rest.split_once(':').ok_or(ConnectToError::Parts)?;
        let (to_host, to_port) = take_host(rest)?;
        if to_port.contains(':') {
            return Err(ConnectToError::Parts);
        }
        Ok(Self {
            name: (!name.is_empty()).then(|| normalised(name)),
            port: read_port(port)?,
            to_host: (!to_host.is_empty()).then(|| match to_host.parse() {
                Ok(address) => Host::Address(address),
                Err(_) => Host::Name(to_host.to_owned()),
            }),
            to_port: read_port(to_port)?,
        })
    }
}

impl fmt::Display for ConnectTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to_host = self.to_host.as_ref().map(Host::word).unwrap_or_default();
        write_host(f, self.name.as_deref().unwrap_or_default())?;
        write_port(f, self.port)?;
        f.write_str(":")?;
        write_host(f, &to_host)?;
        write_port(f, self.to_port)
    }
}

/// Why a text is not a detour.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectToError {
    /// Not four parts.
    #[error(
        "expected NAME:PORT:ADDRESS:PORT (each part may be empty, an IPv6 address in brackets)"
    )]
    Parts,
    /// A port that is none.
    #[error("`{text}` is not a port: expected a number from 1 to 65535")]
    Port {
        /// What stands there.
        text: String,
    },
    /// Something in brackets that is no IPv6 address.
    #[error("`[{text}]` is not an IPv6 address")]
    Address {
        /// What stands between the brackets.
        text: String,
    },
    /// Longer than 1,024 bytes.
    #[error("the text is longer than {TEXT_MAX} bytes")]
    TooLong,
}

/// Splits off a host and the colon after it.
fn take_host(text: &str) -> Result<(&str, &str), ConnectToError> {
    let Some(bracketed) = text.strip_prefix('[') else {
        return text.split_once(':').ok_or(ConnectToError::Parts);
    };
    let (address, rest) = bracketed.split_once(']').ok_or(ConnectToError::Parts)?;
    if address.parse::<Ipv6Addr>().is_err() {
        return Err(ConnectToError::Address {
            text: address.to_owned(),
        });
    }
    Ok((
        address,
        rest.strip_prefix(':').ok_or(ConnectToError::Parts)?,
    ))
}

fn read_port(text: &str) -> Result<Option<u16>, ConnectToError> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse() {
        Ok(port) if port > 0 && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Some(port)),
        Ok(_) | Err(_) => Err(ConnectToError::Port {
            text: text.to_owned(),
        }),
    }
}

/// Names are compared without case and without the root's dot, addresses in their usual form.
pub(crate) fn normalised(name: &str) -> String {
    match name.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase(),
    }
}

fn write_host(f: &mut fmt::Formatter<'_>, host: &str) -> fmt::Result {
    if host.contains(':') {
        write!(f, "[{host}]")
    } else {
        f.write_str(host)
    }
}

fn write_port(f: &mut fmt::Formatter<'_>, port: Option<u16>) -> fmt::Result {
    match port {
        Some(port) => write!(f, ":{port}"),
        None => f.write_str(":"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(detour: &str, host: &str, port: u16) -> Option<(String, Option<u16>)> {
        let detour: ConnectTo = detour.parse().unwrap();
        let host = host
            .parse()
            .map_or_else(|_| Host::Name(host.to_owned()), Host::Address);
        detour
            .apply(&host, Some(port))
            .map(|(host, port)| (host.word(), port))
    }

    #[test]
    fn a_name_and_port_are_sent_elsewhere() {
        let to = sent("api.example:443:127.0.0.1:8443", "API.example.", 443);
        assert_eq!(to, Some(("127.0.0.1".to_owned(), Some(8443))));
    }

    #[test]
    fn another_name_or_port_is_left_alone() {
        assert_eq!(
            sent("api.example:443:127.0.0.1:8443", "api.example", 80),
            None
        );
        assert_eq!(
            sent("api.example:443:127.0.0.1:8443", "web.example", 443),
            None
        );
    }

    #[test]
    fn empty_parts_mean_any_and_unchanged() {
        assert_eq!(
            sent(":::", "a.example", 80),
            Some(("a.example".to_owned(), Some(80)))
        );
        assert_eq!(
            sent("::127.0.0.1:", "a.example", 80),
            Some(("127.0.0.1".to_owned(), Some(80)))
        );
    }

    #[test]
    fn ipv6_addresses_stand_in_brackets_on_both_sides() {
        let to = sent("[2001:db8::1]:80:[::1]:8080", "2001:db8::1", 80);
        assert_eq!(to, Some(("::1".to_owned(), Some(8080))));
    }

    #[test]
    fn an_ipv6_address_is_known_in_every_form() {
        for form in ["2001:DB8:0:0::1", "2001:0db8::0001", "2001:db8::0.0.0.1"] {
            let detour = format!("[{form}]:80:[::1]:8080");
            let to = sent(&detour, "2001:db8::1", 80);
            assert_eq!(to, Some(("::1".to_owned(), Some(8080))), "{form}");
        }
    }

    #[test]
    fn a_role_is_named_by_its_word() {
        let detour: ConnectTo = "ntp-servers:123:127.0.0.1:1123".parse().unwrap();
        let to = detour.apply(&Host::TimeServers, Some(123));
        assert_eq!(to, Some((Host::Address([127, 0, 0, 1].into()), Some(1123))));
        let detour: ConnectTo = "dns-servers::127.0.0.1:5353".parse().unwrap();
        assert!(detour.apply(&Host::SystemResolvers, Some(53)).is_some());
    }

    #[test]
    fn a_lane_without_a_port_keeps_none() {
        let detour: ConnectTo = "a.example::127.0.0.1:".parse().unwrap();
        let to = detour.apply(&Host::Name("a.example".to_owned()), None);
        assert_eq!(to, Some((Host::Address([127, 0, 0, 1].into()), None)));
    }

    #[test]
    fn a_text_that_is_no_detour_says_what_is_wrong() {
        for (text, error) in [
            ("", ConnectToError::Parts),
            ("a:1:b", ConnectToError::Parts),
            ("a:1:b:2:3", ConnectToError::Parts),
            ("[::1:1:b:2", ConnectToError::Parts),
            (
                "a:0:b:2",
                ConnectToError::Port {
                    text: "0".to_owned(),
                },
            ),
            (
                "a:+1:b:2",
                ConnectToError::Port {
                    text: "+1".to_owned(),
                },
            ),
            (
                "a:1:b:65536",
                ConnectToError::Port {
                    text: "65536".to_owned(),
                },
            ),
            (
                "a:1:[x]:2",
                ConnectToError::Address {
                    text: "x".to_owned(),
                },
            ),
        ] {
            assert_eq!(text.parse::<ConnectTo>(), Err(error), "{text}");
        }
        assert_eq!(
            "a".repeat(2000).parse::<ConnectTo>(),
            Err(ConnectToError::TooLong)
        );
    }

    #[test]
    fn what_is_printed_reads_back() {
        for text in [
            "a.example:443:127.0.0.1:8443",
            ":::",
            "[2001:db8::1]::[::1]:80",
        ] {
            assert_eq!(text.parse::<ConnectTo>().unwrap().to_string(), text);
        }
    }
}
