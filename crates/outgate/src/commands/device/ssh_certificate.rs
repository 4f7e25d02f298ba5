//! `outgate device ssh-certificate`.

use std::path::PathBuf;

use clap::Args;
use outgate_client::SshCertificate;
use outgate_wire::ssh::KEY_LINE_MAX;

use crate::output::{Failure, deliver, read_bounded, say};
use crate::remote::{Remote, lasting};

/// `outgate device ssh-certificate`.
#[derive(Args)]
#[command(
    after_help = "The certificate counts for one account of this device and at no other. Written \
beside the key, as id-cert.pub for the key id, ssh finds it by itself. It cannot be taken back: it \
ends by itself. SSH is off at the device until somebody there switches it on.

Examples:
  outgate device ssh-certificate cube-7 --user technician --key id.pub --out id-cert.pub
  ssh -i id technician@cube-7.local"
)]
pub(crate) struct SshCertificateArgs {
    /// Which
    device: String,
    /// The account on the device
    #[arg(long, value_name = "ACCOUNT")]
    user: String,
    /// The public key of whoever is to log in
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// For how long, as 30m (unless given) or 12h (the most)
    #[arg(long = "for", value_name = "TIME", value_parser = lasting::seconds)]
    lasts: Option<u64>,
    /// Write the certificate to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

impl SshCertificateArgs {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let bytes = read_bounded(&self.key, KEY_LINE_MAX).map_err(Failure::Input)?;
        let shown = self.key.display();
        let key = String::from_utf8(bytes)
            .ok()
            .filter(|text| !text.contains("PRIVATE KEY"))
            .ok_or_else(|| Failure::input(format!("{shown} is no public key: give FILE.pub")))?;
        let client = self.remote.client()?;
        let signed = client.sign_ssh(&self.device, &self.user, key.trim(), self.lasts);
        let signed = signed.await?;
        let line = |signed: &SshCertificate| format!("{}\n", signed.certificate);
        match &self.out {
            Some(file) => deliver(&line(&signed), Some(file))?,
            None => self.remote.show("ssh-certificate", &signed, line)?,
        }
        say(&format!("it counts until {}", signed.expires));
        Ok(())
    }
}
