//! `outgate device credential` and `rotate`.

use std::path::PathBuf;

use clap::Args;
use outgate_client::{Issued, NewCredential};

use crate::output::Failure;
use crate::remote::secret::{Out, issued_lines};
use crate::remote::{Remote, lasting};

use super::read_request;

/// `outgate device credential`.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate device credential till-7 --keys --out till-7.json
  outgate device credential till-7 --request till-7.csr --for 90d")]
pub(crate) struct AddArgs {
    /// Whose
    device: String,
    #[command(flatten)]
    kind: Kind,
    /// For how long, as 12h or 90d
    #[arg(long = "for", value_name = "TIME", value_parser = lasting::seconds)]
    lasts: Option<u64>,
    #[command(flatten)]
    out: Out,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Kind {
    /// A pair of symmetric keys
    #[arg(long)]
    keys: bool,
    /// A token; what it is for
    #[arg(long, value_name = "LABEL")]
    token: Option<String>,
    /// A certificate that it has already, by its SHA-256 in hexadecimal
    #[arg(long, value_name = "SHA256")]
    thumbprint: Option<String>,
    /// A key pair that it has already, by its public half in PEM: how a Mender client comes in
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// A certificate for this request (PKCS #10, PEM)
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
}

/// `outgate device rotate`.
#[derive(Args)]
#[command(
    after_help = "The new credential is pending until the device has used it; the old one \
stays valid for the overlap after that.

Example:
  outgate device rotate till-7 cr-0123456789abcdefghjk --overlap 1d --out new.json"
)]
pub(crate) struct RotateArgs {
    /// Whose
    device: String,
    /// Which (see `outgate device show`)
    credential: String,
    /// For how long the old one stays valid, as 12h or 1d
    #[arg(long, value_name = "TIME", value_parser = lasting::seconds)]
    overlap: Option<u64>,
    /// For a certificate: the new request (PKCS #10, PEM)
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    #[command(flatten)]
    out: Out,
    #[command(flatten)]
    remote: Remote,
}

impl AddArgs {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let lasts = self.lasts;
        let new = match self.kind {
            Kind {
                token: Some(label), ..
            } => NewCredential::Token { label, lasts },
            Kind {
                thumbprint: Some(thumbprint),
                ..
            } => NewCredential::Thumbprint(thumbprint.replace(':', "")),
            Kind {
                public_key: Some(file),
                ..
            } => NewCredential::PublicKey(read_request(&file)?),
            Kind {
                request: Some(file),
                ..
            } => NewCredential::Certificate {
                request: read_request(&file)?,
                lasts,
            },
            Kind { .. } => NewCredential::Keys,
        };
        let client = self.remote.client()?;
        let issued = client.add_credential(&self.device, &new).await?;
        tell(&self.out, &self.remote, &issued)
    }
}

/// Tells several credentials that are told only once.
pub(super) fn tell(out: &Out, remote: &Remote, issued: &Vec<Issued>) -> Result<(), Failure> {
    out.tell(remote, "issued", issued, |issued| {
        let texts: Vec<String> = issued.iter().map(issued_lines).collect();
        texts.join("\n")
    })
}

impl RotateArgs {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let request = self.request.as_deref().map(read_request).transpose()?;
        let client = self.remote.client()?;
        let issued = client
            .rotate(
                &self.device,
                &self.credential,
                self.overlap,
                request.as_deref(),
            )
            .await?;
        self.out.tell(&self.remote, "issued", &issued, issued_lines)
    }
}
