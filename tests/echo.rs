//! The hub's echo of SIP and its reflector of RTP, as `outgate check` and others meet them.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::hub::Hub;
use crate::support::{json, outgate};

/// How many ports speech is tried on.
const PORTS: u16 = 12;

fn manifest(rtp: u16) -> String {
    let last = rtp + PORTS - 1;
    format!(
        "manifest: 1
product: {{ id: pbx, name: PBX, vendor: Boxes }}
source: {{ document: pbx, language: en }}
parties: {{ device: {{ at: site, name: {{ en: PBX }} }} }}
flows:
  sip: {{ from: device, to: [pbx.test], speaks: sip, need: required, why: {{ en: calls }} }}
  speech: {{ from: device, to: [pbx.test], speaks: {{ rtp: {rtp}-{last} }}, need: required, why: {{ en: speech }} }}
"
    )
}

/// A port from which on so many are free over UDP; another one each time.
fn free_range() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let is_free = |port: u16| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    for _ in 0..500 {
        let first = 20_000 + PORTS * NEXT.fetch_add(1, Ordering::Relaxed);
        if (first..first + PORTS).all(is_free) {
            return first;
        }
    }
    panic!("no range of {PORTS} ports is free");
}

/// What a check finds of a telephone system whose SIP is answered there.
fn check(sip: SocketAddr, rtp: u16) -> Json {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("pbx.yaml");
    std::fs::write(&file, manifest(rtp)).unwrap();
    let arguments = [
        "check".to_owned(),
        file.display().to_string(),
        "--json".to_owned(),
        "--resolver=127.0.0.1:1".to_owned(),
        format!("--connect-to=pbx.test:5060:{}:{}", sip.ip(), sip.port()),
        "--connect-to=pbx.test::127.0.0.1:".to_owned(),
    ];
    json(&outgate(arguments))
}

fn with_echo(rtp: u16, more: &str) -> Hub {
    let last = rtp + PORTS - 1;
    Hub::configured(&format!(
        "[echo]\nsip = \"127.0.0.1:0\"\nrtp = \"127.0.0.1\"\nrtp-ports = [{rtp}, {last}]\n{more}"
    ))
}

#[test]
fn a_telephone_systems_lanes_pass_against_the_hubs_echoes() {
    let rtp = free_range();
    let hub = with_echo(rtp, "");
    let report = check(hub.echo.unwrap(), rtp);
    let lanes = report["lanes"].as_array().unwrap();
    assert_eq!(lanes.len(), 3, "{report}");
    for lane in lanes {
        assert_eq!(lane["outcome"], "pass", "{lane}");
        let attempt = &lane["probes"][0]["attempts"][0];
        if lane["lane"]["protocol"] == "rtp" {
            assert_eq!(attempt["rtp"]["answered"], PORTS);
            assert_eq!(attempt["rtp"]["stream"]["received"], 50);
        } else {
            assert_eq!(attempt["sip"]["echoed"], true);
            assert_eq!(attempt["sip"]["rewritten"], Json::Array(vec![]));
        }
    }
    let figures = hub.metrics();
    for wanted in [
        "outgate_echoes_total{service=\"sip\",outcome=\"answered\"}",
        "outgate_echoes_total{service=\"rtp\",outcome=\"answered\"}",
    ] {
        assert!(figures.contains(wanted), "{wanted}\n{figures}");
    }
}

#[test]
fn nothing_is_echoed_unless_it_is_configured() {
    let hub = Hub::new();
    assert_eq!(hub.echo, None);
    assert!(!hub.metrics().contains("outgate_echoes_total{"));
}

#[test]
fn who_asks_too_often_over_tcp_is_hung_up_on_and_counted() {
    let hub = with_echo(free_range(), "sip-a-second = 1\n");
    let address = hub.echo.unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let question = format!(
        "OPTIONS sip:pbx.test SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKa\r\n\
         From: <sip:a@pbx.test>;tag=a\r\nTo: <sip:pbx.test>\r\nCall-ID: a\r\nCSeq: 1 OPTIONS\r\n\
         Max-Forwards: 70\r\nX-Room: {}\r\nContent-Length: 0\r\n\r\n",
        "x".repeat(300)
    );
    let both = question.repeat(2);
    std::io::Write::write_all(&mut stream, both.as_bytes()).unwrap();
    let mut told = Vec::new();
    stream.read_to_end(&mut told).unwrap();
    let answers = told
        .windows(11)
        .filter(|part| *part == b"SIP/2.0 200")
        .count();
    assert_eq!(answers, 1);
    assert!(told.len() <= question.len());
    let wanted = "outgate_echoes_total{service=\"sip\",outcome=\"limited\"} 1";
    assert!(hub.metrics().contains(wanted));
}

#[cfg(feature = "peers")]
#[test]
fn sipp_gets_its_answers_over_udp_and_tcp() {
    let hub = with_echo(free_range(), "");
    let address = hub.echo.unwrap();
    let folder = TempDir::new().unwrap();
    let scenario = folder.path().join("options.xml");
    std::fs::write(&scenario, OPTIONS).unwrap();
    for transport in ["u1", "t1"] {
        let mut sipp = std::process::Command::new("sipp");
        sipp.args([
            "-sf",
            "options.xml",
            "-i",
            "127.0.0.1",
            "-m",
            "5",
            "-r",
            "5",
        ])
        .args(["-t", transport, "-nostdin", "-timeout", "20s"])
        .arg(address.to_string())
        .current_dir(folder.path());
        let told = sipp.output().unwrap();
        assert!(told.status.success(), "{transport} {told:?}");
    }
}

#[cfg(feature = "peers")]
const OPTIONS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<scenario name="options">
  <send retrans="500"><![CDATA[

    OPTIONS sip:echo@[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]SIPp[call_number]
    To: <sip:echo@[remote_ip]:[remote_port]>
    Call-ID: [call_id]
    CSeq: 1 OPTIONS
    Contact: <sip:sipp@[local_ip]:[local_port]>
    Max-Forwards: 70
    Content-Length: 0

  ]]></send>
  <recv response="200" timeout="5000"/>
</scenario>
"#;
