//! TLS of every version and with every fault of a certificate, served by OpenSSL.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::Command,
};

use outgate_probe::{
    Finding, LegacyTls, Outcome, PathConfig, RootSource, Roots, TlsVersion, Trouble, Trust,
};
use tempfile::TempDir;

use crate::{
    asks::{ask, config_to, run},
    authority::{Authority, Identity},
    peer::{LOOPBACK, Peer, by_name_and_address, free_port, write},
};

fn serve(identity: &Identity, options: &[&str]) -> Peer {
    serve_at(Ipv4Addr::LOCALHOST.into(), identity, options)
}

/// It listens on one address alone.
fn serve_at(ip: IpAddr, identity: &Identity, options: &[&str]) -> Peer {
    let directory = TempDir::new().unwrap();
    let certificate = write(&directory, "certificate.pem", &identity.certificate);
    let key = write(&directory, "key.pem", &identity.key);
    let at = SocketAddr::new(ip, free_port());
    let mut command = Command::new("openssl");
    command
        .args(["s_server", "-www", "-accept", &at.to_string()])
        .arg("-cert")
        .arg(certificate)
        .arg("-key")
        .arg(key)
        .args(options);
    Peer::tcp_at(&mut command, at, directory)
}

/// Serves an identity and probes it with the authority trusted.
async fn probe(authority: &Authority, identity: &Identity, options: &[&str]) -> Finding {
    let peer = serve(identity, options);
    run(&ask("tls"), authority.config_to(peer.address)).await
}

async fn probe_right(options: &[&str]) -> Finding {
    let authority = Authority::new("Vendor CA");
    probe(&authority, &authority.right(), options).await
}

fn version_and_suite(finding: &Finding) -> (Option<TlsVersion>, Option<String>) {
    let tls = finding.attempts[0].tls.clone().unwrap();
    (tls.version, tls.cipher_suite)
}

#[tokio::test]
async fn tls_1_3_passes_with_version_suite_and_chain_as_evidence() {
    let finding = probe_right(&["-tls1_3"]).await;
    assert_eq!(
        (finding.outcome, finding.trouble.clone()),
        (Outcome::Pass, None)
    );
    let (version, suite) = version_and_suite(&finding);
    assert_eq!(version, Some(TlsVersion::Tls13));
    assert!(suite.unwrap().starts_with("TLS_AES_"));
    let tls = finding.attempts[0].tls.clone().unwrap();
    assert_eq!(tls.trusted_by, [RootSource::Given]);
    assert_eq!(tls.server_name.as_deref(), Some("api.example"));
    let [leaf] = tls.chain.as_slice() else {
        panic!("one certificate")
    };
    assert_eq!(
        (leaf.subject.as_str(), leaf.issuer.as_str()),
        ("CN=server", "CN=Vendor CA")
    );
    assert_eq!(leaf.names, ["api.example", "127.0.0.1", "::1"]);
    assert_eq!((leaf.sha256.len(), leaf.spki_sha256.len()), (64, 64));
}

#[tokio::test]
async fn a_port_and_a_certificate_pass_by_name_and_by_address_over_both_families() {
    let authority = Authority::new("Vendor CA");
    for ip in LOOPBACK {
        let peer = serve_at(ip, &authority.right(), &["-tls1_3"]);
        for ask in by_name_and_address(&ask("tcp"), peer.address) {
            let finding = run(&ask, config_to(peer.address)).await;
            assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
        }
        let named = ["api.example".to_owned(), ip.to_string()];
        for (ask, name) in by_name_and_address(&ask("tls"), peer.address)
            .into_iter()
            .zip(named)
        {
            let finding = run(&ask, authority.config_to(peer.address)).await;
            let ended = (finding.outcome, finding.trouble);
            assert_eq!(ended, (Outcome::Pass, None), "{name} at {ip}");
            let tls = finding.attempts[0].tls.clone().unwrap();
            // An address is never a server's name in TLS (RFC 6066 section 3).
            let sent = Some(name).filter(|name| *name != ip.to_string());
            assert_eq!(tls.server_name, sent);
        }
    }
}

#[tokio::test]
async fn tls_1_2_passes_unless_1_3_is_the_floor() {
    let authority = Authority::new("Vendor CA");
    let peer = serve(&authority.right(), &["-tls1_2"]);
    let mut ask = ask("tls");
    let finding = run(&ask, authority.config_to(peer.address)).await;
    assert_eq!(
        (finding.outcome, finding.trouble.clone()),
        (Outcome::Pass, None)
    );
    assert_eq!(version_and_suite(&finding).0, Some(TlsVersion::Tls12));
    ask.tls.floor = TlsVersion::Tls13;
    let finding = run(&ask, authority.config_to(peer.address)).await;
    let (highest, floor) = (TlsVersion::Tls12, TlsVersion::Tls13);
    let expected = (Outcome::Fail, Some(Trouble::TlsTooOld { highest, floor }));
    assert_eq!((finding.outcome, finding.trouble), expected);
}

#[tokio::test]
async fn a_server_that_speaks_only_tls_1_1_or_1_0_is_named_too_old() {
    let floor = TlsVersion::Tls12;
    for (option, highest) in [("-tls1_1", TlsVersion::Tls11), ("-tls1", TlsVersion::Tls10)] {
        let finding = probe_right(&[option, "-cipher", "DEFAULT@SECLEVEL=0"]).await;
        let expected = (Outcome::Fail, Some(Trouble::TlsTooOld { highest, floor }));
        assert_eq!((finding.outcome, finding.trouble), expected);
        let legacy = finding.attempts[0].tls.clone().unwrap().legacy;
        assert!(matches!(legacy, Some(LegacyTls::Version { version, .. }) if version == highest));
    }
}

#[tokio::test]
async fn an_old_server_is_a_warning_where_the_lane_allows_it() {
    let authority = Authority::new("Vendor CA");
    let peer = serve(
        &authority.right(),
        &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"],
    );
    let mut ask = ask("tls");
    ask.tls.floor = TlsVersion::Tls10;
    let finding = run(&ask, authority.config_to(peer.address)).await;
    assert_eq!(finding.outcome, Outcome::Warn);
    assert!(matches!(finding.trouble, Some(Trouble::TlsTooOld { .. })));
}

#[tokio::test]
async fn a_server_with_only_old_ciphers_is_told_from_an_old_version() {
    let finding = probe_right(&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"]).await;
    let expected = (
        Outcome::Fail,
        Some(Trouble::TlsNoCommonCipher {
            cipher_suite: 0xc009,
        }),
    );
    assert_eq!((finding.outcome, finding.trouble), expected);
}

#[tokio::test]
async fn certificates_of_another_authority_are_untrusted_unless_pinned() {
    let (known, other) = (Authority::new("Vendor CA"), Authority::new("Middlebox CA"));
    let peer = serve(&other.right(), &[]);
    let mut ask = ask("tls");
    let finding = run(&ask, known.config_to(peer.address)).await;
    let trouble = Trouble::CertificateUntrusted {
        issuer: "CN=Middlebox CA".to_owned(),
    };
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Fail, Some(trouble))
    );
    let seen = finding.attempts[0].tls.clone().unwrap().chain[0]
        .spki_sha256
        .clone();
    let pin: Vec<u8> = (0..32)
        .map(|at| u8::from_str_radix(&seen[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    ask.tls.trust = Trust::Pinned(vec![pin.try_into().unwrap()]);
    let finding = run(&ask, config_to(peer.address)).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    ask.tls.trust = Trust::Pinned(vec![[7; 32]]);
    let finding = run(&ask, config_to(peer.address)).await;
    let expected = (
        Outcome::Fail,
        Some(Trouble::PinMismatch {
            presented: vec![seen],
        }),
    );
    assert_eq!((finding.outcome, finding.trouble), expected);
}

#[tokio::test]
async fn expired_early_and_misnamed_certificates_are_told_apart() {
    let authority = Authority::new("Vendor CA");
    let expired = probe(&authority, &authority.issue("api.example", -30..-1), &[]).await;
    assert!(matches!(
        expired.trouble,
        Some(Trouble::CertificateExpired { .. })
    ));
    let early = probe(&authority, &authority.issue("api.example", 1..30), &[]).await;
    assert!(matches!(
        early.trouble,
        Some(Trouble::CertificateNotYetValid { .. })
    ));
    let misnamed = probe(&authority, &authority.issue("web.example", -1..30), &[]).await;
    let names = ["web.example", "127.0.0.1", "::1"];
    let names = names.map(str::to_owned).to_vec();
    assert_eq!(
        misnamed.trouble,
        Some(Trouble::CertificateWrongName { names })
    );
    for finding in [expired, early, misnamed] {
        assert_eq!(finding.outcome, Outcome::Fail);
        assert_eq!(
            finding.attempts[0].tls.clone().unwrap().trusted_by,
            [RootSource::Given]
        );
    }
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_is_reached_with_a_warning() {
    let authority = Authority::new("Vendor CA");
    let directory = TempDir::new().unwrap();
    let ca = write(&directory, "ca.pem", authority.pem());
    let ca = ca.to_str().unwrap();
    let required = ["-Verify", "1", "-verify_return_error", "-CAfile", ca];
    let peer = serve(&authority.right(), &[&required[..], &["-tls1_2"]].concat());
    let finding = run(&ask("tls"), authority.config_to(peer.address)).await;
    let expected = (Outcome::Warn, Some(Trouble::ClientCertificateWanted));
    assert_eq!((finding.outcome, finding.trouble), expected);
    // In TLS 1.3 the server says so only after the handshake, to the first thing that is asked.
    let peer = serve(&authority.right(), &[&required[..], &["-tls1_3"]].concat());
    for protocol in ["tls", "https", "wss"] {
        let finding = run(&ask(protocol), authority.config_to(peer.address)).await;
        let expected = (Outcome::Warn, Some(Trouble::ClientCertificateWanted));
        assert_eq!((finding.outcome, finding.trouble), expected, "{protocol}");
        let tls = finding.attempts[0].tls.clone().unwrap();
        assert!(tls.client_certificate_asked, "{protocol}");
    }
}

#[tokio::test]
async fn a_server_that_would_like_a_client_certificate_passes_without_one() {
    let authority = Authority::new("Vendor CA");
    for version in ["-tls1_2", "-tls1_3"] {
        let peer = serve(&authority.right(), &["-verify", "1", version]);
        for protocol in ["tls", "https"] {
            let finding = run(&ask(protocol), authority.config_to(peer.address)).await;
            assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
            let tls = finding.attempts[0].tls.clone().unwrap();
            assert!(tls.client_certificate_asked, "{version} {protocol}");
        }
    }
}

#[tokio::test]
async fn an_rsa_key_that_is_too_short_is_named() {
    let directory = TempDir::new().unwrap();
    let made = Command::new("openssl")
        .current_dir(directory.path())
        .args("req -x509 -newkey rsa:1024 -nodes -keyout key -out crt -subj /CN=old".split(' '))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let read = |name| std::fs::read_to_string(directory.path().join(name)).unwrap();
    let identity = Identity {
        certificate: read("crt"),
        key: read("key"),
    };
    for version in ["-tls1_2", "-tls1_3"] {
        let options = [version, "-cipher", "DEFAULT@SECLEVEL=0"];
        let finding = probe(&Authority::new("Vendor CA"), &identity, &options).await;
        let Some(Trouble::CertificateInvalid { why }) = finding.trouble else {
            panic!("{:?}", finding.trouble)
        };
        assert!(why.contains("RSA key of 1024 bits"), "{why}");
    }
}

#[tokio::test]
async fn an_inspecting_proxy_of_the_machines_store_is_seen_where_public_trust_is_wanted() {
    let inspector = Authority::new("Inspecting proxy CA");
    let peer = serve(&inspector.right(), &[]);
    let roots = Roots::mozilla()
        .system_pem(inspector.pem().as_bytes())
        .unwrap();
    let config = PathConfig {
        roots,
        ..config_to(peer.address)
    };
    let trouble = Trouble::CertificateNotPublic {
        issuer: "CN=Inspecting proxy CA".to_owned(),
    };
    for protocol in ["tls", "https"] {
        let mut ask = ask(protocol);
        let finding = run(&ask, config.clone()).await;
        assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
        ask.tls.trust = Trust::Public;
        let finding = run(&ask, config.clone()).await;
        let expected = (Outcome::Warn, Some(trouble.clone()));
        assert_eq!((finding.outcome, finding.trouble), expected);
        // Only warned of, so the rest was shown, too.
        assert_eq!(finding.attempts[0].http.is_some(), protocol == "https");
        ask.tls.exempt = true;
        let finding = run(&ask, config.clone()).await;
        let expected = (Outcome::Fail, Some(trouble.clone()));
        assert_eq!((finding.outcome, finding.trouble), expected);
    }
}

#[tokio::test]
async fn a_page_that_ends_with_its_connection_passes() {
    // Whatever `-www` sends has no length.
    let authority = Authority::new("Vendor CA");
    for version in ["-tls1_2", "-tls1_3"] {
        let peer = serve(&authority.right(), &[version]);
        let finding = run(&ask("https"), authority.config_to(peer.address)).await;
        assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
        assert!(finding.attempts[0].http.clone().unwrap().body_bytes > 0);
    }
}
