//! Time, served by chrony.

use std::{
    process::Command,
    sync::Arc,
    time::{Duration, SystemTime},
};

use outgate_probe::{Outcome, PathConfig, Trouble};
use outgate_wire::ntp::Request;
use tempfile::TempDir;

use crate::{
    asks::{ask, config_to, run},
    peer::{Peer, by_name_and_address, free_port, write},
};

/// With `source`, chrony serves the machine's own time as stratum 3; without, it has no time.
fn serve(source: &str) -> Peer {
    let directory = TempDir::new().unwrap();
    let root = directory.path().display().to_string();
    let port = free_port();
    let configuration = format!(
        "{source}\nport {port}\nbindaddress 127.0.0.1\nbindaddress ::1\nallow\ncmdport 0\n\
         bindcmdaddress /\nuser root\npidfile {root}/pid\ndriftfile {root}/drift\n",
    );
    let configuration = write(&directory, "chrony.conf", configuration);
    let mut command = Command::new("chronyd");
    command.args(["-x", "-d", "-U", "-f"]).arg(configuration);
    Peer::udp_on_both(&mut command, port, directory, &Request::new(1).encode())
}

#[tokio::test]
async fn a_synchronised_server_and_a_right_clock_pass() {
    let peer = serve("local stratum 3");
    for at in peer.addresses() {
        for ask in by_name_and_address(&ask("ntp"), at) {
            let finding = run(&ask, config_to(at)).await;
            assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
            let ntp = finding.attempts[0].ntp.clone().unwrap();
            assert!(ntp.offset_millis.abs() < 500, "{}", ntp.offset_millis);
            assert_eq!(ntp.stratum, 3);
        }
    }
}

#[tokio::test]
async fn a_clock_a_day_ahead_is_named() {
    let peer = serve("local stratum 3");
    let day = Duration::from_secs(86_400);
    let config = PathConfig {
        clock: Arc::new(move || SystemTime::now() + day),
        ..config_to(peer.address)
    };
    let finding = run(&ask("ntp"), config).await;
    assert_eq!(finding.outcome, Outcome::Warn);
    let Some(Trouble::ClockOff { offset_millis }) = finding.trouble else {
        panic!("clock")
    };
    assert!((offset_millis + 86_400_000).abs() < 1000, "{offset_millis}");
}

#[tokio::test]
async fn a_server_without_a_time_of_its_own_fails() {
    let peer = serve("");
    let finding = run(&ask("ntp"), config_to(peer.address)).await;
    assert_eq!(finding.outcome, Outcome::Fail);
    let unsynchronised = matches!(
        finding.trouble,
        Some(Trouble::NtpUnsynchronised { .. } | Trouble::NtpKiss { .. })
    );
    assert!(unsynchronised, "{:?}", finding.trouble);
}
