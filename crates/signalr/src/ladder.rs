//! Which transport a client tries, and which one after it.
//!
//! A transport counts once the hub has answered the handshake over it, not when it opens: proxies
//! open WebSockets and close them, and take streams of events and keep them. Each failure leads to
//! the next transport, with a connection that is negotiated anew, since the last try may have used
//! up the one before. What fails while another one works is remembered, and tried last from then
//! on. If nothing works the server is down or the network is, and nothing is remembered.
//!
//! The caller begins a climb with [`Ladder::begin`], does what [`Ladder::poll_step`] says and tells
//! how it went, until a transport works, nothing is left to try, or there is an error.

use std::time::{Duration, Instant};

use crate::negotiate::{Answer, Connection, REDIRECTIONS_MAX, Token, Transport};

/// How long a transport that is not the last has for everything up to the answer to the handshake,
/// unless the way is slow: [`Rules::patience`].
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long the last one has: what ASP.NET Core's servers wait for a handshake.
pub const LAST_PATIENCE: Duration = Duration::from_secs(15);
/// How many times longer than negotiating a transport may take in any case. Both connect, agree on
/// TLS and exchange a message; a transport exchanges a few more.
const SLOW_WAY: u32 = 4;
/// For how long a transport that failed is tried last. Networks change, and the first transport is
/// the best.
pub const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
/// How often in a row a transport that works must be cut off before [`retry::HELD`] for that to be
/// the transport's fault. Servers restart, too.
///
/// [`retry::HELD`]: crate::retry::HELD
const CUT_OFF_MAX: u8 = 2;

/// What a climb may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The transports that may be used.
    pub transports: Vec<Transport>,
    /// Whether they are tried in the order above, and not in the server's.
    pub in_this_order: bool,
    /// Whether messages are bytes, which events cannot carry.
    pub binary: bool,
    /// Whether to ask for a connection that outlives its transport.
    pub stateful: bool,
    /// Whether to negotiate at all. Without it there are WebSockets only.
    pub negotiate: bool,
    /// See [`PATIENCE`].
    pub patience: Duration,
    /// See [`LAST_PATIENCE`].
    pub last_patience: Duration,
}

impl Default for Rules {
    /// Every transport, in the server's order, for text.
    fn default() -> Self {
        Self {
            transports: Transport::ALL.to_vec(),
            in_this_order: false,
            binary: false,
            stateful: false,
            negotiate: true,
            patience: PATIENCE,
            last_patience: LAST_PATIENCE,
        }
    }
}

/// What is known of the transports here. It holds for one network and one server, and is to be
/// dropped when either changes.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    transports: [Known; Transport::ALL.len()],
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    failed: Option<Instant>,
    /// How often in a row it was cut off early.
    cut_off: u8,
}

impl Memory {
    /// The transports that failed lately while another one worked, and how long ago: to be kept
    /// over a restart.
    pub fn failed(&self, now: Instant) -> impl Iterator<Item = (Transport, Duration)> + '_ {
        Transport::ALL.into_iter().filter_map(move |transport| {
            let ago = now.saturating_duration_since(self.known(transport).failed?);
            (ago < REMEMBERED).then_some((transport, ago))
        })
    }

    /// Puts back what [`Memory::failed`] said.
    pub fn on_failed(&mut self, transport: Transport, ago: Duration, now: Instant) {
        // What lies before the clock's beginning is remembered as from its beginning.
        self.known_mut(transport).failed = Some(now.checked_sub(ago).unwrap_or(now));
    }

    /// Puts those last that failed lately. The order among them stays as it is, and so does that among
    /// the rest.
    pub fn sort(&self, transports: &mut [Transport], now: Instant) {
        transports.sort_by_key(|transport| self.is_doubtful(*transport, now));
    }

    /// A transport that worked was cut off; `held` says whether it had stood for long enough before
    /// that for the cut not to be its fault.
    pub fn on_cut_off(&mut self, transport: Transport, held: bool, now: Instant) {
        if held {
            return self.on_held(transport);
        }
        let known = self.known_mut(transport);
        known.cut_off = known.cut_off.saturating_add(1);
        if known.cut_off >= CUT_OFF_MAX {
            *known = Known {
                failed: Some(now),
                cut_off: 0,
            };
        }
    }

    /// A transport has held what it was trusted with: nothing is held against it any more.
    pub fn on_held(&mut self, transport: Transport) {
        *self.known_mut(transport) = Known::default();
    }

    fn is_doubtful(&self, transport: Transport, now: Instant) -> bool {
        self.failed(now).any(|(failed, _)| failed == transport)
    }

    fn known(&self, transport: Transport) -> &Known {
        let [web_sockets, events, polling] = &self.transports;
        match transport {
            Transport::WebSockets => web_sockets,
            Transport::ServerSentEvents => events,
            Transport::LongPolling => polling,
        }
    }

    fn known_mut(&mut self, transport: Transport) -> &mut Known {
        let [web_sockets, events, polling] = &mut self.transports;
        match transport {
            Transport::WebSockets => web_sockets,
            Transport::ServerSentEvents => events,
            Transport::LongPolling => polling,
        }
    }
}

/// What a client does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It negotiates with the hub there, and hands in the answer.
    Negotiate {
        /// The hub.
        url: String,
        /// What it shows there in place of its own token.
        access_token: Option<Token>,
    },
    /// It tries a transport, and says how that went.
    Try(Rung),
    /// Nothing: a transport works, or none is left to try.
    Rest,
}

/// A transport to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    /// Which one.
    pub transport: Transport,
    /// The hub.
    pub url: String,
    /// What is shown there in place of the client's own token.
    pub access_token: Option<Token>,
    /// What was negotiated; nothing where nobody negotiates.
    pub connection: Option<Connection>,
    /// How long it has for everything up to the answer to the handshake.
    pub patience: Duration,
}

/// Why a climb ends before a transport is tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LadderError {
    /// The server refuses, in its own words.
    #[error("the server refuses to negotiate: {error}")]
    Refused {
        /// The words.
        error: String,
    },
    /// Redirections without end.
    #[error("the server redirects more than {REDIRECTIONS_MAX} times")]
    Redirections,
    /// A redirection from `https` to something else.
    #[error("the server redirects to where there is no TLS")]
    Insecure,
    /// The server has made a connection that outlives its transport, and nobody asked for one.
    #[error("the server has made a stateful connection that was not asked for")]
    Stateful,
    /// None of the transports is allowed and carries what messages are made of.
    #[error("the server offers no transport that may be used here; it offers {}", names(.offered))]
    NoTransport {
        /// What it offers.
        offered: Vec<Transport>,
    },
}

fn names(transports: &[Transport]) -> String {
    if transports.is_empty() {
        return "none".to_owned();
    }
    let names = transports.iter().map(|transport| transport.as_str());
    names.collect::<Vec<_>>().join(", ")
}

/// The transports of one client and one hub.
#[derive(Debug)]
pub struct Ladder {
    rules: Rules,
    memory: Memory,
    url: String,
    access_token: Option<Token>,
    redirections: u32,
    /// The transports that have failed in this climb.
    failed: Vec<Transport>,
    state: State,
}

#[derive(Debug)]
enum State {
    Negotiating,
    Trying(Rung),
    Up(Transport),
    Done,
}

impl Ladder {
    /// Nothing is to be done until a climb begins.
    #[must_use]
    pub fn new(rules: Rules, memory: Memory) -> Self {
        Self {
            rules,
            memory,
            url: String::new(),
            access_token: None,
            redirections: 0,
            failed: Vec::new(),
            state: State::Done,
        }
    }

    /// What is known of the transports by now.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Replaces what is known of the transports: on another network it is something else.
    pub fn set_memory(&mut self, memory: Memory) {
        self.memory = memory;
    }

    /// Begins a climb to the hub at `url`.
    pub fn begin(&mut self, url: &str) {
        url.clone_into(&mut self.url);
        self.access_token = None;
        self.redirections = 0;
        self.failed.clear();
        self.state = if self.rules.negotiate {
            State::Negotiating
        } else {
            State::Trying(self.rung(Transport::WebSockets, None, self.rules.last_patience))
        };
    }

    /// What is to be done now.
    #[must_use]
    pub fn poll_step(&self) -> Step {
        match &self.state {
            State::Negotiating => Step::Negotiate {
                url: self.url.clone(),
                access_token: self.access_token.clone(),
            },
            State::Trying(rung) => Step::Try(rung.clone()),
            State::Up(_) | State::Done => Step::Rest,
        }
    }

    /// The server has answered after so long.
    ///
    /// # Errors
    /// The climb has ended, for this reason.
    pub fn handle_answer(
        &mut self,
        answer: Answer,
        took: Duration,
        now: Instant,
    ) -> Result<(), LadderError> {
        self.state = State::Done;
        match answer {
            Answer::Refused { error } => Err(LadderError::Refused { error }),
            Answer::Redirection { url, access_token } => self.redirect(url, access_token),
            Answer::Connection(connection) => self.choose(connection, took, now),
        }
    }

    fn redirect(&mut self, url: String, access_token: Option<Token>) -> Result<(), LadderError> {
        self.redirections += 1;
        if self.redirections > REDIRECTIONS_MAX {
            return Err(LadderError::Redirections);
        }
        if is_secure(&self.url) && !is_secure(&url) {
            return Err(LadderError::Insecure);
        }
        self.url = url;
        self.access_token = access_token.or_else(|| self.access_token.take());
        self.state = State::Negotiating;
        Ok(())
    }

    fn choose(
        &mut self,
        connection: Connection,
        took: Duration,
        now: Instant,
    ) -> Result<(), LadderError> {
        if connection.stateful && !self.rules.stateful {
            return Err(LadderError::Stateful);
        }
        let mut left = self.usable(&connection);
        if left.is_empty() {
            let offered = connection.transports.iter().map(|offer| offer.transport);
            return Err(LadderError::NoTransport {
                offered: offered.collect(),
            });
        }
        left.retain(|transport| !self.failed.contains(transport));
        self.memory.sort(&mut left, now);
        if let Some(transport) = left.first() {
            let patience = if left.len() == 1 {
                self.rules.last_patience
            } else {
                let slow = took.saturating_mul(SLOW_WAY);
                slow.clamp(
                    self.rules.patience.min(self.rules.last_patience),
                    self.rules.last_patience,
                )
            };
            self.state = State::Trying(self.rung(*transport, Some(connection), patience));
        }
        Ok(())
    }

    /// What is offered, allowed and able to carry the messages, in the order that holds.
    fn usable(&self, connection: &Connection) -> Vec<Transport> {
        let carries = |transport: &Transport| {
            let offer = connection
                .transports
                .iter()
                .find(|offer| offer.transport == *transport);
            offer.is_some_and(|offer| {
                if self.rules.binary {
                    offer.binary
                } else {
                    offer.text
                }
            })
        };
        let allowed = &self.rules.transports;
        if self.rules.in_this_order {
            return allowed.iter().copied().filter(carries).collect();
        }
        let offered = connection.transports.iter().map(|offer| offer.transport);
        offered
            .filter(|transport| allowed.contains(transport) && carries(transport))
            .collect()
    }

    fn rung(
        &self,
        transport: Transport,
        connection: Option<Connection>,
        patience: Duration,
    ) -> Rung {
        Rung {
            transport,
            url: self.url.clone(),
            access_token: self.access_token.clone(),
            connection,
            patience,
        }
    }

    /// The transport has failed before the hub answered the handshake.
    pub fn handle_failed(&mut self) {
        if let State::Trying(rung) = &self.state {
            self.failed.push(rung.transport);
            let others = rung.connection.as_ref().is_some_and(|connection| {
                let usable = self.usable(connection);
                usable.iter().any(|it| !self.failed.contains(it))
            });
            self.state = if others {
                State::Negotiating
            } else {
                State::Done
            };
        }
    }

    /// The hub has answered the handshake over the transport. Then those that failed before it did
    /// so for a reason of their own.
    pub fn handle_up(&mut self, now: Instant) {
        if let State::Trying(rung) = &self.state {
            for transport in self.failed.drain(..) {
                self.memory.known_mut(transport).failed = Some(now);
            }
            self.state = State::Up(rung.transport);
        }
    }

    /// A transport that worked has been cut off, without a word from the hub, after it stood for so
    /// long.
    pub fn on_cut_off(&mut self, stood: Duration, now: Instant) {
        if let State::Up(transport) = self.state {
            let held = stood >= crate::retry::HELD;
            self.memory.on_cut_off(transport, held, now);
        }
    }
}

fn is_secure(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

#[cfg(test)]
mod tests;
