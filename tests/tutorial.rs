//! The tutorial, run as it stands.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use outgate_testbed::Ends;

use crate::documents::{blocks, root};
use crate::support::{stderr, stdout};

/// The port that the tutorial shows.
const SHOWN: &str = "8443";

/// A command of a shell that finds this build's `outgate`, in `folder`.
fn shell(script: &str, folder: &Path) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_outgate"));
    let search = std::env::var("PATH").unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-e", "-c", script])
        .current_dir(folder)
        .env("HOME", folder)
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env(
            "PATH",
            format!("{}:{search}", program.parent().unwrap().display()),
        )
        .stdin(Stdio::null());
    command
}

#[test]
fn the_tutorial_ends_with_a_first_event() {
    let folder = tempfile::tempdir().unwrap();
    let page = root().join("docs/book/first-event.md");
    let start = blocks(&page, "hub").concat().replace(SHOWN, "0");
    let mut hub = shell(&format!("exec {start}"), folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = BufReader::new(hub.stdout.take().unwrap());
    let _hub = Ends(hub);
    let mut port = None;
    for line in said.lines().map(Result::unwrap) {
        if let Some(rest) = line.strip_prefix("listening on 127.0.0.1:") {
            port = rest.split(' ').next().map(str::to_owned);
        }
        if line.contains("operator's token") {
            break;
        }
    }
    let script = blocks(&page, "tutorial")
        .concat()
        .replace(SHOWN, &port.expect("the hub says where it listens"));
    let output = shell(&script, folder.path()).output().unwrap();
    let said = format!("{}{}", stdout(&output), stderr(&output));
    assert!(output.status.success(), "{said}");
    assert!(said.contains("drawer/opened"), "{said}");
}
