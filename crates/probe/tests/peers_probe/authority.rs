//! Certificates made on the spot.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::SystemTime,
};

use outgate_probe::{PathConfig, Roots};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use time::{Duration, OffsetDateTime};

use crate::asks::config_to;

/// An authority made for one test.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A server's certificate and key, as PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate for this name and the addresses of the loopback, valid for these days from now.
    pub(crate) fn issue(&self, name: &str, days: std::ops::Range<i64>) -> Identity {
        let now = OffsetDateTime::now_utc();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "server");
        params.subject_alt_names = vec![
            SanType::DnsName(name.try_into().unwrap()),
            SanType::IpAddress(Ipv4Addr::LOCALHOST.into()),
            SanType::IpAddress(Ipv6Addr::LOCALHOST.into()),
        ];
        params.not_before = now + Duration::days(days.start);
        params.not_after = now + Duration::days(days.end);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity {
            certificate,
            key: key.serialize_pem(),
        }
    }

    /// A certificate that is right for `api.example`.
    pub(crate) fn right(&self) -> Identity {
        self.issue("api.example", -1..30)
    }

    /// A path to a server on which this authority is trusted.
    pub(crate) fn config_to(&self, address: std::net::SocketAddr) -> PathConfig {
        let roots = Roots::mozilla().give_pem(self.pem.as_bytes()).unwrap();
        PathConfig {
            roots,
            clock: Arc::new(SystemTime::now),
            ..config_to(address)
        }
    }

    /// The authority's own key, for those who are to issue in its place.
    pub(crate) fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }
}
