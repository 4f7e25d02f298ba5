//! `outgate release`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use outgate_client::{Client, Release, ReleaseKey};

use crate::output::{Failure, read_bounded};
use crate::remote::{Listing, Remote, ask, content, or_dash, properties, wait};

/// The most bytes of a key; the hub takes no more.
const MAX_KEY: usize = 16 * 1024;

/// `outgate release`: what devices are updated to.
#[derive(Args)]
#[command(
    after_help = "A release is a Mender artifact of version 3 that one of the trusted keys has \
signed. Its name is what a device is on afterwards.

Examples:
  outgate release trust signing.pub --label 'build server'
  outgate release add fort-1.2.mender
  outgate deploy fort-1.2 --site store-12"
)]
pub(crate) struct ReleaseArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Add one, if it is whole and a trusted key has signed it.
    Add {
        /// The artifact
        file: PathBuf,
        #[command(flatten)]
        remote: Remote,
    },
    /// List them.
    List(Listing),
    /// Offer one to no device any more, and end its deployments.
    Retire {
        /// Which
        release: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Trust what a key has signed.
    Trust {
        /// Its public half, in PEM
        key: PathBuf,
        /// What people call it
        #[arg(long)]
        label: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the keys.
    Keys(Listing),
    /// Trust a key no more, and retire what it has signed.
    Distrust {
        /// Which (see `outgate release keys`)
        key: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        remote: Remote,
    },
}

impl ReleaseArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.act.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Act {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Add { file, remote } => {
                let client = remote.client()?;
                let (size, artifact) = content::read(&file).map_err(Failure::Input)?;
                let added = client.add_release(size, artifact).await?;
                remote.show("release", &added, lines)
            }
            Self::List(listing) => {
                let headings = ["release", "for", "bytes", "added", "retired"];
                listing
                    .show("releases", Client::releases, headings, row)
                    .await
            }
            Self::Retire {
                release,
                yes,
                remote,
            } => {
                ask::confirm(&format!("Retire {release}, and end its deployments?"), yes)?;
                let retired = remote.client()?.retire_release(&release).await?;
                remote.show("release", &retired, lines)
            }
            Self::Trust { key, label, remote } => {
                let pem = read_bounded(&key, MAX_KEY).map_err(Failure::Input)?;
                let pem = String::from_utf8(pem);
                let pem = pem.map_err(|_| Failure::input("the key is no text in PEM"))?;
                let added = remote.client()?.add_release_key(&label, &pem).await?;
                remote.show("key", &added, key_lines)
            }
            Self::Keys(listing) => {
                let headings = ["key", "label", "thumbprint", "added", "revoked"];
                listing
                    .show("keys", Client::release_keys, headings, key_row)
                    .await
            }
            Self::Distrust { key, yes, remote } => {
                ask::confirm(
                    &format!("Trust {key} no more, and retire what it signed?"),
                    yes,
                )?;
                let revoked = remote.client()?.revoke_release_key(&key).await?;
                remote.show("key", &revoked, key_lines)
            }
        }
    }
}

fn row(release: &Release) -> [String; 5] {
    [
        release.name.clone(),
        release.device_types.join(" "),
        release.size.to_string(),
        release.added.clone(),
        or_dash(release.retired.as_ref()),
    ]
}

fn lines(release: &Release) -> String {
    let [name, types, bytes, added, retired] = row(release);
    let on = release.depends_on.join(" ");
    properties([
        ("release", name),
        ("for", types),
        ("from", if on.is_empty() { "any".to_owned() } else { on }),
        ("payload", or_dash(release.payload_type.as_ref())),
        (
            "may go back",
            if release.may_go_back { "yes" } else { "no" }.to_owned(),
        ),
        ("signed by", release.signed_by.clone()),
        ("bytes", bytes),
        ("sha256", release.sha256.clone()),
        ("added", added),
        ("retired", retired),
    ])
}

fn key_row(key: &ReleaseKey) -> [String; 5] {
    [
        key.id.clone(),
        key.label.clone(),
        key.thumbprint.clone(),
        key.added.clone(),
        or_dash(key.revoked.as_ref()),
    ]
}

fn key_lines(key: &ReleaseKey) -> String {
    let [id, label, thumbprint, added, revoked] = key_row(key);
    properties([
        ("key", id),
        ("label", label),
        ("thumbprint", thumbprint),
        ("added", added),
        ("revoked", revoked),
    ])
}
