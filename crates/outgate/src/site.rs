//! Arguments that say what a site has.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use outgate_manifest::{Selection, Version};

/// What a site has.
#[derive(Args, Clone, Default)]
#[command(next_help_heading = "What the site has")]
pub(crate) struct SiteArgs {
    /// The product version [default: the newest]
    #[arg(long, value_name = "V")]
    version: Option<Version>,
    /// A feature that is in use (may be repeated)
    #[arg(long, value_name = "FEATURE", value_delimiter = ',')]
    with: Vec<String>,
    /// A feature that is not in use (may be repeated)
    #[arg(long, value_name = "FEATURE", value_delimiter = ',')]
    without: Vec<String>,
    /// A setting that was changed (may be repeated)
    #[arg(long, value_name = "SETTING=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
}

impl SiteArgs {
    /// The selection that was asked for.
    pub(crate) fn selection(&self, from: Option<String>) -> Selection {
        Selection {
            version: self.version.clone(),
            with: self.with.iter().cloned().collect::<BTreeSet<_>>(),
            without: self.without.iter().cloned().collect::<BTreeSet<_>>(),
            set: self.set.iter().cloned().collect::<BTreeMap<_, _>>(),
            from,
        }
    }
}

/// Reads `NAME=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("expected NAME=VALUE".into()),
    }
}
