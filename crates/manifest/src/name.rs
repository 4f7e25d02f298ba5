//! Identifiers, domain names and places in the network.

use std::borrow::Borrow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::Serialize;

use crate::decode::FromText;
use crate::diagnostic::quote;

/// The word by which a product, party, flow, feature or setting is known: lower-case letters,
/// digits and single hyphens, starting with a letter, at most 64 characters. A flow that came
/// from another manifest carries the import before a slash: `remote-support/connect`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(Arc<str>);

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Id {
    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of something that was imported.
    pub(crate) fn under(&self, import: &Self) -> Self {
        Self(format!("{}/{}", import.0, self.0).into())
    }

    /// Whether it only stands for one that could not be read.
    pub(crate) fn is_unread(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromText for Id {
    const EXPECTED: &'static str =
        "lower-case letters, digits and single hyphens, starting with a letter";
    const PATTERN: &'static str = "^[a-z][a-z0-9]*(-[a-z0-9]+)*$";

    fn from_text(text: &str) -> Result<Self, String> {
        let words_fit = text.split('-').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        });
        if words_fit && text.len() <= 64 && text.starts_with(|c: char| c.is_ascii_lowercase()) {
            Ok(Self(text.into()))
        } else {
            Err(format!("{} is not an identifier", quote(text)))
        }
    }

    fn stand_in() -> Option<Self> {
        Some(Self("".into()))
    }
}

impl std::str::FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_text(text)
    }
}

/// A domain name of at least two labels, in lower case without the final dot (RFC 1123,
/// section 2.1; underscores as in RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(Arc<str>);

impl Serialize for DomainName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl DomainName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromText for DomainName {
    const EXPECTED: &'static str = "a domain name such as `devices.example.com`";
    const PATTERN: &'static str = "^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\
        (\\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)+$";

    fn from_text(text: &str) -> Result<Self, String> {
        let fits = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let labels: Vec<&str> = text.split('.').collect();
        let numeric = labels
            .last()
            .is_none_or(|top| top.bytes().all(|b| b.is_ascii_digit()));
        if text.len() <= 253 && labels.len() >= 2 && !numeric && labels.iter().all(|l| fits(l)) {
            Ok(Self(text.to_ascii_lowercase().into()))
        } else {
            Err(format!("{} is not a domain name", quote(text)))
        }
    }
}

impl std::str::FromStr for DomainName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_text(text)
    }
}

/// Every name below a domain, at any depth, but not the domain itself: `*.example.com` means
/// `a.example.com` and `b.a.example.com`, not `example.com`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wildcard(DomainName);

impl Wildcard {
    /// The domain below which the names are.
    pub fn domain(&self) -> &DomainName {
        &self.0
    }

    /// Whether a name is one of those meant.
    pub fn matches(&self, name: &DomainName) -> bool {
        let above = name.as_str().strip_suffix(self.0.as_str());
        above.is_some_and(|above| above.len() > 1 && above.ends_with('.'))
    }
}

impl fmt::Display for Wildcard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("*.{}", self.0))
    }
}

/// Somewhere that traffic goes to, written as an administrator would write it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// One domain name.
    Name(DomainName),
    /// All names below a domain.
    Wildcard(Wildcard),
    /// One address.
    Address(IpAddr),
    /// All addresses of a prefix.
    Network(IpNet),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Wildcard(wildcard) => wildcard.fmt(f),
            Self::Address(address) => address.fmt(f),
            Self::Network(network) => network.fmt(f),
        }
    }
}

impl FromText for Place {
    const EXPECTED: &'static str = "a domain name, a wildcard such as `*.example.com`, an address, or a network such as \
         `192.0.2.0/24`";
    const PATTERN: &'static str = "[.:]";

    fn from_text(text: &str) -> Result<Self, String> {
        if let Some(domain) = text.strip_prefix("*.") {
            let domain = DomainName::from_text(domain);
            return domain
                .map(|d| Self::Wildcard(Wildcard(d)))
                .map_err(|_| not_a_place(text));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            if address.is_multicast() {
                return Err(multicast(text));
            }
            return Ok(Self::Address(address));
        }
        if text.contains('/') {
            let network = text.parse::<IpNet>().map_err(|_| not_a_place(text))?;
            if network.trunc() != network {
                return Err(format!(
                    "{} has host bits set; the network is {}",
                    quote(text),
                    network.trunc()
                ));
            }
            if network.network().is_multicast() {
                return Err(multicast(text));
            }
            return Ok(Self::Network(network));
        }
        DomainName::from_text(text)
            .map(Self::Name)
            .map_err(|_| not_a_place(text))
    }
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_text(text)
    }
}

fn not_a_place(text: &str) -> String {
    format!("{} is neither a domain name nor an address", quote(text))
}

fn multicast(text: &str) -> String {
    format!(
        "{} is for multicast, whose groups are written as `{{ multicast: [224.0.0.251] }}`",
        quote(text)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Result<String, String> {
        Place::from_text(text).map(|place| format!("{place:?}"))
    }

    #[test]
    fn a_place_is_told_by_how_it_is_written() {
        assert!(place("*.tapio.one").unwrap().starts_with("Wildcard"));
        assert!(
            place("API.tapio.one")
                .unwrap()
                .contains("Name(DomainName(\"api.tapio.one\"))")
        );
        assert!(place("212.79.202.134").unwrap().starts_with("Address"));
        assert!(place("2001:db8::1").unwrap().starts_with("Address"));
        assert!(place("192.0.2.0/24").unwrap().starts_with("Network"));
        for wrong in [
            "*.*.one",
            "a..b",
            "256.1.1.1",
            "-a.b",
            "192.0.2.1/24",
            "a.b/24",
            "*",
            "",
        ] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_wildcard_means_names_below_the_domain_and_not_the_domain() {
        let Ok(Place::Wildcard(wildcard)) = Place::from_text("*.example.com") else {
            panic!()
        };
        let matches = |name: &str| wildcard.matches(&DomainName::from_text(name).unwrap());
        assert!(matches("a.example.com") && matches("b.a.example.com"));
        assert!(!matches("example.com") && !matches("badexample.com"));
    }
}
