//! In which form a check's result is told, and where.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use outgate_check::{Language, Mask, PlanView, Report, html, junit, tell_texts};
use outgate_probe::{Path, Secrets};
use outgate_render::rules::{Target, target, targets};
use serde::Serialize;

use super::table::{plan_table, report_tables};
use crate::output::{Failure, deliver};

/// How the result is told.
#[derive(Args, Clone)]
#[command(next_help_heading = "How the result is told")]
pub(crate) struct FormArgs {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Print JUnit's XML, for continuous integration
    #[arg(long, conflicts_with_all = ["json", "plan"])]
    junit: bool,
    /// Print one HTML page to send to support: verdict, causes, evidence
    #[arg(long, conflicts_with_all = ["json", "junit", "plan"])]
    html: bool,
    /// Write to FILE instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The language of causes, of what to do about them, and of the page: sv, nb, de or en
    #[arg(long, value_name = "LANGUAGE", default_value_t)]
    pub(super) lang: Language,
    /// Put beside each cause the rules for this firewall that mend it, as `outgate rules` makes them
    #[arg(long, value_name = "TARGET", conflicts_with = "plan", value_parser = firewalls())]
    firewall: Option<String>,
    /// Replace the addresses of this network by names, before the result is sent on
    #[arg(long)]
    mask_addresses: bool,
}

/// The firewalls that there are rules for.
fn firewalls() -> PossibleValuesParser {
    let known = targets().iter();
    PossibleValuesParser::new(known.map(|one| PossibleValue::new(one.id()).help(one.describe())))
}

impl FormArgs {
    /// The firewall to write rules for.
    pub(super) fn firewall(&self) -> Option<&'static dyn Target> {
        self.firewall.as_deref().and_then(target)
    }

    /// Tells what would be sent on a path.
    pub(super) fn tell_plan(&self, view: &PlanView, path: &Path) -> Result<(), Failure> {
        let mut veil = self.veil(path, Mask::on(path));
        let text = if self.json {
            written(view, &mut veil, true)?
        } else {
            plan_table(view, &mut |text| veil.text(text))
        };
        deliver(&text, self.output.as_deref())
    }

    /// Tells what was found on a path. `product` is the product's name.
    pub(super) fn tell(&self, report: &Report, path: &Path, product: &str) -> Result<(), Failure> {
        let mut veil = self.veil_of(report, path);
        let text = if self.json {
            written(report, &mut veil, true)?
        } else if self.junit {
            let xml = junit(report).context("failed to write XML");
            veil.text(&xml.map_err(Failure::Internal)?)
        } else if self.html {
            veil.text(&html(report, product, self.mask_addresses))
        } else {
            report_tables(report, &mut |text| veil.text(text))
        };
        deliver(&text, self.output.as_deref())
    }

    /// What is not told of a report.
    pub(super) fn veil_of(&self, report: &Report, path: &Path) -> Veil {
        self.veil(path, Mask::of(report, path))
    }

    fn veil(&self, path: &Path, mask: Mask) -> Veil {
        Veil {
            secrets: path.secrets(),
            mask: self.mask_addresses.then_some(mask),
        }
    }
}

/// A value as JSON on several lines, or on one.
pub(super) fn written(
    value: &impl Serialize,
    veil: &mut Veil,
    pretty: bool,
) -> Result<String, Failure> {
    let written = serde_json::to_value(value).and_then(|mut value| {
        tell_texts(&mut value, &mut |text| veil.text(text));
        if pretty {
            serde_json::to_string_pretty(&value)
        } else {
            serde_json::to_string(&value)
        }
    });
    let text = written.context("failed to write JSON");
    Ok(text.map_err(Failure::Internal)? + "\n")
}

/// What is not told, in whatever form: logins never, even where a peer sends them back, and the
/// customer's addresses if they are to be masked.
pub(super) struct Veil {
    secrets: Secrets,
    mask: Option<Mask>,
}

impl Veil {
    /// The text without what is not told.
    pub(super) fn text(&mut self, text: &str) -> String {
        let told = self.secrets.hide(text);
        match &mut self.mask {
            Some(mask) => mask.text(&told),
            None => told,
        }
    }
}
