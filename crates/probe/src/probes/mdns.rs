//! A one-shot question by multicast DNS (RFC 6762 §5.1): for a name's addresses, or else for all
//! services (RFC 6763 §9), which everybody answers who offers any.

use futures_util::future::{BoxFuture, FutureExt};
use hickory_proto::rr::{Name, RecordType};

use crate::{
    ask::Ask,
    datagram::TIMES_SENT,
    evidence::{Finding, Trouble},
    families::exercise,
    multicast::{self, Wanted},
    path::Path,
    registry::{Probe, Sent},
    run::{Run, Stop},
};

/// What everybody answers who offers anything (RFC 6763 §9).
const SERVICES: &str = "_services._dns-sd._udp.local.";
/// Longest question: header, name, type and class (RFC 1035 §4.1).
const QUESTION_MAX: usize = 12 + 255 + 4;

/// Everybody on the local networks who speaks mDNS.
pub(crate) struct Mdns;

impl Probe for Mdns {
    fn protocols(&self) -> &'static [&'static str] {
        &["mdns"]
    }

    fn sends(&self, ask: &Ask) -> Vec<Sent> {
        let (asked, questions) = match &ask.question {
            Some(name) => (format!("the addresses of {name}"), 2),
            None => ("all services".to_owned(), 1),
        };
        vec![Sent::new(
            &format!("an mDNS question for {asked}, on each local network"),
            QUESTION_MAX,
            questions * u32::from(TIMES_SENT),
        )]
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run).boxed()).boxed()
    }
}

async fn attempt(run: &mut Run<'_>) -> Result<(), Stop> {
    let text = run.ask.question.as_deref().unwrap_or(SERVICES);
    let mut name = Name::from_utf8(text).map_err(|error| Trouble::BadAsk {
        what: format!("name {text}: {error}"),
    })?;
    name.set_fqdn(true);
    let named = run.ask.question.is_some();
    let record_types = if named {
        vec![RecordType::A, RecordType::AAAA]
    } else {
        vec![RecordType::PTR]
    };
    let wanted = Wanted {
        name,
        record_types,
        unicast: true,
        one_is_enough: named,
        tells_conflicts: false,
    };
    multicast::ask(run, &wanted).await
}
