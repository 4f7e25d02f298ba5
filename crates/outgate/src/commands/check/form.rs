//! In which form a check's result is told, and where.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use outgate_check::{Language, Mask, PlanView, Report, html, junit};
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

    /// Tells what would be sent.
    pub(super) fn tell_plan(&self, view: &PlanView) -> Result<(), Failure> {
        let text = if self.json {
            self.written(view, Mask::default(), true)?
        } else {
            self.masked(plan_table(view), Mask::default())
        };
        deliver(&text, self.output.as_deref())
    }

    /// Tells what was found. `product` is the product's name.
    pub(super) fn tell(&self, report: &Report, product: &str) -> Result<(), Failure> {
        let text = if self.json {
            self.json(report, true)?
        } else if self.junit {
            let xml = junit(report).context("failed to write XML");
            self.masked(xml.map_err(Failure::Internal)?, Mask::of(report))
        } else if self.html {
            let page = html(report, product, self.mask_addresses);
            self.masked(page, Mask::of(report))
        } else {
            self.masked(report_tables(report), Mask::of(report))
        };
        deliver(&text, self.output.as_deref())
    }

    /// A report as JSON on several lines, or on one.
    pub(super) fn json(&self, report: &Report, pretty: bool) -> Result<String, Failure> {
        self.written(report, Mask::of(report), pretty)
    }

    fn written(
        &self,
        value: &impl Serialize,
        mut mask: Mask,
        pretty: bool,
    ) -> Result<String, Failure> {
        let written = serde_json::to_value(value).and_then(|mut value| {
            if self.mask_addresses {
                mask.json(&mut value);
            }
            if pretty {
                serde_json::to_string_pretty(&value)
            } else {
                serde_json::to_string(&value)
            }
        });
        let text = written.context("failed to write JSON");
        Ok(text.map_err(Failure::Internal)? + "\n")
    }

    pub(super) fn masked(&self, text: String, mut mask: Mask) -> String {
        if self.mask_addresses {
            mask.text(&text)
        } else {
            text
        }
    }
}
