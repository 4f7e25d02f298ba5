//! `outgate deployment watch`: how far a deployment is, until it has ended.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use outgate_client::Deployment;

use super::{counts, lines, state};
use crate::output::{Failure, print_more};
use crate::remote::{Remote, versioned};
use crate::table::harmless;

/// How long to wait before asking again.
const BETWEEN: Duration = Duration::from_secs(2);

/// Shows a deployment whenever it has changed: as a bar if standard error is a terminal, as lines
/// otherwise. Gives the exit code that tells how it ended.
pub(super) async fn watch(id: &str, remote: &Remote) -> Result<ExitCode, Failure> {
    let client = remote.client()?;
    let on_terminal = io::stderr().is_terminal() && !remote.json();
    let bar = bar(on_terminal);
    let mut told = None;
    loop {
        let found = client.deployment(id).await?;
        let verdict = Verdict::of(&found);
        show_on(&bar, &found);
        let line = line(&found);
        if !on_terminal && told.as_ref() != Some(&line) {
            let text = match remote.json() {
                true => format!("{}\n", versioned("deployment", &found)?),
                false => format!("{}\n", harmless(&line)),
            };
            if print_more(&text)?.is_break() {
                return Ok(ExitCode::SUCCESS);
            }
            told = Some(line);
        }
        if let Some(verdict) = verdict {
            bar.finish_and_clear();
            if on_terminal {
                // Whether anybody reads it changes nothing any more.
                let _ = print_more(&lines(&found))?;
            }
            return Ok(verdict.code());
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

/// How a deployment has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// All have it.
    Well,
    /// Some have failed, or it has stopped.
    Failed,
    /// To some it was not offered.
    NotOffered,
    /// It was ended before its time.
    Aborted,
}

impl Verdict {
    /// How it has ended, as far as the reader sees it; `None` as long as it goes on.
    fn of(deployment: &Deployment) -> Option<Self> {
        let count = |how: &str| deployment.devices.get(how).copied().unwrap_or(0);
        let not_offered = count("no-artifact") + count("older");
        let ended = count("success") + count("already-installed") + count("failure") + not_offered;
        match deployment.state.as_str() {
            "aborted" => return Some(Self::Aborted),
            "stopped" => return Some(Self::Failed),
            // What stands never ends; what all have come to the end of is shown as ended.
            "running" if deployment.stands && ended == all(deployment) => {}
            "ended" => {}
            _ => return None,
        }
        Some(match (count("failure"), not_offered) {
            (0, 0) => Self::Well,
            (0, _) => Self::NotOffered,
            (_, _) => Self::Failed,
        })
    }

    fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Well => 0,
            Self::Failed => 3,
            Self::NotOffered => 4,
            Self::Aborted => 5,
        })
    }
}

fn all(deployment: &Deployment) -> u64 {
    deployment.devices.values().sum()
}

/// What a line says of it.
fn line(deployment: &Deployment) -> String {
    let why = deployment.why.as_ref();
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    format!("{}{why}: {}", state(deployment), counts(deployment))
}

fn bar(on_terminal: bool) -> ProgressBar {
    if !on_terminal {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn show_on(bar: &ProgressBar, deployment: &Deployment) {
    let ends = [
        "success",
        "failure",
        "already-installed",
        "no-artifact",
        "older",
        "aborted",
    ];
    let ended = ends.iter().filter_map(|end| deployment.devices.get(*end));
    bar.set_length(all(deployment));
    bar.set_position(ended.sum());
    bar.set_message(harmless(&line(deployment)));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn verdict(state: &str, stands: bool, devices: &serde_json::Value) -> Option<Verdict> {
        let deployment = json!({
            "id": "dp-1", "release": "fort-1", "by": "anna", "created": "", "state": state,
            "stands": stands, "phase": 1, "phases": ["100%"], "next_at": "100%",
            "devices": devices,
        });
        Verdict::of(&serde_json::from_value(deployment).unwrap())
    }

    #[test]
    fn the_exit_code_tells_how_it_ended_and_there_is_none_before() {
        for (state, stands, devices, right) in [
            ("running", false, json!({"pending": 1}), None),
            ("paused", false, json!({"pending": 1}), None),
            ("ended", false, json!({"success": 2}), Some(Verdict::Well)),
            (
                "ended",
                false,
                json!({"success": 2, "failure": 1}),
                Some(Verdict::Failed),
            ),
            (
                "ended",
                false,
                json!({"success": 2, "older": 1}),
                Some(Verdict::NotOffered),
            ),
            (
                "stopped",
                false,
                json!({"pending": 9, "failure": 1}),
                Some(Verdict::Failed),
            ),
            (
                "aborted",
                false,
                json!({"success": 1, "aborted": 1}),
                Some(Verdict::Aborted),
            ),
            ("running", true, json!({"success": 2}), Some(Verdict::Well)),
            ("running", true, json!({"success": 2, "pending": 1}), None),
        ] {
            assert_eq!(verdict(state, stands, &devices), right, "{state} {devices}");
        }
    }
}
