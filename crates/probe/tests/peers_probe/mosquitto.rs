//! MQTT over TCP, TLS and WebSocket, served by mosquitto.

use std::{
    net::{IpAddr, Ipv4Addr},
    process::Command,
};

use outgate_probe::{Outcome, PhaseName, Trouble};
use tempfile::TempDir;

use crate::{
    asks::{ask, run},
    authority::Authority,
    peer::{LOOPBACK, Peer, by_name_and_address, free_port, write},
};

/// A mosquitto with this listener configuration; `TLS` in it stands for the certificate's lines.
fn serve(authority: &Authority, listener: &str) -> Peer {
    serve_at(Ipv4Addr::LOCALHOST.into(), authority, listener)
}

/// It listens on one address alone: as WebSocket it would give only one of two its certificate.
fn serve_at(ip: IpAddr, authority: &Authority, listener: &str) -> Peer {
    let directory = TempDir::new().unwrap();
    let root = directory.path().display().to_string();
    let identity = authority.right();
    write(&directory, "certificate.pem", &identity.certificate);
    write(&directory, "key.pem", &identity.key);
    write(&directory, "ca.pem", authority.pem());
    let port = free_port();
    let tls = format!("certfile {root}/certificate.pem\nkeyfile {root}/key.pem");
    // mosquitto 2.0 ends at once when WebSocket is all that it listens for, hence the local socket.
    let configuration = format!(
        "user root\nlistener 0 {root}/socket\nlistener {port} {ip}\n{}\n",
        listener.replace("TLS", &tls).replace("ROOT", &root)
    );
    let configuration = write(&directory, "mosquitto.conf", configuration);
    let mut command = Command::new("mosquitto");
    command.arg("-c").arg(configuration);
    Peer::tcp_at(&mut command, (ip, port).into(), directory)
}

#[tokio::test]
async fn a_broker_lets_a_probe_in_over_tcp_tls_and_websocket() {
    let authority = Authority::new("Vendor CA");
    for (protocol, listener) in [
        ("mqtt", "allow_anonymous true"),
        ("mqtts", "allow_anonymous true\nTLS"),
        ("mqtt-wss", "protocol websockets\nallow_anonymous true\nTLS"),
    ] {
        for ip in LOOPBACK {
            let peer = serve_at(ip, &authority, listener);
            let at = peer.address;
            for ask in by_name_and_address(&ask(protocol), at) {
                let finding = run(&ask, authority.config_to(at)).await;
                let ended = (finding.outcome, finding.trouble);
                assert_eq!(ended, (Outcome::Pass, None), "{ask:?} at {at}");
                let mqtt = finding.attempts[0].mqtt.clone().unwrap();
                assert_eq!((mqtt.version, mqtt.code), ("5.0", 0), "{protocol}");
            }
        }
    }
}

#[tokio::test]
async fn a_broker_that_wants_a_login_passes_and_its_answer_is_noted() {
    let authority = Authority::new("Vendor CA");
    for (protocol, listener) in [
        ("mqtt", "allow_anonymous false"),
        ("mqtts", "allow_anonymous false\nTLS"),
        (
            "mqtt-wss",
            "protocol websockets\nallow_anonymous false\nTLS",
        ),
    ] {
        let peer = serve(&authority, listener);
        let finding = run(&ask(protocol), authority.config_to(peer.address)).await;
        assert_eq!(
            (finding.outcome, finding.trouble),
            (Outcome::Pass, None),
            "{protocol}"
        );
        let mqtt = finding.attempts[0].mqtt.clone().unwrap();
        assert!(mqtt.login_wanted, "{protocol}: {mqtt:?}");
    }
}

#[tokio::test]
async fn a_broker_that_wants_a_certificate_is_told() {
    let authority = Authority::new("Vendor CA");
    let listener = "allow_anonymous true\nTLS\ncafile ROOT/ca.pem\nrequire_certificate true";
    let peer = serve(&authority, listener);
    let finding = run(&ask("mqtts"), authority.config_to(peer.address)).await;
    let expected = (Outcome::Warn, Some(Trouble::ClientCertificateWanted));
    assert_eq!((finding.outcome, finding.trouble), expected);
}

#[tokio::test]
async fn tls_on_a_plain_port_and_plain_on_a_tls_port_are_told() {
    let authority = Authority::new("Vendor CA");
    let plain = serve(&authority, "allow_anonymous true");
    let finding = run(&ask("mqtts"), authority.config_to(plain.address)).await;
    assert_eq!(finding.outcome, Outcome::Fail);
    let tls = serve(&authority, "allow_anonymous true\nTLS");
    let finding = run(&ask("mqtt"), authority.config_to(tls.address)).await;
    let phase = PhaseName::MqttConnect;
    let broken = [
        Some(Trouble::Closed { phase }),
        Some(Trouble::Reset { phase }),
        Some(Trouble::NotMqtt),
    ];
    assert_eq!(finding.outcome, Outcome::Fail);
    assert!(broken.contains(&finding.trouble), "{:?}", finding.trouble);
}
