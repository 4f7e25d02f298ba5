//! A whole range of ports through a router, to the RTP echo of sipp.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::Duration,
};

use outgate_probe::{Ask, Outcome, PortSpan, Trouble};

use crate::{
    asks::ask,
    site::{SERVER_6, SERVERS, Site, on_own_site, probe},
};

/// sipp echoes on one port; every other of the range leads there.
const ONE_ECHO: &str = "table inet echo {
    chain in {
        type nat hook prerouting priority dstnat;
        udp dport 10000-20000 redirect to :6000
    }
}
";

const NAT: &str = "table ip nat {
    chain out {
        type nat hook postrouting priority srcnat;
        oifname \"wan\" masquerade
    }
}
";

const UPPER_HALF_BLOCKED: &str = "table inet filter {
    chain forward {
        type filter hook forward priority filter;
        udp dport 15001-20000 drop
    }
}
";

/// Every tenth packet of the stream, which are longer than those that ask for ports.
const EVERY_TENTH_LOST: &str = "table inet filter {
    chain forward {
        type filter hook forward priority filter;
        udp dport 10000-20000 meta length > 100 numgen inc mod 10 0 drop
    }
}
";

fn echoes(server: SocketAddr) -> bool {
    let any = if server.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let socket = UdpSocket::bind(any).unwrap();
    let wait = Duration::from_millis(200);
    socket.set_read_timeout(Some(wait)).unwrap();
    socket.send_to(b"ready", server).is_ok() && socket.recv(&mut [0; 100]).is_ok()
}

#[test]
fn ten_thousand_ports_are_swept_the_blocked_half_is_named_and_loss_is_told() {
    let name = "rtp::ten_thousand_ports_are_swept_the_blocked_half_is_named_and_loss_is_told";
    on_own_site(name, |mut site| async move {
        for address in [SERVERS[0], SERVER_6] {
            serve(&mut site, address.parse().unwrap());
            passes_or_is_told(&site, SocketAddr::new(address.parse().unwrap(), 10_000)).await;
        }
    });
}

/// sipp, which echoes on one address.
fn serve(site: &mut Site, address: IpAddr) {
    let text = address.to_string();
    let arguments = ["-sn", "uas", "-i", &text, "-mi", &text, "-p", "5060"];
    let echo = ["-mp", "6000", "-rtp_echo", "-nostdin"];
    let media = SocketAddr::new(address, 6000);
    site.serve("sipp", &[&arguments[..], &echo].concat(), || echoes(media));
}

async fn passes_or_is_told(site: &Site, server: SocketAddr) {
    site.serve_by(ONE_ECHO);
    let range = || Ask {
        last_port: Some(20_000),
        ..ask("rtp")
    };

    site.route_by(NAT);
    let finding = probe(range(), server).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let rtp = finding.attempts[0].rtp.clone().unwrap();
    assert_eq!((rtp.asked, rtp.answered), (10_001, 10_001));
    assert_eq!(rtp.stream.unwrap().received, 50);

    site.route_by(&format!("{NAT}{UPPER_HALF_BLOCKED}"));
    let finding = probe(range(), server).await;
    let trouble = Trouble::RtpBlocked {
        blocked: "15001-20000".to_owned(),
        answered: 5001,
        asked: 10_001,
    };
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Fail, Some(trouble))
    );
    let span = PortSpan {
        first: 15_001,
        last: 20_000,
    };
    assert_eq!(finding.attempts[0].rtp.clone().unwrap().blocked, [span]);

    site.route_by(&format!("{NAT}{EVERY_TENTH_LOST}"));
    let finding = probe(range(), server).await;
    let lost = matches!(
        finding.trouble,
        Some(Trouble::SpeechPoor {
            lost: 5,
            sent: 50,
            ..
        })
    );
    assert!(finding.outcome == Outcome::Warn && lost, "{finding:?}");
}
