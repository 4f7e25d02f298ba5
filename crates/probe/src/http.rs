//! What HTTP and WebSocket probes share: how requests look and what an answer shows.

mod client;
mod expected;
mod location;

use std::{error::Error, io, time::SystemTime};

use http::{HeaderMap, HeaderName, StatusCode, header};
use outgate_wire::http_date;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{
    ask::{Ask, Host},
    evidence::{DateWitness, HttpEvidence, PhaseName, Trouble, Unit},
    path::normalised,
    run::{Run, Stop},
    text::cut,
};
pub(crate) use client::{Client, ask_witness, read_whole, request};
pub(crate) use expected::{is_login_page, mismatch};
pub(crate) use location::{Location, LocationHost, is_scheme, without_secrets};

/// Most headers of an answer.
pub(crate) const HEADERS_MAX: usize = 100;
/// Most bytes of an answer's head.
pub(crate) const HEAD_MAX: usize = 65_536;
/// Who asks.
pub(crate) const USER_AGENT: &str = concat!("outgate-check/", env!("CARGO_PKG_VERSION"));

/// Longest header value that is kept, in characters.
const TEXT_MAX: usize = 256;
/// Longest host of a `Location` that is kept, in characters.
const HOST_MAX: usize = 253;
/// Longest `Location` that is kept, in characters.
const LOCATION_MAX: usize = 2048;

/// The lane's own host and port, which a detour does not change; the usual port is left out.
pub(crate) fn authority(run: &Run<'_>, usual_port: u16) -> String {
    let host = match &run.ask.host {
        Host::Name(name) => name.trim_end_matches('.').to_owned(),
        Host::Address(address) => bracketed(*address),
        Host::SystemResolvers | Host::TimeServers | Host::Role(_) => bracketed(run.far_address()),
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
        location: location(headers).map(|location| cut(&location.without_secrets(), LOCATION_MAX)),
        content_type: text(headers, header::CONTENT_TYPE, TEXT_MAX),
        date: text(headers, header::DATE, TEXT_MAX).and_then(|date| date_witness(&date, now)),
        body_bytes: 0,
        body_cut: false,
    }
}

fn text(headers: &HeaderMap, name: HeaderName, max: usize) -> Option<String> {
    let value = headers.get(name)?;
    Some(cut(&String::from_utf8_lossy(value.as_bytes()), max))
}

fn date_witness(text: &str, now: SystemTime) -> Option<DateWitness> {
    let server = http_date::parse(text)?;
    let offset = match server.duration_since(now) {
        Ok(behind) => i64::try_from(behind.as_millis()).ok()?,
        Err(ahead) => -i64::try_from(ahead.duration().as_millis()).ok()?,
    };
    let since_1970 = server
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()?
        .as_secs();
    Some(DateWitness {
        server: OffsetDateTime::from_unix_timestamp(i64::try_from(since_1970).ok()?).ok()?,
        offset_millis: offset,
    })
}

fn location(headers: &HeaderMap) -> Option<Location> {
    let value = headers.get(header::LOCATION)?;
    Some(Location::read(&String::from_utf8_lossy(value.as_bytes())))
}

/// Whether an answer over plain HTTP shows that the lane's own server gave it. Nothing vouches for
/// it, so a redirection to another host, or a prohibition, may come from whoever is on the way: a
/// portal to log in at, a filter. A lane that says which answers count is judged by that alone.
pub(crate) fn judge_origin(
    run: &Run<'_>,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<(), Stop> {
    if says_what_is_right(run) {
        return Ok(());
    }
    let location_host = match status {
        StatusCode::FORBIDDEN | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => None,
        status if status.is_redirection() => match location(headers).map(|it| it.host()) {
            None | Some(LocationHost::Unchanged) => return Ok(()),
            Some(LocationHost::Unreadable) => None,
            Some(LocationHost::Named(host)) if host == own_host(run) => return Ok(()),
            Some(LocationHost::Named(host)) => Some(cut(&host, HOST_MAX)),
        },
        _ => return Ok(()),
    };
    Err(Stop::warn(Trouble::NotShownToBeTheVendor {
        status: status.as_u16(),
        location_host,
    }))
}

/// Whether a lane says which answers count.
pub(crate) fn says_what_is_right(run: &Run<'_>) -> bool {
    !run.ask.http.statuses.is_empty() || !run.ask.http.expected.is_empty()
}

/// A redirection to a host that is not the lane's own.
pub(crate) fn leads_elsewhere(
    run: &Run<'_>,
    status: StatusCode,
    headers: &HeaderMap,
) -> Option<Trouble> {
    if !status.is_redirection() {
        return None;
    }
    let LocationHost::Named(host) = location(headers)?.host() else {
        return None;
    };
    (host != own_host(run)).then(|| Trouble::NotShownToBeTheVendor {
        status: status.as_u16(),
        location_host: Some(cut(&host, HOST_MAX)),
    })
}

fn own_host(run: &Run<'_>) -> String {
    match &run.ask.host {
        Host::Name(name) => normalised(name),
        Host::Address(address) => address.to_string(),
        Host::SystemResolvers | Host::TimeServers | Host::Role(_) => run.far_address().to_string(),
    }
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

/// Judges an answer that what comes next needs. A refusal shows that the server was reached and
/// leaves the rest unshown.
pub(crate) fn judge_reached(ask: &Ask, status: u16) -> Result<(), Stop> {
    if !ask.http.statuses.is_empty() {
        return judge_status(ask, status);
    }
    let trouble = Trouble::HttpStatus { status };
    match status {
        200..=299 => Ok(()),
        407 | 500.. => Err(trouble.into()),
        _ => Err(Stop::warn(trouble)),
    }
}

/// Whether a request did what it asked for.
pub(crate) fn judge_ok(status: StatusCode) -> Result<(), Stop> {
    if status.is_success() {
        return Ok(());
    }
    Err(Trouble::HttpStatus {
        status: status.as_u16(),
    }
    .into())
}

/// The media type of event streams (WHATWG HTML, section 9.2.5).
pub(crate) const EVENT_STREAM: &str = "text/event-stream";

/// Whether a `Content-Type` is that of an event stream.
pub(crate) fn is_event_stream(kind: &[u8]) -> bool {
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    essence
        .trim_ascii()
        .eq_ignore_ascii_case(EVENT_STREAM.as_bytes())
}

/// What an error of the HTTP client means.
pub(crate) fn stop_of(error: &hyper::Error, phase: PhaseName, since: Instant) -> Stop {
    // The method that says so exists on hyper's server side only.
    if error.is_parse() && error.to_string().contains("too large") {
        return Trouble::TooMuch {
            bound: HEAD_MAX as u64,
            unit: Unit::HeadBytes,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_may_have_parameters_and_any_case() {
        assert!(is_event_stream(b"text/event-stream"));
        assert!(is_event_stream(b"Text/Event-Stream; charset=utf-8"));
        assert!(!is_event_stream(b"text/html") && !is_event_stream(b""));
    }
}
