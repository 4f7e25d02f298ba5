//! A raw socket hands over every ICMP message that reaches the machine, from anybody.

use outgate_wire::icmp::{DATA_MAX, Echo, Version, strip_ipv4_header};

/// Reads `data` as an ICMP and as an ICMPv6 message, and as a packet with its IPv4 header.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, or an echo that reads differently
/// once it is written again.
pub fn icmp_reply(data: &[u8]) {
    for version in [Version::V4, Version::V6] {
        check_echo(version, data);
    }
    if let Ok(message) = strip_ipv4_header(data) {
        assert!(
            message.len() + 20 <= data.len(),
            "an IPv4 header of less than 20 bytes"
        );
        check_echo(Version::V4, message);
    }
}

fn check_echo(version: Version, message: &[u8]) {
    if let Ok(echo) = Echo::decode(version, message) {
        let kept = Echo {
            data: &echo.data[..echo.data.len().min(DATA_MAX)],
            ..echo
        };
        let written = echo.encode(version);
        assert_eq!(
            Echo::decode(version, &written),
            Ok(kept),
            "read again after writing"
        );
    }
}
