//! `outgate flows`.

use std::process::ExitCode;

use clap::Args;
use outgate_manifest::Lane;
use outgate_manifest::view::LanesView;

use crate::library;
use crate::output::{Failure, json, print};
use crate::site::{SiteArgs, warn_of_language};
use crate::table::{cells, shown, table};

/// `outgate flows`: the lanes of a product.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate flows starface --without yealink-cloud
  outgate flows starface --version 7.0.0.8 --set web-port=8443 --json
  outgate flows homag-cube --from technician
  outgate flows ./my-product.yaml")]
pub(crate) struct FlowsArgs {
    /// A built-in product (see `outgate profiles`) or the path of a manifest
    profile: String,
    #[command(flatten)]
    site: SiteArgs,
    /// Only lanes that this party starts
    #[arg(long, value_name = "PARTY")]
    from: Option<String>,
    /// The language of the purposes in the table
    #[arg(long, value_name = "LANGUAGE", default_value = "en")]
    lang: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl FlowsArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let manifest = library::load(&self.profile)?;
        let selection = self.site.selection(&manifest, self.from)?;
        let lanes = manifest.lanes(&selection)?;
        if self.json {
            json(&LanesView::new(&manifest, &selection, &lanes))?;
            return Ok(ExitCode::SUCCESS);
        }
        warn_of_language(&manifest, &self.lang);
        let headings = [
            "flow",
            "from",
            "to",
            "transport",
            "ports",
            "protocol",
            "direction",
            "need",
            "why",
        ];
        let mut rows = table(&headings);
        for lane in &lanes {
            let why = lane.why.best(&self.lang).map_or("", |(_, text)| text);
            let ports = lane
                .ports
                .map_or_else(|| "any".into(), |ports| ports.to_string());
            let ports = if lane.transport.as_str() == "icmp" {
                String::new()
            } else {
                ports
            };
            rows.add_row(cells([
                lane.flow.as_str(),
                lane.from.as_str(),
                &destination(lane),
                lane.transport.as_str(),
                &ports,
                lane.protocol.as_str(),
                lane.direction.as_str(),
                lane.need.as_str(),
                why,
            ]));
        }
        print(&shown(&rows))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A lane's destination with what kind of rung or alternative it is.
pub(crate) fn destination(lane: &Lane) -> String {
    let mut shown = lane.to.value();
    if let Some(name) = &lane.alternative_to {
        shown.push_str(&format!(" (for {name})"));
    }
    if let Some(rung) = &lane.ladder {
        shown.push_str(&format!(" (choice {})", rung.step));
    }
    shown
}
