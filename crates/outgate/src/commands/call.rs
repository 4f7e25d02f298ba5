//! `outgate call`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::output::{Failure, print, say};
use crate::remote::payload::PayloadArgs;
use crate::remote::{Remote, lasting, versioned, wait};
use crate::table::harmless;

/// From this status on a device's answer is a refusal, as of HTTP.
const REFUSAL: i32 = 400;

/// `outgate call`: ask a device that is connected now, and wait for its answer.
#[derive(Args)]
#[command(
    after_help = "The answer goes to standard output, its status to standard error.

Example:
  outgate call till-7 read-counter --payload '{\"counter\":3}' --deadline 10s

Exit codes: 0 answered, 1 the hub cannot be reached, 2 bad input,
            3 refused: not connected, no answer in time, or the device answered 400 or more"
)]
pub(crate) struct CallArgs {
    /// Whom
    device: String,
    /// What to ask
    method: String,
    #[command(flatten)]
    payload: PayloadArgs,
    /// How long to wait for the answer, up to 300s
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = lasting::seconds)]
    deadline: u64,
    #[command(flatten)]
    remote: Remote,
}

impl CallArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let (content_type, payload) = self.payload.read()?;
        let client = self.remote.client()?;
        let deadline = Duration::from_secs(self.deadline.min(300));
        let answer = wait(async {
            let call = client.call(
                &self.device,
                &self.method,
                &content_type,
                &payload,
                deadline,
            );
            Ok(call.await?)
        })?;
        if self.remote.json() {
            crate::output::json(&versioned("answer", &answer)?)?;
        } else {
            say(&format!("{} answered {}", self.device, answer.status));
            let text = String::from_utf8_lossy(&answer.payload.bytes()).into_owned();
            if !text.is_empty() {
                print(&format!("{}\n", harmless(&text)))?;
            }
        }
        let code = if answer.status >= REFUSAL { 3 } else { 0 };
        Ok(ExitCode::from(code))
    }
}
