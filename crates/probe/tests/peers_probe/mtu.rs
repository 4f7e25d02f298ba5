//! A way on which long packets are lost and nobody says so, and one on which a filter lets no
//! handshake pass, long or short.

use std::{ffi::OsStr, net::TcpStream, time::Duration};

use outgate_probe::{Host, Outcome, PathConfig, PhaseName, ShortSegments, Trouble};
use outgate_testbed::nginx;

use crate::{
    asks::{ask, nowhere, run},
    authority::Authority,
    site::{SERVERS, Site, on_own_site},
};

/// Shorter than the first flight of a server, longer than the shortest packets that all must take.
const HOLE: &str = "table inet hole {
    chain pass {
        type filter hook forward priority filter;
        meta length > 620 drop
    }
}
";

/// What a filter does that reads along: it drops whatever a connection carries.
const FILTER: &str = "table inet reader {
    chain pass {
        type filter hook forward priority filter;
        tcp dport 4433 tcp flags & psh == psh drop
    }
}
";

fn serve(site: &mut Site, authority: &Authority) {
    let identity = authority.right();
    for (name, text) in [
        ("certificate.pem", &identity.certificate),
        ("key.pem", &identity.key),
    ] {
        std::fs::write(site.folder().join(name), text).unwrap();
    }
    let place = format!("{}:4433", SERVERS[0]);
    let root = site.folder().display().to_string();
    let server = format!(
        "server {{
                listen {place} ssl;
                ssl_certificate {root}/certificate.pem; ssl_certificate_key {root}/key.pem;
        }}"
    );
    let command = nginx(site.folder(), &server).unwrap();
    let arguments: Vec<&str> = command.get_args().filter_map(OsStr::to_str).collect();
    site.serve("nginx", &arguments, || TcpStream::connect(&place).is_ok());
}

async fn handshake(authority: &Authority) -> (Outcome, Option<Trouble>, Option<ShortSegments>) {
    let mut ask = ask("tls");
    ask.host = Host::Address(SERVERS[0].parse().unwrap());
    ask.port = Some(4433);
    let config = PathConfig {
        resolver: nowhere(),
        timeout: Duration::from_secs(6),
        ..authority.config_to(format!("{}:4433", SERVERS[0]).parse().unwrap())
    };
    let finding = run(&ask, config).await;
    let attempt = finding.attempts[0].clone();
    (finding.outcome, finding.trouble, attempt.short_segments)
}

#[test]
fn a_hole_for_long_packets_is_proved_by_short_ones() {
    let name = "mtu::a_hole_for_long_packets_is_proved_by_short_ones";
    on_own_site(name, |mut site| async move {
        let authority = Authority::new("Vendor CA");
        serve(&mut site, &authority);
        site.one_segment_a_packet();
        let (outcome, trouble, tried) = handshake(&authority).await;
        assert_ne!(
            trouble,
            Some(Trouble::TimedOut {
                phase: PhaseName::Tls
            }),
            "{outcome:?}"
        );
        assert_eq!(tried, None);

        site.route_by(HOLE);
        let (outcome, trouble, tried) = handshake(&authority).await;
        let lost = Trouble::LongPacketsLost { segment: 536 };
        assert_eq!((outcome, trouble), (Outcome::Fail, Some(lost)));
        assert!(tried.unwrap().answered);
    });
}

#[test]
fn a_filter_that_stops_every_handshake_is_no_hole() {
    let name = "mtu::a_filter_that_stops_every_handshake_is_no_hole";
    on_own_site(name, |mut site| async move {
        let authority = Authority::new("Vendor CA");
        serve(&mut site, &authority);
        site.route_by(FILTER);
        let (outcome, trouble, tried) = handshake(&authority).await;
        let stalled = Trouble::TimedOut {
            phase: PhaseName::Tls,
        };
        assert_eq!((outcome, trouble), (Outcome::Fail, Some(stalled)));
        assert!(!tried.unwrap().answered);
    });
}
