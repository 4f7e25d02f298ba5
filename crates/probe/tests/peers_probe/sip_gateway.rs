//! SIP through a router with and without the application layer gateway of Linux.

use std::net::SocketAddr;

use outgate_probe::{Outcome, Trouble};
use outgate_wire::sip::echo;

use crate::{
    asks::ask,
    site::{DEVICE, ROUTER, SERVERS, on_own_site, probe},
};

const NAT: &str = "table ip nat {
    chain out {
        type nat hook postrouting priority srcnat;
        oifname \"wan\" masquerade
    }
}
";

const GATEWAY: &str = "table ip gateway {
    ct helper sip5060 {
        type \"sip\" protocol udp
        l3proto ip
    }
    chain pre {
        type filter hook prerouting priority filter;
        udp dport 5060 ct helper set \"sip5060\"
    }
}
";

#[test]
fn a_gateway_that_rewrites_sip_is_told_from_a_nat_that_does_not() {
    let name = "sip_gateway::a_gateway_that_rewrites_sip_is_told_from_a_nat_that_does_not";
    on_own_site(name, |site| async move {
        let server: SocketAddr = format!("{}:5060", SERVERS[0]).parse().unwrap();
        let socket = site.bind_udp(server);
        tokio::spawn(async move {
            let mut buffer = [0; 2000];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                if let Some(answer) = echo(&buffer[..length], from) {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });

        site.route_by(NAT);
        let finding = probe(ask("sip"), server).await;
        assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
        let sip = finding.attempts[0].sip.clone().unwrap();
        assert!(sip.echoed);
        assert_eq!(sip.rewritten, []);
        assert_eq!(sip.local.unwrap().ip().to_string(), DEVICE);
        assert_eq!(sip.received.unwrap().to_string(), ROUTER);

        site.route_by(&format!("{NAT}{GATEWAY}"));
        let finding = probe(ask("sip"), server).await;
        assert_eq!(finding.outcome, Outcome::Warn);
        let rewritten = matches!(finding.trouble, Some(Trouble::SipRewritten { .. }));
        assert!(rewritten, "{:?}", finding.trouble);
        let sip = finding.attempts[0].sip.clone().unwrap();
        assert!(sip.echoed);
        let told = |start: &str| {
            let line = sip.rewritten.iter().find(|line| {
                line.sent
                    .as_ref()
                    .is_some_and(|line| line.starts_with(start))
            });
            let line = line.unwrap_or_else(|| panic!("{start}: {:?}", sip.rewritten));
            (line.sent.clone().unwrap(), line.arrived.clone().unwrap())
        };
        for start in ["Via:", "Contact:", "o=", "c="] {
            let (sent, arrived) = told(start);
            assert!(sent.contains(DEVICE), "{sent}");
            assert!(arrived.contains(ROUTER), "{arrived}");
        }
    });
}
