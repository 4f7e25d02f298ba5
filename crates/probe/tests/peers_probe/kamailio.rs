//! SIP over UDP, TCP and TLS, answered by kamailio.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use outgate_probe::{Ask, Outcome, Transport, Trouble};
use tempfile::TempDir;

use crate::{
    asks::{ask, run},
    authority::{Authority, Identity},
    peer::{Peer, by_name_and_address, free_port, write},
};

/// Where kamailio's modules are: beside the program, wherever that is.
fn modules() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let program = std::env::split_paths(&path)
        .map(|folder| folder.join("kamailio"))
        .find(|file| file.is_file())
        .unwrap();
    let root = program.parent().and_then(Path::parent).unwrap();
    let libraries = std::fs::read_dir(root.join("lib")).unwrap();
    libraries
        .map(|folder| folder.unwrap().path().join("kamailio/modules"))
        .find(|folder| folder.join("sl.so").is_file())
        .unwrap()
}

/// A server, and its port for TLS.
fn serve(identity: &Identity, status: &str) -> (Peer, u16) {
    let directory = TempDir::new().unwrap();
    let root = directory.path().display().to_string();
    let (port, secure) = (free_port(), free_port());
    write(&directory, "certificate.pem", &identity.certificate);
    write(&directory, "key.pem", &identity.key);
    let configuration = format!(
        "log_stderror=yes\nchildren=1\ntcp_children=1\ndns=no\nrev_dns=no\nauto_aliases=no\n\
         enable_tls=yes\nlisten=udp:127.0.0.1:{port}\nlisten=tcp:127.0.0.1:{port}\n\
         listen=tls:127.0.0.1:{secure}\nlisten=udp:[::1]:{port}\nlisten=tcp:[::1]:{port}\n\
         listen=tls:[::1]:{secure}\nmpath=\"{}/\"\nloadmodule \"tls.so\"\n\
         loadmodule \"sl.so\"\nmodparam(\"tls\", \"certificate\", \"{root}/certificate.pem\")\n\
         modparam(\"tls\", \"private_key\", \"{root}/key.pem\")\n\
         modparam(\"tls\", \"tls_method\", \"TLSv1.2+\")\n\
         request_route {{ sl_send_reply({status}); }}\n",
        modules().display(),
    );
    let file = write(&directory, "kamailio.cfg", configuration);
    // It has children, which must not outlive it: they go with their PID namespace.
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "kamailio"]);
    command.args(["-DD", "-E", "-m", "32", "-M", "4", "-P"]);
    command.arg(directory.path().join("pid"));
    command.arg("-Y").arg(directory.path()).arg("-f").arg(file);
    (Peer::tcp_on_both(&mut command, port, directory), secure)
}

#[tokio::test]
async fn options_is_answered_over_udp_tcp_and_tls() {
    let authority = Authority::new("Vendor CA");
    let (peer, secure) = serve(&authority.right(), "\"200\", \"OK\"");
    let ways = peer.addresses().into_iter().flat_map(|at| {
        [
            ("sip", Transport::Udp, at),
            ("sip", Transport::Tcp, at),
            ("sips", Transport::Tcp, SocketAddr::new(at.ip(), secure)),
        ]
    });
    for (protocol, transport, at) in ways {
        let over = Ask {
            transport,
            ..ask(protocol)
        };
        for ask in by_name_and_address(&over, at) {
            let finding = run(&ask, authority.config_to(at)).await;
            let ended = (finding.outcome, finding.trouble);
            assert_eq!(ended, (Outcome::Pass, None), "{ask:?} at {at}");
            let sip = finding.attempts[0].sip.clone().unwrap();
            assert_eq!((sip.status, sip.echoed), (200, false), "{protocol}");
            assert!(sip.server.unwrap().starts_with("kamailio"), "{protocol}");
            let seen = SocketAddr::new(sip.received.unwrap(), sip.received_port.unwrap());
            assert_eq!(Some(seen), sip.local, "{protocol} {transport:?} at {at}");
        }
    }
}

#[tokio::test]
async fn a_server_under_repair_is_warned_of() {
    let authority = Authority::new("Vendor CA");
    let (peer, _) = serve(&authority.right(), "\"503\", \"Service Unavailable\"");
    let finding = run(&ask("sip"), authority.config_to(peer.address)).await;
    let trouble = Trouble::SipStatus { status: 503 };
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Warn, Some(trouble))
    );
}

#[tokio::test]
async fn an_untrusted_certificate_fails() {
    let authority = Authority::new("Vendor CA");
    let stranger = Authority::new("Stranger");
    let (peer, secure) = serve(&stranger.right(), "\"200\", \"OK\"");
    let at = SocketAddr::new(peer.address.ip(), secure);
    let finding = run(&ask("sips"), authority.config_to(at)).await;
    assert_eq!(finding.outcome, Outcome::Fail);
    let untrusted = matches!(finding.trouble, Some(Trouble::CertificateUntrusted { .. }));
    assert!(untrusted, "{:?}", finding.trouble);
}
