//! `outgate rules`.

use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use outgate_manifest::view::SCHEMA;
use outgate_manifest::{Lane, Target};
use outgate_render::rules::addresses::Addresses;
use outgate_render::rules::{Entry, Rules, RulesRequest, WHOLE_FILE, target, targets};
use serde::Serialize;

use crate::library;
use crate::output::{Failure, deliver, json, print, say};
use crate::site::{SiteArgs, warn_of_language};
use crate::table::{cells, shown, table};

/// The most addresses of one name that are taken.
const MAX_ADDRESSES: usize = 64;

/// `outgate rules`: firewall rules for a product.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate rules --targets
  outgate rules starface --for csv --without yealink-cloud > starface.csv
  outgate rules open-pos --for nftables --resolve --address device=192.0.2.10 -o open-pos.nft
  outgate rules capitech --for nftables --address AzureCloud.westeurope=20.50.0.0/18,20.61.0.0/16

What a target cannot say is never left out silently: it is listed on standard error, in the
rules themselves, and with --json.")]
pub(crate) struct RulesArgs {
    /// A built-in product (see `outgate profiles`) or the path of a manifest
    #[arg(required_unless_present = "targets")]
    profile: Option<String>,
    /// What the rules are for
    #[arg(
        long = "for",
        value_name = "TARGET",
        required_unless_present = "targets"
    )]
    target: Option<String>,
    /// List the targets
    #[arg(long, exclusive = true)]
    targets: bool,
    #[command(flatten)]
    site: SiteArgs,
    /// The addresses of a destination or party, as addresses and networks (may be repeated)
    #[arg(long, value_name = "DESTINATION=ADDRESS,…")]
    address: Vec<String>,
    /// A party beside the device from which nothing may pass but what is declared (may be repeated)
    #[arg(long, value_name = "PARTY", value_delimiter = ',')]
    judge: Vec<String>,
    /// Look up the addresses that names have now
    #[arg(long)]
    resolve: bool,
    /// The language of the texts
    #[arg(long, value_name = "LANGUAGE", default_value = "en")]
    lang: String,
    /// Write the rules to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print JSON: the rules, and for every lane how well they say it
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

#[derive(Serialize)]
struct RulesView<'a> {
    schema: u32,
    product: &'a str,
    target: &'a str,
    rules: &'a str,
    ledger: &'a [Entry],
}

impl RulesArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let (Some(profile), Some(word)) = (&self.profile, &self.target) else {
            return list_targets();
        };
        let manifest = library::load(profile)?;
        let target = target(word).ok_or_else(|| unknown_target(word))?;
        let selection = self.site.selection(&manifest, None)?;
        let lanes = manifest.lanes(&selection)?;
        warn_of_language(&manifest, &self.lang);
        let addresses = self.addresses(&lanes)?;
        let rules = target.render(&RulesRequest {
            manifest: &manifest,
            selection: &selection,
            lanes: &lanes,
            addresses: &addresses,
            judged: &self.judge.iter().cloned().collect(),
            language: &self.lang,
        });
        self.hand_out(manifest.product().id.as_str(), target.id(), &rules)?;
        Ok(ExitCode::SUCCESS)
    }

    fn addresses(&self, lanes: &[Lane]) -> Result<Addresses, Failure> {
        let mut addresses = Addresses::default();
        for given in &self.address {
            addresses
                .read(given)
                .map_err(|error| Failure::Input(error.into()))?;
        }
        if self.resolve {
            for lane in lanes {
                let Target::Name(name) = &lane.to else {
                    continue;
                };
                if addresses.knows(name.as_str()) {
                    continue;
                }
                match (name.as_str(), 0).to_socket_addrs() {
                    Ok(found) => {
                        let found = found.map(|one| one.ip().into()).take(MAX_ADDRESSES);
                        let added = addresses.add(name.as_str(), found);
                        added.map_err(|error| Failure::Input(error.into()))?;
                    }
                    Err(error) => say(&format!("warning: failed to resolve {name}: {error}")),
                }
            }
        }
        Ok(addresses)
    }

    fn hand_out(&self, product: &str, target: &str, rules: &Rules) -> Result<(), Failure> {
        for unused in &rules.unused {
            say(&format!("warning: {unused}"));
        }
        if self.json {
            let (rules, ledger) = (rules.text.as_str(), rules.ledger.as_slice());
            return json(&RulesView {
                schema: SCHEMA,
                product,
                target,
                rules,
                ledger,
            });
        }
        deliver(&rules.text, self.output.as_deref())?;
        for gap in rules.gaps() {
            let mut line = format!("{}: ", gap.expression.as_str());
            if gap.flow != WHOLE_FILE {
                line.push_str(&format!("{}: ", gap.flow));
            }
            line.push_str(&gap.lane);
            for more in [&gap.reason, &gap.workaround].into_iter().flatten() {
                line.push_str(&format!("; {more}"));
            }
            say(&line);
        }
        Ok(())
    }
}

fn list_targets() -> Result<ExitCode, Failure> {
    let mut rows = table(&["target", "what it is"]);
    for target in targets() {
        rows.add_row(cells([target.id(), target.describe()]));
    }
    print(&shown(&rows))?;
    Ok(ExitCode::SUCCESS)
}

fn unknown_target(word: &str) -> Failure {
    let known: Vec<&str> = targets().iter().map(|target| target.id()).collect();
    Failure::unknown("target", word, &known)
}
