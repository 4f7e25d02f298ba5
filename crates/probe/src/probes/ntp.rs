//! One question to a time server (RFC 5905), and how far the local clock is off.

use futures_util::future::{BoxFuture, FutureExt};
use outgate_wire::ntp::{PACKET_LEN, Packet, Reply, ReplyError, Request};

use crate::{
    ask::Ask,
    datagram::{self, Answered, Heard, Pace, TIMES_SENT},
    evidence::{Finding, NtpEvidence, Trouble},
    families::exercise,
    path::Path,
    registry::{Probe, Sent},
    run::{Run, Stop},
};

/// A clock that is further off is named: certificates and tokens begin to fail about there.
const OFFSET_MAX_MILLIS: u64 = 60_000;
const NANOS_PER_MILLI: i64 = 1_000_000;
const NANOS_PER_MICRO: i64 = 1_000;

/// A time server.
pub(crate) struct Ntp;

impl Probe for Ntp {
    fn protocols(&self) -> &'static [&'static str] {
        &["ntp"]
    }

    fn sends(&self, _: &Ask) -> Vec<Sent> {
        vec![Sent::new("an NTP question", PACKET_LEN, TIMES_SENT.into())]
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run).boxed()).boxed()
    }
}

async fn attempt(run: &mut Run<'_>) -> Result<(), Stop> {
    let socket = datagram::connected(run).await?;
    let path = run.path;
    // A fresh cookie each time: an answer to the first question must not pass for the second's.
    let requests = [
        Request::new(u64::from_be_bytes(path.tls().random()?)),
        Request::new(u64::from_be_bytes(path.tls().random()?)),
    ];
    let request = |sent: u8| &requests[usize::from(sent == TIMES_SENT)];
    let wall_clock_before = path.now();
    let asked_at = tokio::time::Instant::now();
    let Answered {
        answer: (reply, number),
        sent_at,
        sent,
    } = datagram::ask(
        run,
        &socket,
        Pace::Free,
        |sent| request(sent).encode().to_vec(),
        |datagram| hear(&requests, datagram),
    )
    .await?;
    // The answer to the first question may come after the second was sent.
    let question_at = if number == sent { sent_at } else { asked_at };
    let wall_clock_then = wall_clock_before + question_at.duration_since(asked_at);
    let reading = reply.reading(wall_clock_then, question_at.elapsed());
    let offset_millis = reading.offset_nanos / NANOS_PER_MILLI;
    run.attempt.ntp = Some(NtpEvidence {
        offset_millis,
        delay_micros: reading.delay_nanos / NANOS_PER_MICRO,
        stratum: reply.packet().stratum,
        reference: reference(reply.packet()),
        sent,
    });
    if offset_millis.unsigned_abs() > OFFSET_MAX_MILLIS {
        return Err(Stop::warn(Trouble::ClockOff { offset_millis }));
    }
    Ok(())
}

/// Finds the question that a datagram answers: the first (1) or the second (2).
fn hear(requests: &[Request; 2], datagram: &[u8]) -> Heard<(Reply, u8)> {
    let [first, second] = requests;
    let (result, number) = match first.read_reply(datagram) {
        Err(ReplyError::WrongOrigin) => (second.read_reply(datagram), 2),
        result => (result, 1),
    };
    match result {
        Ok(reply) => Heard::Answer(Ok((reply, number))),
        Err(ReplyError::Kiss { code }) => Heard::Answer(Err(Trouble::NtpKiss {
            code: code.to_string(),
        }
        .into())),
        Err(ReplyError::Unsynchronised { stratum }) => {
            Heard::Answer(Err(Trouble::NtpUnsynchronised { stratum }.into()))
        }
        Err(ReplyError::NoTime) => {
            let what = ReplyError::NoTime.to_string();
            Heard::Answer(Err(Trouble::Malformed { what }.into()))
        }
        Err(
            error @ (ReplyError::TooShort(_)
            | ReplyError::WrongMode { .. }
            | ReplyError::WrongVersion { .. }
            | ReplyError::WrongOrigin),
        ) => Heard::Stray(Some(Trouble::Malformed {
            what: error.to_string(),
        })),
    }
}

/// Reference identifier (RFC 5905 figure 8): letters at stratum 1, else four numbers.
fn reference(packet: &Packet) -> String {
    let id = packet.reference_id;
    let letters: Vec<u8> = id.iter().copied().take_while(|byte| *byte != 0).collect();
    let readable = !letters.is_empty() && letters.iter().all(u8::is_ascii_graphic);
    if packet.stratum == 1 && readable {
        String::from_utf8_lossy(&letters).into_owned()
    } else {
        std::net::Ipv4Addr::from(id).to_string()
    }
}
