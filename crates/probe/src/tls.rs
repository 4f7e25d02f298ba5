//! TLS: handshake with everything recorded, judged afterwards.
//!
//! The handshake goes on whatever the certificate says, as long as the server proves that it
//! holds the key. Only then is the chain judged, so that the evidence is whole: who issued it, for
//! whom, until when, and which roots vouch for it.

mod certificate;
mod client_certificate;
mod failure;
mod judge;
mod legacy;
mod segments;
mod witness;

use std::{error::Error, net::IpAddr, sync::Arc, time::SystemTime};

use rustls::{
    ClientConfig, ProtocolVersion,
    client::Resumption,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{io::AsyncWriteExt, time::Instant};
use tokio_rustls::{TlsConnector, client::TlsStream};

pub(crate) use certificate::hex;
pub(crate) use client_certificate::{await_refusal, before_answer};
pub(crate) use failure::{read_trouble, tls_error};

use crate::{
    ask::{Host, TlsAsk, TlsVersion, Trust},
    evidence::{ExpectedTrust, Outcome, PhaseName, TlsEvidence, Trouble},
    path::{Path, Roots},
    run::{Run, Stop},
    stream::BoxedStream,
    text::cut,
};
use failure::Failure;
use judge::Judge;
use witness::Witness;

/// Most certificates of a chain that are looked at.
const CHAIN_MAX: usize = 16;

/// Longest protocol name that is kept, in characters (RFC 7301 §3.1).
const ALPN_MAX: usize = 255;

/// What all TLS probes of a path share.
pub(crate) struct Tls {
    provider: Arc<CryptoProvider>,
    judge: Judge,
}

impl Tls {
    pub(crate) fn new(roots: &Roots) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let judge = Judge::new(roots, &provider)?;
        Ok(Self { provider, judge })
    }

    /// Bytes nobody can guess.
    pub(crate) fn random<const N: usize>(&self) -> Result<[u8; N], Stop> {
        let mut bytes = [0; N];
        match self.provider.secure_random.fill(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(_) => Err(Trouble::Local {
                what: "no random numbers".to_owned(),
            }
            .into()),
        }
    }

    /// Whether the cipher suite with this IANA number is one that is offered.
    fn speaks(&self, cipher_suite: u16) -> bool {
        let offered = &self.provider.cipher_suites;
        offered
            .iter()
            .any(|suite| u16::from(suite.suite()) == cipher_suite)
    }

    fn config(&self, witness: &Arc<Witness>, alpn: &[&[u8]]) -> Result<ClientConfig, Stop> {
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| Trouble::Local {
                what: error.to_string(),
            })?
            .dangerous()
            .with_custom_certificate_verifier(witness.clone())
            .with_client_cert_resolver(witness.clone());
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

/// A connection after its handshake.
pub(crate) struct Secured {
    pub(crate) stream: TlsStream<BoxedStream>,
    /// What is wrong with the server's certificate.
    pub(crate) doubt: Option<Stop>,
    /// What it showed.
    pub(crate) shown: Shown,
}

/// A chain of certificates as a server showed it, for whoever judges it by another time.
#[derive(Debug)]
pub(crate) struct Shown {
    chain: Vec<CertificateDer<'static>>,
    name: ServerName<'static>,
    ask: TlsAsk,
}

impl Shown {
    /// What is wrong with it at this time, by the ordinary rules.
    pub(crate) fn failure_at(&self, path: &Path, at: SystemTime) -> Option<Trouble> {
        let judge = &path.tls().judge;
        let judgement = judge.judge(&self.chain, &self.name, &self.ask, at);
        let failed = judgement
            .doubt
            .filter(|doubt| doubt.outcome == Outcome::Fail);
        failed.map(|doubt| doubt.trouble)
    }

    /// What is wrong with it at every time from this one on; its dates only if nothing else is.
    pub(crate) fn failure_from(&self, path: &Path, from: SystemTime) -> Option<Trouble> {
        let starts = judge::starts(&self.chain).into_iter();
        let times = [from]
            .into_iter()
            .chain(starts.filter(|start| *start > from));
        let mut worst: Option<Trouble> = None;
        for at in times {
            let failure = self.failure_at(path, at)?;
            if worst.as_ref().is_none_or(is_about_dates) {
                worst = Some(failure);
            }
        }
        worst
    }
}

/// Whether it is a certificate's dates.
pub(crate) fn is_about_dates(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::CertificateExpired { .. } | Trouble::CertificateNotYetValid { .. }
    )
}

/// Makes the handshake and judges it. What was seen stands in the attempt's evidence even if it
/// fails.
pub(crate) async fn secure(
    run: &mut Run<'_>,
    stream: BoxedStream,
    alpn: &[&[u8]],
) -> Result<Secured, Stop> {
    let name = server_name(&run.ask.host, run.far_address())?;
    let path = run.path;
    let witness = Arc::new(Witness::new(
        path.tls().provider.clone(),
        path.client_identity(),
    ));
    let config = path.tls().config(&witness, alpn)?;
    let connect = TlsConnector::from(Arc::new(config)).connect(name.clone(), stream);
    let start = Instant::now();
    let handshake = segments::handshake(run, connect, &name, alpn).await;

    let chain = witness.chain();
    let judgement = path
        .tls()
        .judge
        .judge(&chain, &name, &run.ask.tls, path.now());
    run.attempt.tls = Some(TlsEvidence {
        server_name: sent_name(&name),
        version: None,
        cipher_suite: None,
        alpn: None,
        chain: chain.iter().map(certificate::evidence).collect(),
        trusted_by: judgement.trusted_by,
        expected: expected(&run.ask.tls.trust),
        client_certificate_asked: witness.client_certificate_asked(),
        legacy: None,
    });
    match handshake? {
        Ok(stream) => {
            note_agreement(run, &stream);
            check_floor(run)?;
            Ok(Secured {
                stream,
                doubt: judgement.doubt,
                shown: Shown {
                    chain,
                    name,
                    ask: run.ask.tls.clone(),
                },
            })
        }
        Err(error) => {
            let failure = Failure::of(&error, start);
            Err(explain(run, failure, &chain, judgement.doubt).await)
        }
    }
}

/// Makes the handshake with a proxy that is spoken to inside TLS. Its certificate must be right.
pub(crate) async fn secure_to_proxy(
    path: &Path,
    stream: BoxedStream,
    host: &Host,
    address: IpAddr,
    phase: PhaseName,
) -> Result<BoxedStream, Stop> {
    let name = server_name(host, address)?;
    let witness = Arc::new(Witness::new(path.tls().provider.clone(), None));
    let config = path.tls().config(&witness, &[b"http/1.1"])?;
    let connector = TlsConnector::from(Arc::new(config));
    let start = Instant::now();
    let handshake = connector.connect(name.clone(), stream).await;
    let stream = handshake.map_err(|error| Stop::io(&error, phase, start))?;
    let ask = TlsAsk::default();
    let judge = &path.tls().judge;
    let judgement = judge.judge(&witness.chain(), &name, &ask, path.now());
    match judgement.doubt {
        Some(doubt) => Err(doubt),
        None => Ok(Box::new(stream)),
    }
}

/// Says goodbye politely; what happens then does not matter.
pub(crate) async fn close(run: &mut Run<'_>, mut stream: TlsStream<BoxedStream>) {
    let goodbye = async {
        let _ = stream.shutdown().await;
        Ok(())
    };
    let _ = run.phase(PhaseName::Close, goodbye).await;
}

fn note_agreement(run: &mut Run<'_>, stream: &TlsStream<BoxedStream>) {
    let (_, connection) = stream.get_ref();
    let Some(evidence) = &mut run.attempt.tls else {
        return;
    };
    evidence.version = connection.protocol_version().and_then(version);
    evidence.cipher_suite = connection
        .negotiated_cipher_suite()
        .and_then(|suite| suite.suite().as_str())
        .map(|name| name.replacen("TLS13_", "TLS_", 1));
    evidence.alpn = connection
        .alpn_protocol()
        .map(|alpn| cut(&String::from_utf8_lossy(alpn), ALPN_MAX));
}

fn check_floor(run: &Run<'_>) -> Result<(), Stop> {
    let floor = run.ask.tls.floor;
    match run.attempt.tls.as_ref().and_then(|tls| tls.version) {
        Some(highest) if highest < floor => Err(Trouble::TlsTooOld { highest, floor }.into()),
        Some(_) | None => Ok(()),
    }
}

/// Why a handshake failed, asking the server once more if it may be too old.
async fn explain(
    run: &mut Run<'_>,
    failure: Failure,
    chain: &[CertificateDer<'_>],
    doubt: Option<Stop>,
) -> Stop {
    let may_be_old_server = failure.may_be_old_server();
    let stop = Stop::from(failure.into_trouble(chain));
    if client_certificate::refused(run, &stop) {
        // The server went as far as wanting to know who is there.
        let wanted = Stop::warn(Trouble::ClientCertificateWanted);
        return doubt.map_or(wanted.clone(), |doubt| doubt.worse(wanted));
    }
    if !may_be_old_server {
        return stop;
    }
    legacy::highest(run).await.unwrap_or(stop)
}

/// The name the certificate must be for.
fn server_name(host: &Host, address: IpAddr) -> Result<ServerName<'static>, Stop> {
    match host {
        Host::Name(name) => {
            let name = name.trim_end_matches('.').to_owned();
            let bad = Trouble::BadAsk {
                what: format!("`{name}` is no server name"),
            };
            ServerName::try_from(name).map_err(|_| bad.into())
        }
        Host::Address(address) => Ok(ServerName::IpAddress((*address).into())),
        Host::SystemResolvers | Host::TimeServers | Host::Role(_) => {
            Ok(ServerName::IpAddress(address.into()))
        }
    }
}

/// The name in the server name indication; an address is never sent (RFC 6066 §3).
fn sent_name(name: &ServerName<'_>) -> Option<String> {
    if let ServerName::DnsName(name) = name {
        Some(name.as_ref().to_owned())
    } else {
        None
    }
}

fn expected(trust: &Trust) -> ExpectedTrust {
    match trust {
        Trust::Any => ExpectedTrust::Any,
        Trust::Public => ExpectedTrust::Public,
        Trust::Vendor => ExpectedTrust::Vendor,
        Trust::Pinned(_) => ExpectedTrust::Pinned,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "no other version is ever negotiated"
)]
fn version(version: ProtocolVersion) -> Option<TlsVersion> {
    match version {
        ProtocolVersion::TLSv1_2 => Some(TlsVersion::Tls12),
        ProtocolVersion::TLSv1_3 => Some(TlsVersion::Tls13),
        _ => None,
    }
}
