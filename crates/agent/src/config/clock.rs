//! Who is asked what time it is.

use serde::Deserialize;

use outgate_probe::Host;
use outgate_wire::ntp::PORT;

use super::ConfigError;
use super::file::wrong;

/// The most time servers.
pub const MAX_SERVERS: usize = 8;

/// Who is asked what time it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Whether the NTP servers are asked that DHCP hands out.
    pub dhcp: bool,
    /// The NTP servers that are asked after those, and their ports.
    pub servers: Vec<(Host, u16)>,
    /// Whether the machine's own clock is set, too.
    pub set: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct WrittenClock {
    dhcp: Option<bool>,
    servers: Vec<String>,
    set: bool,
}

impl WrittenClock {
    pub(super) fn checked(self) -> Result<Clock, ConfigError> {
        let servers: Option<Vec<_>> = self.servers.iter().map(|text| server(text)).collect();
        let servers = match servers {
            Some(servers) if servers.len() <= MAX_SERVERS => servers,
            Some(_) | None => {
                let right = format!(
                    "a list of at most {MAX_SERVERS} names or addresses, as ntp.example, \
                     192.0.2.1:123 or [2001:db8::1]:123"
                );
                return wrong("clock.servers", &right);
            }
        };
        Ok(Clock {
            dhcp: self.dhcp.unwrap_or(true),
            servers,
            set: self.set,
        })
    }
}

/// A name or an address, with a port or without.
fn server(text: &str) -> Option<(Host, u16)> {
    if let Ok(address) = text.parse() {
        return Some((Host::Address(address), PORT));
    }
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return Some((Host::Address(address.ip()), address.port()));
    }
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, port.parse().ok()?),
        None => (text, PORT),
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let is_name = !name.is_empty() && name.len() <= 253 && name.bytes().all(fits);
    is_name.then(|| (Host::Name(name.to_owned()), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_server_is_a_name_or_an_address_with_a_port_or_without() {
        let name = |name: &str, port| Some((Host::Name(name.to_owned()), port));
        let address = |text: &str, port| Some((Host::Address(text.parse().unwrap()), port));
        for (text, wanted) in [
            ("ntp.example", name("ntp.example", 123)),
            ("ntp.example:1123", name("ntp.example", 1_123)),
            ("192.0.2.1", address("192.0.2.1", 123)),
            ("192.0.2.1:1123", address("192.0.2.1", 1_123)),
            ("2001:db8::1", address("2001:db8::1", 123)),
            ("[2001:db8::1]:1123", address("2001:db8::1", 1_123)),
            ("", None),
            ("ntp.example:x", None),
            ("ntp.example/x", None),
            ("http://ntp.example", None),
        ] {
            assert_eq!(server(text), wanted, "{text}");
        }
    }
}
