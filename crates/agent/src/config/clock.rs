//! Who is asked what time it is.

use serde::Deserialize;

use outgate_probe::Host;
use outgate_wire::ntp::PORT;
use outgate_wire::signed_time::{KEY_LEN, key};

use super::ConfigError;
use super::file::wrong;

/// The most time servers.
pub const MAX_SERVERS: usize = 8;

/// The most pinned keys.
const MAX_PINS: usize = 8;

/// Who is asked what time it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Whether the NTP servers are asked that DHCP hands out.
    pub dhcp: bool,
    /// The NTP servers that are asked after those, and their ports.
    pub servers: Vec<(Host, u16)>,
    /// By what the hub signs what time it is, if that is configured: an Ed25519 public key.
    pub hub_key: Option<[u8; KEY_LEN]>,
    /// SHA-256 of public keys, of which one must be in the hub's chain where it signs what time it is.
    pub pins: Vec<[u8; 32]>,
    /// Whether the machine's own clock is set, too.
    pub set: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct WrittenClock {
    dhcp: Option<bool>,
    servers: Vec<String>,
    hub_key: Option<String>,
    pins: Vec<String>,
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
            hub_key: hub_key(self.hub_key.as_deref())?,
            pins: pins(&self.pins)?,
            set: self.set,
        })
    }
}

fn hub_key(text: Option<&str>) -> Result<Option<[u8; KEY_LEN]>, ConfigError> {
    match text.map(key) {
        None => Ok(None),
        Some(Some(key)) => Ok(Some(key)),
        Some(None) => wrong("clock.hub-key", "an Ed25519 public key in base 64"),
    }
}

fn pins(texts: &[String]) -> Result<Vec<[u8; 32]>, ConfigError> {
    let pins: Option<Vec<_>> = texts.iter().map(|text| pin(text)).collect();
    match pins {
        Some(pins) if pins.len() <= MAX_PINS => Ok(pins),
        Some(_) | None => {
            let right = format!("a list of at most {MAX_PINS} SHA-256 in hexadecimal");
            wrong("clock.pins", &right)
        }
    }
}

/// Thirty-two bytes in hexadecimal.
fn pin(text: &str) -> Option<[u8; 32]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let byte = |pair: &[u8; 2]| {
        let digits = std::str::from_utf8(pair).ok()?;
        let hex = pair.iter().all(u8::is_ascii_hexdigit);
        u8::from_str_radix(digits, 16).ok().filter(|_| hex)
    };
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    bytes?.try_into().ok()
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
    fn a_pin_is_thirty_two_bytes_in_hexadecimal() {
        assert_eq!(pin(&"0f".repeat(32)), Some([15; 32]));
        for text in [
            "",
            "0f",
            &"+f".repeat(32),
            &"0f".repeat(33),
            &"\u{e5}".repeat(32),
        ] {
            assert_eq!(pin(text), None, "{text}");
        }
    }

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
