//! `outgate webhook`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use outgate_client::{Client, NewWebhook, Webhook, WebhookChange};

use crate::output::Failure;
use crate::remote::secret::Out;
use crate::remote::{Listing, Remote, ask, lasting, or_dash, properties, wait};

use super::consumer::done;

mod letters;

/// `outgate webhook`: back ends to which events are pushed.
#[derive(Args)]
#[command(
    after_help = "Requests are signed as Standard Webhooks says; the secret is told when the \
webhook is made and when it is rotated. A message that its receiver turns down again and again is \
set aside as a dead letter, and the next one is sent.

Examples:
  outgate webhook add https://billing.example/outgate --title Billing --out billing.secret
  outgate webhook list
  outgate webhook dead-letters wh-0123456789abcdefghjk
  outgate webhook redeliver wh-0123456789abcdefghjk --all

Exit codes: 0 done, 1 the hub cannot be reached, 2 bad input, 3 refused"
)]
pub(crate) struct WebhookArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Make one.
    Add(AddArgs),
    /// List them, and what is wrong with each.
    List(Listing),
    /// Show one, without its secret.
    Show {
        /// Which
        webhook: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Change its title, where its requests go, or how many events each carries.
    Change(ChangeArgs),
    /// Send nothing to it until it is resumed; its events are kept meanwhile.
    Pause {
        /// Which
        webhook: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Send to it again. One that was stopped begins after the newest event.
    Resume {
        /// Which
        webhook: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Give it a new secret; the one before signs beside it for a while.
    Rotate {
        /// Which
        webhook: String,
        /// For how long the secret before goes on signing, as 12h, up to 7d; a day otherwise
        #[arg(long, value_name = "TIME", value_parser = lasting::seconds)]
        overlap: Option<u64>,
        #[command(flatten)]
        out: Out,
        #[command(flatten)]
        remote: Remote,
    },
    /// Remove it, with its place among the events and its dead letters.
    Remove {
        /// Which
        webhook: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// List what it did not take, oldest first.
    DeadLetters {
        /// Whose
        webhook: String,
        #[command(flatten)]
        listing: Listing,
    },
    /// Send dead letters again, soon and out of their order.
    Redeliver(letters::RedeliverArgs),
    /// Forget dead letters.
    Discard(letters::DiscardArgs),
}

#[derive(Args)]
struct AddArgs {
    /// Where requests go: https, unless the hub's configuration says `plain-http-to`
    url: String,
    /// What people call it
    #[arg(long)]
    title: Option<String>,
    /// Only events of this site
    #[arg(long)]
    site: Option<String>,
    /// Only events of this device
    #[arg(long)]
    device: Option<String>,
    /// Only events whose name begins so
    #[arg(long)]
    prefix: Option<String>,
    /// How many events a request may carry; with more than 1 the body is an array
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    batch: Option<u32>,
    /// Begin after this place; after the newest event otherwise
    #[arg(long, value_name = "PLACE")]
    after: Option<u64>,
    #[command(flatten)]
    out: Out,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
struct ChangeArgs {
    /// Which
    webhook: String,
    #[command(flatten)]
    what: What,
    /// Only if it still has this version (see `outgate webhook show --json`)
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
#[group(required = true, multiple = true)]
struct What {
    /// What people are to call it
    #[arg(long)]
    title: Option<String>,
    /// Where requests are to go
    #[arg(long)]
    url: Option<String>,
    /// How many events a request may carry
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    batch: Option<u32>,
}

impl WebhookArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.act.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Act {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Add(args) => args.run().await,
            Self::List(listing) => {
                let headings = ["webhook", "title", "url", "state", "failing since", "dead"];
                listing
                    .show("webhooks", Client::webhooks, headings, row)
                    .await
            }
            Self::Show { webhook, remote } => {
                let found = remote.client()?.webhook(&webhook).await?;
                remote.show("webhook", &found, lines)
            }
            Self::Change(args) => args.run().await,
            Self::Pause { webhook, remote } => activate(&webhook, false, &remote).await,
            Self::Resume { webhook, remote } => activate(&webhook, true, &remote).await,
            Self::Rotate {
                webhook,
                overlap,
                out,
                remote,
            } => {
                let client = remote.client()?;
                let rotated = client.rotate_webhook(&webhook, overlap).await?;
                let secret = rotated.secret.expose();
                out.tell_alone(&remote, "rotated", &rotated, secret, |rotated| {
                    properties([("secret", rotated.secret.expose().to_owned())])
                })
            }
            Self::Remove {
                webhook,
                yes,
                remote,
            } => {
                let question = format!("Remove {webhook}, its place and its dead letters?");
                ask::confirm(&question, yes)?;
                remote.client()?.remove_webhook(&webhook).await?;
                done(&remote, "removed", &webhook)
            }
            Self::DeadLetters { webhook, listing } => letters::list(&webhook, &listing).await,
            Self::Redeliver(args) => args.run().await,
            Self::Discard(args) => args.run().await,
        }
    }
}

impl AddArgs {
    async fn run(self) -> Result<(), Failure> {
        let new = NewWebhook {
            title: self.title.unwrap_or_default(),
            url: self.url,
            site: self.site,
            device: self.device,
            prefix: self.prefix,
            batch: self.batch,
            after: self.after,
        };
        let made = self.remote.client()?.create_webhook(&new).await?;
        let secret = made.secret.expose();
        self.out
            .tell_alone(&self.remote, "made", &made, secret, |made| {
                let secret = properties([("secret", made.secret.expose().to_owned())]);
                format!("{}{secret}", lines(&made.webhook))
            })
    }
}

impl ChangeArgs {
    async fn run(self) -> Result<(), Failure> {
        let change = WebhookChange {
            title: self.what.title,
            url: self.what.url,
            batch: self.what.batch,
            active: None,
        };
        let client = self.remote.client()?;
        let changed = client.change_webhook(&self.webhook, &change, self.if_version);
        self.remote.show("webhook", &changed.await?, lines)
    }
}

async fn activate(webhook: &str, active: bool, remote: &Remote) -> Result<(), Failure> {
    let change = WebhookChange {
        active: Some(active),
        ..WebhookChange::default()
    };
    let changed = remote
        .client()?
        .change_webhook(webhook, &change, None)
        .await?;
    remote.show("webhook", &changed, lines)
}

fn row(webhook: &Webhook) -> [String; 6] {
    [
        webhook.id.clone(),
        webhook.title.clone(),
        webhook.url.clone(),
        webhook.state.clone(),
        or_dash(webhook.failure.as_ref().map(|failure| &failure.since)),
        webhook.letters.to_string(),
    ]
}

fn lines(webhook: &Webhook) -> String {
    let mut pairs = vec![
        ("webhook", webhook.id.clone()),
        ("title", webhook.title.clone()),
        ("url", webhook.url.clone()),
        ("events", wanted(webhook)),
        ("batch", webhook.batch.to_string()),
        ("state", webhook.state.clone()),
        ("created", webhook.created.clone()),
        ("dead letters", webhook.letters.to_string()),
    ];
    if let Some(failure) = &webhook.failure {
        pairs.extend([
            ("failing since", failure.since.clone()),
            ("attempts", failure.attempts.to_string()),
            ("why", failure.why.clone()),
            ("next try", or_dash(failure.next_try.as_ref())),
        ]);
    }
    properties(pairs)
}

/// Which events it wants.
fn wanted(webhook: &Webhook) -> String {
    let filters = [
        ("of the site", &webhook.site),
        ("of the device", &webhook.device),
        ("beginning with", &webhook.prefix),
    ];
    let filters = filters.iter().filter_map(|(what, filter)| {
        let filter = filter.as_ref()?;
        Some(format!("{what} {filter}"))
    });
    let filters: Vec<String> = filters.collect();
    match filters.is_empty() {
        true => "every".to_owned(),
        false => filters.join(", "),
    }
}
