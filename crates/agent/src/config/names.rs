//! Under which names the device is found on its networks.

use outgate_wire::llmnr::{Label, NotALabel};
use serde::Deserialize;

use super::ConfigError;
use super::file::wrong;

/// The most interfaces that are named.
const INTERFACES_MAX: usize = 16;

/// Under which names the device is found on its networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The name, of one label; the machine's own when nothing is said.
    pub host: Option<Label>,
    /// Whether it is made known, with the pages, by multicast DNS (RFC 6762, RFC 6763).
    pub mdns: bool,
    /// Whether it is answered for by LLMNR (RFC 4795), which anybody else on the network could do
    /// as well.
    pub llmnr: bool,
    /// On which interfaces; on all that lead to a local network when none is named.
    pub interfaces: Vec<String>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            host: None,
            mdns: true,
            llmnr: false,
            interfaces: Vec::new(),
        }
    }
}

/// As it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct WrittenNames {
    host: Option<String>,
    mdns: Option<bool>,
    llmnr: Option<bool>,
    interfaces: Vec<String>,
}

impl WrittenNames {
    pub(super) fn checked(self) -> Result<Names, ConfigError> {
        let host = self.host.map(|host| Label::new(&host)).transpose();
        let Ok(host) = host else {
            return wrong("names.host", &NotALabel.to_string());
        };
        if self.interfaces.len() > INTERFACES_MAX {
            return wrong("names.interfaces", &format!("at most {INTERFACES_MAX}"));
        }
        let default = Names::default();
        Ok(Names {
            host,
            mdns: self.mdns.unwrap_or(default.mdns),
            llmnr: self.llmnr.unwrap_or(default.llmnr),
            interfaces: self.interfaces,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const LEAST: &str = "hub = \"https://hub.example\"\ntoken-file = \"token\"\n[names]\n";

    #[test]
    fn names_are_made_known_by_multicast_dns_alone_unless_something_else_is_said() {
        let names = Config::parse(LEAST).unwrap().names;
        assert_eq!((names.mdns, names.llmnr), (true, false));
        let text = format!("{LEAST}mdns = false\nllmnr = true\nhost = \"cube-7\"\n");
        let names = Config::parse(&text).unwrap().names;
        assert_eq!((names.mdns, names.llmnr), (false, true));
        assert_eq!(names.host.unwrap().as_str(), "cube-7");
    }

    #[test]
    fn a_name_of_several_labels_is_refused_with_what_would_be_right() {
        let text = format!("{LEAST}host = \"cube.local\"\n");
        let error = Config::parse(&text).unwrap_err().to_string();
        assert!(
            error.starts_with("names.host must be a name of 1 to 63"),
            "{error}"
        );
    }
}
