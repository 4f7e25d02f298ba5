//! `outgate live`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use outgate_client::{Client, NewTable, Table};

use crate::output::{Failure, read_bounded};
use crate::remote::{Listing, Remote, ask, properties, wait};

use super::consumer::done;

/// The most bytes of a table; the hub takes no more.
const MAX_TABLE: usize = 16 << 20;

/// `outgate live`: tables that devices look things up in.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate live load cards cards.csv --key card --site store-12
  outgate live load prices prices.json
  outgate live drop prices")]
pub(crate) struct LiveArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Load a table from a file, in the place of the one of that name.
    Load {
        /// What devices ask it by: /live/NAME/KEY
        name: String,
        /// The file, in CSV or JSON
        file: PathBuf,
        /// By which column rows are known; in CSV the first otherwise, in JSON the names of an object
        #[arg(long, value_name = "COLUMN")]
        key: Option<String>,
        /// Whose devices may ask it, in place of one of the same name for all sites
        #[arg(long)]
        site: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// List them.
    List(Listing),
    /// Remove one.
    Drop {
        /// Which
        name: String,
        /// That of this site; the one for all sites otherwise
        #[arg(long)]
        site: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        remote: Remote,
    },
}

impl LiveArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.act.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Act {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Load {
                name,
                file,
                key,
                site,
                remote,
            } => {
                let content = read_bounded(&file, MAX_TABLE).map_err(Failure::Input)?;
                let new = NewTable {
                    name: &name,
                    site: site.as_deref(),
                    key: key.as_deref(),
                    content_type: content_type(&file)?,
                    content: content.into(),
                };
                let loaded = remote.client()?.load_table(new).await?;
                remote.show("table", &loaded, lines)
            }
            Self::List(listing) => {
                let headings = ["table", "site", "rows", "bytes", "loaded"];
                listing.show("tables", Client::tables, headings, row).await
            }
            Self::Drop {
                name,
                site,
                yes,
                remote,
            } => {
                ask::confirm(&format!("Take {name} from the devices?"), yes)?;
                remote
                    .client()?
                    .remove_table(&name, site.as_deref())
                    .await?;
                done(&remote, "removed", &name)
            }
        }
    }
}

fn content_type(file: &Path) -> Result<String, Failure> {
    let extension = file.extension().and_then(|extension| extension.to_str());
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("csv" | "tsv" | "txt") => Ok("text/csv".to_owned()),
        Some("json") => Ok("application/json".to_owned()),
        Some(_) | None => Err(Failure::input("a table is a file .csv or .json")),
    }
}

fn row(table: &Table) -> [String; 5] {
    [
        table.name.clone(),
        table.site.clone().unwrap_or_else(|| "every".to_owned()),
        table.rows.to_string(),
        table.bytes.to_string(),
        table.loaded.clone(),
    ]
}

fn lines(table: &Table) -> String {
    let [name, site, rows, bytes, loaded] = row(table);
    properties([
        ("table", name),
        ("site", site),
        ("rows", rows),
        ("bytes", bytes),
        ("loaded", loaded),
    ])
}
