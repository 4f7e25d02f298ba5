//! SIP answered by sipp, over UDP and TCP.

use std::{net::IpAddr, process::Command};

use outgate_probe::{Outcome, Transport};
use outgate_wire::sip::{Carrier, Method, Question};
use tempfile::TempDir;

use crate::{
    asks::{ask, config_to, run},
    peer::{LOOPBACK, Peer, free_port, write},
};

const SCENARIO: &str = r#"<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="answers OPTIONS">
<recv request="OPTIONS"/>
<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port]>
Content-Length: 0

]]></send>
</scenario>
"#;

/// sipp listens on one address alone.
fn serve(transport: &str, ip: IpAddr) -> Peer {
    let directory = TempDir::new().unwrap();
    let port = free_port();
    let scenario = write(&directory, "options.xml", SCENARIO);
    let mut command = Command::new("sipp");
    command.arg("-sf").arg(scenario);
    command.args([
        "-i",
        &ip.to_string(),
        "-p",
        &port.to_string(),
        "-t",
        transport,
        "-nostdin",
    ]);
    if transport == "t1" {
        return Peer::tcp_at(&mut command, (ip, port).into(), directory);
    }
    let question = Question {
        method: Method::Options,
        to: "127.0.0.1",
        carrier: Carrier::Udp,
        local: ([127, 0, 0, 1], 9).into(),
        token: "ready",
    };
    let at = (ip, port).into();
    Peer::udp_at(&mut command, at, directory, &question.encode())
}

#[tokio::test]
async fn options_is_answered_over_udp_and_tcp() {
    let both = LOOPBACK.into_iter();
    let ways = both.flat_map(|ip| [("u1", Transport::Udp, ip), ("t1", Transport::Tcp, ip)]);
    for (name, transport, ip) in ways {
        let peer = serve(name, ip);
        let mut ask = ask("sip");
        ask.transport = transport;
        let finding = run(&ask, config_to(peer.address)).await;
        assert_eq!(
            (finding.outcome, finding.trouble),
            (Outcome::Pass, None),
            "{name} {ip}"
        );
        let sip = finding.attempts[0].sip.clone().unwrap();
        assert_eq!(sip.status, 200, "{name}");
        assert_eq!(sip.rewritten, [], "{name}");
    }
}
