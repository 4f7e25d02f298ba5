//! `outgate asset`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use outgate_client::{Asset, Client};

use crate::output::{Failure, read_bounded};
use crate::remote::{Listing, Remote, ask, properties, wait};

use super::consumer::done;

/// The most bytes of an asset; the hub takes no more.
const MAX_ASSET: usize = 256 << 20;

/// `outgate asset`: files that devices hold a copy of.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate asset add logo.png --name images/logo.png
  outgate asset add prices.json --site store-12
  outgate asset remove images/logo.png")]
pub(crate) struct AssetArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Make one of a file, or change the one of that name.
    Add {
        /// The file
        file: PathBuf,
        /// What devices know it by; the file's own name otherwise
        #[arg(long)]
        name: Option<String>,
        /// Whose devices hold it, in place of one of the same name for all sites
        #[arg(long)]
        site: Option<String>,
        /// Its media type; made out from the name otherwise
        #[arg(long = "type", value_name = "TYPE")]
        content_type: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// List them.
    List(Listing),
    /// Take one from the devices' list.
    Remove {
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

impl AssetArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.act.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Act {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Add {
                file,
                name,
                site,
                content_type,
                remote,
            } => {
                let own = || file.file_name()?.to_str().map(str::to_owned);
                let name = name.or_else(own).ok_or_else(|| {
                    Failure::input("the file's name cannot be that of an asset; give --name")
                })?;
                let content = read_bounded(&file, MAX_ASSET).map_err(Failure::Input)?;
                let guess = || {
                    let guess = mime_guess::from_path(&name).first_or_octet_stream();
                    guess.essence_str().to_owned()
                };
                let content_type = content_type.unwrap_or_else(guess);
                let client = remote.client()?;
                let made = client.put_asset(&name, site.as_deref(), content_type, content.into());
                remote.show("asset", &made.await?, lines)
            }
            Self::List(listing) => {
                let headings = ["asset", "site", "bytes", "type", "changed"];
                listing.show("assets", Client::assets, headings, row).await
            }
            Self::Remove {
                name,
                site,
                yes,
                remote,
            } => {
                ask::confirm(&format!("Take {name} from the devices?"), yes)?;
                let client = remote.client()?;
                client.remove_asset(&name, site.as_deref()).await?;
                done(&remote, "removed", &name)
            }
        }
    }
}

fn row(asset: &Asset) -> [String; 5] {
    [
        asset.name.clone(),
        asset.site.clone().unwrap_or_else(|| "every".to_owned()),
        asset.size.to_string(),
        asset.content_type.clone(),
        asset.changed.clone(),
    ]
}

fn lines(asset: &Asset) -> String {
    let [name, site, bytes, content_type, changed] = row(asset);
    properties([
        ("asset", name),
        ("site", site),
        ("bytes", bytes),
        ("type", content_type),
        ("sha256", asset.sha256.clone()),
        ("changed", changed),
    ])
}
