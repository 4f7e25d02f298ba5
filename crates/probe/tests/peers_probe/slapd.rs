//! LDAP and LDAPS, served by OpenLDAP.

use std::{net::SocketAddr, process::Command};

use outgate_probe::{Ask, Finding, Outcome, TlsVersion, Trouble};
use tempfile::TempDir;

use crate::{
    asks::{ask, run},
    authority::{Authority, Identity},
    peer::{Peer, by_name_and_address, free_port, root_of, write},
};

/// A directory with a port in the clear and one with TLS.
struct Directory {
    peer: Peer,
    ldaps: SocketAddr,
}

impl Directory {
    /// Its ports in the clear and with TLS, over IPv4 and IPv6.
    fn addresses(&self) -> [(SocketAddr, SocketAddr); 2] {
        let tls = |plain: SocketAddr| SocketAddr::new(plain.ip(), self.ldaps.port());
        self.peer.addresses().map(|plain| (plain, tls(plain)))
    }
}

/// `more` is more of its configuration. Without an identity it knows no TLS.
fn serve(identity: Option<&Identity>, more: &str) -> Directory {
    let directory = TempDir::new().unwrap();
    let folder = directory.path().display().to_string();
    let (port, tls_port) = (free_port(), free_port());
    let tls = match identity {
        Some(identity) => {
            write(&directory, "certificate.pem", &identity.certificate);
            write(&directory, "key.pem", &identity.key);
            format!(
                "TLSCertificateFile {folder}/certificate.pem\nTLSCertificateKeyFile {folder}/key.pem\n"
            )
        }
        None => String::new(),
    };
    let schema = root_of("slapd").join("etc/ldap/schema/core.schema");
    let configuration = format!(
        "include {}\npidfile {folder}/pid\nargsfile {folder}/args\n{tls}{more}\n",
        schema.display()
    );
    let configuration = write(&directory, "slapd.conf", configuration);
    let ldaps = if identity.is_some() {
        format!(" ldaps://127.0.0.1:{tls_port} ldaps://[::1]:{tls_port}")
    } else {
        String::new()
    };
    let mut command = Command::new(root_of("slapd").join("usr/sbin/slapd"));
    command.arg("-f").arg(configuration).args([
        "-d",
        "0",
        "-h",
        &format!("ldap://127.0.0.1:{port} ldap://[::1]:{port}{ldaps}"),
    ]);
    let peer = Peer::tcp_on_both(&mut command, port, directory);
    let ldaps = SocketAddr::new(peer.address.ip(), tls_port);
    Directory { peer, ldaps }
}

fn asking(protocol: &str, tls: bool) -> Ask {
    let mut ask = ask(protocol);
    ask.tls.required = tls;
    ask
}

async fn asked(protocol: &str, tls: bool, authority: &Authority, to: SocketAddr) -> Finding {
    run(&asking(protocol, tls), authority.config_to(to)).await
}

#[tokio::test]
async fn the_root_dse_is_shown_in_the_clear_over_tls_and_after_a_change_to_tls() {
    let authority = Authority::new("Vendor CA");
    let directory = serve(Some(&authority.right()), "");
    let manners = directory.addresses().into_iter().flat_map(|(plain, tls)| {
        [
            ("ldap", false, plain),
            ("ldap", true, plain),
            ("ldaps", false, tls),
        ]
    });
    for (protocol, tls, to) in manners {
        for ask in by_name_and_address(&asking(protocol, tls), to) {
            let finding = run(&ask, authority.config_to(to)).await;
            let found = (finding.outcome, finding.trouble);
            assert_eq!(found, (Outcome::Pass, None), "{ask:?} at {to}");
            let attempt = &finding.attempts[0];
            let ldap = attempt.ldap.clone().unwrap();
            assert!(ldap.root_dse && ldap.start_tls, "{ldap:?}");
            assert_eq!(ldap.versions, ["3"]);
            assert_eq!(attempt.tls.is_some(), tls || protocol == "ldaps");
        }
    }
}

#[tokio::test]
async fn a_directory_without_tls_fails_only_where_tls_is_demanded() {
    let authority = Authority::new("Vendor CA");
    let directory = serve(None, "");
    let finding = asked("ldap", false, &authority, directory.peer.address).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    assert!(!finding.attempts[0].ldap.clone().unwrap().start_tls);
    let finding = asked("ldap", true, &authority, directory.peer.address).await;
    let missing = Some(Trouble::StartTlsMissing);
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Fail, missing));
}

#[tokio::test]
async fn a_directory_that_wants_a_login_or_tls_is_there_but_says_no_more() {
    let authority = Authority::new("Vendor CA");
    let directory = serve(Some(&authority.right()), "require authc");
    let finding = asked("ldap", false, &authority, directory.peer.address).await;
    let name = "unwillingToPerform".to_owned();
    let trouble = Trouble::LdapResult { code: 53, name };
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Warn, Some(trouble))
    );
    let directory = serve(Some(&authority.right()), "security tls=1");
    let finding = asked("ldap", false, &authority, directory.peer.address).await;
    let name = "confidentialityRequired".to_owned();
    let trouble = Trouble::LdapResult { code: 13, name };
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Warn, Some(trouble))
    );
    let finding = asked("ldap", true, &authority, directory.peer.address).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
}

#[tokio::test]
async fn old_tls_is_found_too_old_beyond_the_change_too() {
    let authority = Authority::new("Vendor CA");
    let old = "TLSCipherSuite NORMAL:-VERS-ALL:+VERS-TLS1.1";
    let directory = serve(Some(&authority.right()), old);
    let trouble = Trouble::TlsTooOld {
        highest: TlsVersion::Tls11,
        floor: TlsVersion::Tls12,
    };
    let expected = (Outcome::Fail, Some(trouble));
    let finding = asked("ldap", true, &authority, directory.peer.address).await;
    assert_eq!((finding.outcome, finding.trouble), expected);
    let finding = asked("ldaps", false, &authority, directory.ldaps).await;
    assert_eq!((finding.outcome, finding.trouble), expected);
}

#[tokio::test]
async fn a_directory_that_demands_the_clients_certificate_is_told() {
    let authority = Authority::new("Vendor CA");
    let directory = serve(Some(&authority.right()), "TLSVerifyClient demand");
    let finding = asked("ldaps", false, &authority, directory.ldaps).await;
    let wanted = Some(Trouble::ClientCertificateWanted);
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Warn, wanted));
}
