//! `outgate device enroll`.

use std::path::PathBuf;

use clap::Args;
use outgate_client::{Client, Context, Enrolment, Token};
use serde::Deserialize;

use crate::output::{Failure, read_bounded, say};
use crate::remote::Remote;
use crate::remote::secret::{Out, issued_lines};

use super::read_request;

/// The most bytes of a file with a fleet key.
const MAX_KEY_FILE: usize = 64 * 1024;

/// `outgate device enroll`.
#[derive(Args)]
#[command(
    after_help = "Needs no token: the fleet key is the proof. The device gets a key of its \
own, or a certificate for its own request. A name that is known already waits for `outgate device \
approve`.

Example:
  outgate fleet-key add --site store-12 --ids 'till-*' --out fleet.json
  outgate device enroll till-7 --fleet-key fleet.json --out till-7.json"
)]
pub(crate) struct EnrollArgs {
    /// The name it wants
    device: String,
    /// The file that `outgate fleet-key add --out` wrote
    #[arg(long, value_name = "FILE")]
    fleet_key: PathBuf,
    /// A certificate request (PKCS #10, PEM), when it wants a certificate
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    #[command(flatten)]
    out: Out,
    #[command(flatten)]
    remote: Remote,
}

/// What `outgate fleet-key add` wrote, as far as it matters here.
#[derive(Deserialize)]
struct KeyFile {
    made: Made,
}

#[derive(Deserialize)]
struct Made {
    fleet_key: Named,
    key: Token,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

impl EnrollArgs {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let shown = self.fleet_key.display();
        let bytes = read_bounded(&self.fleet_key, MAX_KEY_FILE).map_err(Failure::Input)?;
        let file: KeyFile = serde_json::from_slice(&bytes).map_err(|_| {
            Failure::input(format!(
                "{shown} is not what `outgate fleet-key add --out` writes"
            ))
        })?;
        let enrolment = Enrolment {
            fleet_key: file.made.fleet_key.id,
            key: file.made.key,
            device: self.device,
            request: self.request.as_deref().map(read_request).transpose()?,
        };
        let context = Context {
            token: None,
            ..self.remote.context()?
        };
        let enrolled = Client::new(&context)?.enrol(&enrolment).await?;
        if enrolled.enrolment != "welcome" {
            say("the name is known already: an operator has to approve");
        }
        self.out.tell(&self.remote, "enrolled", &enrolled, |it| {
            issued_lines(&it.issued)
        })
    }
}
