//! `outgate file`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use outgate_client::{Client, File, Grant, GrantIssued, NewFileGrant};
use tempfile::NamedTempFile;

use crate::output::Failure;
use crate::remote::content::{bar, read};
use crate::remote::secret::Out;
use crate::remote::{Listing, Remote, ask, lasting, or_dash, properties, wait};

use super::consumer::done;
use super::device::ended;

/// `outgate file`: files to and from single devices, each with its own key.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate file send terminal-7 staff.csv --for 7d
  outgate file request terminal-7 logs/today.txt
  outgate file list terminal-7
  outgate file get terminal-7 logs/today.txt --to today.txt
  outgate file grants terminal-7
  outgate file revoke terminal-7 gr-0123456789abcdefghjk")]
pub(crate) struct FileArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Put a file into a device's drop folder, and tell the device to fetch it.
    Send(SendArgs),
    /// Tell a device to send a file.
    Request {
        /// Whom
        device: String,
        /// Which file, as logs/today.txt
        name: String,
        #[command(flatten)]
        lasts: Lasts,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the files of a device's drop folder.
    List {
        /// Whose
        device: String,
        #[command(flatten)]
        listing: Listing,
    },
    /// Get a file of a device's drop folder.
    Get {
        /// Whose
        device: String,
        /// Which
        name: String,
        /// Where to, in place of the name's last step here
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Make an address with a key for a file, without telling the device.
    Grant {
        /// Whose file
        device: String,
        /// Which, whether or not there is one yet
        name: String,
        /// What it lets do
        #[arg(value_enum)]
        verb: Verb,
        #[command(flatten)]
        lasts: Lasts,
        #[command(flatten)]
        out: Out,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the grants for a device's files, the newest first.
    Grants {
        /// Whose
        device: String,
        #[command(flatten)]
        listing: Listing,
    },
    /// Revoke a grant: what goes on by it is broken off.
    Revoke {
        /// Whose
        device: String,
        /// Which
        grant: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Remove a file from a device's drop folder.
    Delete {
        /// Whose
        device: String,
        /// Which
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Args)]
struct SendArgs {
    /// To whom
    device: String,
    /// The file
    file: PathBuf,
    /// What the device knows it by; the file's own name otherwise
    #[arg(long)]
    name: Option<String>,
    /// Its media type; made out from the name otherwise
    #[arg(long = "type", value_name = "TYPE")]
    content_type: Option<String>,
    #[command(flatten)]
    lasts: Lasts,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
struct Lasts {
    /// For how long, as 10m or 7d; 30 days otherwise, which is also the most
    #[arg(long = "for", value_name = "TIME", value_parser = lasting::seconds)]
    lasts: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Verb {
    /// Read the file
    Read,
    /// Make it, or put something else in its place
    Write,
    /// Remove it
    Delete,
}

impl FileArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.act.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Act {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Send(args) => args.run().await,
            Self::Request {
                device,
                name,
                lasts: Lasts { lasts },
                remote,
            } => request(&remote, &device, told(&name, "write", lasts)).await,
            Self::List { device, listing } => {
                let headings = ["file", "bytes", "type", "changed"];
                let files = |client: &Client| client.files(&device);
                listing.show("files", files, headings, row).await
            }
            Self::Get {
                device,
                name,
                to,
                remote,
            } => get(&remote, &device, &name, to).await,
            Self::Grant {
                device,
                name,
                verb,
                lasts: Lasts { lasts },
                out,
                remote,
            } => {
                let grant = NewFileGrant {
                    deliver: false,
                    ..told(&name, verb.word(), lasts)
                };
                give(&remote, &out, &device, grant).await
            }
            Self::Grants { device, listing } => {
                let headings = ["grant", "file", "verb", "by", "expires", "used", "revoked"];
                let grants = |client: &Client| client.grants(&device);
                listing.show("grants", grants, headings, grant_row).await
            }
            Self::Revoke {
                device,
                grant,
                remote,
            } => {
                let revoked = remote.client()?.revoke_grant(&device, &grant).await?;
                remote.show("revoked", &revoked, ended)
            }
            Self::Delete {
                device,
                name,
                yes,
                remote,
            } => {
                ask::confirm(&format!("Remove {name} of {device}?"), yes)?;
                remote.client()?.remove_file(&device, &name).await?;
                done(&remote, "removed", &name)
            }
        }
    }
}

/// Asks the device for a file, by a grant that it is told of.
async fn request(remote: &Remote, device: &str, grant: NewFileGrant<'_>) -> Result<(), Failure> {
    let issued = remote.client()?.grant_file(device, grant).await?;
    remote.show("file", &issued, issued_lines)
}

/// Gives a grant, and tells its address to whoever asked and to nobody else.
async fn give(
    remote: &Remote,
    out: &Out,
    device: &str,
    grant: NewFileGrant<'_>,
) -> Result<(), Failure> {
    let issued = remote.client()?.grant_file(device, grant).await?;
    let url = issued.url.clone().unwrap_or_default();
    out.tell_alone(remote, "file", &issued, &url, issued_lines)
}

impl SendArgs {
    async fn run(self) -> Result<(), Failure> {
        let own = || self.file.file_name()?.to_str().map(str::to_owned);
        let name = self.name.clone().or_else(own);
        let name = name.ok_or_else(|| {
            Failure::input("the file's name cannot be that of one of a device; give --name")
        })?;
        let content_type = self.content_type.clone().unwrap_or_else(|| {
            let guess = mime_guess::from_path(&name).first_or_octet_stream();
            guess.essence_str().to_owned()
        });
        let (client, device) = (self.remote.client()?, &self.device);
        let (size, content) = read(&self.file).map_err(Failure::Input)?;
        let at = (device.as_str(), name.as_str());
        client.put_file(at, &content_type, size, content).await?;
        let grant = told(&name, "read", self.lasts.lasts);
        let issued = client.grant_file(device, grant).await?;
        self.remote.show("file", &issued, issued_lines)
    }
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
        }
    }
}

/// A grant that the device is told of.
fn told<'a>(name: &'a str, verb: &'static str, lasts: Option<u64>) -> NewFileGrant<'a> {
    NewFileGrant {
        name,
        verb,
        lasts,
        deliver: true,
    }
}

/// Gets a file, which is there as a whole or not at all.
async fn get(
    remote: &Remote,
    device: &str,
    name: &str,
    to: Option<PathBuf>,
) -> Result<(), Failure> {
    let last = name.rsplit('/').next().unwrap_or(name);
    let to = to.unwrap_or_else(|| PathBuf::from(last));
    let folder = match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let failed = |error: io::Error| {
        let error = anyhow::Error::new(error);
        Failure::Input(error.context(format!("failed to write {}", to.display())))
    };
    let mut download = remote.client()?.file(device, name).await?;
    let mut file = NamedTempFile::new_in(folder).map_err(failed)?;
    let bar = bar(download.size());
    while let Some(bytes) = download.next().await? {
        file.write_all(&bytes).map_err(failed)?;
        bar.inc(u64::try_from(bytes.len()).unwrap_or_default());
    }
    bar.finish_and_clear();
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&to).map_err(|error| failed(error.error))?;
    done(remote, "written", &to.display().to_string())
}

fn row(file: &File) -> [String; 4] {
    [
        file.name.clone(),
        file.size.to_string(),
        file.content_type.clone(),
        file.changed.clone(),
    ]
}

fn grant_row(grant: &Grant) -> [String; 7] {
    [
        grant.id.clone(),
        grant.name.clone(),
        grant.verb.clone(),
        grant.by.clone(),
        grant.expires.clone(),
        or_dash(grant.used.as_ref()),
        or_dash(grant.revoked.as_ref()),
    ]
}

fn issued_lines(issued: &GrantIssued) -> String {
    let grant = &issued.grant;
    let mut pairs = vec![
        ("grant", grant.id.clone()),
        ("file", grant.name.clone()),
        ("verb", grant.verb.clone()),
        ("expires", grant.expires.clone()),
    ];
    pairs.extend(issued.command.clone().map(|command| ("command", command)));
    pairs.extend(issued.url.clone().map(|url| ("url", url)));
    properties(pairs)
}
