//! `outgate device`.

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use futures_util::TryStreamExt;
use outgate_client::{Client, Credential, Device, DeviceFilter, KeptLogs, Revoked, SshSwitch};
use serde_json::json;

use crate::output::{Failure, counted, print};
use crate::remote::secret::Out;
use crate::remote::{Listing, Remote, VERSION, ask, or_dash, properties, rows, wait};
use crate::table::harmless;

mod credentials;
mod enroll;
mod ssh_certificate;
mod tags;

/// `outgate device`: the boxes that connect.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate device add till-7 --site store-12
  outgate device credential till-7 --keys --out till-7.json
  outgate device list --site store-12 --state active
  outgate device policy till-7 shop
  outgate device tag till-7 canary ring=first
  outgate device revoke till-7

Exit codes: 0 done, 1 the hub cannot be reached, 2 bad input, 3 refused")]
pub(crate) struct DeviceArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Make one, without credentials.
    Add {
        /// Its name, one in the whole hub
        device: String,
        /// Where it stands
        #[arg(long)]
        site: String,
        /// The name of its topic policy
        #[arg(long)]
        policy: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// List them.
    List {
        /// Only of this site
        #[arg(long)]
        site: Option<String>,
        /// Only in this state
        #[arg(long, value_parser = ["active", "awaits-approval", "revoked"])]
        state: Option<String>,
        /// Only whose name begins so
        #[arg(long)]
        prefix: Option<String>,
        /// Only those that have this tag
        #[arg(long)]
        tag: Option<String>,
        #[command(flatten)]
        listing: Listing,
    },
    /// Show one and its credentials, without their secrets.
    Show {
        /// Which
        device: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Show the name of its topic policy, or give it another.
    Policy(PolicyArgs),
    /// Show its tags, or give it some and take others away.
    Tag(tags::TagArgs),
    /// Print the certificates of the hub's own authority, which signs devices' requests.
    Authority {
        #[command(flatten)]
        remote: Remote,
    },
    /// Give it a credential.
    Credential(credentials::AddArgs),
    /// Replace a credential; the old one stays valid for a while.
    Rotate(credentials::RotateArgs),
    /// Let somebody log in to it over SSH, for a while.
    SshCertificate(ssh_certificate::SshCertificateArgs),
    /// Enrol with a fleet key, as the device itself would.
    Enroll(enroll::EnrollArgs),
    /// Let in one that has enrolled again under a known name.
    Approve {
        /// Which
        device: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Let it in no more, or not with one credential; its connections are cut off at once.
    Revoke {
        /// Which
        device: String,
        /// Only this credential
        #[arg(long, value_name = "CREDENTIAL")]
        credential: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Let it in again, with a new pair of keys in the place of all that it had.
    Restore(RestoreArgs),
}

#[derive(Args)]
#[command(
    after_help = "Policies are in the hub's configuration, but for `own-subtree`, which every \
device has otherwise. When the policy changes, the device's connections are closed; it comes again \
under the new one.

Examples:
  outgate device policy till-7
  outgate device policy till-7 shop"
)]
struct PolicyArgs {
    /// Whose
    device: String,
    /// The policy to give it
    policy: Option<String>,
    /// Only if the device still has this version (see `outgate device show --json`)
    #[arg(long, value_name = "VERSION", requires = "policy")]
    if_version: Option<u64>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
struct RestoreArgs {
    /// Which
    device: String,
    /// By what it had, and no new keys: when it was revoked by mistake
    #[arg(long, conflicts_with = "out")]
    keep_credentials: bool,
    #[command(flatten)]
    out: Out,
    #[command(flatten)]
    remote: Remote,
}

impl RestoreArgs {
    async fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        if self.keep_credentials {
            let device = client.restore_device(&self.device).await?;
            return self.remote.show("device", &device, lines);
        }
        let issued = client.restore_device_anew(&self.device).await?;
        credentials::tell(&self.out, &self.remote, &issued)
    }
}

impl DeviceArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.act.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl PolicyArgs {
    async fn run(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let device = match &self.policy {
            Some(policy) => client.set_policy(&self.device, policy, self.if_version),
            None => return self.tell(&client.device(&self.device).await?),
        };
        self.tell(&device.await?)
    }

    fn tell(&self, device: &Device) -> Result<(), Failure> {
        let name = |device: &Device| harmless(&format!("{}\n", device.policy));
        self.remote.show("device", device, name)
    }
}

impl Act {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Add {
                device,
                site,
                policy,
                remote,
            } => {
                let client = remote.client()?;
                let made = client.create_device(&device, &site, policy.as_deref());
                remote.show("device", &made.await?, lines)
            }
            Self::List {
                site,
                state,
                prefix,
                tag,
                listing,
            } => {
                let filter = DeviceFilter {
                    site,
                    state,
                    prefix,
                    tag,
                };
                list(&filter, &listing).await
            }
            Self::Show { device, remote } => show(&device, &remote).await,
            Self::Policy(args) => args.run().await,
            Self::Tag(args) => args.run().await,
            Self::Authority { remote } => {
                let chain = remote.client()?.authority().await?;
                remote.show("authority", &chain, |chain| chain.clone())
            }
            Self::Credential(args) => args.run().await,
            Self::Rotate(args) => args.run().await,
            Self::SshCertificate(args) => args.run().await,
            Self::Enroll(args) => args.run().await,
            Self::Approve { device, remote } => {
                let device = remote.client()?.approve_device(&device).await?;
                remote.show("device", &device, lines)
            }
            Self::Revoke {
                device,
                credential,
                yes,
                remote,
            } => revoke(&device, credential.as_deref(), yes, &remote).await,
            Self::Restore(args) => args.run().await,
        }
    }
}

async fn list(filter: &DeviceFilter, listing: &Listing) -> Result<(), Failure> {
    let headings = ["device", "site", "state", "connected", "seen", "policy"];
    let row = |device: &Device| {
        [
            device.id.clone(),
            device.site.clone(),
            device.state.clone(),
            yes_or_no(device.connected),
            or_dash(device.seen.as_ref()),
            device.policy.clone(),
        ]
    };
    let devices = |client: &Client| client.devices(filter);
    listing.show("devices", devices, headings, row).await
}

async fn show(device: &str, remote: &Remote) -> Result<(), Failure> {
    let client: Client = remote.client()?;
    let found = client.device(device).await?;
    let credentials: Vec<Credential> = client.credentials(device).try_collect().await?;
    if remote.json() {
        return crate::output::json(&json!({
            "version": VERSION,
            "device": found,
            "credentials": credentials,
        }));
    }
    let headings = ["credential", "kind", "label", "state", "used", "expires"];
    let row = |one: &Credential| {
        [
            one.id.clone(),
            one.kind.clone(),
            one.label.clone(),
            one.state.clone(),
            or_dash(one.used.as_ref()),
            or_dash(one.expires.as_ref()),
        ]
    };
    let table = rows(headings, credentials.iter().map(row));
    print(&format!("{}\n{table}", lines(&found)))
}

async fn revoke(
    device: &str,
    credential: Option<&str>,
    yes: bool,
    remote: &Remote,
) -> Result<(), Failure> {
    let client = remote.client()?;
    let revoked = match credential {
        Some(credential) => {
            ask::confirm(&format!("Revoke {credential} of {device}?"), yes)?;
            client.revoke_credential(device, credential).await?
        }
        None => {
            ask::confirm(&format!("Cut off the device {device}?"), yes)?;
            client.revoke_device(device).await?
        }
    };
    remote.show("revoked", &revoked, ended)
}

fn lines(device: &Device) -> String {
    let about = [
        ("device", device.id.clone()),
        ("site", device.site.clone()),
        ("state", device.state.clone()),
        ("connected", yes_or_no(device.connected)),
        ("policy", device.policy.clone()),
        ("created", device.created.clone()),
        ("seen", or_dash(device.seen.as_ref())),
    ];
    let logs = device.logs.as_ref().map(|logs| ("logs", kept(logs)));
    let ssh = device.ssh.as_ref().map(|ssh| ("ssh", switched(ssh)));
    properties(about.into_iter().chain(logs).chain(ssh))
}

/// How much is kept of what a device logs, for people.
fn kept(logs: &KeptLogs) -> String {
    let records = usize::try_from(logs.records).unwrap_or(usize::MAX);
    let records = counted(records, "record");
    match &logs.latest {
        None => records,
        Some(latest) => format!(
            "{records}, {} KiB, latest {latest}",
            logs.bytes.div_ceil(1_024)
        ),
    }
}

/// How a device's SSH is, as it has said last, for people.
fn switched(ssh: &SshSwitch) -> String {
    match ssh.until.as_ref().filter(|_| ssh.on) {
        Some(until) => format!("on until {until}"),
        None => "off".to_owned(),
    }
}

/// What a revocation did, for people.
pub(crate) fn ended(revoked: &Revoked) -> String {
    let ended = usize::try_from(revoked.ended).unwrap_or(usize::MAX);
    let closed = counted(ended, "connection");
    match revoked.lingering {
        0 => format!("revoked; {closed} ended\n"),
        left => format!("revoked; {closed} ended, {left} of them not closed yet\n"),
    }
}

fn yes_or_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

/// Reads a certificate request.
fn read_request(file: &Path) -> Result<String, Failure> {
    let bytes = crate::output::read_bounded(file, MAX_REQUEST).map_err(Failure::Input)?;
    String::from_utf8(bytes)
        .map_err(|_| Failure::input(format!("{} is no request in PEM", file.display())))
}

/// The most bytes of a certificate request; the hub takes no more.
const MAX_REQUEST: usize = 16 * 1024;
