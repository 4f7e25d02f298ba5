//! `outgate page`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use outgate_render::page::{PageRequest, format, formats, languages, render};

use crate::library;
use crate::output::{Failure, deliver};
use crate::site::SiteArgs;

/// `outgate page`: the customer's page for a product.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate page open-pos --lang sv --format html -o open-pos.html
  outgate page starface --lang de --without yealink-cloud --set web-port=8443")]
pub(crate) struct PageArgs {
    /// A built-in product (see `outgate profiles`) or the path of a manifest
    profile: String,
    #[command(flatten)]
    site: SiteArgs,
    /// The language of the page: sv, nb, de or en
    #[arg(long, value_name = "LANGUAGE", default_value = "en")]
    lang: String,
    /// The form of the page: md or html
    #[arg(long, value_name = "FORMAT", default_value = "md")]
    format: String,
    /// Write the page to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl PageArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let manifest = library::load(&self.profile)?;
        let format = format(&self.format).ok_or_else(|| {
            let known: Vec<&str> = formats().iter().map(|format| format.id()).collect();
            Failure::unknown("format", &self.format, &known)
        })?;
        let known: Vec<&str> = languages().collect();
        if !known.contains(&self.lang.as_str()) {
            return Err(Failure::unknown("language", &self.lang, &known));
        }
        let selection = self.site.selection(&manifest, None)?;
        let lanes = manifest.lanes(&selection)?;
        let request = PageRequest {
            manifest: &manifest,
            selection: &selection,
            lanes: &lanes,
            language: &self.lang,
        };
        let page = render(&request, format).map_err(|error| Failure::Input(error.into()))?;
        deliver(&page, self.output.as_deref())?;
        Ok(ExitCode::SUCCESS)
    }
}
