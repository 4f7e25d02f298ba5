//! `outgate profiles`.

use std::process::ExitCode;

use clap::Args;
use outgate_manifest::view::SCHEMA;
use outgate_manifest::{Manifest, Selection};
use serde::Serialize;

use crate::library;
use crate::output::{Failure, json, print};
use crate::table::{cells, shown, table};

/// `outgate profiles`: the built-in products.
#[derive(Args)]
#[command(after_help = "Example:
  outgate profiles --json | jq -r '.profiles[].id'")]
pub(crate) struct ProfilesArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct ProfilesView {
    schema: u32,
    profiles: Vec<ProfileView>,
}

#[derive(Serialize)]
struct ProfileView {
    id: String,
    name: String,
    vendor: String,
    document: String,
    language: String,
    flows: usize,
    lanes: usize,
    features: Vec<String>,
    settings: Vec<String>,
    parties: Vec<String>,
}

impl ProfilesArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let mut profiles = Vec::new();
        for id in library::ids() {
            profiles.push(view(&library::load(id)?)?);
        }
        if self.json {
            json(&ProfilesView {
                schema: SCHEMA,
                profiles,
            })?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut rows = table(&["profile", "product", "vendor", "flows", "lanes", "features"]);
        for one in &profiles {
            let (flows, lanes) = (one.flows.to_string(), one.lanes.to_string());
            rows.add_row(cells([
                &one.id,
                &one.name,
                &one.vendor,
                &flows,
                &lanes,
                &one.features.join(" "),
            ]));
        }
        print(&shown(&rows))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn view(manifest: &Manifest) -> Result<ProfileView, Failure> {
    let lanes = manifest
        .lanes(&Selection::default())
        .map_err(|error| Failure::Internal(anyhow::Error::new(error)))?;
    let words = |ids: &mut dyn Iterator<Item = &str>| ids.map(str::to_owned).collect();
    Ok(ProfileView {
        id: manifest.product().id.to_string(),
        name: manifest.product().name.clone(),
        vendor: manifest.product().vendor.clone(),
        document: manifest.source().document.clone(),
        language: manifest.source().language.to_string(),
        flows: manifest.flows().len(),
        lanes: lanes.len(),
        features: words(&mut manifest.features().ids()),
        settings: words(&mut manifest.settings().ids()),
        parties: words(&mut manifest.parties().ids()),
    })
}
