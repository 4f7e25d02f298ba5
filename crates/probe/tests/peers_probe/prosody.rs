//! XMPP, served by prosody.

use std::process::Command;

use outgate_probe::{Finding, Outcome, StartTls, TlsVersion, Trouble};
use tempfile::TempDir;

use crate::{
    asks::{ask, run},
    authority::{Authority, Identity},
    peer::{Peer, by_name_and_address, free_port, root_of, write},
};

/// Without an identity it offers no TLS. `tls` is more of its settings for TLS.
fn serve(identity: Option<&Identity>, tls: &str) -> Peer {
    let directory = TempDir::new().unwrap();
    let folder = directory.path().display().to_string();
    let port = free_port();
    let (module, ssl) = match identity {
        Some(identity) => {
            write(&directory, "certificate.pem", &identity.certificate);
            write(&directory, "key.pem", &identity.key);
            let files =
                format!("certificate = '{folder}/certificate.pem', key = '{folder}/key.pem'");
            ("'tls'", format!("ssl = {{ {files}, {tls} }}"))
        }
        None => ("", String::new()),
    };
    let configuration = format!(
        "run_as_root = true
        pidfile = '{folder}/pid'
        data_path = '{folder}'
        interfaces = {{ '127.0.0.1', '::1' }}
        c2s_ports = {{ {port} }}
        s2s_ports = {{ }}
        modules_enabled = {{ 'saslauth', {module} }}
        modules_disabled = {{ 's2s' }}
        c2s_require_encryption = {}
        allow_unencrypted_plain_auth = true
        authentication = 'internal_hashed'
        VirtualHost 'api.example'
        {ssl}",
        identity.is_some(),
    );
    let configuration = write(&directory, "prosody.cfg.lua", configuration);
    let root = root_of("prosody");
    // The program names its folders as they are where it is installed.
    let program = std::fs::read_to_string(root.join("usr/bin/prosody")).unwrap();
    let lib = root.join("usr/lib/prosody");
    let program = program.replace("'/usr/lib/prosody", &format!("'{}", lib.display()));
    let program = write(&directory, "prosody", program);
    let mut command = Command::new("lua5.4");
    command
        .arg(program)
        .arg("--config")
        .arg(configuration)
        .arg("-F");
    Peer::tcp_on_both(&mut command, port, directory)
}

async fn asked(authority: &Authority, peer: &Peer) -> Finding {
    run(&ask("xmpp"), authority.config_to(peer.address)).await
}

#[tokio::test]
async fn prosody_changes_to_tls_and_then_offers_logins() {
    let authority = Authority::new("Vendor CA");
    let peer = serve(Some(&authority.right()), "");
    for at in peer.addresses() {
        let finding = run(&ask("xmpp"), authority.config_to(at)).await;
        assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
        let attempt = &finding.attempts[0];
        let xmpp = attempt.xmpp.clone().unwrap();
        assert_eq!(xmpp.from.as_deref(), Some("api.example"));
        assert_eq!(xmpp.start_tls, StartTls::Required);
        assert!(
            xmpp.mechanisms.contains(&"SCRAM-SHA-1".to_owned()),
            "{xmpp:?}"
        );
        let tls = attempt.tls.clone().unwrap();
        assert_eq!(tls.version, Some(TlsVersion::Tls13));
        assert_eq!(tls.server_name.as_deref(), Some("api.example"));
    }
}

#[tokio::test]
async fn a_lane_to_an_address_shows_that_prosody_is_there_and_knows_no_such_domain() {
    let authority = Authority::new("Vendor CA");
    let peer = serve(Some(&authority.right()), "");
    for (at, domain) in peer.addresses().into_iter().zip(["127.0.0.1", "[::1]"]) {
        let [_, by_address] = by_name_and_address(&ask("xmpp"), at);
        let finding = run(&by_address, authority.config_to(at)).await;
        let condition = "host-unknown".to_owned();
        let unknown = Some(Trouble::XmppError { condition });
        assert_eq!((finding.outcome, finding.trouble), (Outcome::Warn, unknown));
        assert_eq!(finding.attempts[0].xmpp.clone().unwrap().to, domain);
    }
}

#[tokio::test]
async fn prosodys_certificate_is_judged_as_any() {
    let authority = Authority::new("Vendor CA");
    let peer = serve(Some(&Authority::new("Other CA").right()), "");
    let finding = asked(&authority, &peer).await;
    assert_eq!(finding.outcome, Outcome::Fail);
    let untrusted = matches!(finding.trouble, Some(Trouble::CertificateUntrusted { .. }));
    assert!(untrusted, "{:?}", finding.trouble);
}

#[tokio::test]
async fn prosody_with_old_tls_is_found_too_old_beyond_the_change() {
    let authority = Authority::new("Vendor CA");
    let old = "protocol = 'tlsv1_1', ciphers = 'ALL:@SECLEVEL=0'";
    let peer = serve(Some(&authority.right()), old);
    let finding = asked(&authority, &peer).await;
    let trouble = Trouble::TlsTooOld {
        highest: TlsVersion::Tls11,
        floor: TlsVersion::Tls12,
    };
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Fail, Some(trouble))
    );
}

#[tokio::test]
async fn prosody_without_tls_and_with_another_domain_are_told() {
    let authority = Authority::new("Vendor CA");
    let peer = serve(None, "");
    let finding = asked(&authority, &peer).await;
    let missing = Some(Trouble::StartTlsMissing);
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Warn, missing));
    let mut ask = ask("xmpp");
    ask.host = outgate_probe::Host::Name("other.example".to_owned());
    let finding = run(&ask, authority.config_to(peer.address)).await;
    let condition = "host-unknown".to_owned();
    let unknown = Some(Trouble::XmppError { condition });
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Fail, unknown));
}
