//! What HTTP and WebSocket probes share: how requests look and what an answer shows.

use std::{error::Error, io, time::SystemTime};

use http::{HeaderMap, HeaderName, StatusCode, header};
use outgate_wire::http_date;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{
    ask::{Ask, Host},
    evidence::{DateWitness, HttpEvidence, PhaseName, Trouble},
    run::{Run, Stop},
};

/// Most headers of an answer.
pub(crate) const HEADERS_MAX: usize = 100;
/// Most bytes of an answer's head.
pub(crate) const HEAD_MAX: usize = 65_536;
/// Who asks.
pub(crate) const USER_AGENT: &str = concat!("outgate-check/", env!("CARGO_PKG_VERSION"));

/// Longest header value that is kept, in characters.
const TEXT_MAX: usize = 256;
/// Longest `Location` that is kept, in characters.
const LOCATION_MAX: usize = 2048;

/// The lane's own host and port, which a detour does not change; the usual port is left out.
pub(crate) fn authority(run: &Run<'_>, usual_port: u16) -> String {
    let host = match &run.ask.host {
        Host::Name(name) => name.trim_end_matches('.').to_owned(),
        Host::Address(address) => bracketed(*address),
        Host::SystemResolvers | Host::Role(_) => bracketed(run.attempt.address),
    };
    match run.ask.port {
        Some(port) if port != usual_port => format!("{host}:{port}"),
        Some(_) | None => host,
    }
}

fn bracketed(address: std::net::IpAddr) -> String {
    match address {
        std::net::IpAddr::V4(v4) => v4.to_string(),
        std::net::IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// What the head of an answer shows. `now` is the local clock.
pub(crate) fn evidence(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> HttpEvidence {
    HttpEvidence {
        status: status.as_u16(),
        server: text(headers, header::SERVER, TEXT_MAX),
        via: text(headers, header::VIA, TEXT_MAX),
        location: text(headers, header::LOCATION, LOCATION_MAX),
        content_type: text(headers, header::CONTENT_TYPE, TEXT_MAX),
        date: text(headers, header::DATE, TEXT_MAX).and_then(|date| date_witness(&date, now)),
        body_bytes: 0,
        body_cut: false,
    }
}

fn text(headers: &HeaderMap, name: HeaderName, max: usize) -> Option<String> {
    let value = headers.get(name)?;
    Some(
        String::from_utf8_lossy(value.as_bytes())
            .chars()
            .take(max)
            .collect(),
    )
}

fn date_witness(text: &str, now: SystemTime) -> Option<DateWitness> {
    let server = http_date::parse(text)?;
    let offset = match server.duration_since(now) {
        Ok(behind) => i64::try_from(behind.as_millis()).ok()?,
        Err(ahead) => -i64::try_from(ahead.duration().as_millis()).ok()?,
    };
    Some(DateWitness {
        server: OffsetDateTime::from(server),
        offset_millis: offset,
    })
}

/// Whether a status counts as an answer.
pub(crate) fn judge_status(ask: &Ask, status: u16) -> Result<(), Stop> {
    let counts = if ask.http.statuses.is_empty() {
        status < 500 && status != 407
    } else {
        ask.http
            .statuses
            .iter()
            .any(|range| range.contains(&status))
    };
    if counts {
        Ok(())
    } else {
        Err(Trouble::HttpStatus { status }.into())
    }
}

/// What an error of the HTTP client means.
pub(crate) fn stop_of(error: &hyper::Error, phase: PhaseName, since: Instant) -> Stop {
    // The method that says so exists on hyper's server side only.
    if error.is_parse() && error.to_string().contains("too large") {
        return Trouble::TooMuch {
            bound: HEAD_MAX as u64,
        }
        .into();
    }
    if error.is_parse() || error.is_parse_status() {
        return Trouble::NotHttp.into();
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Stop::io(error, phase, since);
        }
        cause = error.source();
    }
    Trouble::Closed { phase }.into()
}
