//! Name servers asked in turn, as the C library does: the next one when one has said nothing for a
//! while, or cannot help. An answer that comes late counts all the same.

use std::{net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use hickory_proto::op::{Message, ResponseCode};
use tokio::time::Instant;

use crate::{
    dns::{Asking, Heard, Question, rcode_name},
    evidence::{NameServer, PhaseName, ServerAnswer, Trouble},
    path::Source,
};

/// What is asked of the servers, and how.
pub(super) struct InTurn<'a> {
    pub(super) servers: &'a [SocketAddr],
    pub(super) source: &'a Source,
    pub(super) over_tcp: bool,
    /// How long one has to answer before the next is asked.
    pub(super) wait: Duration,
    pub(super) end: Instant,
}

/// What came of it.
pub(super) struct Told {
    /// The answer: names and addresses, or that there are none (NXDOMAIN).
    pub(super) answer: Result<Message, Trouble>,
    /// Each server that was asked, in turn.
    pub(super) asked: Vec<ServerAnswer>,
}

impl InTurn<'_> {
    /// Asks until one server gives an answer that counts.
    pub(super) async fn ask(&self, question: &Question) -> Told {
        let mut under_way = FuturesUnordered::new();
        let mut left = self.servers.iter().enumerate();
        let mut asked: Vec<Asked> = Vec::new();
        loop {
            if let Some((at, server)) = left.next() {
                asked.push(Asked::new(*server));
                under_way.push(async move { (at, self.one(*server, question).await) });
            }
            let next_turn = tokio::time::sleep(self.wait);
            let (at, heard) = tokio::select! {
                Some(told) = under_way.next() => told,
                () = next_turn, if left.len() > 0 => continue,
                else => break,
            };
            let Some(one) = asked.get_mut(at) else {
                continue;
            };
            if let Some(answer) = one.on_answer(heard) {
                return Told {
                    answer: Ok(answer),
                    asked: evidence(asked, self.wait),
                };
            }
        }
        let asked = evidence(asked, Duration::ZERO);
        Told {
            answer: Err(why_not(&asked)),
            asked,
        }
    }

    async fn one(&self, server: SocketAddr, question: &Question) -> Result<Heard, Trouble> {
        let asking = Asking {
            server,
            source: self.source,
            wait: self.wait,
            end: self.end,
        };
        if self.over_tcp {
            asking.over_tcp(question).await
        } else {
            asking.ask(question).await
        }
    }
}

/// A server that was asked.
struct Asked {
    server: SocketAddr,
    since: Instant,
    answer: Option<ServerAnswer>,
}

impl Asked {
    fn new(server: SocketAddr) -> Self {
        Self {
            server,
            since: Instant::now(),
            answer: None,
        }
    }

    /// Notes what came; an answer that counts is given back.
    fn on_answer(&mut self, heard: Result<Heard, Trouble>) -> Option<Message> {
        let mut evidence = self.silent();
        let message = match heard {
            Ok(Heard { message, over_tcp }) => {
                evidence.trouble = None;
                evidence.over_tcp = over_tcp;
                evidence.rcode = Some(rcode_name(message.metadata.response_code));
                Some(message)
            }
            Err(trouble) => {
                evidence.trouble = Some(trouble);
                None
            }
        };
        self.answer = Some(evidence);
        message.filter(|message| {
            matches!(
                message.metadata.response_code,
                ResponseCode::NoError | ResponseCode::NXDomain
            )
        })
    }

    fn silent(&self) -> ServerAnswer {
        ServerAnswer {
            server: NameServer::At(self.server),
            rcode: None,
            trouble: Some(Trouble::TimedOut {
                phase: PhaseName::Exchange,
            }),
            over_tcp: false,
            took: self.since.elapsed(),
        }
    }
}

/// What is told of the servers. Of one that was asked last and had no time yet nothing is.
fn evidence(asked: Vec<Asked>, wait: Duration) -> Vec<ServerAnswer> {
    let told = asked.into_iter().filter_map(|one| {
        let waited = one.since.elapsed() >= wait;
        let silent = waited.then(|| one.silent());
        one.answer.or(silent)
    });
    told.collect()
}

/// Why no server gave an answer: what one of them said counts more than what none did.
fn why_not(asked: &[ServerAnswer]) -> Trouble {
    if let Some(rcode) = asked.iter().find_map(|one| one.rcode.clone()) {
        return Trouble::ResolverRefused { rcode };
    }
    let troubles = || asked.iter().filter_map(|one| one.trouble.clone());
    if troubles().all(|trouble| is_refusal(&trouble)) {
        return Trouble::ResolverUnreachable;
    }
    let told = troubles().find_map(|trouble| match told_by_server(&trouble) {
        true => Some(trouble),
        false => None,
    });
    match told {
        Some(Trouble::Malformed { what }) => Trouble::ResolverBroken { what },
        Some(Trouble::TooMuch { .. }) => Trouble::ResolverBroken {
            what: "more datagrams than are read".to_owned(),
        },
        Some(trouble) => trouble,
        None => Trouble::ResolverSilent,
    }
}

/// Whether nobody is there, or there is no way, or a packet filter forbids it.
fn is_refusal(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::Refused
            | Trouble::HostUnreachable { .. }
            | Trouble::NetworkUnreachable
            | Trouble::AdminProhibited
    )
}

/// Whether it says more than that nothing came.
fn told_by_server(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::LargeAnswersLost { .. }
            | Trouble::Malformed { .. }
            | Trouble::TooMuch { .. }
            | Trouble::Local { .. }
    )
}
