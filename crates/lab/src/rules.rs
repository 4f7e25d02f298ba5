//! The router's nftables, from the faults. Text alone; nothing is loaded here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;

use crate::fault::{Blocked, Fault, Nat, Transport, Way};
use crate::topology::{
    DEVICE, INSPECTION_PORTS, PORTAL_PORT, REFLECTOR_PORT, SILENT_NAME_SERVER, WAN,
};
use crate::world::{Service, Speaks};

/// A packet of TCP that carries something: whoever sends one pushes its last (RFC 9293 §3.9.1.2).
const CARRIES: &str = "ct state established tcp flags & psh == psh ";

/// What stands after the lengths of SSH's first packet (RFC 4253 §6, §12).
const SSH_KEXINIT: u8 = 20;

/// Where the servers of each name are.
pub(crate) type Names = BTreeMap<String, [IpAddr; 2]>;

/// The router's whole ruleset. `tls_ports` are those of TLS that are inspected where TLS is.
pub(crate) fn ruleset(faults: &[Fault], names: &Names, tls_ports: &BTreeSet<u16>) -> String {
    let mut chains = Chains::default();
    for fault in faults {
        chains.add(fault, names, tls_ports);
    }
    let Chains {
        objects,
        before,
        forward,
        to_us,
        back,
        after,
    } = chains;
    format!(
        "table inet site {{\n{objects}\
         \tchain helpers {{\n\t\ttype filter hook prerouting priority -150;\n{before}\t}}\n\
         \tchain redirected {{\n\t\ttype nat hook prerouting priority dstnat;\n{to_us}\t}}\n\
         \tchain forward {{\n\t\ttype filter hook forward priority filter;\n{back}{forward}\t}}\n\
         \tchain translated {{\n\t\ttype nat hook postrouting priority srcnat;\n{after}\
         \t\toifname \"wan\" meta nfproto ipv4 masquerade\n\t}}\n}}\n"
    )
}

/// The lines of each chain.
#[derive(Default)]
struct Chains {
    objects: String,
    before: String,
    to_us: String,
    /// What counts for both directions.
    back: String,
    forward: String,
    after: String,
}

impl Chains {
    fn add(&mut self, fault: &Fault, names: &Names, tls_ports: &BTreeSet<u16>) {
        match fault {
            Fault::Blocked(blocked) => self.block(blocked, names),
            Fault::OnlyNames { names: open, way } => {
                for address in open.iter().flat_map(|name| addresses(Some(name), names)) {
                    self.device(&format!("{address}accept"));
                }
                self.stop("", *way);
            }
            Fault::OnlyPorts { ports, way } => {
                for port in ports {
                    self.device(&format!("tcp dport {port} accept"));
                }
                self.stop("", *way);
            }
            Fault::FirstNameServerSilent => {
                self.device(&format!("ip daddr {SILENT_NAME_SERVER} drop"));
            }
            Fault::ProxyNeeded { .. } => self.stop("meta l4proto tcp ", Way::Drop),
            Fault::TlsInspection { exempt, .. } => self.inspect(exempt, names, tls_ports),
            Fault::CaptivePortal => {
                for source in sources() {
                    let to = format!("tcp dport 80 redirect to :{PORTAL_PORT}");
                    let _ = writeln!(self.to_us, "\t\t{source}{to}");
                }
                self.stop("", Way::Drop);
            }
            Fault::MtuHole { bytes } => {
                self.both_ways(&format!("meta length > {bytes} drop"));
            }
            Fault::Ipv6Broken => self.both_ways("meta nfproto ipv6 drop"),
            Fault::Nat { nat } => self.translate(*nat),
            Fault::SipRewritten => {
                self.objects.push_str(
                    "\tct helper sip {\n\t\ttype \"sip\" protocol udp;\n\t\tl3proto ip;\n\t}\n",
                );
                self.before
                    .push_str("\t\tudp dport 5060 ct helper set \"sip\"\n");
            }
            Fault::SshStopped => {
                self.servers_ports(|side| format!("tcp {side} 22 @ih,40,8 {SSH_KEXINIT} drop"))
            }
            Fault::Loss { percent, ports } => self.servers_ports(|side| {
                let carried = ports.map_or_else(String::new, |[first, last]| {
                    format!("udp {side} {first}-{last} ")
                });
                format!("{carried}numgen random mod 100 < {percent} drop")
            }),
            Fault::Dns { .. }
            | Fault::NoNameServer
            | Fault::Lost { .. }
            | Fault::NeighboursSilent
            | Fault::ClockBehind { .. }
            | Fault::Server { .. }
            | Fault::TimeServerAhead { .. }
            | Fault::TimeServerUnready
            | Fault::DhcpSilent
            | Fault::DhcpTimeServer { .. }
            | Fault::SecondDhcpServer => {}
        }
    }

    /// A line about what goes out of the site and comes into it. Bridged packets may come by here
    /// too, and are left alone.
    fn both_ways(&mut self, line: &str) {
        for way in ["iifname", "oifname"] {
            let _ = writeln!(self.back, "\t\t{way} \"wan\" {line}");
        }
    }

    /// The same, where the line names ports of servers: `dport` on the way out, `sport` back.
    fn servers_ports(&mut self, line: impl Fn(&str) -> String) {
        for (way, side) in [("oifname", "dport"), ("iifname", "sport")] {
            let _ = writeln!(self.back, "\t\t{way} \"wan\" {}", line(side));
        }
    }

    /// A line about what the device sends.
    fn device(&mut self, line: &str) {
        for source in sources() {
            let other = if source.contains("ip6 ") {
                "ip daddr "
            } else {
                "ip6 daddr "
            };
            if !line.starts_with(other) {
                // Bridged packets may come by here too, and the site's own are nobody's to stop.
                let _ = writeln!(self.forward, "\t\toifname \"wan\" {source}{line}");
            }
        }
    }

    fn stop(&mut self, matched: &str, way: Way) {
        match way {
            Way::Drop => self.device(&format!("{matched}drop")),
            Way::Reject => {
                self.device(&format!("{matched}reject with icmpx type admin-prohibited"))
            }
            Way::Reset => {
                if !matched.contains("udp ") && !matched.contains("l4proto { icmp") {
                    let tcp = if matched.contains("tcp ") {
                        ""
                    } else {
                        "meta l4proto tcp "
                    };
                    self.device(&format!("{matched}{tcp}reject with tcp reset"));
                }
                if !matched.contains("tcp ") {
                    self.device(&format!("{matched}reject with icmpx type port-unreachable"));
                }
            }
        }
    }

    fn block(&mut self, blocked: &Blocked, names: &Names) {
        let later = if blocked.later { CARRIES } else { "" };
        let ports = blocked.port.map(|port| match blocked.last_port {
            Some(last) => format!("{port}-{last}"),
            None => port.to_string(),
        });
        let carried: Vec<String> = match (blocked.transport, ports) {
            (None, None) => vec![String::new()],
            (None, Some(port)) => vec![format!("tcp dport {port} "), format!("udp dport {port} ")],
            (Some(transport), None) => vec![transport.matched().to_owned()],
            (Some(Transport::Tcp), Some(port)) => vec![format!("tcp dport {port} ")],
            (Some(Transport::Udp), Some(port)) => vec![format!("udp dport {port} ")],
            (Some(Transport::Icmp), Some(_)) => vec![Transport::Icmp.matched().to_owned()],
        };
        for address in addresses(blocked.name.as_deref(), names) {
            for carried in &carried {
                self.stop(&format!("{address}{carried}{later}"), blocked.way);
            }
        }
    }

    fn inspect(&mut self, exempt: &[String], names: &Names, tls_ports: &BTreeSet<u16>) {
        for address in exempt.iter().flat_map(|name| addresses(Some(name), names)) {
            let _ = writeln!(self.to_us, "\t\t{address}accept");
        }
        for port in tls_ports {
            for source in sources() {
                let at = INSPECTION_PORTS + port % INSPECTION_PORTS;
                let _ = writeln!(self.to_us, "\t\t{source}tcp dport {port} redirect to :{at}");
            }
        }
    }

    fn translate(&mut self, nat: Nat) {
        match nat {
            Nat::Open => {
                let [inside, outside] = [DEVICE[0], WAN[0]];
                let _ = writeln!(
                    self.after,
                    "\t\toifname \"wan\" ip saddr {inside} snat to {outside}"
                );
                let _ = writeln!(
                    self.to_us,
                    "\t\tiifname \"wan\" meta nfproto ipv4 dnat to {inside}"
                );
            }
            Nat::Symmetric => {
                let _ = writeln!(
                    self.after,
                    "\t\toifname \"wan\" meta l4proto udp meta nfproto ipv4 masquerade fully-random"
                );
            }
        }
    }
}

impl Transport {
    /// Matches what it carries.
    fn matched(self) -> &'static str {
        match self {
            Self::Tcp => "meta l4proto tcp ",
            Self::Udp => "meta l4proto udp ",
            Self::Icmp => "meta l4proto { icmp, icmpv6 } ",
        }
    }
}

/// What leads a whole range of ports to the one at which RTP comes back. Other servers of UDP at the
/// same address keep theirs.
pub(crate) fn reflected(services: &[Service], names: &Names, near: bool) -> String {
    let here = |one: &&Service| one.near == near;
    let mut lines = String::new();
    for rtp in services
        .iter()
        .filter(here)
        .filter(|one| one.speaks == Speaks::Rtp)
    {
        let others = services.iter().filter(|one| one.name == rtp.name);
        let others = others.filter(|one| one.speaks != Speaks::Rtp);
        let ports = (rtp.port, rtp.last_port);
        for address in addresses(Some(&rtp.name), names) {
            for other in others.clone() {
                let _ = writeln!(lines, "\t\t{address}udp dport {} accept", other.port);
            }
            let _ = writeln!(
                lines,
                "\t\t{address}udp dport {}-{} redirect to :{REFLECTOR_PORT}",
                ports.0, ports.1
            );
        }
    }
    format!(
        "table inet reflected {{\n\tchain come {{\n\t\ttype nat hook prerouting priority \
         dstnat;\n{lines}\t}}\n}}\n"
    )
}

/// What comes from the device, in both families.
fn sources() -> [String; 2] {
    [
        format!("ip saddr {} ", DEVICE[0]),
        format!("ip6 saddr {} ", DEVICE[1]),
    ]
}

/// Matches of what goes to a name, or to anybody. A name that has no server matches nothing.
fn addresses(name: Option<&str>, names: &Names) -> Vec<String> {
    match name {
        None => vec![String::new()],
        Some(name) => names.get(name).map_or_else(Vec::new, |[v4, v6]| {
            vec![format!("ip daddr {v4} "), format!("ip6 daddr {v6} ")]
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(fault: Fault) -> Vec<String> {
        let names = Names::from([("a.example".to_owned(), crate::topology::server(0))]);
        let ports = BTreeSet::from([443]);
        let without = ruleset(&[], &names, &ports);
        let with = ruleset(&[fault], &names, &ports);
        let added = with
            .lines()
            .filter(|line| !without.lines().any(|known| known == *line));
        added.map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn a_name_is_stopped_in_both_families() {
        let blocked = Blocked {
            way: Way::Drop,
            name: Some("a.example".to_owned()),
            port: Some(443),
            last_port: None,
            transport: Some(Transport::Tcp),
            later: false,
        };
        assert_eq!(
            lines(Fault::Blocked(blocked)),
            [
                "oifname \"wan\" ip saddr 10.10.0.10 ip daddr 203.0.113.1 tcp dport 443 drop",
                "oifname \"wan\" ip6 saddr 2001:db8:10::10 ip6 daddr 2001:db8:113::1 tcp dport 443 drop",
            ]
        );
    }

    #[test]
    fn a_reset_is_for_tcp_and_a_message_for_the_rest() {
        let blocked = |transport| Blocked {
            way: Way::Reset,
            name: None,
            port: Some(53),
            last_port: None,
            transport,
            later: false,
        };
        let text = lines(Fault::Blocked(blocked(None))).join("\n");
        assert!(
            text.contains("tcp dport 53 reject with tcp reset"),
            "{text}"
        );
        assert!(
            text.contains("udp dport 53 reject with icmpx type port-unreachable"),
            "{text}"
        );
        let text = lines(Fault::Blocked(blocked(Some(Transport::Udp)))).join("\n");
        assert!(!text.contains("tcp"), "{text}");
    }

    #[test]
    fn what_is_inspected_goes_to_the_router_and_what_is_exempt_does_not() {
        let inspection = Fault::TlsInspection {
            maker: "Example".to_owned(),
            trusted: true,
            exempt: vec!["a.example".to_owned()],
        };
        let lines = lines(inspection);
        assert_eq!(lines[0], "ip daddr 203.0.113.1 accept");
        assert_eq!(
            lines[2],
            "ip saddr 10.10.0.10 tcp dport 443 redirect to :20443"
        );
    }

    #[test]
    fn a_range_comes_back_from_one_port_and_other_servers_keep_theirs() {
        let names = Names::from([("a.example".to_owned(), crate::topology::server(0))]);
        let service = |port, last_port, speaks| Service {
            name: "a.example".to_owned(),
            port,
            last_port,
            speaks,
            near: false,
        };
        let services = [
            service(5060, 5060, Speaks::Sip),
            service(5000, 5100, Speaks::Rtp),
        ];
        let text = reflected(&services, &names, false);
        let of_v4: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("ip "))
            .collect();
        assert_eq!(
            of_v4,
            [
                "ip daddr 203.0.113.1 udp dport 5060 accept",
                "ip daddr 203.0.113.1 udp dport 5000-5100 redirect to :900",
            ]
        );
        assert!(!reflected(&services, &names, true).contains("redirect"));
    }
}
