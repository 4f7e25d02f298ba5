//! `outgate webhook dead-letters`, `redeliver` and `discard`.

use clap::Args;
use futures_util::TryStreamExt;
use outgate_client::{Client, Error, Letter};
use serde_json::json;

use crate::output::{Failure, counted, say};
use crate::remote::payload::line;
use crate::remote::{Listing, Remote, VERSION, ask};

/// HTTP: there is none such.
const NOT_FOUND: u16 = 404;

/// The most characters of a body in a table; `--json` has the whole of it.
const MAX_SHOWN: usize = 80;

/// Which letters.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Which, by their numbers (see `outgate webhook dead-letters`)
    #[arg(value_name = "LETTER")]
    letters: Vec<u64>,
    /// All that there are now
    #[arg(long)]
    all: bool,
}

/// `outgate webhook redeliver`.
#[derive(Args)]
#[command(
    override_usage = "outgate webhook redeliver [OPTIONS] <WEBHOOK> <LETTER>...
       outgate webhook redeliver [OPTIONS] <WEBHOOK> --all",
    after_help = "A letter is forgotten once its receiver has taken it.

Examples:
  outgate webhook redeliver wh-0123456789abcdefghjk 3 4
  outgate webhook redeliver wh-0123456789abcdefghjk --all"
)]
pub(super) struct RedeliverArgs {
    /// Whose
    webhook: String,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    remote: Remote,
}

/// `outgate webhook discard`.
#[derive(Args)]
#[command(
    override_usage = "outgate webhook discard [OPTIONS] <WEBHOOK> <LETTER>...
       outgate webhook discard [OPTIONS] <WEBHOOK> --all",
    after_help = "Example:
  outgate webhook discard wh-0123456789abcdefghjk 3"
)]
pub(super) struct DiscardArgs {
    /// Whose
    webhook: String,
    #[command(flatten)]
    which: Which,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn list(webhook: &str, listing: &Listing) -> Result<(), Failure> {
    let headings = ["letter", "events", "set aside", "attempts", "why", "body"];
    let letters = |client: &Client| client.letters(webhook);
    listing.show("letters", letters, headings, row).await
}

impl RedeliverArgs {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let mut done = Vec::new();
        for letter in self.which.of(&client, &self.webhook).await? {
            let asked = client.redeliver_letter(&self.webhook, letter).await;
            self.which.note(asked, letter, &mut done)?;
        }
        tell(&self.remote, "redelivered", &done, "to be sent again")
    }
}

impl DiscardArgs {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let letters = self.which.of(&client, &self.webhook).await?;
        if !letters.is_empty() {
            let number = counted(letters.len(), "dead letter");
            ask::confirm(&format!("Forget {number} of {}?", self.webhook), self.yes)?;
        }
        let mut done = Vec::new();
        for letter in letters {
            let asked = client.discard_letter(&self.webhook, letter).await;
            self.which.note(asked, letter, &mut done)?;
        }
        tell(&self.remote, "discarded", &done, "forgotten")
    }
}

impl Which {
    async fn of(&self, client: &Client, webhook: &str) -> Result<Vec<u64>, Failure> {
        if !self.all {
            return Ok(self.letters.clone());
        }
        let letters: Vec<Letter> = client.letters(webhook).try_collect().await?;
        Ok(letters.iter().map(|letter| letter.seq).collect())
    }

    /// Notes what came of one. Of all of them one may be gone by now, as it was wanted.
    fn note(
        &self,
        asked: Result<(), Error>,
        letter: u64,
        done: &mut Vec<u64>,
    ) -> Result<(), Failure> {
        match asked {
            Ok(()) => done.push(letter),
            Err(Error::Refused(problem)) if self.all && problem.status == NOT_FOUND => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

fn tell(remote: &Remote, name: &str, letters: &[u64], what: &str) -> Result<(), Failure> {
    if remote.json() {
        return crate::output::json(&json!({ "version": VERSION, name: letters }));
    }
    say(&format!("{} {what}", counted(letters.len(), "dead letter")));
    Ok(())
}

fn row(letter: &Letter) -> [String; 6] {
    let events = match letter.first_place == letter.last_place {
        true => letter.first_place.to_string(),
        false => format!("{} to {}", letter.first_place, letter.last_place),
    };
    let why = match letter.again {
        true => format!("{}; is sent again", letter.why),
        false => letter.why.clone(),
    };
    let body = line(&letter.body);
    [
        letter.seq.to_string(),
        events,
        letter.at.clone(),
        letter.attempts.to_string(),
        why,
        body.chars().take(MAX_SHOWN).collect(),
    ]
}
