//! A question by Link-Local Multicast Name Resolution (RFC 4795) for a name's addresses. Only the
//! one whose name it is answers, so without a name there is nobody to ask.

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

/// Longest question: header, a name of one label, type and class (RFC 1035 §4.1).
const QUESTION_MAX: usize = 12 + 65 + 4;

/// The machine of a name, on the local networks.
pub(crate) struct Llmnr;

impl Probe for Llmnr {
    fn protocols(&self) -> &'static [&'static str] {
        &["llmnr"]
    }

    fn sends(&self, ask: &Ask) -> Vec<Sent> {
        let name = label(ask).unwrap_or("a name");
        vec![Sent::new(
            &format!("an LLMNR question for the addresses of {name}, on each local network"),
            QUESTION_MAX,
            2 * u32::from(TIMES_SENT),
        )]
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run).boxed()).boxed()
    }
}

/// Names have one label in LLMNR: the first of what was given.
fn label(ask: &Ask) -> Option<&str> {
    ask.question.as_deref()?.split('.').next()
}

async fn attempt(run: &mut Run<'_>) -> Result<(), Stop> {
    let label = label(run.ask).ok_or_else(|| {
        Stop::not_run(Trouble::BadAsk {
            what: "LLMNR without a name".to_owned(),
        })
    })?;
    let name = Name::from_labels([label.as_bytes()]).map_err(|error| Trouble::BadAsk {
        what: format!("name {label}: {error}"),
    })?;
    let wanted = Wanted {
        name,
        record_types: vec![RecordType::A, RecordType::AAAA],
        unicast: false,
        one_is_enough: true,
        tells_conflicts: true,
    };
    multicast::ask(run, &wanted).await
}
