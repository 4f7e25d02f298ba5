//! English.

use super::{Said, Words};
use crate::cause::{CauseKind as K, Owner};

/// The words.
pub(super) const WORDS: Words = Words {
    kinds,
    owners,
    behind: "{time} behind",
    ahead: "{time} ahead",
    day: "1 day",
    days: "{n} days",
    listed: "{names} and {n} more",
    exempt: "; not inspected: {names}",
    partly: "; meanwhile SignalR goes over {works}",
    stranded: "; SignalR would get through over {works}, but its clients stop at {fails} and never try that",
    title: "Check of {product}",
    version: "version {version}, from {party}",
    netns: ", in the network namespace {name}",
    user: ", as the user {name}",
    newest: "newest",
    verdict_pass: "Everything required works",
    verdict_warn: "Everything required works, but not all as it should",
    verdict_incomplete: "Something required was not exercised",
    verdict_fail: "Something required does not work",
    causes: "What is wrong, and whose it is to mend",
    no_causes: "Nothing was found to be wrong.",
    cause: "Cause",
    owner: "Whose",
    act: "What to do",
    rules: "Rules for the firewall ({target})",
    lanes_down: "Connections",
    lanes: "Every connection",
    lane: "Connection",
    need: "Need",
    need_required: "required",
    need_optional: "optional",
    need_diagnostic: "support only",
    outcome: "Outcome",
    outcome_pass: "works",
    outcome_warn: "warning",
    outcome_fail: "does not work",
    outcome_not_applicable: "does not apply",
    outcome_not_run: "not exercised",
    detail: "Detail",
    evidence: "Evidence",
    started: "Started {when}, took {seconds} s",
    masked: "Addresses of this network are replaced by names such as address-1.",
};

fn owners(owner: Owner) -> &'static str {
    match owner {
        Owner::Firewall => "firewall",
        Owner::Dns => "DNS",
        Owner::Dhcp => "DHCP",
        Owner::Lan => "local network",
        Owner::Proxy => "proxy or TLS inspection",
        Owner::ThisMachine => "this machine",
        Owner::TimeServer => "time server",
        Owner::Vendor => "vendor",
        Owner::FirewallOrVendor => "firewall or vendor",
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "a line a kind, to be read side by side with the other languages"
)]
fn kinds(kind: K) -> Said {
    let (what, act) = match kind {
        K::ClockWrong => (
            "this machine's clock is {clock}",
            "set the clock; certificates and signed keys are judged by it",
        ),
        K::TimeServerWrong => (
            "by {hosts} this machine's clock is {clock}, but other servers agree with this machine",
            "mend the clock of {hosts}, or have DHCP name another time server",
        ),
        K::ClocksDiffer => (
            "by {hosts} this machine's clock is {clock}",
            "compare both with a clock that is known to be right, and set the wrong one",
        ),
        K::TimeServerUnready => (
            "{hosts}: {seen}",
            "let the time server find its own time first, or name another one",
        ),
        K::NoNameServer => (
            "this machine has no name server: {seen} (asked for {hosts})",
            "set one up on this machine: DHCP hands name servers out, or a line `nameserver ADDRESS` in /etc/resolv.conf says where one is",
        ),
        K::ResolverUnavailable => (
            "names cannot be resolved: {seen} (asked for {hosts})",
            "give this machine a name server that it may reach (port 53, UDP and TCP)",
        ),
        K::NameServerSilent => (
            "the name server {subject} does not answer: whoever asks for a name waits for it before the next one is asked ({hosts})",
            "start the name server {subject} or let port 53 to it pass (UDP and TCP); else take it off the list that DHCP or resolv.conf gives this machine",
        ),
        K::LargeDnsAnswersLost => (
            "answers of the name servers that are too long for UDP do not arrive ({hosts}): {seen}",
            "allow TCP 53 to the name servers beside UDP 53",
        ),
        K::DnsOverTcpOnly => (
            "the name servers answer over TCP, but not over UDP as products ask: {seen} (asked for {hosts})",
            "allow UDP 53 to the name servers beside TCP 53",
        ),
        K::NameSignaturesBroken => (
            "{hosts}: {seen}",
            "look at the clock of the name servers and at filters that change their answers; if both are in order, the owner of the name has signed it wrongly",
        ),
        K::NameHidden => (
            "this network's name servers do not give {subject}: {seen}",
            "exempt {subject} from the name servers' filter; if they know only names of their own, let them ask others (forwarders)",
        ),
        K::NameGone => (
            "{subject} does not exist at all: {seen}",
            "ask the vendor which name is meant",
        ),
        K::ServiceNotOffered => (
            "{subject} is not offered: {seen}",
            "ask the vendor where the service is; whoever owns the name says that it is not there",
        ),
        K::NameNotFound => (
            "{subject} does not exist for this network's name servers",
            "let the name servers resolve {subject}; a filter may be hiding it",
        ),
        K::NameWithoutAddress => (
            "{subject} exists but has no address here",
            "let the name servers answer for {subject} with its addresses",
        ),
        K::NameBlocked => (
            "this network's name servers send {subject} nowhere, or to a machine of this network, instead of to the vendor",
            "exempt {subject} from the name servers' filter; if the server is meant to be on this network, ask whether it is up",
        ),
        K::Unreachable => (
            "there is no way to {hosts}: {seen}",
            "give this machine a route there, or allow it in the firewall",
        ),
        K::NothingPasses => (
            "nothing comes back from outside: {hosts} stay without an answer",
            "see whether this network has a way to the internet at all, then allow {hosts} in the firewall",
        ),
        K::Ipv6Broken => (
            "IPv6 leads nowhere, while IPv4 works: {hosts}",
            "let IPv6 pass and be routed as IPv4 is, or do not announce it (router advertisements, AAAA records)",
        ),
        K::MtuHole => (
            "connections to {hosts} open, but long packets are lost on the way: {seen}",
            "let ICMP `fragmentation needed` and `packet too big` pass, or lower the MTU or MSS on the way",
        ),
        K::Prohibited => (
            "a packet filter forbids {subject} to {hosts}",
            "allow {subject} to {hosts}",
        ),
        K::Refused => (
            "{subject} to {hosts} is refused: closed there, or reset on the way",
            "allow {subject} to {hosts}; if it is allowed, ask whether the server is up",
        ),
        K::Silent => (
            "{subject} to {hosts} stays without an answer: dropped on the way",
            "allow {subject} to {hosts}",
        ),
        K::UdpBlocked => (
            "UDP does not pass: {hosts} stay without an answer over UDP, while TCP gets through",
            "allow UDP to {hosts} in the firewall, and the answers to it: names, time and speech need it",
        ),
        K::Stalled => (
            "{subject} to {hosts} opens, but then nothing comes: {seen}",
            "exempt it from inspection by firewall and proxy; else ask the vendor",
        ),
        K::Cut => (
            "{subject} to {hosts} opens and is then cut: {seen}",
            "exempt it from inspection by firewall and proxy; else ask the vendor",
        ),
        K::WrongProtocol => (
            "{hosts}: {seen}",
            "find out who answers there: a portal, a proxy or the vendor",
        ),
        K::TlsRefused => (
            "{hosts}: {seen}",
            "exempt it from TLS inspection; else ask the vendor",
        ),
        K::TlsTooOld => (
            "{hosts}: {seen}",
            "exempt it from TLS inspection if an old proxy answers; else ask the vendor",
        ),
        K::TlsInspected => (
            "{hosts}: the certificate is issued by {subject}{maker}, which is no public authority: TLS is inspected on the way{exempt}",
            "exempt these names from TLS inspection",
        ),
        K::CertificateUntrusted => (
            "{hosts}: the certificate is issued by {subject}, which is not trusted here",
            "exempt these names from TLS inspection, or name the authority with --ca",
        ),
        K::CertificatePrivate => (
            "{hosts}: the certificate is issued by {subject}, an authority that does not count here; nobody inspects TLS on the way, for both ends see the same connection",
            "have the product trust that authority if it is the vendor's (the check, with --ca); else ask the vendor for a certificate of a public one",
        ),
        K::CertificateOutOfDate => (
            "{hosts}: {seen}",
            "ask the vendor for a valid certificate; look at this machine's clock too",
        ),
        K::CertificateWrongName => (
            "{hosts}: {seen}",
            "find out who answers for this name: a portal, a proxy or the vendor",
        ),
        K::CertificateWrong => (
            "{hosts}: {seen}",
            "exempt these names from TLS inspection; else ask the vendor",
        ),
        K::ProxyLogin => (
            "a proxy on the way to {hosts} wants a login: {seen}",
            "give the product a login for the proxy (and the check, with --proxy), or let these names pass the proxy without one",
        ),
        K::ProxyForbids => (
            "the proxy does not lead to {hosts}: {seen}",
            "allow these names and ports in the proxy",
        ),
        K::ProxyCannotReach => (
            "the proxy does not get through to {hosts}: {seen}",
            "see whether the proxy itself may go there; if it may, ask whether the server is up",
        ),
        K::ProxyUnreachable => (
            "{seen}",
            "start the proxy, correct its address, or allow this machine to reach it",
        ),
        K::ProxyNeeded => (
            "{hosts}: {seen}",
            "have the product use the proxy {subject}, or open the direct way in the firewall",
        ),
        K::ProxyScript => (
            "the proxy script does not say how to go: {seen}",
            "correct the proxy script, or name the proxy with --proxy",
        ),
        K::ServerError => (
            "{hosts}: {seen}",
            "the way is open; ask the vendor what is wrong with the server",
        ),
        K::SomebodyElse => (
            "{hosts}: {seen}",
            "find out who answers there: a captive portal, a proxy's block page, or the vendor",
        ),
        K::WrongAnswer => (
            "{hosts}: {seen}",
            "find out who answers there: a portal, a proxy or the vendor",
        ),
        K::WebSocketBlocked => (
            "WebSocket to {hosts} does not work: {seen}",
            "let WebSocket upgrades pass the proxy, and keep them open",
        ),
        K::WebSocketStripped => (
            "WebSocket to {hosts} is not let through: somebody on the way takes the handshake away ({seen})",
            "let WebSocket upgrades pass: HTTP/1.1 with the headers Upgrade and Connection; or exempt these names from the proxy",
        ),
        K::WebSocketClosed => (
            "WebSocket to {hosts} is accepted and closed at once: {seen}",
            "exempt these names from inspection by firewall and proxy; else ask the vendor",
        ),
        K::WebSocketCut => (
            "WebSocket to {hosts} works and is then cut off: {seen}",
            "raise the idle time-out for these names in firewall and proxy",
        ),
        K::StreamBuffered => (
            "what {hosts} sends bit by bit is held back on the way: {seen}",
            "let the proxy pass answers on as they come, without buffering or scanning them whole; else ask the vendor",
        ),
        K::PollCut => (
            "a question to {hosts} that waits for its answer is cut off: {seen}",
            "raise the time that the proxy waits for an answer from these names",
        ),
        K::CaptivePortal => (
            "a portal answers in place of {hosts}: {seen}",
            "log this machine in at the portal, or exempt it from the portal",
        ),
        K::MqttBlocked => (
            "MQTT to {hosts} does not get through although the connection opens: {seen}",
            "allow MQTT there in the firewall's application control; else ask the vendor",
        ),
        K::StartTlsMissing => (
            "{hosts}: {seen}",
            "let nothing on the way take the offer of TLS out; else switch TLS on at the server",
        ),
        K::DhcpSilent => (
            "no DHCP server answers",
            "switch the DHCP server on, or let DHCP (UDP 67 and 68) pass: relay agent, DHCP snooping, client isolation, and this machine's own packet filter",
        ),
        K::DhcpServersDiffer => (
            "{seen}: a machine gets its settings from either, by chance",
            "find the DHCP server that nobody meant to be there and switch it off (DHCP snooping on the switches keeps such servers out); where both are meant, have them hand out the same",
        ),
        K::NoTimeServer => (
            "{seen}, and the product takes its time from there",
            "have the DHCP server hand out a time server (option 42; with DHCPv6 option 56 or 31)",
        ),
        K::NobodyAnswers => (
            "nobody on the local network answers at {hosts}",
            "look whether the device is on; let multicast pass between the two: client isolation, IGMP and MLD snooping",
        ),
        K::NatVaries => (
            "the router or firewall shows this machine to each place under another address or port: {seen} (RFC 4787, seen at {hosts})",
            "keep the mapping of UDP whomever it goes to (endpoint-independent mapping, consistent NAT), or forward the ports of speech to this machine",
        ),
        K::SipRewritten => (
            "a router or firewall on the way to {hosts} rewrites SIP: {seen}",
            "switch off the SIP ALG (also called SIP helper, SIP inspection, SIP fixup or session helper) in the router or firewall",
        ),
        K::RtpBlocked => (
            "ports for speech to {hosts} are blocked: {seen}",
            "allow UDP to {hosts} on the whole range of ports",
        ),
        K::SpeechPoor => (
            "speech to {hosts} suffers on the way: {seen}",
            "give speech precedence in the router (DSCP 46, the `EF` of RFC 3246), see whether the line is full and whether Wi-Fi lies on the way; if this network is right, ask the provider of the line",
        ),
        K::NotPermitted => ("{seen}", "run the check with the rights that it asks for"),
    };
    Said { what, act }
}
