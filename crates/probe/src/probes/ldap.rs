//! A directory's root DSE (RFC 4512 §5.1), in the clear, over TLS, or after a change to TLS
//! (RFC 4511 §4.14). Nobody logs in, and nothing is asked that would tell of the tree.

use futures_util::future::{BoxFuture, FutureExt};
use outgate_wire::ldap::{
    self, Attribute, LdapError, MESSAGE_MAX, Message, START_TLS, Said, code_name,
};

use super::tls as tls_probe;
use crate::{
    ask::Ask,
    conversation::Conversation,
    evidence::{Finding, LdapEvidence, Outcome, PhaseName, Trouble, Unit},
    families::exercise,
    path::Path,
    registry::{Probe, Sent},
    run::{Run, Stop},
    stream::{BoxedStream, Stream, conclude, connect},
    text::cut,
    tls::{self, Secured, before_answer},
};

/// Numbers of the messages that are sent.
const START_TLS_ID: u8 = 1;
const SEARCH_ID: u8 = 2;
const UNBIND_ID: u8 = 3;
/// Most messages that are read of an answer: an entry, its end, and references between.
const MESSAGES_MAX: usize = 16;
/// Longest text that is kept, in characters.
const TEXT_MAX: usize = 256;
/// Most versions of the protocol that are kept.
const VERSIONS_MAX: usize = 8;
/// Most ways to log in that are kept.
const MECHANISMS_MAX: usize = 32;
/// The result of an operation that the server does not know (RFC 4511 §4.1.9).
const PROTOCOL_ERROR: i64 = 2;

/// A directory that begins in the clear.
pub(crate) struct Ldap;

impl Probe for Ldap {
    fn protocols(&self) -> &'static [&'static str] {
        &["ldap"]
    }

    fn sends(&self, ask: &Ask) -> Vec<Sent> {
        let mut sent = vec![search_sent()];
        if ask.tls.required {
            let size = ldap::start_tls(START_TLS_ID).len();
            sent.push(Sent::new("the wish to change to TLS", size, 4));
            sent.extend(tls_probe::sent());
        }
        sent
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run).boxed()).boxed()
    }
}

/// A directory over TLS.
pub(crate) struct Ldaps;

impl Probe for Ldaps {
    fn protocols(&self) -> &'static [&'static str] {
        &["ldaps"]
    }

    fn sends(&self, _: &Ask) -> Vec<Sent> {
        tls_probe::sent()
            .into_iter()
            .chain([search_sent()])
            .collect()
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt_tls(run).boxed()).boxed()
    }
}

fn search_sent() -> Sent {
    let size = ldap::root_dse_search(SEARCH_ID).len() + ldap::unbind(UNBIND_ID).len();
    Sent::new("an LDAP search for the root DSE, and goodbye", size, 1)
}

async fn attempt(run: &mut Run<'_>) -> Result<(), Stop> {
    let mut stream = connect(run).await?;
    if !run.ask.tls.required {
        return search(run, &mut stream).await;
    }
    run.phase(
        PhaseName::StartTls,
        start_tls(&mut stream, PhaseName::StartTls),
    )
    .await?;
    run.to_tls = Some(|stream, _, _| start_tls(stream, PhaseName::LegacyTls).boxed());
    over_tls(run, stream).await
}

async fn attempt_tls(run: &mut Run<'_>) -> Result<(), Stop> {
    let stream = connect(run).await?;
    over_tls(run, stream).await
}

async fn over_tls(run: &mut Run<'_>, stream: BoxedStream) -> Result<(), Stop> {
    let Secured {
        mut stream, doubt, ..
    } = tls::secure(run, stream, &[]).await?;
    let trusted = doubt
        .as_ref()
        .is_none_or(|doubt| doubt.outcome != Outcome::Fail);
    let went = if trusted {
        let searched = search(run, &mut stream).await;
        searched.map_err(|stop| before_answer(run, stop))
    } else {
        Ok(())
    };
    tls::close(run, stream).await;
    conclude(doubt, went)
}

/// Asks to change to TLS.
async fn start_tls(stream: &mut BoxedStream, phase: PhaseName) -> Result<(), Stop> {
    let mut talk = Conversation::new(stream, phase);
    talk.say(&ldap::start_tls(START_TLS_ID)).await?;
    let Said::Extended(outcome) = hear(&mut talk, START_TLS_ID).await? else {
        return Err(malformed("another answer than one about TLS"));
    };
    match outcome.code {
        0 => talk.nothing_more(),
        PROTOCOL_ERROR => Err(Trouble::StartTlsMissing.into()),
        code => {
            let why = format!("{}: {}", code_name(code), outcome.diagnostic);
            let why = cut(&why, TEXT_MAX);
            Err(Trouble::StartTlsRefused { why }.into())
        }
    }
}

/// Asks for the root DSE and says goodbye.
async fn search(run: &mut Run<'_>, stream: &mut impl Stream) -> Result<(), Stop> {
    let exchange = async {
        let mut talk = Conversation::new(stream, PhaseName::Conversation);
        talk.say(&ldap::root_dse_search(SEARCH_ID)).await?;
        let found = listen(&mut talk).await?;
        // It was heard already; whether the goodbye arrives does not matter.
        let _ = talk.say(&ldap::unbind(UNBIND_ID)).await;
        Ok(found)
    };
    let (entry, code) = run.phase(PhaseName::Conversation, exchange).await?;
    run.attempt.ldap = Some(evidence(entry.as_deref(), code));
    if code == 0 {
        return Ok(());
    }
    // A directory answered; what it wants first, such as a login, is not for a probe to give.
    let name = code_name(code).to_owned();
    Err(Stop::warn(Trouble::LdapResult { code, name }))
}

/// The root DSE, if it was shown, and how the search ended.
async fn listen(
    talk: &mut Conversation<'_, impl Stream>,
) -> Result<(Option<Vec<Attribute>>, i64), Stop> {
    let mut entry = None;
    for _ in 0..MESSAGES_MAX {
        match hear(talk, SEARCH_ID).await? {
            Said::Entry(attributes) => entry = Some(attributes),
            Said::Done(outcome) => return Ok((entry, outcome.code)),
            Said::Reference | Said::Other => {}
            Said::Extended(_) => return Err(malformed("an answer about something else")),
        }
    }
    Err(Trouble::TooMuch {
        bound: MESSAGES_MAX as u64,
        unit: Unit::Messages,
    }
    .into())
}

/// The next message, which answers the one with this number.
async fn hear(talk: &mut Conversation<'_, impl Stream>, id: u8) -> Result<Said, Stop> {
    let message = talk.hear(read).await?;
    if message.id == i64::from(id) {
        return Ok(message.said);
    }
    // The notice of disconnection (RFC 4511 §4.4.1).
    if let (0, Said::Extended(outcome)) = (message.id, message.said) {
        let name = code_name(outcome.code).to_owned();
        let code = outcome.code;
        return Err(Trouble::LdapResult { code, name }.into());
    }
    Err(malformed("an answer to another question"))
}

fn read(bytes: &[u8]) -> Result<Option<(Message, usize)>, Trouble> {
    Message::read(bytes).map_err(|error| match error {
        LdapError::TooLong => Trouble::TooMuch {
            bound: MESSAGE_MAX as u64,
            unit: Unit::MessageBytes,
        },
        LdapError::Length | LdapError::Tag { .. } | LdapError::Short | LdapError::Number => {
            Trouble::Malformed {
                what: error.to_string(),
            }
        }
    })
}

fn malformed(what: &str) -> Stop {
    let what = what.to_owned();
    Trouble::Malformed { what }.into()
}

fn evidence(entry: Option<&[Attribute]>, code: i64) -> LdapEvidence {
    let values = |name: &str, most: usize| -> Vec<String> {
        let named = |attribute: &&Attribute| attribute.name.eq_ignore_ascii_case(name);
        let attribute = entry.into_iter().flatten().find(named);
        let values = attribute.into_iter().flat_map(|it| &it.values);
        values.take(most).map(|it| cut(it, TEXT_MAX)).collect()
    };
    let vendor = [values("vendorName", 1), values("vendorVersion", 1)].concat();
    LdapEvidence {
        result: code_name(code).to_owned(),
        root_dse: entry.is_some(),
        versions: values("supportedLDAPVersion", VERSIONS_MAX),
        start_tls: values("supportedExtension", ldap::VALUES_MAX)
            .iter()
            .any(|extension| extension == START_TLS),
        mechanisms: values("supportedSASLMechanisms", MECHANISMS_MAX),
        vendor: (!vendor.is_empty()).then(|| cut(&vendor.join(" "), TEXT_MAX)),
    }
}
