//! SIP (RFC 3261): OPTIONS over UDP, TCP or TLS, and whether somebody on the way rewrites SIP. A
//! server that is an echo is asked once more, and says what it received, line by line.

mod answer;

use futures_util::future::{BoxFuture, FutureExt};
use outgate_wire::sip::{BODY_MAX, Carrier, HEAD_MAX, Head, Method, QUESTION_MAX, Question};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use super::tls as tls_probe;
use crate::{
    ask::{Ask, Host, Transport},
    datagram::{self, Answered, Heard, Pace, TIMES_SENT},
    evidence::{Finding, PhaseName, Trouble, Unit},
    families::exercise,
    path::Path,
    registry::{Probe, Sent},
    run::{Run, Stop},
    stream::{Stream, conclude, connect},
    tls,
};
use answer::{Answer, is_echo, judge, note, note_echo};

/// How much is read for one answer over a connection, provisional ones before it included, in
/// bytes.
const READ_MAX: usize = 4 * (HEAD_MAX + BODY_MAX);

/// SIP over UDP, or over TCP where the lane says so.
pub(crate) struct Sip;

impl Probe for Sip {
    fn protocols(&self) -> &'static [&'static str] {
        &["sip"]
    }

    fn sends(&self, ask: &Ask) -> Vec<Sent> {
        match ask.transport {
            Transport::Udp | Transport::Icmp => sent(TIMES_SENT.into()).into(),
            Transport::Tcp => sent(1).into(),
        }
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        match ask.transport {
            Transport::Udp | Transport::Icmp => {
                exercise(ask, path, |run| attempt_udp(run).boxed()).boxed()
            }
            Transport::Tcp => exercise(ask, path, |run| attempt_tcp(run).boxed()).boxed(),
        }
    }
}

/// SIP over TLS.
pub(crate) struct Sips;

impl Probe for Sips {
    fn protocols(&self) -> &'static [&'static str] {
        &["sips"]
    }

    fn sends(&self, _: &Ask) -> Vec<Sent> {
        tls_probe::sent().into_iter().chain(sent(1)).collect()
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt_tls(run).boxed()).boxed()
    }
}

fn sent(times: u32) -> [Sent; 2] {
    [
        Sent::new("a SIP OPTIONS, which rings nowhere", QUESTION_MAX, times),
        Sent::new(
            "a SIP INVITE, only to a server that says it is an echo",
            QUESTION_MAX,
            times,
        ),
    ]
}

async fn attempt_udp(run: &mut Run<'_>) -> Result<(), Stop> {
    let socket = datagram::connected(run).await?;
    let local = socket.local_addr().map_err(|error| Trouble::Local {
        what: error.to_string(),
    })?;
    run.local = Some(local);
    for method in [Method::Options, Method::Invite] {
        let words = Words::new(run, Carrier::Udp)?;
        let question = words.question(method);
        // Repeated as it is (RFC 3261 §17.1.2.2), so that an answer to either will do.
        let Answered { answer, .. } = datagram::ask(
            run,
            &socket,
            Pace::Free,
            |_| question.encode(),
            |datagram| match Answer::read(datagram, &question) {
                Ok(Some(answer)) => Heard::Answer(Ok(answer)),
                Ok(None) => Heard::Stray(None),
                Err(trouble) => Heard::Stray(Some(trouble)),
            },
        )
        .await?;
        if take(run, &question, &answer)? {
            break;
        }
    }
    judge(run)
}

async fn attempt_tcp(run: &mut Run<'_>) -> Result<(), Stop> {
    let mut stream = connect(run).await?;
    over(run, &mut stream, Carrier::Tcp).await
}

async fn attempt_tls(run: &mut Run<'_>) -> Result<(), Stop> {
    let stream = connect(run).await?;
    let mut secured = tls::secure(run, stream, &[]).await?;
    let result = over(run, &mut secured.stream, Carrier::Tls).await;
    tls::close(run, secured.stream).await;
    conclude(secured.doubt, result)
}

async fn over(run: &mut Run<'_>, stream: &mut impl Stream, carrier: Carrier) -> Result<(), Stop> {
    for method in [Method::Options, Method::Invite] {
        let words = Words::new(run, carrier)?;
        let question = words.question(method);
        let exchange = exchange(stream, &question);
        let answer = run.phase(PhaseName::Exchange, exchange).await?;
        if take(run, &question, &answer)? {
            break;
        }
    }
    judge(run)
}

/// Notes what an answer says, and whether there is nothing more to ask.
fn take(run: &mut Run<'_>, question: &Question<'_>, answer: &Answer) -> Result<bool, Stop> {
    match question.method {
        Method::Options => {
            note(run, question, answer);
            Ok(!is_echo(answer))
        }
        Method::Invite => {
            note_echo(run, question, answer)?;
            Ok(true)
        }
    }
}

/// One question and its answer over a connection.
async fn exchange(stream: &mut impl Stream, question: &Question<'_>) -> Result<Answer, Stop> {
    let start = Instant::now();
    let stop = |error: std::io::Error| Stop::io(&error, PhaseName::Exchange, start);
    stream.write_all(&question.encode()).await.map_err(stop)?;
    stream.flush().await.map_err(stop)?;
    let mut heard = Vec::new();
    let mut total = 0;
    loop {
        // Whatever else comes, such as provisional answers, is passed over.
        while let Some(length) = message_length(&heard)? {
            let message: Vec<u8> = heard.drain(..length).collect();
            if let Some(answer) = Answer::read(&message, question)? {
                return Ok(answer);
            }
        }
        let mut chunk = [0; 2048];
        let length = stream.read(&mut chunk).await.map_err(stop)?;
        if length == 0 {
            let phase = PhaseName::Exchange;
            return Err(Trouble::Closed { phase }.into());
        }
        heard.extend(&chunk[..length]);
        total += length;
        if total > READ_MAX {
            let (bound, unit) = (READ_MAX as u64, Unit::MessageBytes);
            return Err(Trouble::TooMuch { bound, unit }.into());
        }
    }
}

/// How long the first message is, if all of it is there.
fn message_length(heard: &[u8]) -> Result<Option<usize>, Trouble> {
    let malformed = |error: outgate_wire::sip::ReadError| Trouble::Malformed {
        what: error.to_string(),
    };
    let Some(head) = Head::read(heard).map_err(malformed)? else {
        return Ok(None);
    };
    // Over a connection it must be told (RFC 3261 §18.3); who does not means none.
    let body = head.content_length().map_err(malformed)?.unwrap_or(0);
    if body > BODY_MAX {
        let (bound, unit) = (BODY_MAX as u64, Unit::MessageBytes);
        return Err(Trouble::TooMuch { bound, unit });
    }
    let length = head.length + body;
    Ok((heard.len() >= length).then_some(length))
}

/// What a question is made of.
struct Words {
    to: String,
    token: String,
    carrier: Carrier,
    local: std::net::SocketAddr,
}

impl Words {
    fn new(run: &Run<'_>, carrier: Carrier) -> Result<Self, Stop> {
        let address = crate::stream::socket_address(run)?;
        let to = match (&run.ask.host, run.ask.port) {
            (Host::Name(name), Some(port)) => format!("{name}:{port}"),
            (
                Host::Name(_)
                | Host::Address(_)
                | Host::SystemResolvers
                | Host::TimeServers
                | Host::Role(_),
                _,
            ) => address.to_string(),
        };
        let random: [u8; 8] = run.path.tls().random()?;
        Ok(Self {
            to,
            token: random.iter().map(|byte| format!("{byte:02x}")).collect(),
            carrier,
            // Behind a proxy nobody knows: an address that says so (RFC 3261 §18.1.1).
            local: run.local.unwrap_or(([0, 0, 0, 0], 5060).into()),
        })
    }

    fn question(&self, method: Method) -> Question<'_> {
        Question {
            method,
            to: &self.to,
            carrier: self.carrier,
            local: self.local,
            token: &self.token,
        }
    }
}
