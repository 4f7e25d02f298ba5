//! Arguments that say what a site has.

use std::collections::BTreeMap;

use clap::Args;
use outgate_manifest::{Manifest, Selection, Version};

use crate::output::{Failure, say};

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
    /// The selection that was asked for. A version for a product that has none is worth a word.
    pub(crate) fn selection(
        &self,
        manifest: &Manifest,
        from: Option<String>,
    ) -> Result<Selection, Failure> {
        let product = manifest.product();
        if self.version.is_some() && product.versions.is_none() {
            say(&format!(
                "warning: {} has no versions; --version changes nothing",
                product.id
            ));
        }
        let mut set = BTreeMap::new();
        for (setting, value) in &self.set {
            if set.insert(setting.clone(), value.clone()).is_some() {
                return Err(Failure::input(format!("--set gives `{setting}` twice")));
            }
        }
        Ok(Selection {
            version: self.version.clone(),
            with: self.with.iter().cloned().collect(),
            without: self.without.iter().cloned().collect(),
            set,
            from,
        })
    }
}

/// Says so when the manifest has no text in a language.
pub(crate) fn warn_of_language(manifest: &Manifest, language: &str) {
    let mut flows = manifest.flows().iter();
    if !flows.any(|(_, declared)| declared.flow.why.get(language).is_some()) {
        let product = &manifest.product().id;
        say(&format!(
            "warning: {product} has no texts in `{language}`; they are in English"
        ));
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
