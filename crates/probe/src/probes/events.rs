//! Server-Sent Events: the head, and then whether events come when they are sent or in lumps.

use std::time::Duration;

use futures_util::{
    FutureExt,
    future::{BoxFuture, Either, select},
};
use http::{Method, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use outgate_wire::event_stream::Reader;
use tokio::time::{Instant, sleep_until};

use super::tls;
use crate::{
    ask::Ask,
    evidence::{EventsEvidence, Finding, PhaseName, Trouble, Unit},
    families::exercise,
    http::{
        Client, EVENT_STREAM, ask_witness, evidence, is_event_stream, judge_reached, request,
        stop_of,
    },
    path::Path,
    registry::{Probe, Sent},
    run::{Run, Stop},
    stream::{conclude, open_tls},
};

/// Most events that are taken.
const EVENTS_MAX: usize = 1000;
/// Most bytes that are taken.
const STREAM_MAX: u64 = 1 << 20;
/// For how many times the time between two events a stream is watched at least, so that several
/// come.
const WATCHED_GAPS: u32 = 4;
/// Longest watch.
const WATCH_MAX: Duration = Duration::from_secs(3600);

/// Server-Sent Events over TLS.
pub(crate) struct ServerSentEvents;

impl Probe for ServerSentEvents {
    fn protocols(&self) -> &'static [&'static str] {
        &["server-sent-events"]
    }

    fn sends(&self, ask: &Ask) -> Vec<Sent> {
        let size = 250 + ask.host.word().len() + ask.http.path.len();
        let what = format!(
            "an HTTP request for a stream of events, GET {}",
            ask.http.path
        );
        tls::sent()
            .into_iter()
            .chain([
                Sent::new("an HTTP request, HEAD /", size, 1),
                Sent::new(&what, size, 1),
            ])
            .collect()
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run).boxed()).boxed()
    }
}

async fn attempt(run: &mut Run<'_>) -> Result<(), Stop> {
    let opened = open_tls(run).await?;
    let mut client = Client::over(opened.stream).await?;
    ask_witness(run, &mut client).await?;
    let path = run.ask.http.path.as_str();
    let streamed = stream(run, &mut client, path).await;
    conclude(opened.doubt, streamed)
}

async fn stream(run: &mut Run<'_>, client: &mut Client, path: &str) -> Result<(), Stop> {
    let request = request(run, Method::GET, path, 443, (EVENT_STREAM, ""))?;
    let response = run
        .phase(PhaseName::FirstByte, client.send(request))
        .await
        .map_err(kept)?;
    let (head, body) = response.into_parts();
    run.attempt.http = Some(evidence(head.status, &head.headers, run.path.now()));
    judge_reached(run.ask, head.status.as_u16())?;
    let kind = head.headers.get(header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| is_event_stream(kind.as_bytes())) {
        return Err(Trouble::NotEventStream.into());
    }
    watch(run, body).await
}

/// What it means that a server which answers at once sends not even the head of a stream: somebody
/// on the way waits for more of it, as nginx does with its buffering.
pub(super) fn kept(stop: Stop) -> Stop {
    let phase = PhaseName::FirstByte;
    if stop.trouble == (Trouble::TimedOut { phase }) {
        Trouble::StreamBuffered.into()
    } else {
        stop
    }
}

/// Watches what comes and when, and judges it.
async fn watch(run: &mut Run<'_>, body: Incoming) -> Result<(), Stop> {
    let apart = run.ask.http.events_apart;
    let least = apart.map_or(Duration::ZERO, |apart| apart * WATCHED_GAPS);
    let length = run.ask.hold.max(least).min(WATCH_MAX);
    run.extend(length);
    let start = Instant::now();
    let mut arrivals = Arrivals {
        start,
        events: Vec::new(),
        first_byte: None,
        bytes: 0,
    };
    let ended = run
        .phase(PhaseName::Hold, arrivals.until(body, start + length))
        .await;
    let gap = median_gap(&arrivals.events);
    run.attempt.events = Some(EventsEvidence {
        events: u32::try_from(arrivals.events.len()).unwrap_or(u32::MAX),
        first_byte: arrivals.first_byte,
        first_event: arrivals.events.first().copied(),
        gap,
        watched: start.elapsed(),
    });
    if let Some(apart) = apart
        && is_lump(&arrivals.events, gap, apart)
    {
        return Err(Trouble::StreamBuffered.into());
    }
    ended?;
    if arrivals.first_byte.is_none() {
        return Err(Stop::warn(Trouble::StreamQuiet));
    }
    Ok(())
}

/// When what came.
struct Arrivals {
    start: Instant,
    /// Since the head of the answer.
    events: Vec<Duration>,
    first_byte: Option<Duration>,
    bytes: u64,
}

impl Arrivals {
    async fn until(&mut self, mut body: Incoming, end: Instant) -> Result<(), Stop> {
        let mut reader = Reader::new();
        while self.events.len() < EVENTS_MAX {
            let frame = match select(body.frame().boxed(), Box::pin(sleep_until(end))).await {
                Either::Left((frame, _)) => frame,
                Either::Right(_) => break,
            };
            let phase = PhaseName::Hold;
            let frame = match frame {
                None => return Err(Trouble::Closed { phase }.into()),
                Some(Err(error)) => return Err(stop_of(&error, phase, self.start)),
                Some(Ok(frame)) => frame,
            };
            let Some(data) = frame.data_ref() else {
                continue;
            };
            self.note(&mut reader, data)?;
        }
        Ok(())
    }

    fn note(&mut self, reader: &mut Reader, data: &[u8]) -> Result<(), Stop> {
        let now = self.start.elapsed();
        self.first_byte.get_or_insert(now);
        self.bytes += data.len() as u64;
        if self.bytes > STREAM_MAX {
            return Err(Trouble::TooMuch {
                bound: STREAM_MAX,
                unit: Unit::StreamBytes,
            }
            .into());
        }
        let events = reader
            .handle_bytes(data)
            .map_err(|error| Trouble::Malformed {
                what: error.to_string(),
            })?;
        self.events.extend(events.iter().map(|_| now));
        Ok(())
    }
}

/// The time that mostly lies between two events.
fn median_gap(events: &[Duration]) -> Option<Duration> {
    let mut gaps: Vec<Duration> = events
        .windows(2)
        .filter_map(|pair| match pair {
            [earlier, later] => Some(later.saturating_sub(*earlier)),
            _ => None,
        })
        .collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied()
}

/// Whether events that were sent `apart` came together, or hardly any came in a time in which
/// several were sent.
fn is_lump(events: &[Duration], gap: Option<Duration>, apart: Duration) -> bool {
    match gap {
        Some(gap) => gap < apart / 2,
        None => events.len() < 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lump(millis: &[u64]) -> bool {
        let events: Vec<_> = millis.iter().map(|it| Duration::from_millis(*it)).collect();
        is_lump(&events, median_gap(&events), Duration::from_secs(1))
    }

    #[test]
    fn events_a_second_apart_that_come_together_are_a_lump() {
        assert!(lump(&[4000, 4000, 4001, 4001]));
        assert!(lump(&[2000, 2000, 4000, 4000, 4000]));
        assert!(lump(&[]) && lump(&[3900]));
    }

    #[test]
    fn events_that_come_as_they_are_sent_are_none_even_after_a_stall() {
        assert!(!lump(&[10, 1012, 1990, 3005]));
        assert!(!lump(&[10, 1010, 3020, 3020, 4000]));
    }
}
