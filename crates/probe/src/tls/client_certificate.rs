//! Servers that ask for a client certificate, of which a probe has none.

use std::time::Duration;

use tokio::{
    io::AsyncReadExt,
    time::{Instant, timeout},
};
use tokio_rustls::client::TlsStream;

use crate::{
    ask::TlsVersion,
    evidence::{PhaseName, Trouble},
    run::{Run, Stop},
    stream::BoxedStream,
};

/// Alerts with which servers answer when they asked for a client certificate and got none:
/// handshake_failure, no_certificate, bad_certificate, certificate_unknown, access_denied,
/// certificate_required (RFC 8446 §6.2, RFC 5246 §7.2.2).
const ALERTS_WITHOUT_CLIENT_CERTIFICATE: [u8; 6] = [40, 41, 42, 46, 49, 116];

/// How long a server may take to refuse a connection for want of a client certificate.
const REFUSAL_WAIT: Duration = Duration::from_secs(2);

/// What a failure means that came before the first byte of an answer: a server that asked for a
/// client certificate and got none may say so in an alert, or simply hang up.
pub(crate) fn before_answer(run: &Run<'_>, stop: Stop) -> Stop {
    if refused(run, &stop) {
        Stop::warn(Trouble::ClientCertificateWanted)
    } else {
        stop
    }
}

/// Whether a server that asked for a client certificate broke off as one does that got none.
pub(super) fn refused(run: &Run<'_>, stop: &Stop) -> bool {
    let tls = run.attempt.tls.as_ref();
    tls.is_some_and(|tls| tls.client_certificate_asked && !tls.chain.is_empty())
        && (matches!(stop.trouble, Trouble::Reset { .. } | Trouble::Closed { .. })
            || matches!(
                stop.trouble,
                Trouble::TlsAlert { code, .. } if ALERTS_WITHOUT_CLIENT_CERTIFICATE.contains(&code)
            ))
}

/// Waits a little for a server that asked for a client certificate to say that it wants none but
/// that: in TLS 1.3 it does so only after the handshake (RFC 8446 §4.4.2.4). Nothing is asked of
/// it, so most that are content say nothing, and the wait ends with [`REFUSAL_WAIT`].
pub(crate) async fn await_refusal(
    run: &mut Run<'_>,
    stream: &mut TlsStream<BoxedStream>,
) -> Result<(), Stop> {
    let asked =
        run.attempt.tls.as_ref().is_some_and(|tls| {
            tls.client_certificate_asked && tls.version == Some(TlsVersion::Tls13)
        });
    if !asked {
        return Ok(());
    }
    let start = Instant::now();
    let wait = async {
        match timeout(REFUSAL_WAIT, stream.read(&mut [0; 1])).await {
            Err(_) | Ok(Ok(1..)) => Ok(()),
            Ok(Ok(0)) => Err(Trouble::Closed {
                phase: PhaseName::FirstByte,
            }
            .into()),
            Ok(Err(error)) => Err(Stop::io(&error, PhaseName::FirstByte, start)),
        }
    };
    let waited = run.phase(PhaseName::FirstByte, wait).await;
    match waited {
        // Silence is content, also where the whole attempt's time ends first.
        Err(Stop {
            trouble: Trouble::TimedOut { .. },
            ..
        }) => Ok(()),
        other => other.map_err(|stop| before_answer(run, stop)),
    }
}
