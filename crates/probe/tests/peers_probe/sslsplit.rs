//! TLS inspection by sslsplit: what each kind of trust makes of it, and of a private authority
//! that inspects nothing.

use std::{net::SocketAddr, process::Command};

use outgate_probe::{Finding, Outcome, PathConfig, Roots, Trouble, Trust};
use tempfile::TempDir;

use crate::{
    asks::{ask, config_to, run},
    authority::Authority,
    nginx,
    peer::{Peer, free_port, write},
};

const COMPANY: &str = "CN=Company CA";

/// Opens TLS to this server and closes it again with certificates of this authority.
fn inspect(server: SocketAddr, company: &Authority) -> Peer {
    let directory = TempDir::new().unwrap();
    let certificate = write(&directory, "ca.pem", company.pem());
    let key = write(&directory, "ca.key", company.key());
    let port = free_port();
    // It has a child, which must not outlive it: it goes with its PID namespace.
    let mut command = Command::new("unshare");
    command
        .args(["--pid", "--fork", "--kill-child", "sslsplit"])
        .args(["-P", "-u", "root", "-k"])
        .arg(key)
        .arg("-c")
        .arg(certificate);
    command.args(["ssl", "127.0.0.1", &port.to_string()]);
    command.args([server.ip().to_string(), server.port().to_string()]);
    Peer::tcp(&mut command, port, directory)
}

async fn asked(to: SocketAddr, roots: Roots, trust: Trust, exempt: bool) -> Finding {
    let mut ask = ask("https");
    ask.tls.trust = trust;
    ask.tls.exempt = exempt;
    let config = PathConfig {
        roots,
        ..config_to(to)
    };
    run(&ask, config).await
}

fn pin_of(finding: &Finding) -> [u8; 32] {
    let tls = finding.attempts[0].tls.as_ref().unwrap();
    let hex = &tls.chain[0].spki_sha256;
    let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
    std::array::from_fn(byte)
}

#[tokio::test]
async fn every_kind_of_trust_sees_the_inspector_and_none_sees_one_without() {
    let (vendor, company) = (Authority::new("Vendor CA"), Authority::new("Company CA"));
    let web = nginx::serve(Some(&vendor.right()));
    let inspector = inspect(web.address, &company);
    let given = || Roots::mozilla().give_pem(vendor.pem().as_bytes()).unwrap();
    let trusting = || given().system_pem(company.pem().as_bytes()).unwrap();
    let issuer = || COMPANY.to_owned();

    // Nothing is inspected: the vendor's own authority is right, as given and as in the store.
    let direct = asked(web.address, given(), Trust::Public, true).await;
    assert_eq!((direct.outcome, &direct.trouble), (Outcome::Pass, &None));
    let pin = Trust::Pinned(vec![pin_of(&direct)]);
    let pinned = asked(web.address, trusting(), pin.clone(), true).await;
    assert_eq!(pinned.outcome, Outcome::Pass);
    let store = Roots::mozilla()
        .system_pem(vendor.pem().as_bytes())
        .unwrap();
    let private = asked(web.address, store, Trust::Vendor, false).await;
    assert_eq!((private.outcome, private.trouble), (Outcome::Pass, None));

    // It is inspected.
    let to = inspector.address;
    let untrusted = Some(Trouble::CertificateUntrusted { issuer: issuer() });
    let not_public = Some(Trouble::CertificateNotPublic { issuer: issuer() });
    for (roots, trust, exempt, outcome, trouble) in [
        (
            given(),
            Trust::Public,
            false,
            Outcome::Fail,
            untrusted.clone(),
        ),
        (given(), Trust::Any, false, Outcome::Fail, untrusted),
        (
            trusting(),
            Trust::Public,
            false,
            Outcome::Warn,
            not_public.clone(),
        ),
        (
            trusting(),
            Trust::Public,
            true,
            Outcome::Fail,
            not_public.clone(),
        ),
        (trusting(), Trust::Any, true, Outcome::Fail, not_public),
    ] {
        let finding = asked(to, roots, trust.clone(), exempt).await;
        assert_eq!(
            (finding.outcome, finding.trouble),
            (outcome, trouble),
            "{trust:?} {exempt}"
        );
    }
    let pinned = asked(to, trusting(), pin, false).await;
    assert_eq!(pinned.outcome, Outcome::Fail);
    assert!(matches!(pinned.trouble, Some(Trouble::PinMismatch { .. })));
    let tls = pinned.attempts[0].tls.clone().unwrap();
    assert_eq!(tls.chain.last().unwrap().issuer, COMPANY);
}
