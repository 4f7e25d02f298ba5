//! `outgate demo`: all five products against their stand-ins.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::support::{outgate, stderr, stdout};

#[test]
fn all_five_products_pass_and_what_nobody_can_be_asked_is_not_run() {
    let output = outgate(["demo", "--once"]);
    let tables = stdout(&output);
    assert_eq!(output.status.code(), Some(5), "{tables}{}", stderr(&output));
    for (product, verdict) in [
        ("capitech", "pass"),
        ("homag-cube", "pass"),
        ("open-pos", "pass"),
        ("qlik-forts", "pass"),
        ("starface", "incomplete"),
    ] {
        let verdict = format!("{product} newest from all parties: {verdict}");
        assert!(tables.contains(&verdict), "{product}: {tables}");
    }
    assert_eq!(tables.matches(" 0 fail").count(), 5, "{tables}");
    assert_eq!(tables.matches(" 0 warn").count(), 5, "{tables}");
    for line in tables.lines().filter(|line| line.contains("not run  ")) {
        let reasons = [
            "does not say what is spoken",
            "is not published",
            "nobody to ask",
            "not permitted",
        ];
        assert!(reasons.iter().any(|reason| line.contains(reason)), "{line}");
    }
}

#[test]
fn one_product_can_be_played_alone() {
    let tables = stdout(&outgate(["demo", "open-pos", "--once"]));
    assert!(tables.contains("open-pos newest"), "{tables}");
    assert!(!tables.contains("starface"), "{tables}");
}

/// Kills a process when the test ends, however it ends.
struct Guard(std::process::Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_servers_stay_up_for_a_check_of_ones_own_until_they_are_told_to_end() {
    let child = Command::new(env!("CARGO_BIN_EXE_outgate"))
        .args(["demo", "homag-cube"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut guard = Guard(child);
    let mut said = BufReader::new(guard.0.stderr.take().unwrap()).lines();
    let command = said.find_map(|line| {
        let line = line.unwrap();
        line.trim().strip_prefix("xargs -a ").map(str::to_owned)
    });
    let command = command.expect("a command to try");
    let file = command.split_whitespace().next().unwrap().to_owned();
    let report = Command::new("xargs")
        .args([
            "-a",
            &file,
            env!("CARGO_BIN_EXE_outgate"),
            "check",
            "homag-cube",
        ])
        .output()
        .unwrap();
    let table = stdout(&report);
    assert!(
        table.contains("homag-cube newest from device: pass"),
        "{table}{}",
        stderr(&report)
    );
    assert!(table.contains(" 0 fail"), "{table}");

    let pid = guard.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(guard.0.wait().unwrap().code(), Some(0));
    assert!(
        !std::path::Path::new(&file).exists(),
        "the folder is taken away"
    );
}
