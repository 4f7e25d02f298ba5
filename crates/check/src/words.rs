//! What a cause is called, whose it is, and what to do about it.

use std::collections::BTreeSet;

use outgate_probe::Trouble;

use crate::cause::{Cause, CauseKind, Owner, Troubled};

/// The most names that a sentence lists.
const MAX_LISTED: usize = 4;

/// What is said of each kind: whose it is, what is wrong, what to do.
///
/// `{hosts}` are the destinations, `{subject}` what the cause is about, `{seen}` what the first
/// of its probes met, `{clock}` how far the clocks are apart.
const WORDS: &[(CauseKind, Owner, &str, &str)] = &[
    (
        CauseKind::ClockWrong,
        Owner::ThisMachine,
        "this machine's clock is {clock}",
        "set the clock; certificates and signed keys are judged by it",
    ),
    (
        CauseKind::TimeServerWrong,
        Owner::TimeServer,
        "by {hosts} this machine's clock is {clock}, but other servers agree with this machine",
        "mend the clock of {hosts}, or have DHCP name another time server",
    ),
    (
        CauseKind::ClocksDiffer,
        Owner::ThisMachine,
        "by {hosts} this machine's clock is {clock}",
        "compare both with a clock that is known to be right, and set the wrong one",
    ),
    (
        CauseKind::TimeServerUnready,
        Owner::TimeServer,
        "{hosts}: {seen}",
        "let the time server find its own time first, or name another one",
    ),
    (
        CauseKind::ResolverUnavailable,
        Owner::Dns,
        "names cannot be resolved: {seen} (asked for {hosts})",
        "give this machine a name server that it may reach (port 53, UDP and TCP)",
    ),
    (
        CauseKind::NameNotFound,
        Owner::Dns,
        "{subject} does not exist for this network's name servers",
        "let the name servers resolve {subject}; a filter may be hiding it",
    ),
    (
        CauseKind::NameWithoutAddress,
        Owner::Dns,
        "{subject} exists but has no address here",
        "let the name servers answer for {subject} with its addresses",
    ),
    (
        CauseKind::Unreachable,
        Owner::Firewall,
        "there is no way to {hosts}: {seen}",
        "give this machine a route there, or allow it in the firewall",
    ),
    (
        CauseKind::Prohibited,
        Owner::Firewall,
        "a packet filter forbids {subject} to {hosts}",
        "allow {subject} to {hosts}",
    ),
    (
        CauseKind::Refused,
        Owner::FirewallOrVendor,
        "{subject} to {hosts} is refused: closed there, or reset on the way",
        "allow {subject} to {hosts}; if it is allowed, ask whether the server is up",
    ),
    (
        CauseKind::Silent,
        Owner::Firewall,
        "{subject} to {hosts} stays without an answer: dropped on the way",
        "allow {subject} to {hosts}",
    ),
    (
        CauseKind::Stalled,
        Owner::FirewallOrVendor,
        "{subject} to {hosts} opens, but then nothing comes: {seen}",
        "exempt it from inspection by firewall and proxy; else ask the vendor",
    ),
    (
        CauseKind::Cut,
        Owner::FirewallOrVendor,
        "{subject} to {hosts} opens and is then cut: {seen}",
        "exempt it from inspection by firewall and proxy; else ask the vendor",
    ),
    (
        CauseKind::WrongProtocol,
        Owner::FirewallOrVendor,
        "{hosts}: {seen}",
        "find out who answers there: a portal, a proxy or the vendor",
    ),
    (
        CauseKind::TlsRefused,
        Owner::FirewallOrVendor,
        "{hosts}: {seen}",
        "exempt it from TLS inspection; else ask the vendor",
    ),
    (
        CauseKind::TlsTooOld,
        Owner::FirewallOrVendor,
        "{hosts}: {seen}",
        "exempt it from TLS inspection if an old proxy answers; else ask the vendor",
    ),
    (
        CauseKind::TlsInspected,
        Owner::Proxy,
        "{hosts}: the certificate is issued by {subject}, which only this machine's own store \
         trusts: TLS is inspected on the way",
        "exempt these names from TLS inspection",
    ),
    (
        CauseKind::CertificateUntrusted,
        Owner::Proxy,
        "{hosts}: the certificate is issued by {subject}, which is not trusted here",
        "exempt these names from TLS inspection, or name the authority with --ca",
    ),
    (
        CauseKind::CertificateOutOfDate,
        Owner::Vendor,
        "{hosts}: {seen}",
        "ask the vendor for a valid certificate; look at this machine's clock too",
    ),
    (
        CauseKind::CertificateWrongName,
        Owner::FirewallOrVendor,
        "{hosts}: {seen}",
        "find out who answers for this name: a portal, a proxy or the vendor",
    ),
    (
        CauseKind::CertificateWrong,
        Owner::Proxy,
        "{hosts}: {seen}",
        "exempt these names from TLS inspection; else ask the vendor",
    ),
    (
        CauseKind::ProxyLogin,
        Owner::Proxy,
        "a proxy on the way to {hosts} wants a login",
        "let these names pass the proxy without a login",
    ),
    (
        CauseKind::ServerError,
        Owner::Vendor,
        "{hosts}: {seen}",
        "the way is open; ask the vendor what is wrong with the server",
    ),
    (
        CauseKind::SomebodyElse,
        Owner::FirewallOrVendor,
        "{hosts}: {seen}",
        "find out who answers there: a captive portal, a proxy's block page, or the vendor",
    ),
    (
        CauseKind::WrongAnswer,
        Owner::FirewallOrVendor,
        "{hosts}: {seen}",
        "find out who answers there: a portal, a proxy or the vendor",
    ),
    (
        CauseKind::WebSocketBlocked,
        Owner::Proxy,
        "WebSocket to {hosts} does not work: {seen}",
        "let WebSocket upgrades pass the proxy, and keep them open",
    ),
    (
        CauseKind::NotPermitted,
        Owner::ThisMachine,
        "{seen}",
        "run the check with the rights that it asks for",
    ),
];

/// Words the cause of what these probes met.
pub(crate) fn cause(kind: CauseKind, subject: String, probes: &[Troubled<'_>]) -> Cause {
    let seen = Seen::of(probes);
    let row = WORDS.iter().find(|(known, ..)| *known == kind);
    let (owner, what, act) = row.map_or(
        (Owner::ThisMachine, "{seen}", ""),
        |(_, owner, what, act)| (*owner, what, act),
    );
    let what = seen.fill(what, &subject);
    let act = seen.fill(act, &subject);
    let mut lanes: Vec<usize> = probes.iter().map(|probe| probe.lane).collect();
    lanes.dedup();
    Cause {
        kind,
        subject,
        owner,
        what,
        act,
        lanes,
    }
}

/// What was seen by the probes of one cause, in words.
struct Seen {
    hosts: String,
    first: String,
    clock: String,
}

impl Seen {
    fn of(probes: &[Troubled<'_>]) -> Self {
        let hosts: BTreeSet<String> = probes
            .iter()
            .map(|probe| probe.ask.host.to_string())
            .collect();
        let offset = probes.iter().find_map(|probe| {
            let Trouble::ClockOff { offset_millis } = probe.trouble else {
                return None;
            };
            Some(*offset_millis)
        });
        Self {
            hosts: listed(&hosts),
            first: probes
                .first()
                .map_or_else(String::new, |probe| probe.trouble.to_string()),
            clock: offset.map_or_else(String::new, apart),
        }
    }

    /// Fills the blanks in one pass, so that what a peer said is never taken for a blank.
    fn fill(&self, template: &str, subject: &str) -> String {
        let mut parts = template.split('{');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (blank, rest) = part.split_once('}').unwrap_or(("", part));
            filled.push_str(match blank {
                "hosts" => &self.hosts,
                "subject" => subject,
                "seen" => &self.first,
                "clock" => &self.clock,
                _ => blank,
            });
            filled.push_str(rest);
        }
        filled
    }
}

fn listed(hosts: &BTreeSet<String>) -> String {
    let shown: Vec<&str> = hosts.iter().take(MAX_LISTED).map(String::as_str).collect();
    match hosts.len().saturating_sub(MAX_LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// An offset in words: `1 day 0 h behind`.
fn apart(offset_millis: i64) -> String {
    let seconds = offset_millis.unsigned_abs() / 1000;
    let side = if offset_millis > 0 { "behind" } else { "ahead" };
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min {} s {side}", seconds % 60),
        (0, _) => format!("{hours} h {minutes} min {side}"),
        (1, _) => format!("1 day {hours} h {side}"),
        _ => format!("{days} days {hours} h {side}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_cause_has_its_words() {
        for kind in CauseKind::ALL {
            assert!(WORDS.iter().any(|(known, ..)| known == kind), "{kind}");
        }
    }

    #[test]
    fn what_a_peer_says_is_never_filled_in_again() {
        let seen = Seen {
            hosts: "a".into(),
            first: "{hosts} }{".into(),
            clock: String::new(),
        };
        assert_eq!(
            seen.fill("{hosts}: {seen} {subject}", "{clock}"),
            "a: {hosts} }{ {clock}"
        );
    }

    #[test]
    fn an_offset_is_told_in_the_units_that_matter() {
        assert_eq!(apart(86_400_000), "1 day 0 h behind");
        assert_eq!(apart(-90_061_000), "1 day 1 h ahead");
        assert_eq!(apart(-3_720_000), "1 h 2 min ahead");
        assert_eq!(apart(61_500), "1 min 1 s behind");
    }
}
