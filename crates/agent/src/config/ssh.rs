//! The SSH switch: who may log in while it is on, and for how long it can be.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use super::ConfigError;
use super::file::{within, wrong};

const MINUTE: u64 = 60;

/// For how long it can be switched on unless something else is said.
const MAX_MINUTES: u64 = 60;

/// The port of SSH (RFC 4250, section 4.1).
const PORT: u16 = 22;

/// Where Debian and most others have the server.
const PROGRAM: &str = "/usr/sbin/sshd";

/// The most accounts that may be named.
const MAX_USERS: usize = 16;

/// The most bytes of an account's name, as `useradd` has it.
const MAX_USER: usize = 32;

/// The most addresses to listen on.
const MAX_ADDRESSES: usize = 4;

/// The most networks that are named.
const MAX_NETWORKS: usize = 16;

/// The SSH switch, where a device has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssh {
    /// The accounts that may log in, at least one. `root` only if it is named.
    pub users: Vec<String>,
    /// The file of their own keys, as `sshd` has it: `%u` and `%h` stand for an account and its home.
    pub keys: Option<PathBuf>,
    /// Whose certificates count.
    pub certificates: Certificates,
    /// For how long it can be switched on, 1 minute to 12 hours.
    pub most: Duration,
    /// Where it listens then.
    pub listen: Vec<SocketAddr>,
    /// Networks from which it is reached beside those that the device is a part of.
    pub networks: Vec<IpNet>,
    /// Whether who is logged in may have connections forwarded.
    pub forwarding: bool,
    /// OpenSSH's server.
    pub program: PathBuf,
}

/// Whose certificates count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificates {
    /// Those that the hub has signed for this device.
    Hub,
    /// Those of an authority whose public key lies in this file.
    File(PathBuf),
    /// None.
    Nobodys,
}

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct WrittenSsh {
    users: Vec<String>,
    keys: Option<PathBuf>,
    hub_certificates: Option<bool>,
    authority: Option<PathBuf>,
    max_minutes: Option<u64>,
    listen: Option<Vec<SocketAddr>>,
    #[serde(default)]
    networks: Vec<IpNet>,
    #[serde(default)]
    forwarding: bool,
    program: Option<PathBuf>,
}

impl WrittenSsh {
    fn checked(self) -> Result<Ssh, ConfigError> {
        let users = 1..=MAX_USERS;
        if !users.contains(&self.users.len()) || !self.users.iter().all(|user| is_user(user)) {
            return wrong(
                "ssh.users",
                "1 to 16 accounts, each of letters, digits, -, _ and .",
            );
        }
        let certificates = match (self.hub_certificates, self.authority) {
            (Some(true), Some(_)) => {
                return wrong("ssh.authority", "without ssh.hub-certificates, or it false");
            }
            (Some(true) | None, None) => Certificates::Hub,
            (Some(false) | None, Some(file)) => Certificates::File(file),
            (Some(false), None) => Certificates::Nobodys,
        };
        if certificates == Certificates::Nobodys && self.keys.is_none() {
            return wrong("ssh.keys", "given where no certificates count");
        }
        let authority = match &certificates {
            Certificates::File(file) => Some(file.as_path()),
            Certificates::Hub | Certificates::Nobodys => None,
        };
        let program = self.program.unwrap_or_else(|| PROGRAM.into());
        // Within a home where it begins with %h.
        let keys = self.keys.as_deref();
        let keys = keys.filter(|keys| !keys.starts_with("%h"));
        for (key, path) in [
            ("ssh.keys", keys),
            ("ssh.authority", authority),
            ("ssh.program", Some(&*program)),
        ] {
            if path.is_some_and(|path| !path.is_absolute() || !is_quotable(path)) {
                return wrong(key, "an absolute path without quotes and backslashes");
            }
        }
        let anywhere = || vec![(Ipv6Addr::UNSPECIFIED, PORT).into()];
        let listen = self.listen.unwrap_or_else(anywhere);
        if !(1..=MAX_ADDRESSES).contains(&listen.len()) {
            return wrong("ssh.listen", "1 to 4 addresses, as [\"192.0.2.7:22\"]");
        }
        let is_network = |network: &IpNet| network.prefix_len() > 0;
        if self.networks.len() > MAX_NETWORKS || !self.networks.iter().all(is_network) {
            return wrong(
                "ssh.networks",
                "at most 16 networks of the site, and not the whole internet",
            );
        }
        let minutes = self.max_minutes.unwrap_or(MAX_MINUTES);
        let minutes = within("ssh.max-minutes", minutes, 1..=12 * 60)?;
        Ok(Ssh {
            users: self.users,
            keys: self.keys,
            certificates,
            most: Duration::from_secs(minutes * MINUTE),
            listen,
            networks: self.networks,
            forwarding: self.forwarding,
            program,
        })
    }
}

/// Checks what is written, and the agent's folder: it is named in a file of `sshd`'s.
pub(super) fn checked(
    written: Option<WrittenSsh>,
    data: Option<&Path>,
) -> Result<Option<Ssh>, ConfigError> {
    match (&written, data) {
        (Some(_), Some(data)) if data.is_relative() || !is_quotable(data) => wrong(
            "data",
            "an absolute path without quotes and backslashes where there is [ssh]",
        ),
        _ => written.map(WrittenSsh::checked).transpose(),
    }
}

/// Whether it is an account's name, and no pattern of several.
fn is_user(text: &str) -> bool {
    let mut bytes = text.bytes();
    let starts = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    starts && text.len() <= MAX_USER && bytes.all(fits)
}

/// Whether it can stand between quotes in a file of `sshd`'s.
fn is_quotable(path: &Path) -> bool {
    let text = path.to_str();
    text.is_some_and(|text| !text.contains(|sign: char| sign.is_control() || "\"\\".contains(sign)))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn parse(text: &str) -> Result<Ssh, String> {
        let least = "hub = \"https://hub.example\"\ntoken-file = \"token\"\n[ssh]\n";
        match Config::parse(&format!("{least}{text}")) {
            Ok(config) => Ok(config.ssh.unwrap()),
            Err(ConfigError::Value { key, .. }) => Err(key.to_owned()),
            Err(ConfigError::Text(error)) => Err(error.message().to_owned()),
        }
    }

    #[test]
    fn the_least_switch_is_for_one_account_and_what_the_hub_signs() {
        let ssh = parse("users = [\"technician\"]").unwrap();
        assert_eq!(ssh.certificates, Certificates::Hub);
        assert_eq!(ssh.most, Duration::from_secs(3_600));
        assert_eq!(ssh.listen, ["[::]:22".parse().unwrap()]);
        assert_eq!((ssh.keys, ssh.forwarding), (None, false));
    }

    #[test]
    fn accounts_are_named_one_by_one() {
        for users in [
            "[]",
            "[\"*\"]",
            "[\"!root\"]",
            "[\"a b\"]",
            "[\"a@10.0.0.1\"]",
            "[\"-u\"]",
        ] {
            let refused = parse(&format!("users = {users}"));
            assert_eq!(refused.unwrap_err(), "ssh.users", "{users}");
        }
    }

    #[test]
    fn a_switch_by_which_nobody_could_come_in_is_none() {
        let none = "users = [\"u\"]\nhub-certificates = false";
        assert_eq!(parse(none).unwrap_err(), "ssh.keys");
        let keys = parse(&format!("{none}\nkeys = \"/etc/outgate/ssh-keys\"")).unwrap();
        assert_eq!(keys.certificates, Certificates::Nobodys);
        let both = "users = [\"u\"]\nhub-certificates = true\nauthority = \"/ca.pub\"";
        assert_eq!(parse(both).unwrap_err(), "ssh.authority");
    }

    #[test]
    fn what_the_server_could_misread_is_refused() {
        for (key, text) in [
            ("ssh.keys", "keys = \"keys\""),
            ("ssh.keys", "keys = '/keys\" PasswordAuthentication yes'"),
            ("ssh.authority", "authority = \"/a\\nb\""),
            ("ssh.program", "program = \"sshd\""),
            ("ssh.max-minutes", "max-minutes = 0"),
            ("ssh.max-minutes", "max-minutes = 721"),
            ("ssh.listen", "listen = []"),
            ("ssh.networks", "networks = [\"0.0.0.0/0\"]"),
        ] {
            let refused = parse(&format!("users = [\"u\"]\n{text}"));
            assert_eq!(refused.unwrap_err(), key, "{text}");
        }
        parse("users = [\"u\"]\nkeys = \"%h/.ssh/authorized_keys\"").unwrap();
    }
}
