//! Resolving names: each once for each family, however many lanes want it.

mod in_turn;
mod system;

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::{join, join_all};
use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{Name, RecordType},
};
use tokio::{sync::OnceCell, time::Instant};

use super::{ResolverChoice, Source};
use crate::{
    dns::{Asking, Manner, Question, answer, rcode_name},
    evidence::{AddressRecord, FamilyAnswer, NameServer, Resolution, Trouble},
};
use in_turn::InTurn;
use system::Setup;

/// Most names remembered; further ones are asked for each time.
const KNOWN_MAX: usize = 4096;
/// Longest wait for a name server before the next is asked. Products wait as `resolv.conf` says,
/// usually five seconds; a check has more to do.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// How long a name server that said nothing over UDP may take over TCP.
const OVER_TCP_WAIT: Duration = Duration::from_secs(1);
/// What a resolver answers where the signatures of an answer do not hold (RFC 4035 §5.5), and where
/// it fails in another way.
const FAILURE: &str = "SERVFAIL";
/// How long it may be remembered that a name of this machine is its own, in seconds.
const OWN_TTL: u32 = 0;

/// Name servers and what they said.
pub(super) struct Names {
    setup: Result<Setup, Trouble>,
    source: Source,
    limit: Duration,
    known: Mutex<HashMap<String, Arc<Known>>>,
    /// What is known of name servers that said nothing.
    why_silent: OnceCell<Trouble>,
}

#[derive(Default)]
struct Known {
    ipv4: OnceCell<FamilyAnswer>,
    ipv6: OnceCell<FamilyAnswer>,
}

impl Names {
    /// Reads the configuration. That it cannot be read is no error before a name is wanted.
    pub(super) fn new(choice: &ResolverChoice, source: &Source, limit: Duration) -> Self {
        let setup = match choice {
            ResolverChoice::System => Setup::of_system().map_err(|error| Trouble::Local {
                what: format!("no usable resolver configuration: {error}"),
            }),
            ResolverChoice::At(servers) => Ok(Setup {
                servers: servers.clone(),
                timeout: WAIT_MAX,
                ..Setup::default()
            }),
        };
        Self {
            setup,
            source: source.clone(),
            limit,
            known: Mutex::default(),
            why_silent: OnceCell::new(),
        }
    }

    /// The configured resolvers in order.
    pub(super) fn servers(&self) -> Result<&[SocketAddr], Trouble> {
        self.setup
            .as_ref()
            .map(|setup| setup.servers.as_slice())
            .map_err(Clone::clone)
    }

    /// Whether nobody has named one, so that this machine itself is asked.
    pub(super) fn are_unnamed(&self) -> bool {
        self.setup.as_ref().is_ok_and(|setup| setup.unnamed)
    }

    /// Both families at once, from memory if any lane asked before. `random` makes numbers that are
    /// hard to guess.
    pub(super) async fn resolve(
        &self,
        name: &str,
        random: impl Fn() -> Result<u16, Trouble>,
    ) -> Resolution {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let known = self.known(&name);
        let (ipv4, ipv6) = join(
            known
                .ipv4
                .get_or_init(|| self.find(&name, RecordType::A, &random)),
            known
                .ipv6
                .get_or_init(|| self.find(&name, RecordType::AAAA, &random)),
        )
        .await;
        let servers = self.servers().unwrap_or_default().iter();
        Resolution {
            ipv4: ipv4.clone(),
            ipv6: ipv6.clone(),
            resolvers: servers.map(|server| NameServer::At(*server)).collect(),
            elsewhere: None,
            name,
        }
    }

    fn known(&self, name: &str) -> Arc<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(name) {
            return found.clone();
        }
        let fresh = Arc::new(Known::default());
        if known.len() < KNOWN_MAX {
            known.insert(name.to_owned(), fresh.clone());
        }
        fresh
    }

    async fn find(
        &self,
        name: &str,
        record_type: RecordType,
        random: impl Fn() -> Result<u16, Trouble>,
    ) -> FamilyAnswer {
        let start = Instant::now();
        let mut answer = match &self.setup {
            Ok(setup) => match self.own(setup, name, record_type) {
                Some(answer) => answer,
                None => self.ask(setup, name, record_type, random).await,
            },
            Err(trouble) => FamilyAnswer::without(trouble.clone()),
        };
        answer.took = start.elapsed();
        answer
    }

    /// What needs no name server: this machine itself (RFC 6761 §6.3), and the hosts file. A name
    /// that stands there with one family has none of the other, as in the C library.
    fn own(&self, setup: &Setup, name: &str, record_type: RecordType) -> Option<FamilyAnswer> {
        let ours = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let addresses: &[IpAddr] = match setup.hosts.addresses(name) {
            Some(addresses) => addresses,
            None if name == "localhost" || name.ends_with(".localhost") => &ours,
            None => return None,
        };
        let mut answer = FamilyAnswer::without(Trouble::NoAddress);
        let wanted = addresses
            .iter()
            .filter(|address| address.is_ipv4() == (record_type == RecordType::A));
        answer.addresses = wanted
            .take(answer::ADDRESSES_MAX)
            .map(|address| AddressRecord {
                address: *address,
                ttl_seconds: OWN_TTL,
            })
            .collect();
        if !answer.addresses.is_empty() {
            answer.trouble = None;
        }
        Some(answer)
    }

    /// Asks for the name as it stands, or where it has no dot in each domain that is searched
    /// first.
    async fn ask(
        &self,
        setup: &Setup,
        name: &str,
        record_type: RecordType,
        random: impl Fn() -> Result<u16, Trouble>,
    ) -> FamilyAnswer {
        let searched = setup.search.iter().filter(|_| !name.contains('.'));
        let searched = searched.map(|domain| format!("{name}.{domain}"));
        let end = Instant::now() + self.limit;
        let mut before: Option<FamilyAnswer> = None;
        for name in searched.chain([name.to_owned()]) {
            let answer = match self.ask_for(setup, &name, record_type, end, &random).await {
                Ok(answer) => answer,
                Err(trouble) => FamilyAnswer::without(trouble),
            };
            match answer.trouble {
                Some(Trouble::NameNotFound) => before = before.or(Some(answer)),
                // A name that is there counts more than one that is not.
                Some(Trouble::NoAddress) => before = Some(answer),
                Some(_) if before.is_some() => break,
                Some(_) | None => return answer,
            }
        }
        before.unwrap_or_else(|| FamilyAnswer::without(Trouble::NameNotFound))
    }

    async fn ask_for(
        &self,
        setup: &Setup,
        name: &str,
        record_type: RecordType,
        end: Instant,
        random: impl Fn() -> Result<u16, Trouble>,
    ) -> Result<FamilyAnswer, Trouble> {
        let mut question = Name::from_utf8(name).map_err(|error| Trouble::BadAsk {
            what: format!("name {name}: {error}"),
        })?;
        question.set_fqdn(true);
        let manner = |unchecked| Manner {
            edns: setup.edns,
            unchecked,
        };
        let unchecked = || Question::new(random()?, question.clone(), record_type, manner(true));
        let question = Question::new(random()?, question.clone(), record_type, manner(false))?;
        let in_turn = self.in_turn(setup, end);
        let told = in_turn.ask(&question).await;
        let mut answer = match told.answer {
            Ok(message) => answer_of(&message, &question),
            Err(Trouble::ResolverSilent | Trouble::ResolverUnreachable) if setup.unnamed => {
                FamilyAnswer::without(Trouble::NoNameServer)
            }
            Err(Trouble::ResolverSilent) => FamilyAnswer::without(self.silence(setup).await),
            Err(Trouble::ResolverRefused { rcode }) if rcode == FAILURE => {
                let again = in_turn.ask(&unchecked()?).await.answer;
                let holds =
                    again.is_ok_and(|it| it.metadata.response_code == ResponseCode::NoError);
                FamilyAnswer::without(match holds {
                    true => Trouble::SignaturesBroken,
                    false => Trouble::ResolverRefused { rcode },
                })
            }
            Err(trouble) => FamilyAnswer::without(trouble),
        };
        answer.asked = told.asked;
        Ok(answer)
    }

    fn in_turn<'a>(&'a self, setup: &'a Setup, end: Instant) -> InTurn<'a> {
        // All but a little of the time is shared out, so that the last one has some, too.
        let shares = u32::try_from(setup.servers.len()).unwrap_or(u32::MAX);
        let share = self.limit.mul_f32(0.9) / shares.max(1);
        InTurn {
            servers: &setup.servers,
            source: &self.source,
            over_tcp: setup.over_tcp,
            wait: share.min(setup.timeout).min(WAIT_MAX),
            end,
        }
    }

    /// What is behind the silence of all name servers. Whether they answer over TCP is found out
    /// once.
    async fn silence(&self, setup: &Setup) -> Trouble {
        let reason = || async {
            let end = Instant::now() + OVER_TCP_WAIT;
            let Ok(question) = Question::new(0, Name::root(), RecordType::NS, Manner::default())
            else {
                return Trouble::ResolverSilent;
            };
            let asking = setup.servers.iter().map(|server| Asking {
                server: *server,
                source: &self.source,
                wait: OVER_TCP_WAIT,
                end,
            });
            let asking: Vec<_> = asking.collect();
            let answers = join_all(asking.iter().map(|one| one.over_tcp(&question))).await;
            if answers.iter().any(Result::is_ok) {
                Trouble::ResolverOverTcpOnly
            } else {
                Trouble::ResolverSilent
            }
        };
        self.why_silent.get_or_init(reason).await.clone()
    }
}

/// What an answer comes to.
pub(super) fn answer_of(message: &Message, question: &Question) -> FamilyAnswer {
    let code = message.metadata.response_code;
    if code == ResponseCode::NXDomain {
        FamilyAnswer::without(Trouble::NameNotFound)
    } else if code == ResponseCode::NoError {
        answer::read(&message.answers, &question.query)
    } else {
        let rcode = rcode_name(code);
        FamilyAnswer::without(Trouble::ResolverRefused { rcode })
    }
}
