use futures_util::future::join_all;

use outgate_standin::{NtpFault, Place};

use crate::{Ended, run, stage};

#[tokio::test]
async fn chronyd_finds_its_clock_off_by_as_much_as_was_wanted() {
    for days in [0, 1, -1] {
        let offset = time::Duration::days(days);
        let ended = chronyd(offset, NtpFault::None).await;
        assert_eq!(ended.status, 0, "{offset}: {}", ended.text);
        let (_, found) = ended.text.split_once("System clock wrong by ").unwrap();
        let (found, _) = found.split_once(" seconds (ignored)").unwrap();
        let off = found.parse::<f64>().unwrap() - offset.as_seconds_f64();
        assert!(off.abs() < 0.5, "{offset}: {}", ended.text);
    }
}

#[tokio::test]
async fn chronyd_trusts_no_clock_that_says_it_was_never_set() {
    let faults = [
        NtpFault::Unsynchronised,
        NtpFault::Kiss(*b"DENY"),
        NtpFault::WrongOrigin,
        NtpFault::Silent,
    ];
    let all = faults.map(|fault| chronyd(time::Duration::DAY, fault));
    for (fault, ended) in faults.iter().zip(join_all(all).await) {
        assert!(
            !ended.text.contains("wrong by"),
            "{fault:?}: {}",
            ended.text
        );
        assert_ne!(ended.status, 0, "{fault:?}: {}", ended.text);
        assert!(
            ended.text.contains("Timeout reached"),
            "{fault:?}: {}",
            ended.text
        );
    }
}

/// Asks once, sets nothing, and leaves no file behind. `-x` and `-Q` each forbid touching the
/// clock; `-u root` keeps it from looking for a user that only its package makes.
async fn chronyd(offset: time::Duration, fault: NtpFault) -> Ended {
    let (mut stage, _authority) = stage();
    let address = stage.ntp(Place::v4(), offset, fault).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = format!(
        "server 127.0.0.1 port {} iburst maxsamples 1",
        address.port()
    );
    let pid = format!("pidfile {}/pid", folder.path().display());
    let switches = ["-Q", "-x", "-u", "root", "-t", "3"];
    let directives = [&server, &pid, "cmdport 0", "bindcmdaddress /"];
    run("chronyd", &[&switches[..], &directives].concat()).await
}
