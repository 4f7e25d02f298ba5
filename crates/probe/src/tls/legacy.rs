//! Asking a server that refused TLS 1.2 and 1.3 which older version it would speak.

use std::time::Duration;

use outgate_wire::tls_hello::{ANSWER_MAX, ClientHello, ServerFirst, Version, alert_name};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

use crate::{
    ask::{Host, TlsVersion},
    evidence::{LegacyTls, PhaseName, Trouble},
    run::{Run, Stop},
    stream::{BoxedStream, Way},
};

/// Offers, highest first. A server that copes with TLS's rules needs one; one that breaks off at
/// a version it does not know needs the next.
const OFFERS: [Version; 3] = [Version::Tls12, Version::Tls11, Version::Tls10];
/// How long one offer may take.
const OFFER_TIMEOUT: Duration = Duration::from_secs(3);
/// An alert of this level ends nothing (RFC 5246 §7.2).
const LEVEL_WARNING: u8 = 1;
/// Most warnings that are skipped.
const WARNINGS_MAX: usize = 4;
/// Length of an alert's record (RFC 5246 §6.2.1, §7.2).
const ALERT_RECORD: usize = 7;

/// The reason why the handshake failed, if the server's age is one. What it said stands in the
/// evidence.
pub(super) async fn highest(run: &mut Run<'_>) -> Option<Stop> {
    let mut said = LegacyTls::Silence;
    for offer in OFFERS {
        said = ask(run, offer).await.unwrap_or(LegacyTls::Silence);
        if matches!(said, LegacyTls::Version { .. } | LegacyTls::NotTls) {
            break;
        }
    }
    let verdict = match &said {
        LegacyTls::Version { version, .. } if *version < TlsVersion::Tls12 => {
            let floor = run.ask.tls.floor;
            let trouble = Trouble::TlsTooOld {
                highest: *version,
                floor,
            };
            // The lane would allow it, but the rest of it could not be shown.
            Some(if *version >= floor {
                Stop::warn(trouble)
            } else {
                trouble.into()
            })
        }
        // Something between that does not cope with the newer handshake, or with this one's size.
        LegacyTls::Version { cipher_suite, .. } if run.path.tls().speaks(*cipher_suite) => None,
        LegacyTls::Version { cipher_suite, .. } => Some(
            Trouble::TlsNoCommonCipher {
                cipher_suite: *cipher_suite,
            }
            .into(),
        ),
        LegacyTls::Alert { .. } | LegacyTls::Silence | LegacyTls::NotTls => None,
    };
    if let Some(evidence) = &mut run.attempt.tls {
        evidence.legacy = Some(said);
    }
    verdict
}

async fn ask(run: &mut Run<'_>, offer: Version) -> Result<LegacyTls, Stop> {
    let name = match &run.ask.host {
        Host::Name(name) => Some(name.trim_end_matches('.')),
        Host::Address(_) | Host::SystemResolvers | Host::TimeServers | Host::Role(_) => None,
    };
    let hello = ClientHello::new(offer, name, run.path.tls().random()?).map_err(|error| {
        Trouble::BadAsk {
            what: error.to_string(),
        }
    })?;
    let way = Way::of(run)?;
    let (wanted, to_tls, address) = (run.ask, run.to_tls, run.far_address());
    let exchange = async {
        let exchange = async {
            let mut stream = way.open(PhaseName::LegacyTls).await?;
            if let Some(to_tls) = to_tls {
                to_tls(&mut stream, wanted, address).await?;
            }
            let start = Instant::now();
            stream
                .write_all(&hello.encode())
                .await
                .map_err(|error| Stop::io(&error, PhaseName::LegacyTls, start))?;
            read_first(&mut stream).await
        };
        let late = Trouble::TimedOut {
            phase: PhaseName::LegacyTls,
        };
        timeout(OFFER_TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| Err(late.into()))
    };
    run.phase(PhaseName::LegacyTls, exchange).await
}

/// Reads until the server's first word is complete, at most [`ANSWER_MAX`] bytes.
async fn read_first(stream: &mut BoxedStream) -> Result<LegacyTls, Stop> {
    let start = Instant::now();
    let mut answer = Vec::new();
    let mut warnings = 0;
    let mut chunk = [0; 1024];
    while answer.len() < ANSWER_MAX {
        let read = stream.read(&mut chunk).await;
        let read = read.map_err(|error| Stop::io(&error, PhaseName::LegacyTls, start))?;
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&chunk[..read]);
        loop {
            match ServerFirst::read(&answer) {
                Ok(None) => break,
                Ok(Some(ServerFirst::Alert {
                    level: LEVEL_WARNING,
                    ..
                })) if warnings < WARNINGS_MAX && answer.len() >= ALERT_RECORD => {
                    warnings += 1;
                    answer.drain(..ALERT_RECORD);
                }
                Ok(Some(first)) => return Ok(said(first)),
                Err(_) => return Ok(LegacyTls::NotTls),
            }
        }
    }
    Ok(LegacyTls::Silence)
}

fn said(first: ServerFirst) -> LegacyTls {
    match first {
        ServerFirst::Hello {
            version,
            cipher_suite,
        } => {
            let version = match version {
                Version::Ssl30 => TlsVersion::Ssl30,
                Version::Tls10 => TlsVersion::Tls10,
                Version::Tls11 => TlsVersion::Tls11,
                Version::Tls12 => TlsVersion::Tls12,
            };
            LegacyTls::Version {
                version,
                cipher_suite,
            }
        }
        ServerFirst::Alert {
            level: _,
            description,
        } => LegacyTls::Alert {
            code: description,
            description: alert_name(description).to_owned(),
        },
    }
}
