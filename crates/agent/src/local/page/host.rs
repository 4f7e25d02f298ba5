//! By which name a page was asked for. A page of another's may have its own name lead to this device
//! ("DNS rebinding"), and a browser would then let it read what is here; so only names count that
//! nobody else can have, and addresses.

use std::net::IpAddr;

use http::uri::Authority;

/// Where Linux tells the machine's name.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";
/// The domain of names that the local network itself tells (RFC 6762).
const LOCAL: &str = ".local";

/// Whether a `Host` is this device: an address, `localhost`, or one of these names, also with `.local`
/// behind it.
pub(super) fn is_own<'a>(host: &str, names: impl IntoIterator<Item = &'a str>) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    if host.contains('@') {
        return false;
    }
    let name = authority.host();
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    if bare.unwrap_or(name).parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = plain(name);
    name == "localhost" || names.into_iter().any(|own| plain(own) == name)
}

/// As names are compared: in small letters, without the last dot and without `.local`.
fn plain(name: &str) -> String {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    match name.strip_suffix(LOCAL) {
        Some(short) if !short.is_empty() => short.to_owned(),
        Some(_) | None => name,
    }
}

/// The machine's own name, if it has one.
pub(super) fn machine() -> Option<String> {
    let name = std::fs::read_to_string(HOST_NAME).ok()?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_own_names_are_this_device() {
        let names = ["Cube-7.local", "cube.factory.example"];
        for host in [
            "192.168.7.5",
            "192.168.7.5:45001",
            "[fe80::5]:5555",
            "[::1]",
            "localhost:80",
            "cube-7",
            "CUBE-7.local.",
            "cube.factory.example:80",
        ] {
            assert!(is_own(host, names), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "192.168.7.5.evil.example",
            "cube-7.evil.example",
            "cube-7.local.evil.example",
            "evil.example@192.168.7.5",
            "localhost.evil.example",
            ".local",
            "a b",
        ] {
            assert!(!is_own(host, names), "{host}");
        }
    }
}
