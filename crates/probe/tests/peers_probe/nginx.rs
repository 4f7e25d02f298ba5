//! HTTP and HTTPS, served by nginx.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use outgate_probe::{Outcome, PathConfig, PhaseName, Trouble};
use outgate_testbed::nginx;
use tempfile::TempDir;

use crate::{
    asks::{ask, config_to, run},
    authority::{Authority, Identity},
    peer::{Peer, by_name_and_address, free_port, write},
};

pub(crate) fn serve(identity: Option<&Identity>) -> Peer {
    let directory = TempDir::new().unwrap();
    let root = directory.path().display().to_string();
    let port = free_port();
    let tls = match identity {
        Some(identity) => {
            write(&directory, "certificate.pem", &identity.certificate);
            write(&directory, "key.pem", &identity.key);
            format!("ssl_certificate {root}/certificate.pem; ssl_certificate_key {root}/key.pem;")
        }
        None => String::new(),
    };
    let ssl = if identity.is_some() { "ssl" } else { "" };
    let server = format!(
        "server {{
                listen 127.0.0.1:{port} {ssl}; listen [::1]:{port} {ssl}; {tls}
                location / {{ return 200 'here'; }}
                location /host {{ return 200 '<$http_host>'; }}
                location /who {{ return 302 /seen-from-$remote_addr; }}
                location /moved {{ return 301 https://elsewhere.example/; }}
                location /down {{ return 503; }}
        }}",
    );
    let mut command = nginx(directory.path(), &server).unwrap();
    Peer::tcp_on_both(&mut command, port, directory)
}

#[tokio::test]
async fn https_passes_with_every_phase_timed() {
    let authority = Authority::new("Vendor CA");
    let peer = serve(Some(&authority.right()));
    let finding = run(&ask("https"), authority.config_to(peer.address)).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let attempt = &finding.attempts[0];
    let phases: Vec<_> = attempt.phases.iter().map(|phase| phase.name).collect();
    let expected = [
        PhaseName::Connect,
        PhaseName::Tls,
        PhaseName::FirstByte,
        PhaseName::Body,
    ];
    assert_eq!(phases, expected);
    let http = attempt.http.clone().unwrap();
    assert!(http.server.unwrap().starts_with("nginx"));
    assert_eq!((http.status, http.body_bytes), (200, 4));
    assert!(http.date.unwrap().offset_millis.abs() < 5000);
    assert_eq!(
        attempt.tls.clone().unwrap().alpn.as_deref(),
        Some("http/1.1")
    );
}

#[tokio::test]
async fn redirections_are_recorded_and_errors_fail() {
    let peer = serve(None);
    for at in peer.addresses() {
        let mut ask = ask("http");
        ask.http.path = "/moved".to_owned();
        let finding = run(&ask, config_to(at)).await;
        let trouble = Trouble::NotShownToBeTheVendor {
            status: 301,
            location_host: Some("elsewhere.example".to_owned()),
        };
        assert_eq!(
            (finding.outcome, finding.trouble),
            (Outcome::Warn, Some(trouble))
        );
        let http = finding.attempts[0].http.clone().unwrap();
        assert_eq!(http.location.as_deref(), Some("https://elsewhere.example/"));
        ask.http.path = "/down".to_owned();
        let finding = run(&ask, config_to(at)).await;
        let expected = (Outcome::Fail, Some(Trouble::HttpStatus { status: 503 }));
        assert_eq!((finding.outcome, finding.trouble), expected);
    }
}

#[tokio::test]
async fn a_server_is_told_its_name_or_its_address_as_a_url_has_it() {
    let authority = Authority::new("Vendor CA");
    for (protocol, peer) in [
        ("http", serve(None)),
        ("https", serve(Some(&authority.right()))),
    ] {
        for at in peer.addresses() {
            let told = ["api.example".to_owned(), at.to_string()];
            for (mut ask, host) in by_name_and_address(&ask(protocol), at)
                .into_iter()
                .zip(told)
            {
                ask.http.path = "/host".to_owned();
                ask.http.expected.body = Some(format!("<{host}>"));
                let finding = run(&ask, authority.config_to(at)).await;
                let ended = (finding.outcome, finding.trouble);
                assert_eq!(ended, (Outcome::Pass, None), "{protocol} {host}");
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_date_is_witnessed_by_the_servers_clock() {
    let authority = Authority::new("Vendor CA");
    let peer = serve(Some(&authority.right()));
    let days = Duration::from_secs(100 * 86_400);
    let config = PathConfig {
        clock: Arc::new(move || SystemTime::now() + days),
        ..authority.config_to(peer.address)
    };
    let finding = run(&ask("https"), config).await;
    assert_eq!(finding.outcome, Outcome::Fail);
    assert!(matches!(
        finding.trouble,
        Some(Trouble::CertificateExpired { .. })
    ));
    let witness = finding.attempts[0].http.clone().unwrap().date.unwrap();
    assert!(
        (witness.offset_millis + 100 * 86_400_000).abs() < 5000,
        "{witness:?}"
    );
}

#[tokio::test]
async fn plain_http_on_a_tls_port_and_tls_on_a_plain_port_are_told() {
    let authority = Authority::new("Vendor CA");
    let tls = serve(Some(&authority.right()));
    let finding = run(&ask("http"), authority.config_to(tls.address)).await;
    // nginx answers plain HTTP on a TLS port with status 400.
    assert_eq!(finding.attempts[0].http.clone().unwrap().status, 400);
    let plain = serve(None);
    let finding = run(&ask("https"), authority.config_to(plain.address)).await;
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Fail, Some(Trouble::NotTls))
    );
}

#[tokio::test]
async fn a_web_server_that_knows_no_websocket_refuses_it() {
    let authority = Authority::new("Vendor CA");
    let peer = serve(Some(&authority.right()));
    let finding = run(&ask("wss"), authority.config_to(peer.address)).await;
    let expected = (Outcome::Warn, Some(Trouble::UpgradeRefused { status: 200 }));
    assert_eq!((finding.outcome, finding.trouble), expected);
}
