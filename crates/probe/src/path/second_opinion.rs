//! What somebody outside says about the names that this network's name servers do not give, or send
//! to a place that is not outside.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, join},
};
use hickory_proto::rr::{Name, RecordType};
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout},
};

use super::{DohUrl, Path, doh::URL_MAX, names};
use crate::{
    address::is_local,
    ask::{Ask, Host},
    dns::{Manner, QUESTION_MAX, Question, rcode_name},
    evidence::{
        Attempt, Elsewhere, FamilyAnswer, NameServer, PhaseName, Resolution, ServerAnswer, Trouble,
    },
    families::{Target, targets},
    registry::Sent,
    run::Run,
};

/// Most names remembered; further ones are asked for each time.
const KNOWN_MAX: usize = 4096;
/// How many addresses of the name server are tried, each for its part of the path's time-out.
const ADDRESSES_TRIED: u32 = 2;
/// How often somebody outside is asked about a name at the most: for each family at each address.
const TIMES_ASKED: u32 = 2 * ADDRESSES_TRIED;
/// Most bytes that a question over HTTPS takes beside the question itself and its URL: a TLS
/// handshake with one long name in it, and the head of the request.
const HEAD_AT_MOST: usize = 2048;

/// A name server outside, and what it said.
pub(super) struct SecondOpinion {
    url: DohUrl,
    known: Mutex<HashMap<String, Arc<OnceCell<Elsewhere>>>>,
}

impl SecondOpinion {
    pub(super) fn of(url: DohUrl) -> Self {
        Self {
            url,
            known: Mutex::default(),
        }
    }

    /// What is sent about the name of an ask at the most.
    pub(super) fn sends(&self, ask: &Ask) -> Option<Sent> {
        let name = outside(ask)?;
        let what = format!(
            "questions for the addresses of {name} to {}, if the name servers here give none outside",
            self.url
        );
        let bytes = HEAD_AT_MOST + URL_MAX + QUESTION_MAX;
        Some(Sent::new(&what, bytes, TIMES_ASKED))
    }

    /// Asks outside where the network's own name servers leave a doubt about the name of an ask.
    pub(super) async fn on(
        &self,
        ask: &Ask,
        resolution: &Resolution,
        path: &Path,
    ) -> Option<Elsewhere> {
        let name = outside(ask)?;
        // Where a detour leads is nobody's business outside.
        let own = name
            .trim_end_matches('.')
            .eq_ignore_ascii_case(&resolution.name);
        if !own || !is_doubtful(resolution) {
            return None;
        }
        let known = self.known(&resolution.name);
        let elsewhere = known.get_or_init(|| self.ask(path, &resolution.name)).await;
        Some(elsewhere.clone())
    }

    fn known(&self, name: &str) -> Arc<OnceCell<Elsewhere>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(name) {
            return found.clone();
        }
        let fresh = Arc::new(OnceCell::new());
        if known.len() < KNOWN_MAX {
            known.insert(name.to_owned(), fresh.clone());
        }
        fresh
    }

    /// Boxed, because the way to the name server may itself need a name.
    fn ask<'a>(&'a self, path: &'a Path, name: &'a str) -> BoxFuture<'a, Elsewhere> {
        let asking = async move {
            let ask = self.url.ask();
            let targets = match timeout(path.timeout(), targets(&ask, path)).await {
                Ok(targets) => targets,
                Err(_) => Err(SILENCE),
            };
            let family = async |record_type| {
                let start = Instant::now();
                let mut answer = match &targets {
                    Err(why) => self.unreached(why),
                    Ok(targets) => {
                        let told = self.ask_for(path, &ask, targets, name, record_type).await;
                        told.unwrap_or_else(FamilyAnswer::without)
                    }
                };
                answer.took = start.elapsed();
                answer
            };
            let (ipv4, ipv6) = join(family(RecordType::A), family(RecordType::AAAA)).await;
            Elsewhere {
                resolver: self.name(),
                ipv4,
                ipv6,
            }
        };
        asking.boxed()
    }

    /// No answer, because there is no way to the name server.
    fn unreached(&self, why: &Trouble) -> FamilyAnswer {
        let mut answer = FamilyAnswer::without(Trouble::ResolverUnreachable);
        answer.asked.push(ServerAnswer {
            server: self.name(),
            rcode: None,
            trouble: Some(why.clone()),
            over_tcp: true,
            took: Duration::ZERO,
        });
        answer
    }

    fn name(&self) -> NameServer {
        NameServer::Https(self.url.to_string())
    }

    /// Asks at each address in turn. Where none answers, what was wrong at the first counts.
    async fn ask_for(
        &self,
        path: &Path,
        ask: &Ask,
        targets: &[Target],
        name: &str,
        record_type: RecordType,
    ) -> Result<FamilyAnswer, Trouble> {
        let mut question = Name::from_utf8(name).map_err(|error| Trouble::BadAsk {
            what: format!("name {name}: {error}"),
        })?;
        question.set_fqdn(true);
        // The number 0 is best for caches (RFC 8484 §4.1); TLS keeps forgers out.
        let question = Question::new(0, question, record_type, Manner::default())?;
        let limit = path.timeout() / ADDRESSES_TRIED;
        let mut asked = Vec::new();
        let mut why_not = None;
        for target in targets.iter().take(ADDRESSES_TRIED as usize) {
            let start = Instant::now();
            let attempt = Attempt::new(target.address, target.port);
            let mut run = Run::new(ask, path, attempt, target.through.clone());
            let exchange = timeout(limit, self.url.exchange(&mut run, &question)).await;
            let told = match exchange {
                Ok(told) => told.map_err(|stop| stop.trouble),
                Err(_) => Err(SILENCE),
            };
            let code = told.as_ref().ok().map(|it| it.metadata.response_code);
            asked.push(ServerAnswer {
                server: self.name(),
                rcode: code.map(rcode_name),
                trouble: told.as_ref().err().cloned(),
                over_tcp: true,
                took: start.elapsed(),
            });
            match told {
                Ok(message) => {
                    let mut answer = names::answer_of(&message, &question);
                    answer.asked = asked;
                    return Ok(answer);
                }
                Err(trouble) => why_not = why_not.or(Some(trouble)),
            }
        }
        let mut answer = FamilyAnswer::without(why_not.unwrap_or(Trouble::ResolverUnreachable));
        answer.asked = asked;
        Ok(answer)
    }
}

/// What nothing came of.
const SILENCE: Trouble = Trouble::TimedOut {
    phase: PhaseName::Exchange,
};

/// The name of an ask that somebody outside may be asked about.
fn outside(ask: &Ask) -> Option<&str> {
    match &ask.host {
        Host::Name(name) if ask.outside => Some(name),
        Host::Name(_)
        | Host::Address(_)
        | Host::SystemResolvers
        | Host::TimeServers
        | Host::Role(_) => None,
    }
}

/// Whether the name servers did their work, and gave no address, or none that is outside.
fn is_doubtful(resolution: &Resolution) -> bool {
    let answers = [&resolution.ipv4, &resolution.ipv6];
    let mut asked = answers.into_iter().flat_map(|answer| &answer.asked);
    asked.any(ServerAnswer::counts) && resolution.addresses().all(is_local)
}
