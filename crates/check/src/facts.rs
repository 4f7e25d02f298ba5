//! What all lanes together show, before causes are made of single ones: a name server that is
//! silent on its own lanes too, IPv6 that leads nowhere, a network that nothing leaves.

mod sinkhole;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use outgate_manifest::Direction;
use outgate_probe::{
    Ask, Attempt, Family, Finding, Host, NameServer, Outcome, PhaseName, Transport, Trouble,
    is_local,
};

use crate::cause::CauseKind;
use crate::judge::Judged;

/// How many hosts must agree before one cause is seen behind all of them.
const ENOUGH_HOSTS: usize = 3;

/// How many ports of UDP must be silent before all of UDP is seen to be blocked.
const ENOUGH_UDP_PORTS: usize = 2;

/// What holds for the whole network.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Names of places outside have public addresses here.
    names_are_public: bool,
    /// Names cannot be resolved.
    resolver_fails: bool,
    /// Nothing came back over IPv6, from nobody, though something did over IPv4.
    ipv6_leads_nowhere: bool,
    /// Nothing came back from anybody outside.
    nothing_comes_back: bool,
    /// Somebody outside answered over IPv4.
    ipv4_answers: bool,
    /// Somebody outside answered over IPv6.
    ipv6_answers: bool,
    /// Whoever asks over plain HTTP is sent elsewhere, and nothing else works.
    portal: bool,
    /// Nothing came back over UDP, from nobody, though over TCP it did from one of them.
    udp_blocked: bool,
    /// A TLS handshake that stalls came to its end with short packets.
    long_packets_lost: bool,
}

impl Facts {
    /// Looks over all lanes. What the network lets out is told by those alone that lead out: a
    /// neighbour answers also where nothing leaves.
    pub(crate) fn of(lanes: &[Judged]) -> Self {
        let mut findings = lanes.iter().flat_map(|judged| &judged.probes);
        let beyond = || {
            let outbound = lanes.iter().filter(|judged| leads_out(judged));
            let probes = outbound.flat_map(|judged| &judged.probes);
            probes.filter(|(ask, _)| ask.host != Host::SystemResolvers)
        };
        let attempts = || {
            let all = beyond().flat_map(|(_, finding)| &finding.attempts);
            all.filter(|one| went_out(one))
        };
        let of = |family: Family| attempts().filter(move |one| one.family == family);
        let enough = |test: fn(&Attempt) -> bool| {
            let with = beyond().filter(|(_, finding)| {
                let mut attempts = finding.attempts.iter();
                attempts.any(|one| went_out(one) && test(one))
            });
            let hosts: BTreeSet<String> = with.map(|(ask, _)| ask.host.to_string()).collect();
            hosts.len() >= ENOUGH_HOSTS
        };
        let answers = |family| of(family).any(|one| !nobody_there(one));
        let (ipv4_answers, ipv6_answers) = (answers(Family::V4), answers(Family::V6));
        Self {
            names_are_public: sinkhole::others_are_public(lanes),
            resolver_fails: findings.any(|(_, finding)| resolver_failed(finding)),
            ipv6_leads_nowhere: enough(|one| one.family == Family::V6)
                && !ipv6_answers
                && ipv4_answers,
            nothing_comes_back: enough(|_| true) && !ipv4_answers && !ipv6_answers,
            ipv4_answers,
            ipv6_answers,
            portal: beyond()
                .any(|(_, finding)| finding.trouble.as_ref().is_some_and(sent_elsewhere))
                && !attempts().any(|one| one.outcome == Outcome::Pass),
            udp_blocked: udp_is_blocked(beyond),
            long_packets_lost: attempts()
                .any(|one| matches!(one.trouble, Some(Trouble::LongPacketsLost { .. }))),
        }
    }

    /// The cause of a finding, where all lanes together say more than it does alone.
    pub(crate) fn key(
        &self,
        judged: &Judged,
        ask: &Ask,
        finding: &Finding,
        trouble: &Trouble,
        port: &str,
    ) -> Option<(CauseKind, String)> {
        if let Some(name) = sinkhole::blocked(judged, ask, finding, trouble, self.names_are_public)
        {
            return Some((CauseKind::NameBlocked, name));
        }
        if ask.host == Host::SystemResolvers {
            if let Some(server) = silent_beside_others(finding) {
                return Some((CauseKind::NameServerSilent, server.to_string()));
            }
            return (self.resolver_fails && unanswered(trouble))
                .then(|| (CauseKind::ResolverUnavailable, String::new()));
        }
        if leads_out(judged) {
            self.key_on_the_way(ask, finding, trouble, port)
        } else {
            None
        }
    }

    /// The same for what is wrong on the way out, wherever names lead.
    fn key_on_the_way(
        &self,
        ask: &Ask,
        finding: &Finding,
        trouble: &Trouble,
        port: &str,
    ) -> Option<(CauseKind, String)> {
        let nowhere = || String::new();
        if finding.attempts.is_empty() {
            return None;
        }
        if self.portal && (unanswered(trouble) || sent_elsewhere(trouble) || impersonated(trouble))
        {
            return Some((CauseKind::CaptivePortal, nowhere()));
        }
        if self.nothing_comes_back && unanswered(trouble) {
            return Some((CauseKind::NothingPasses, nowhere()));
        }
        let silent =
            unanswered(trouble) || matches!(trouble, Trouble::RtpBlocked { answered: 0, .. });
        if self.udp_blocked && ask.transport == Transport::Udp && silent {
            return Some((CauseKind::UdpBlocked, nowhere()));
        }
        let failed = || {
            let failing = |one: &&Attempt| one.outcome != Outcome::Pass;
            finding.attempts.iter().filter(failing)
        };
        // A SIP echo answers the short question and then the long one.
        if self.long_packets_lost && is_silence(trouble) && failed().all(|one| one.sip.is_some()) {
            return Some((CauseKind::MtuHole, nowhere()));
        }
        if self.ipv6_leads_nowhere && failed().all(|one| one.family == Family::V6) {
            return Some((CauseKind::Ipv6Broken, nowhere()));
        }
        failed()
            .any(|one| self.is_forbidden(one))
            .then(|| (CauseKind::Prohibited, port.to_owned()))
            .filter(|_| unreached(trouble))
    }

    /// Linux tells a prohibition (ICMP type 3, codes 9, 10, 13) and a lost host or network apart
    /// over IPv6 alone. At once, and while others are reached in the same family, it is a filter
    /// that speaks.
    fn is_forbidden(&self, attempt: &Attempt) -> bool {
        let others_are_reached = match attempt.family {
            Family::V4 => self.ipv4_answers,
            Family::V6 => self.ipv6_answers,
        };
        let told = match attempt.trouble {
            Some(Trouble::AdminProhibited) => return true,
            Some(Trouble::HostUnreachable { at_once }) => at_once,
            Some(Trouble::NetworkUnreachable) => attempt.outcome == Outcome::Fail,
            Some(_) | None => false,
        };
        told && others_are_reached
    }
}

/// Whether a lane leads out of the site.
fn leads_out(judged: &Judged) -> bool {
    judged.lane.direction == Direction::Outbound
}

/// Whether an attempt says something of the way out: it was made, not to a proxy, and not to an
/// address that a name server gave in place of the far end's.
fn went_out(attempt: &Attempt) -> bool {
    !matches!(attempt.outcome, Outcome::NotRun | Outcome::NotApplicable)
        && attempt.proxy.is_none()
        && !is_local(attempt.address)
}

/// Whether somebody on the way said that there is none.
fn unreached(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::AdminProhibited | Trouble::HostUnreachable { .. } | Trouble::NetworkUnreachable
    )
}

/// The name server that said nothing while another one answered.
fn silent_beside_others(finding: &Finding) -> Option<NameServer> {
    let mut attempts = finding.attempts.iter();
    let answered = attempts.any(|one| one.outcome == Outcome::Pass);
    let mut silent = finding.attempts.iter().filter(|one| {
        let silent = matches!(
            one.trouble,
            Some(Trouble::TimedOut {
                phase: PhaseName::Connect | PhaseName::Exchange
            })
        );
        answered && silent
    });
    let silent = silent.next()?;
    let address = SocketAddr::new(silent.address, silent.port?);
    Some(NameServer::At(address))
}

fn resolver_failed(finding: &Finding) -> bool {
    matches!(
        finding.trouble,
        Some(
            Trouble::ResolverSilent
                | Trouble::ResolverUnreachable
                | Trouble::ResolverBroken { .. }
                | Trouble::ResolverRefused { .. }
        )
    )
}

/// Whether somebody answers in the place of the host that was asked, as a portal does: by leading
/// to another host, or by asking for a login to the network (RFC 6585 §6).
fn sent_elsewhere(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::NotShownToBeTheVendor {
            location_host: Some(_),
            ..
        } | Trouble::HttpStatus { status: 511 }
            | Trouble::LoginPage
    )
}

/// Whether somebody without the vendor's certificates answers where TLS is due, as a portal does
/// that takes every connection.
fn impersonated(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::CertificateUntrusted { .. }
            | Trouble::CertificateWrongName { .. }
            | Trouble::NotTls
    )
}

/// Whether UDP does not pass at all: nobody answers over it, on several ports, and it is not that
/// they are not there, for one of them answers over TCP.
fn udp_is_blocked<'a, I>(beyond: impl Fn() -> I) -> bool
where
    I: Iterator<Item = &'a (Ask, Finding)>,
{
    let tried = |carrier: Transport| {
        beyond()
            .filter(move |(ask, _)| ask.transport == carrier)
            .filter(|(_, finding)| finding.attempts.iter().any(went_out))
    };
    let answered = |finding: &Finding| {
        let mut attempts = finding.attempts.iter();
        attempts.any(|one| went_out(one) && !nobody_there(one))
    };
    let ports: BTreeSet<Option<u16>> = tried(Transport::Udp).map(|(ask, _)| ask.port).collect();
    let silent = |(_, finding): &(Ask, Finding)| {
        let mut attempts = finding.attempts.iter().filter(|one| went_out(one));
        attempts.all(|one| one.trouble.as_ref().is_some_and(is_silence))
    };
    let hosts: BTreeSet<String> = tried(Transport::Udp)
        .map(|(ask, _)| ask.host.to_string())
        .collect();
    ports.len() >= ENOUGH_UDP_PORTS
        && tried(Transport::Udp).all(silent)
        && tried(Transport::Tcp)
            .any(|(ask, finding)| hosts.contains(&ask.host.to_string()) && answered(finding))
}

/// Whether an attempt shows nobody at the other end.
fn nobody_there(attempt: &Attempt) -> bool {
    attempt.trouble.as_ref().is_some_and(unanswered)
}

/// Whether nothing at all came back.
fn is_silence(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::TimedOut {
            phase: PhaseName::Connect | PhaseName::Exchange
        }
    )
}

/// Whether it means that nothing came back but, at the most, a message from a router on the way.
fn unanswered(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::TimedOut {
            phase: PhaseName::Connect | PhaseName::Exchange
        } | Trouble::NetworkUnreachable
            | Trouble::HostUnreachable { .. }
            | Trouble::AdminProhibited
    )
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;

    const SILENT: Trouble = Trouble::TimedOut {
        phase: PhaseName::Connect,
    };

    fn attempt(address: &str, trouble: Option<Trouble>) -> Attempt {
        let mut attempt = Attempt::new(address.parse::<IpAddr>().unwrap(), Some(443));
        attempt.outcome = if trouble.is_some() {
            Outcome::Fail
        } else {
            Outcome::Pass
        };
        attempt.trouble = trouble;
        attempt
    }

    fn finding(attempts: Vec<Attempt>) -> Finding {
        let trouble = attempts.iter().find_map(|one| one.trouble.clone());
        Finding {
            outcome: Outcome::Warn,
            trouble,
            resolution: None,
            attempts,
            took: Duration::ZERO,
        }
    }

    fn key(facts: &Facts, attempts: Vec<Attempt>) -> Option<CauseKind> {
        let finding = finding(attempts);
        let trouble = finding.trouble.clone().unwrap();
        let host = Host::Name("a.example".to_owned());
        let ask = Ask::new("https", host, Some(443), Transport::Tcp);
        let key = facts.key_on_the_way(&ask, &finding, &trouble, "TCP 443");
        key.map(|(kind, _)| kind)
    }

    #[test]
    fn ipv6_is_to_blame_only_where_ipv4_works() {
        let facts = Facts {
            ipv6_leads_nowhere: true,
            ipv4_answers: true,
            ..Facts::default()
        };
        let v6 = || attempt("2001:db8::1", Some(SILENT));
        let both = vec![attempt("192.0.2.1", None), v6()];
        assert_eq!(key(&facts, both), Some(CauseKind::Ipv6Broken));
        let neither = vec![attempt("192.0.2.1", Some(SILENT)), v6()];
        assert_eq!(key(&facts, neither), None);
    }

    #[test]
    fn a_lost_host_is_a_prohibition_where_it_is_told_at_once_and_others_answer() {
        let lost = |at_once| {
            vec![attempt(
                "192.0.2.1",
                Some(Trouble::HostUnreachable { at_once }),
            )]
        };
        let answered = Facts {
            ipv4_answers: true,
            ..Facts::default()
        };
        assert_eq!(key(&answered, lost(true)), Some(CauseKind::Prohibited));
        assert_eq!(key(&answered, lost(false)), None);
        assert_eq!(key(&Facts::default(), lost(true)), None);
        let over_ipv6_alone = Facts {
            ipv6_answers: true,
            ..Facts::default()
        };
        assert_eq!(key(&over_ipv6_alone, lost(true)), None);
    }

    #[test]
    fn behind_a_portal_silence_is_the_portals() {
        let facts = Facts {
            portal: true,
            ipv4_answers: true,
            ..Facts::default()
        };
        let login = Trouble::NotShownToBeTheVendor {
            status: 302,
            location_host: Some("portal.example".into()),
        };
        for trouble in [login, SILENT, Trouble::NotTls] {
            let attempts = vec![attempt("192.0.2.1", Some(trouble))];
            assert_eq!(key(&facts, attempts), Some(CauseKind::CaptivePortal));
        }
        let refused = vec![attempt("192.0.2.1", Some(Trouble::Refused))];
        assert_eq!(key(&facts, refused), None);
    }

    #[test]
    fn what_one_family_says_clearly_counts_for_both() {
        let attempts = vec![
            attempt(
                "192.0.2.1",
                Some(Trouble::HostUnreachable { at_once: false }),
            ),
            attempt("2001:db8::1", Some(Trouble::AdminProhibited)),
        ];
        assert_eq!(
            key(&Facts::default(), attempts),
            Some(CauseKind::Prohibited)
        );
    }
}
