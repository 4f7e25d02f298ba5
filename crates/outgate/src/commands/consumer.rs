//! `outgate consumer`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use outgate_client::{Client, Consumer, EventFilter};
use serde_json::json;

use crate::output::{Failure, say};
use crate::remote::{Listing, Remote, VERSION, ask, properties, wait};

use super::events;

/// `outgate consumer`: places among the events that the hub keeps for back ends.
#[derive(Args)]
#[command(
    after_help = "What a consumer has not taken is kept for it, so one that nobody needs any \
more should be removed. Those of webhooks and services are listed too; they move on by themselves.

Examples:
  outgate consumer add billing
  outgate consumer take billing --advance --json | ./into-the-ledger
  outgate consumer list

Exit codes: 0 done, 1 the hub cannot be reached, 2 bad input, 3 refused"
)]
pub(crate) struct ConsumerArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Keep a place for one. Does nothing when there is one already.
    Add {
        /// Its name
        consumer: String,
        /// Begin after this place; after the newest event otherwise
        #[arg(long, value_name = "PLACE")]
        after: Option<u64>,
        #[command(flatten)]
        remote: Remote,
    },
    /// List them, and how far each is.
    List(Listing),
    /// Show the next events of one. They are given again until its place moves on.
    Take(TakeArgs),
    /// Move one on, never back: events up to there need not be kept for it.
    Advance {
        /// Which
        consumer: String,
        /// The place of the last event that was seen to
        place: u64,
        #[command(flatten)]
        remote: Remote,
    },
    /// Keep nothing for one any more.
    Remove {
        /// Which
        consumer: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Args)]
#[command(after_help = "With --json an object a line.")]
struct TakeArgs {
    /// Which
    consumer: String,
    /// Only of this device
    #[arg(long)]
    device: Option<String>,
    /// Only whose name begins so
    #[arg(long)]
    prefix: Option<String>,
    /// Take at most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    /// Move the consumer on once all of them have been written
    #[arg(long)]
    advance: bool,
    #[command(flatten)]
    remote: Remote,
}

impl ConsumerArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.act.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Act {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Add {
                consumer,
                after,
                remote,
            } => {
                let client = remote.client()?;
                let kept = client.register_consumer(&consumer, after).await?;
                remote.show("consumer", &kept, lines)
            }
            Self::List(listing) => {
                let headings = ["consumer", "place", "behind", "since"];
                listing
                    .show("consumers", Client::consumers, headings, row)
                    .await
            }
            Self::Take(args) => args.run().await,
            Self::Advance {
                consumer,
                place,
                remote,
            } => {
                let client = remote.client()?;
                client.advance_consumer(&consumer, place).await?;
                done(&remote, "advanced", &consumer)
            }
            Self::Remove {
                consumer,
                yes,
                remote,
            } => {
                ask::confirm(&format!("Keep nothing for {consumer} any more?"), yes)?;
                remote.client()?.remove_consumer(&consumer).await?;
                done(&remote, "removed", &consumer)
            }
        }
    }
}

impl TakeArgs {
    async fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let filter = EventFilter {
            device: self.device,
            prefix: self.prefix,
        };
        let part = client
            .take_events(&self.consumer, &filter, self.limit)
            .await?;
        for event in &part.items {
            // Whoever did not read it all has not taken it.
            if events::show(event, &self.remote)?.is_break() {
                return Ok(());
            }
        }
        if self.advance {
            client.advance_consumer(&self.consumer, part.next).await?;
        } else if !part.items.is_empty() {
            say(&format!(
                "given again until `outgate consumer advance {} {}`",
                self.consumer, part.next
            ));
        }
        Ok(())
    }
}

/// Tells that something without an answer was done.
pub(super) fn done(remote: &Remote, what: &str, on: &str) -> Result<(), Failure> {
    if remote.json() {
        return crate::output::json(&json!({ "version": VERSION, what: on }));
    }
    say(&format!("{on} is {what}"));
    Ok(())
}

fn row(consumer: &Consumer) -> [String; 4] {
    let since = match consumer.behind {
        0 => "-".to_owned(),
        _ => consumer.moved.clone(),
    };
    let (place, behind) = (consumer.place.to_string(), consumer.behind.to_string());
    [consumer.id.clone(), place, behind, since]
}

fn lines(consumer: &Consumer) -> String {
    let [id, place, behind, _] = row(consumer);
    properties([("consumer", id), ("place", place), ("behind", behind)])
}
