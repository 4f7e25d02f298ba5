//! What a certificate is for.

use std::collections::BTreeSet;
use std::net::IpAddr;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

/// The names and addresses that a certificate is for, as text.
pub(super) fn names_in(certificate: &X509Certificate<'_>) -> BTreeSet<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|extension| extension.value.general_names.as_slice());
    names
        .unwrap_or_default()
        .iter()
        .filter_map(|name| {
            if let GeneralName::DNSName(name) = name {
                Some(name.to_ascii_lowercase())
            } else if let GeneralName::IPAddress(bytes) = name {
                address(bytes).map(|address| address.to_string())
            } else {
                None
            }
        })
        .collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| v6()).ok()
}
