//! SSH, served by OpenSSH.

use std::process::Command;

use outgate_probe::{Outcome, PhaseName, Trouble};
use tempfile::TempDir;

use crate::{
    asks::{ask, config_to, run},
    peer::{Peer, by_name_and_address, free_port, root_of, write},
    unshare::{in_own_network, load_rules},
};

fn serve() -> Peer {
    let directory = TempDir::new().unwrap();
    let port = free_port();
    let key = directory.path().join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .unwrap();
    assert!(made.success());
    let configuration = format!(
        "Port {port}\nListenAddress 127.0.0.1\nListenAddress ::1\nHostKey {}\nPidFile none\nUsePAM no\n",
        key.display()
    );
    let configuration = write(&directory, "sshd_config", configuration);
    // Seen from inside it does not run as root, and so needs no folder and no user of the system's.
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-user=1000"])
        .arg(root_of("sshd").join("usr/sbin/sshd"))
        .args(["-D", "-e", "-f"])
        .arg(configuration);
    Peer::tcp_on_both(&mut command, port, directory)
}

#[tokio::test]
async fn openssh_says_who_it_is() {
    let peer = serve();
    for at in peer.addresses() {
        for ask in by_name_and_address(&ask("ssh"), at) {
            let finding = run(&ask, config_to(at)).await;
            assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
            let ssh = finding.attempts[0].ssh.clone().unwrap();
            assert_eq!((ssh.protocol.as_str(), ssh.lines_before), ("2.0", 0));
            assert!(ssh.software.starts_with("OpenSSH_"), "{}", ssh.software);
        }
    }
}

#[test]
fn a_filter_that_lets_the_first_line_pass_and_stops_what_follows_is_seen() {
    let name = "sshd::a_filter_that_lets_the_first_line_pass_and_stops_what_follows_is_seen";
    in_own_network(name, || async {
        load_rules("");
        let peer = serve();
        let finding = run(&ask("ssh"), config_to(peer.address)).await;
        assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
        let phase = PhaseName::KeyExchange;
        let port = peer.address.port();
        // By the number of the message that follows both lengths (RFC 4253 section 6).
        let from_server = format!("tcp sport {port} @ih,40,8 20 drop");
        // Whoever sends what is refused is told so: it must be the probe's own packet, or the server
        // alone learns of it, and the probe only if it has something to send after that.
        let from_probe = format!("tcp dport {port} @ih,40,8 20 reject with tcp reset");
        for (rules, trouble) in [
            (from_server.clone(), Trouble::TimedOut { phase }),
            (
                format!("{from_server}\n{from_probe}"),
                Trouble::Reset { phase },
            ),
        ] {
            load_rules(&rules);
            for at in peer.addresses() {
                let finding = run(&ask("ssh"), config_to(at)).await;
                let ended = (finding.outcome, finding.trouble);
                assert_eq!(ended, (Outcome::Fail, Some(trouble.clone())), "{at}");
                let ssh = finding.attempts[0].ssh.clone().unwrap();
                assert!(ssh.software.starts_with("OpenSSH_"), "{}", ssh.software);
            }
        }
    });
}
