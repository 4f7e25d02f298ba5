//! The bound on pings, by the kernel's packet filter and somebody else's ping.

use std::fs;
use std::path::Path;
use std::process::Command;

use outgate_agent::config;
use outgate_agent::lan::ping::{Bound, Ping, TABLE};
use outgate_agent::status::{Board, Limit};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

use crate::stage::{DEVICE, ask, on_a_cable, shown};

fn start(limit: bool, data: &Path, board: &Board) -> Ping {
    Ping::start(config::Ping { limit }, Bound::default(), data, board)
}

/// How many pings at this interval in seconds are answered, of how many, in how many seconds.
async fn pinged(address: &str, interval: &str, count: &str) -> (u32, f64) {
    let words = [
        "ping", "-q", "-W", "1", "-i", interval, "-c", count, address,
    ];
    let (_, said) = ask(&words).await;
    let line = said
        .lines()
        .find(|line| line.contains("received"))
        .expect(&said);
    let fields: Vec<&str> = line.split(", ").collect();
    let first = |text: &str| text.split(' ').next().unwrap().parse().unwrap();
    let millis = fields
        .last()
        .unwrap()
        .trim_start_matches("time ")
        .trim_end_matches("ms");
    (first(fields[1]), millis.parse::<f64>().unwrap() / 1000.0)
}

/// The tables of the packet filter.
fn tables() -> String {
    let listed = Command::new("nft")
        .args(["list", "tables"])
        .output()
        .unwrap();
    assert!(listed.status.success());
    String::from_utf8(listed.stdout).unwrap()
}

#[test]
fn one_ping_a_second_is_answered_and_what_is_more_is_not() {
    on_a_cable(|| async {
        let folder = tempfile::tempdir().unwrap();
        let board = Board::new(None);
        let all = pinged(DEVICE, "0.2", "10").await;
        assert_eq!(all.0, 10);
        let ping = start(true, folder.path(), &board);
        let status = shown(&board, |it| it.network.ping.limit == Limit::On).await;
        assert_eq!(status.network.ping.rate.as_deref(), Some("1/second"));
        let v6 = fs::read_to_string("/proc/net/if_inet6").unwrap();
        let v6 = v6.lines().find(|line| line.ends_with(" e0")).unwrap();
        let groups: Vec<&str> = (0..32).step_by(4).map(|at| &v6[at..at + 4]).collect();
        let v6 = format!("{}%e0", groups.join(":"));
        for address in [DEVICE, &v6] {
            let (answered, seconds) = pinged(address, "0.2", "25").await;
            // One at once, and one more each second by ping's own clock.
            let most = 1.0 + seconds.ceil();
            assert!(
                answered >= 1 && f64::from(answered) <= most,
                "{answered} in {seconds} s"
            );
            let (answered, _) = pinged(address, "1.2", "4").await;
            // The first may come within a second of the last that was answered before.
            assert!(answered >= 3, "{answered} of {address}");
        }
        ping.stop().await;
        assert_eq!(tables(), "");
        assert_eq!(pinged(DEVICE, "0.2", "10").await.0, 10);
    });
}

#[test]
fn what_a_killed_agent_has_left_is_taken_over_or_taken_away() {
    on_a_cable(|| async {
        let folder = tempfile::tempdir().unwrap();
        let own = format!("table {TABLE}\n");
        let others = "table inet customer\n";
        let made = Command::new("nft")
            .args(["add", "table", "inet", "customer"])
            .status();
        assert!(made.unwrap().success());
        for _ in 0..2 {
            let board = Board::new(None);
            // It is never told to end, and takes nothing away.
            std::mem::forget(start(true, folder.path(), &board));
            shown(&board, |it| it.network.ping.limit == Limit::On).await;
            assert_eq!(tables(), format!("{others}{own}"));
        }
        let rules = Command::new("nft")
            .args(["list", "ruleset"])
            .output()
            .unwrap();
        let rules = String::from_utf8(rules.stdout).unwrap();
        assert_eq!(
            rules.matches("icmp type echo-request drop").count(),
            1,
            "{rules}"
        );
        start(false, folder.path(), &Board::new(None)).stop().await;
        assert_eq!(tables(), others);
        // Without a mark of its own the agent touches nothing.
        let made = Command::new("nft")
            .args(["add", "table"])
            .args(TABLE.split(' '))
            .status();
        assert!(made.unwrap().success());
        start(false, folder.path(), &Board::new(None)).stop().await;
        assert_eq!(tables(), format!("{others}{own}"));
    });
}

#[test]
fn without_the_right_to_it_the_status_says_what_to_do() {
    on_a_cable(|| async {
        let folder = tempfile::tempdir().unwrap();
        let board = Board::new(None);
        remove_capability_from_bounding_set(CapabilitySet::NET_ADMIN).unwrap();
        let ping = start(true, folder.path(), &board);
        let status = shown(&board, |it| it.network.ping.limit == Limit::Failed).await;
        let reason = status.network.ping.reason.unwrap();
        assert!(reason.contains("CAP_NET_ADMIN"), "{reason}");
        assert!(
            status.troubles[0]
                .text
                .contains("there is no bound on pings")
        );
        ping.stop().await;
    });
}
