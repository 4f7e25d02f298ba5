//! What an address tells by itself.

use std::net::IpAddr;

/// Whether an address is of this machine or of a network that nobody reaches from outside
/// (RFC 1918, RFC 3927, RFC 4193, RFC 4291 §2.5).
pub fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_unspecified() || v4.is_loopback() || v4.is_private() || v4.is_link_local()
        }
        IpAddr::V6(v6) => {
            v6.is_unspecified()
                || v6.is_loopback()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
        }
    }
}
