//! `outgate fleet-key`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use outgate_client::{Client, FleetKey, NewFleetKey, Token};

use crate::output::Failure;
use crate::remote::secret::Out;
use crate::remote::{Listing, Remote, ask, lasting, or_dash, properties, wait};
use crate::terminal::hidden;

/// The most bytes of a key that is typed.
const MAX_KEY: u64 = 256;

/// `outgate fleet-key`: keys with which new devices enrol.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate fleet-key add --site store-12 --ids 'till-*' --uses 20 --for 7d --out fleet.json
  outgate fleet-key revoke fk-0123456789abcdefghjk")]
pub(crate) struct FleetKeyArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Make one.
    Add {
        /// Where its devices will stand
        #[arg(long)]
        site: String,
        /// Which names they may have; `*` stands for any number of characters
        #[arg(long, value_name = "PATTERN", default_value = "*")]
        ids: String,
        /// How many may enrol with it
        #[arg(long, value_name = "N", default_value_t = 1)]
        uses: u32,
        /// For how long, as 12h or 7d
        #[arg(long = "for", value_name = "TIME", default_value = "1d", value_parser = lasting::seconds)]
        lasts: u64,
        /// From where, as 192.0.2.0/24 (may be repeated); everywhere otherwise
        #[arg(long, value_name = "NETWORK")]
        from: Vec<String>,
        /// Take a key that devices know already instead of making one: it is asked for, or read
        /// from the standard input, in base 64
        #[arg(long)]
        known: bool,
        #[command(flatten)]
        out: Out,
        #[command(flatten)]
        remote: Remote,
    },
    /// List them.
    List(Listing),
    /// Let nobody enrol with it any more. Devices that have stay.
    Revoke {
        /// Which
        fleet_key: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        remote: Remote,
    },
}

impl FleetKeyArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.act.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Act {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Add {
                site,
                ids,
                uses,
                lasts,
                from,
                known,
                out,
                remote,
            } => {
                let key = known.then(known_key).transpose()?;
                let new = NewFleetKey {
                    key,
                    site,
                    ids,
                    uses,
                    lasts,
                    from,
                };
                let made = remote.client()?.create_fleet_key(&new).await?;
                out.tell(&remote, "made", &made, |made| {
                    let key = properties([("key", made.key.expose().to_owned())]);
                    format!("{}{key}", lines(&made.fleet_key))
                })
            }
            Self::List(listing) => {
                let headings = ["fleet key", "site", "ids", "used", "expires", "revoked"];
                listing
                    .show("fleet_keys", Client::fleet_keys, headings, row)
                    .await
            }
            Self::Revoke {
                fleet_key,
                yes,
                remote,
            } => {
                ask::confirm(&format!("Revoke the fleet key {fleet_key}?"), yes)?;
                let revoked = remote.client()?.revoke_fleet_key(&fleet_key).await?;
                remote.show("fleet_key", &revoked, lines)
            }
        }
    }
}

/// A key that devices know already.
fn known_key() -> Result<Token, Failure> {
    let text = hidden("Key, in base 64: ", MAX_KEY)?;
    Token::new(&text).ok_or_else(|| Failure::input("no key was given"))
}

fn row(key: &FleetKey) -> [String; 6] {
    [
        key.id.clone(),
        key.site.clone(),
        key.ids.clone(),
        format!("{} of {}", key.used, key.uses),
        key.expires.clone(),
        or_dash(key.revoked.as_ref()),
    ]
}

fn lines(key: &FleetKey) -> String {
    let [id, site, ids, used, expires, revoked] = row(key);
    properties([
        ("fleet key", id),
        ("site", site),
        ("ids", ids),
        ("used", used),
        ("expires", expires),
        ("revoked", revoked),
        ("from", key.from.join(" ")),
    ])
}
