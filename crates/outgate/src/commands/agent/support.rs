//! `outgate agent support`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{Place, local};
use crate::answer::{rows, versioned, wait};
use crate::output::{Failure, print, say};
use crate::table::harmless;

/// `outgate agent support`: what remote support is asked for here, and whether it is allowed.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate agent support list
  outgate agent support allow su-0123456789abcdefghjk --by 'cashier 7'

Exit codes: 0 done, 2 bad input, 3 the agent does not answer, or there is no such session")]
pub(super) struct SupportArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// What is asked for, what goes on, and what is over
    List(ListArgs),
    /// Allow a session
    Allow(DecideArgs),
    /// Do not allow a session
    Refuse(DecideArgs),
    /// End a session, at once
    End(DecideArgs),
}

#[derive(Args)]
struct ListArgs {
    #[command(flatten)]
    place: Place,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct DecideArgs {
    /// The session, as `list` names it
    session: String,
    /// Who decides, as the hub is told
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    #[command(flatten)]
    place: Place,
}

impl SupportArgs {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.act {
            Act::List(list) => list.run(),
            Act::Allow(decide) => decide.run("allow"),
            Act::Refuse(decide) => decide.run("refuse"),
            Act::End(decide) => decide.run("end"),
        }
    }
}

impl ListArgs {
    fn run(&self) -> Result<ExitCode, Failure> {
        let config = self.place.read()?;
        let sessions = wait(local::get(&config, "support"))?;
        if self.json {
            print(&format!("{:#}\n", versioned("support", &sessions)?))?;
            return Ok(ExitCode::SUCCESS);
        }
        let text = |session: &Value, name: &str| match session.get(name) {
            Some(Value::String(text)) => harmless(text),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) | None => "-".to_owned(),
        };
        let listed = sessions.as_array().into_iter().flatten();
        let lines = listed.map(|one| {
            ["session", "state", "operator", "what", "until", "reason"].map(|name| text(one, name))
        });
        let headings = ["SESSION", "STATE", "OPERATOR", "WHAT", "UNTIL", "REASON"];
        print(&rows(headings, lines))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl DecideArgs {
    fn run(&self, decision: &str) -> Result<ExitCode, Failure> {
        let config = self.place.read()?;
        let path = ["support", &self.session, decision];
        wait(local::post(&config, &path, self.by.as_deref()))?;
        say(&format!("{}: {decision}", self.session));
        Ok(ExitCode::SUCCESS)
    }
}
