//! SIP answered by sipp, over UDP and TCP.

use std::process::Command;

use outgate_probe::{Outcome, Transport};
use outgate_wire::sip::{Carrier, Method, Question};
use tempfile::TempDir;

use crate::{
    asks::{ask, config_to, run},
    peer::{Peer, free_port, write},
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

fn serve(transport: &str) -> Peer {
    let directory = TempDir::new().unwrap();
    let port = free_port();
    let scenario = write(&directory, "options.xml", SCENARIO);
    let mut command = Command::new("sipp");
    command.arg("-sf").arg(scenario);
    command.args([
        "-i",
        "127.0.0.1",
        "-p",
        &port.to_string(),
        "-t",
        transport,
        "-nostdin",
    ]);
    if transport == "t1" {
        return Peer::tcp(&mut command, port, directory);
    }
    let question = Question {
        method: Method::Options,
        to: "127.0.0.1",
        carrier: Carrier::Udp,
        local: ([127, 0, 0, 1], 9).into(),
        token: "ready",
    };
    Peer::udp(&mut command, port, directory, &question.encode())
}

#[tokio::test]
async fn options_is_answered_over_udp_and_tcp() {
    for (name, transport) in [("u1", Transport::Udp), ("t1", Transport::Tcp)] {
        let peer = serve(name);
        let mut ask = ask("sip");
        ask.transport = transport;
        let finding = run(&ask, config_to(peer.address)).await;
        assert_eq!(
            (finding.outcome, finding.trouble),
            (Outcome::Pass, None),
            "{name}"
        );
        let sip = finding.attempts[0].sip.clone().unwrap();
        assert_eq!(sip.status, 200, "{name}");
        assert_eq!(sip.rewritten, [], "{name}");
    }
}
