//! Link-Local Multicast Name Resolution (RFC 4795), for who answers for one name of its own: what is
//! asked, whether to answer and with what, and whether somebody else has the name.

mod message;
mod name;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use self::message::{Kind, Message};
pub use self::name::{Label, NotALabel};

/// The port of everybody who answers (RFC 4795 §2).
pub const PORT: u16 = 5355;
/// Where questions go over IPv4 (RFC 4795 §2).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 252);
/// Where questions go over IPv6 (RFC 4795 §2).
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 3);
/// How many bytes of a datagram are looked at: a question is at its beginning, and shorter.
pub const READ_MAX: usize = 512;
/// The most addresses of one family that an answer tells; with them it is at most
/// [`READ_MAX`] bytes.
pub const ADDRESSES_MAX: usize = 8;

/// How long whoever asks may keep an answer (RFC 4795 §2.8), in seconds.
const TTL: u32 = 30;
/// How often it is asked whether somebody else has the name (RFC 4795 §2.7).
const ASKED_TIMES: u8 = 3;
/// How long an answer is waited for (`LLMNR_TIMEOUT` where the network is not known, RFC 4795 §7).
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a name that somebody else has is left alone: longer than anybody keeps the answer by
/// which that was known (RFC 4795 §4.2), and seldom enough to disturb nobody.
const LEFT_ALONE: Duration = Duration::from_secs(60);
/// How often others can have it asked again whether the name is ours alone.
const BETWEEN_DOUBTS: Duration = Duration::from_secs(5);

/// What is known of the network that a name is answered for on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The machine's addresses on it, with the length of their prefix in bits.
    pub addresses: Vec<(IpAddr, u8)>,
    /// The machine's addresses on other networks, or on this one by another way.
    pub elsewhere: Vec<IpAddr>,
}

impl Link {
    /// Whether the machine itself has this address.
    fn has(&self, address: IpAddr) -> bool {
        let here = self.addresses.iter().map(|(own, _)| own);
        here.chain(&self.elsewhere).any(|own| *own == address)
    }

    /// Whether a router need not be asked for the way there.
    #[must_use]
    pub fn reaches(&self, address: IpAddr) -> bool {
        self.addresses
            .iter()
            .any(|(own, prefix)| match (own, address) {
                (IpAddr::V4(own), IpAddr::V4(other)) => {
                    let kept = u32::MAX.checked_shl(32_u32.saturating_sub((*prefix).into()));
                    (own.to_bits() ^ other.to_bits()) & kept.unwrap_or(0) == 0
                }
                (IpAddr::V6(own), IpAddr::V6(other)) => {
                    let kept = u128::MAX.checked_shl(128_u32.saturating_sub((*prefix).into()));
                    (own.to_bits() ^ other.to_bits()) & kept.unwrap_or(0) == 0
                }
                (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
            })
    }

    /// The address that a question in the family of `other` is sent from; over IPv6 that is the
    /// one of the link (RFC 6724 §5).
    fn source(&self, other: IpAddr) -> Option<IpAddr> {
        let own = self.addresses.iter().map(|(own, _)| *own);
        let of_link = |own: &IpAddr| match own {
            IpAddr::V4(_) => true,
            IpAddr::V6(own) => own.is_unicast_link_local(),
        };
        own.filter(|own| own.is_ipv4() == other.is_ipv4())
            .min_by_key(|own| !of_link(own))
    }
}

/// Whose a name is, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is being asked whether somebody else has it. Whoever asks for it meanwhile is told that
    /// nothing is certain yet.
    Asking,
    /// It is ours.
    Held,
    /// The machine of this address has it.
    Taken(IpAddr),
}

/// What becomes of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// It is not for us, or no question.
    Silence,
    /// The answer, to be sent to whoever has asked.
    Answer(Vec<u8>),
    /// Somebody has heard two machines answer: [`Responder::ask`].
    Doubt,
}

/// Answers for one name on one network. It does nothing itself: it is told what has come, and asked
/// what is to be sent.
#[derive(Clone, Debug)]
pub struct Responder {
    name: Label,
    claim: Claim,
    asking: Option<Asking>,
    /// When to ask again for a name that somebody else has.
    again: Option<Instant>,
    /// When others were last believed that something is wrong.
    doubted: Option<Instant>,
}

/// Questions under way for the own name.
#[derive(Clone, Copy, Debug)]
struct Asking {
    id: u16,
    sent: u8,
    next: Instant,
}

impl Responder {
    /// For this name, which nobody has asked for yet: [`Responder::ask`] comes first.
    #[must_use]
    pub fn new(name: Label) -> Self {
        Self {
            name,
            claim: Claim::Asking,
            asking: None,
            again: None,
            doubted: None,
        }
    }

    /// Whose the name is.
    #[must_use]
    pub fn claim(&self) -> Claim {
        self.claim
    }

    /// Begins to ask whether somebody else has the name (RFC 4795 §4.1): at the start, when
    /// [`Responder::is_due`] says so, after [`Reaction::Doubt`]. `id` is one that nobody can guess.
    /// Meanwhile the name stays whose it was.
    pub fn ask(&mut self, id: u16, now: Instant) {
        self.again = None;
        self.asking = Some(Asking {
            id,
            sent: 0,
            next: now,
        });
    }

    /// Whether a name that somebody else had is to be asked for again.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.again.is_some_and(|again| again <= now)
    }

    /// When the next question is due, or its answer overdue.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.asking.map(|asking| asking.next).or(self.again)
    }

    /// The question that is due, to be sent to both groups. When the last has stayed without an
    /// answer, the name is ours.
    #[must_use]
    pub fn poll_question(&mut self, now: Instant) -> Option<Vec<u8>> {
        let asking = self.asking.as_mut().filter(|asking| asking.next <= now)?;
        if asking.sent == ASKED_TIMES {
            self.asking = None;
            self.claim = Claim::Held;
            return None;
        }
        asking.sent += 1;
        asking.next = now + PATIENCE;
        Some(message::question(asking.id, &self.name))
    }

    /// A datagram that came to one of the groups, from this address.
    #[must_use]
    pub fn handle_question(
        &mut self,
        bytes: &[u8],
        from: IpAddr,
        link: &Link,
        now: Instant,
    ) -> Reaction {
        let Some(asked) = Message::read(bytes, Kind::Question) else {
            return Reaction::Silence;
        };
        if !self.name.is(asked.label) || link.has(from) || !link.reaches(from) {
            return Reaction::Silence;
        }
        if asked.conflict {
            // It is believed, and looked into, at most so often (RFC 4795 §4.2).
            let lately = |at: Instant| now.saturating_duration_since(at) < BETWEEN_DOUBTS;
            let idle = self.claim == Claim::Held && self.asking.is_none();
            if !idle || self.doubted.is_some_and(lately) {
                return Reaction::Silence;
            }
            self.doubted = Some(now);
            return Reaction::Doubt;
        }
        match self.claim {
            Claim::Taken(_) => Reaction::Silence,
            Claim::Asking => Reaction::Answer(message::answer(&asked, &link.addresses, true)),
            Claim::Held => Reaction::Answer(message::answer(&asked, &link.addresses, false)),
        }
    }

    /// A datagram that came to where the own questions were sent from.
    pub fn handle_answer(&mut self, bytes: &[u8], from: IpAddr, link: &Link, now: Instant) {
        let Some(asking) = self.asking else {
            return;
        };
        let Some(answer) = Message::read(bytes, Kind::Answer) else {
            return;
        };
        let ours = answer.id == asking.id && self.name.is(answer.label);
        if !ours || link.has(from) || !link.reaches(from) {
            return;
        }
        // Of two that ask at once, and of two that held it before their networks were joined, the
        // lower address has the name (RFC 4795 §4.1, §4.2).
        let is_lower = link.source(from).is_none_or(|own| from < own);
        if is_lower || (self.claim != Claim::Held && !answer.tentative) {
            self.asking = None;
            self.claim = Claim::Taken(from);
            self.again = Some(now + LEFT_ALONE);
        }
    }
}
