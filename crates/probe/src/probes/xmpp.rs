//! A stream of XMPP (RFC 6120): its features, the change to TLS, and its features then. Nobody
//! logs in.

use std::net::IpAddr;

use futures_util::future::{BoxFuture, FutureExt};
use outgate_wire::xmpp::{
    self, Demand, END, Features, First, OPENING_MAX, Opening, START_TLS, TlsAnswer, XmppError,
};

use super::tls as tls_probe;
use crate::{
    ask::{Ask, Host},
    conversation::Conversation,
    evidence::{Finding, Outcome, PhaseName, StartTls, Trouble, Unit, XmppEvidence},
    families::exercise,
    path::Path,
    registry::{Probe, Sent},
    run::{Run, Stop},
    stream::{BoxedStream, Stream, conclude, connect},
    text::cut,
    tls::{self, Secured, before_answer},
};

/// Longest text that is kept, in characters.
const TEXT_MAX: usize = 256;
/// Longest header: a domain of 253 characters between words that do not change.
const HEADER_MAX: usize = 512;

/// An XMPP server for clients.
pub(crate) struct Xmpp;

impl Probe for Xmpp {
    fn protocols(&self) -> &'static [&'static str] {
        &["xmpp"]
    }

    fn sends(&self, _: &Ask) -> Vec<Sent> {
        let opening = [
            Sent::new(
                "the beginning of an XMPP stream, and its end",
                HEADER_MAX,
                2,
            ),
            Sent::new("the wish to change to TLS", START_TLS.len(), 4),
        ];
        opening.into_iter().chain(tls_probe::sent()).collect()
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run).boxed()).boxed()
    }
}

async fn attempt(run: &mut Run<'_>) -> Result<(), Stop> {
    let mut stream = connect(run).await?;
    let domain = domain(run.ask, run.far_address());
    let opening = open(&mut stream, &domain, PhaseName::Conversation);
    let opening = run.phase(PhaseName::Conversation, opening).await?;
    let features = note(run, &domain, opening)?;
    if features.start_tls.is_none() {
        end(run, &mut stream).await?;
        let missing = Trouble::StartTlsMissing;
        return Err(if run.ask.tls.required {
            missing.into()
        } else {
            Stop::warn(missing)
        });
    }
    run.phase(PhaseName::StartTls, start_tls(&mut stream))
        .await?;
    run.to_tls = Some(|stream, ask, address| to_tls(stream, ask, address).boxed());
    let Secured {
        mut stream, doubt, ..
    } = tls::secure(run, stream, &[]).await?;
    let trusted = doubt
        .as_ref()
        .is_none_or(|doubt| doubt.outcome != Outcome::Fail);
    let went = if trusted {
        go_on(run, &mut stream, &domain).await
    } else {
        Ok(())
    };
    tls::close(run, stream).await;
    conclude(doubt, went)
}

/// Begins anew once TLS stands, as every client does (RFC 6120 §5.4.3.3).
async fn go_on(run: &mut Run<'_>, stream: &mut impl Stream, domain: &str) -> Result<(), Stop> {
    let opening = open(stream, domain, PhaseName::Conversation);
    let opening = run.phase(PhaseName::Conversation, opening).await;
    let opening = opening.map_err(|stop| before_answer(run, stop))?;
    let first = run.attempt.xmpp.as_ref().map(|xmpp| xmpp.start_tls);
    note(run, domain, opening)?;
    if let (Some(evidence), Some(first)) = (&mut run.attempt.xmpp, first) {
        evidence.start_tls = first;
    }
    end(run, stream).await
}

/// Says goodbye politely; what happens then does not matter.
async fn end(run: &mut Run<'_>, stream: &mut impl Stream) -> Result<(), Stop> {
    let goodbye = async {
        let _ = Conversation::new(stream, PhaseName::Close)
            .say(END.as_bytes())
            .await;
        Ok(())
    };
    run.phase(PhaseName::Close, goodbye).await
}

/// The domain to ask for: what the lane goes to.
fn domain(ask: &Ask, address: IpAddr) -> String {
    match (&ask.host, address) {
        (Host::Name(name), _) => name.trim_end_matches('.').to_owned(),
        (_, IpAddr::V4(v4)) => v4.to_string(),
        (_, IpAddr::V6(v6)) => format!("[{v6}]"),
    }
}

async fn open(stream: &mut impl Stream, domain: &str, phase: PhaseName) -> Result<Opening, Stop> {
    let mut talk = Conversation::new(stream, phase);
    talk.say(xmpp::header(domain).as_bytes()).await?;
    talk.hear(|bytes| Opening::read(bytes).map_err(trouble))
        .await
}

/// Asks to change to TLS.
async fn start_tls(stream: &mut BoxedStream) -> Result<(), Stop> {
    let mut talk = Conversation::new(stream, PhaseName::StartTls);
    talk.say(START_TLS.as_bytes()).await?;
    match talk
        .hear(|bytes| TlsAnswer::read(bytes).map_err(trouble))
        .await?
    {
        TlsAnswer::Proceed => talk.nothing_more(),
        TlsAnswer::Failure => {
            let why = "the server answers that it cannot".to_owned();
            Err(Trouble::StartTlsRefused { why }.into())
        }
    }
}

/// All that comes before the handshake, on a connection of its own.
async fn to_tls(stream: &mut BoxedStream, ask: &Ask, address: IpAddr) -> Result<(), Stop> {
    open(stream, &domain(ask, address), PhaseName::LegacyTls).await?;
    start_tls(stream).await
}

/// Keeps what the server began with, and gives back what it offers.
fn note(run: &mut Run<'_>, domain: &str, opening: Opening) -> Result<Features, Stop> {
    let (features, refused) = match opening.first {
        First::Features(features) => (features, None),
        First::Error(condition) => (Features::default(), Some(condition)),
    };
    run.attempt.xmpp = Some(XmppEvidence {
        to: domain.to_owned(),
        from: opening.from.map(|from| cut(&from, TEXT_MAX)),
        start_tls: match features.start_tls {
            None => StartTls::Missing,
            Some(Demand::Optional) => StartTls::Offered,
            Some(Demand::Required) => StartTls::Required,
        },
        mechanisms: features
            .mechanisms
            .iter()
            .map(|mechanism| cut(mechanism, TEXT_MAX))
            .collect(),
    });
    let Some(condition) = refused else {
        return Ok(features);
    };
    let condition = cut(&condition, TEXT_MAX);
    let trouble = Trouble::XmppError { condition };
    Err(match run.ask.host {
        Host::Name(_) => trouble.into(),
        // It serves domains, and nobody says which: that it answers is all there is to show.
        Host::Address(_) | Host::SystemResolvers | Host::TimeServers | Host::Role(_) => {
            Stop::warn(trouble)
        }
    })
}

fn trouble(error: XmppError) -> Trouble {
    match error {
        XmppError::TooLong => Trouble::TooMuch {
            bound: OPENING_MAX as u64,
            unit: Unit::ConversationBytes,
        },
        XmppError::NotXmpp => Trouble::Malformed {
            what: error.to_string(),
        },
    }
}
