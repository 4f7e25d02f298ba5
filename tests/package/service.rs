//! The unit of systemd, judged by systemd's own programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{Unpacked, said};

/// Where the package puts the unit.
pub(crate) const UNIT: &str = "/usr/lib/systemd/system/outgate-agent.service";
/// Where it puts what widens the unit.
const DROP_INS: &str = "/usr/share/doc/outgate-agent/examples";

/// The most that `systemd-analyze security` may count against the unit, in tenths: 10 is nothing
/// that could be, 100 is no sandbox at all.
const MAX_EXPOSURE: &str = "20";
/// The same, for a unit that may set the clock and the firewall.
const MAX_EXPOSURE_WIDENED: &str = "30";

/// A copy of the unit whose program is the unpacked one, with these drop-ins.
fn unit(unpacked: &Unpacked, folder: &Path, drop_ins: &[&str]) -> PathBuf {
    let program = unpacked.program().display().to_string();
    let unit = folder.join("outgate-agent.service");
    let text = unpacked.text(UNIT);
    assert!(text.contains("ExecStart=/usr/bin/outgate agent run\n"));
    std::fs::write(&unit, text.replace("/usr/bin/outgate", &program)).unwrap();
    let beside = folder.join("outgate-agent.service.d");
    std::fs::create_dir(&beside).unwrap();
    for name in drop_ins {
        std::fs::copy(unpacked.path(DROP_INS).join(name), beside.join(name)).unwrap();
    }
    unit
}

fn check(drop_ins: &[&str], exposure: &str) {
    let unpacked = Unpacked::new();
    let folder = TempDir::new().unwrap();
    let unit = unit(&unpacked, folder.path(), drop_ins);
    let verify = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=one"])
        .arg(&unit)
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&verify.stderr);
    assert!(
        verify.status.success() && complaint.is_empty(),
        "{complaint}"
    );
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--no-pager"]);
    let said = said(security.arg(format!("--threshold={exposure}")).arg(&unit));
    println!("{}", said.lines().last().unwrap());
}

#[test]
fn systemd_understands_the_unit_and_finds_it_shut_in() {
    check(&[], MAX_EXPOSURE);
}

#[test]
fn systemd_understands_what_widens_the_unit() {
    check(&["clock.conf", "ping-limit.conf"], MAX_EXPOSURE_WIDENED);
}

#[test]
fn the_user_of_the_unit_is_made_by_systemd() {
    let unpacked = Unpacked::new();
    let root = TempDir::new().unwrap();
    std::fs::create_dir(root.path().join("etc")).unwrap();
    let users = unpacked.path("/usr/lib/sysusers.d/outgate-agent.conf");
    let mut sysusers = Command::new("systemd-sysusers");
    said(
        sysusers
            .arg(format!("--root={}", root.path().display()))
            .arg(users),
    );
    for list in ["etc/passwd", "etc/group"] {
        let text = std::fs::read_to_string(root.path().join(list)).unwrap();
        assert!(text.contains("outgate-agent:x:"), "{list}: {text}");
    }
    let unit = unpacked.text(UNIT);
    for line in ["User=outgate-agent", "Group=outgate-agent"] {
        assert!(unit.lines().any(|one| one == line), "{unit}");
    }
}
