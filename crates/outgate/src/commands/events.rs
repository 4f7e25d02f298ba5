//! `outgate events`.

use std::ops::ControlFlow;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use outgate_client::{Client, Error, Event, EventFilter, Tailed};

use crate::output::{Failure, print_more, say};
use crate::remote::payload::line;
use crate::remote::{Remote, versioned, wait};
use crate::table::harmless;

/// How many events are asked for at a time.
const AT_A_TIME: u32 = 500;

/// `outgate events`: what devices say.
#[derive(Args)]
pub(crate) struct EventsArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Show events, oldest first: those that are kept, or with --follow those that come.
    Tail(TailArgs),
}

/// `outgate events tail`.
#[derive(Args)]
#[command(
    after_help = "With --json an object a line. With --follow a broken connection is taken \
up again where it broke off, without loss.

Examples:
  outgate events tail --follow --device till-7
  outgate events tail --after 1042 --json | jq -r .event.name"
)]
struct TailArgs {
    /// Only those after this place
    #[arg(long, value_name = "PLACE")]
    after: Option<u64>,
    /// Only of this device
    #[arg(long)]
    device: Option<String>,
    /// Only whose name begins so
    #[arg(long)]
    prefix: Option<String>,
    /// Wait for those that come, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    remote: Remote,
}

impl EventsArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let Act::Tail(args) = self.act;
        wait(args.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl TailArgs {
    async fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let filter = EventFilter {
            device: self.device.clone(),
            prefix: self.prefix.clone(),
        };
        if self.follow {
            self.follow(&client, &filter).await
        } else {
            self.kept(&client, &filter).await
        }
    }

    async fn kept(&self, client: &Client, filter: &EventFilter) -> Result<(), Failure> {
        let mut place = self.after.unwrap_or(0);
        let newest = client.status().await?.newest_event;
        // What comes meanwhile is left to the next time, or this would never end.
        while place < newest {
            let part = match client.events(filter, place, AT_A_TIME).await {
                Ok(part) => part,
                Err(Error::Refused(problem)) if self.after.is_none() && place == 0 => {
                    let Some(oldest) = problem.oldest else {
                        return Err(Error::Refused(problem).into());
                    };
                    place = oldest.saturating_sub(1).max(1);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for event in part.items.iter().filter(|event| event.place <= newest) {
                if self.show(event)?.is_break() {
                    return Ok(());
                }
            }
            if part.next <= place {
                break;
            }
            place = part.next;
        }
        Ok(())
    }

    async fn follow(&self, client: &Client, filter: &EventFilter) -> Result<(), Failure> {
        let mut tail = client.follow_events(filter, self.after);
        loop {
            match tail.next().await? {
                Tailed::Item(event) => {
                    if self.show(&event)?.is_break() {
                        return Ok(());
                    }
                }
                Tailed::Broken { why, wait } => {
                    let wait = wait.as_secs_f32();
                    say(&format!("{why}; trying again in {wait:.1} s"));
                }
            }
        }
    }

    fn show(&self, event: &Event) -> Result<ControlFlow<()>, Failure> {
        show(event, &self.remote)
    }
}

/// Shows one event, in a line.
pub(super) fn show(event: &Event, remote: &Remote) -> Result<ControlFlow<()>, Failure> {
    if remote.json() {
        return print_more(&format!("{}\n", versioned("event", event)?));
    }
    let text = format!(
        "{}  {}  {}  {}  {}",
        event.place,
        event.received,
        event.device,
        event.name,
        line(&event.payload)
    );
    print_more(&format!("{}\n", harmless(&text).replace('\n', " ")))
}
