//! TLS seen from both ends: the far end is asked how it sees a connection, and its channel binding
//! (RFC 9266) is held against our own. The same on both ends proves that nobody opens TLS on the
//! way, whoever issued the certificate; another one proves that somebody does, also where this
//! machine trusts the certificate.
//!
//! It is asked on a connection of its own, opened as the lane's: the same way, host, port and
//! server name. Whoever rewrites the answer as well would not be found out; those who inspect TLS
//! by a rule of the house do not.

use http::{Method, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use outgate_wire::whoami::{ANSWER_MAX, BINDING_LEN, EXPORTER, Whoami};
use tokio_rustls::client::TlsStream;

use crate::{
    ask::Ask,
    evidence::{PhaseName, RootSource, TlsEnds, Trouble, WhoamiEvidence},
    http::{Client, read_whole, request},
    path::HIDDEN,
    registry::Sent,
    run::{Run, Stop},
    stream::{BoxedStream, connect},
    text::cut,
    tls,
};

/// Most added header fields that are kept, and the longest.
const ADDED_MAX: usize = 16;
const FIELD_MAX: usize = 256;
/// Longest name of a version, of a protocol (RFC 7301 §3.1) and of a server that is kept.
const VERSION_MAX: usize = 16;
const ALPN_MAX: usize = 255;
const NAME_MAX: usize = 253;

/// The fields whose values are credentials (RFC 9110 §11, RFC 6265 §4).
const CREDENTIALS: [&str; 4] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
];

/// What is sent to compare both ends, to each address.
pub(crate) fn sends(ask: &Ask) -> Vec<Sent> {
    let Some(path) = &ask.tls.whoami else {
        return Vec::new();
    };
    let host = ask.host.word().len();
    vec![
        Sent::new(
            "a TLS handshake of its own, to compare both ends of it",
            4096,
            1,
        ),
        Sent::new(
            "the beginning of an older TLS handshake, if that one fails",
            600,
            3,
        ),
        Sent::new(
            &format!("an HTTP request, GET {path}, on that connection"),
            250 + host + path.len(),
            1,
        ),
    ]
}

/// Compares both ends after an attempt whose TLS handshake came through, where the lane says that
/// its server tells how it sees a connection. What the attempt came to gets worse if somebody
/// opens TLS on the way.
pub(crate) async fn compare(run: &mut Run<'_>, result: Result<(), Stop>) -> Result<(), Stop> {
    let Some(path) = &run.ask.tls.whoami else {
        return result;
    };
    let secured = run
        .attempt
        .tls
        .as_ref()
        .is_some_and(|it| it.version.is_some());
    if !secured || run.to_tls.is_some() {
        return result;
    }
    let mut beside = run.beside();
    let asked = ask(&mut beside, path).await;
    let evidence = asked.unwrap_or_else(|stop| not_known(stop.trouble.to_string()));
    let ends = evidence.ends;
    run.attempt.whoami = Some(evidence);
    let opened = match (ends, &beside.attempt.tls) {
        // A public authority vouches for nobody who inspects: it is a front of the vendor's.
        (TlsEnds::Different, Some(tls)) if !tls.trusted_by.contains(&RootSource::Mozilla) => {
            let last = tls.chain.last();
            Trouble::TlsOpened {
                issuer: last.map(|last| last.issuer.clone()).unwrap_or_default(),
            }
        }
        (TlsEnds::Different | TlsEnds::Same | TlsEnds::NotKnown, _) => return result,
    };
    let stop = if run.ask.tls.exempt {
        opened.into()
    } else {
        Stop::warn(opened)
    };
    Err(match result {
        Ok(()) => stop,
        Err(before) => before.worse(stop),
    })
}

async fn ask(run: &mut Run<'_>, path: &str) -> Result<WhoamiEvidence, Stop> {
    let stream = connect(run).await?;
    let secured = tls::secure(run, stream, &[b"http/1.1"]).await?;
    let binding = binding(&secured.stream)?;
    let request = request(run, Method::GET, path, 443, ("application/json", ""))?;
    let sent = fields(&request);
    let mut client = Client::over(Box::new(secured.stream)).await?;
    let sending = client.send(request);
    let response = run.phase(PhaseName::FirstByte, sending).await?;
    let status = response.status();
    let reading = read_whole(response.into_body(), ANSWER_MAX);
    let body = run.phase(PhaseName::Body, reading).await?;
    Ok(match (status, body) {
        (StatusCode::OK, Some(body)) => match Whoami::read(&body) {
            Ok(seen) => evidence(run, &seen, &binding, &sent),
            Err(error) => not_known(error.to_string()),
        },
        (StatusCode::OK, None) => not_known("the answer is too long".to_owned()),
        (StatusCode::TOO_MANY_REQUESTS, _) => {
            not_known("the server was asked too often (HTTP status 429)".to_owned())
        }
        (status, _) => not_known(format!("HTTP status {}", status.as_u16())),
    })
}

fn binding(stream: &TlsStream<BoxedStream>) -> Result<[u8; BINDING_LEN], Stop> {
    let (_, connection) = stream.get_ref();
    let exported = connection.export_keying_material([0; BINDING_LEN], EXPORTER, Some(b""));
    exported.map_err(|error| {
        Trouble::Local {
            what: error.to_string(),
        }
        .into()
    })
}

fn fields(request: &Request<Full<Bytes>>) -> Vec<(String, String)> {
    let headers = request.headers().iter();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}

fn not_known(why: String) -> WhoamiEvidence {
    WhoamiEvidence {
        ends: TlsEnds::NotKnown,
        not_known: Some(why),
        address: None,
        port: None,
        translated: None,
        version: None,
        alpn: None,
        server_name: None,
        added: Vec::new(),
    }
}

fn evidence(
    run: &Run<'_>,
    seen: &Whoami,
    binding: &[u8; BINDING_LEN],
    sent: &[(String, String)],
) -> WhoamiEvidence {
    let address = seen.address.parse().ok();
    let local = run
        .local
        .map(|local| (local.ip().to_canonical(), local.port()));
    let tls = seen.tls.as_ref();
    let text = |text: &String, max| cut(text, max);
    let added = seen.added(sent).take(ADDED_MAX);
    WhoamiEvidence {
        ends: if seen.is_other_end(binding) {
            TlsEnds::Same
        } else {
            TlsEnds::Different
        },
        not_known: None,
        address,
        port: Some(seen.port),
        translated: local
            .zip(address)
            .map(|(local, address)| local != (address, seen.port)),
        version: tls.map(|tls| text(&tls.version, VERSION_MAX)),
        alpn: tls.and_then(|tls| Some(text(tls.alpn.as_ref()?, ALPN_MAX))),
        server_name: tls.and_then(|tls| Some(text(tls.server_name.as_ref()?, NAME_MAX))),
        added: added.map(|field| cut(&shown(&field), FIELD_MAX)).collect(),
    }
}

/// A header field without the value of credentials, which a server may repeat.
fn shown(field: &str) -> String {
    match field.split_once(':') {
        Some((name, _)) if CREDENTIALS.contains(&name.to_ascii_lowercase().as_str()) => {
            format!("{name}: {HIDDEN}")
        }
        Some(_) | None => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_a_server_repeats_are_not_kept() {
        for (field, kept) in [
            ("Proxy-Authorization: Basic dTpw", "Proxy-Authorization: …"),
            ("cookie: a=b", "cookie: …"),
            ("via: 1.1 proxy", "via: 1.1 proxy"),
        ] {
            assert_eq!(shown(field), kept);
        }
    }
}
