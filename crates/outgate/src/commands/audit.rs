//! `outgate audit`.

use std::process::ExitCode;

use clap::Args;
use outgate_client::{AuditEntry, Client, Verified};

use crate::output::Failure;
use crate::remote::{Listing, or_dash, wait};

/// `outgate audit`: what was done by whom, newest first.
#[derive(Args)]
#[command(
    after_help = "Each entry is bound to the one before by its digest. Note the newest \
digest elsewhere now and then: then nobody can rewrite what came before.

Examples:
  outgate audit --limit 20
  outgate audit --verify

Exit codes: 0 done, 1 the hub cannot be reached, 2 bad input, 3 refused, or the chain is broken"
)]
pub(crate) struct AuditArgs {
    /// Have the hub go through the whole chain
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    listing: Listing,
}

impl AuditArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(async {
            if self.verify {
                let remote = &self.listing.remote;
                let verified = remote.client()?.verify_audit().await?;
                remote.show("verified", &verified, said)?;
                return Ok(match verified {
                    Verified::Whole { .. } => ExitCode::SUCCESS,
                    Verified::Broken { .. } => ExitCode::from(3),
                });
            }
            let headings = ["place", "at", "who", "from", "act", "on"];
            let list = self.listing.show("entries", Client::audit, headings, row);
            list.await?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

fn row(entry: &AuditEntry) -> [String; 6] {
    [
        entry.seq.to_string(),
        entry.at.clone(),
        entry.who.clone(),
        or_dash(entry.from.as_ref()),
        entry.act.clone(),
        entry.on.clone(),
    ]
}

fn said(verified: &Verified) -> String {
    match verified {
        Verified::Whole { entries, head } => {
            format!("whole: {entries} entries, the newest has the digest {head}\n")
        }
        Verified::Broken { at } => {
            format!("BROKEN: entry {at} does not follow from the one before\n")
        }
    }
}
