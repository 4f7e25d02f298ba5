//! `outgate agent doctor`.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, FromArgMatches as _};
use outgate_agent::config::Config;

use super::{Place, local, status};
use crate::answer::wait;
use crate::commands::check::CheckArgs;
use crate::output::{Failure, say};

/// `outgate agent doctor`: the check from here, by the agent's own settings.
#[derive(Args)]
#[command(after_help = "What follows -- are further options of `outgate check`:
  outgate agent doctor -- --lang de --html --output report.html")]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    place: Place,
    /// Further options of `outgate check`
    #[arg(last = true, value_name = "OPTION")]
    options: Vec<OsString>,
}

impl DoctorArgs {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let config = self.place.read()?;
        // One that does not run knows nothing.
        let told = wait(local::status(&config)).ok();
        if let Some(wrong) = told.as_ref().and_then(status::clock_wrong) {
            say(&wrong);
        }
        let mut words = words(&config)?;
        words.extend(self.options);
        let command = CheckArgs::augment_args(clap::Command::new("outgate agent doctor"));
        let matches = command.get_matches_from(words);
        let check = CheckArgs::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        check.run()
    }
}

/// The options of `outgate check` that say what the configuration does.
fn words(config: &Config) -> Result<Vec<OsString>, Failure> {
    let advice = "a check needs to know the product: give it product.profile";
    let product = config
        .product
        .as_ref()
        .ok_or_else(|| Failure::input(advice))?;
    let mut words: Vec<OsString> = vec!["outgate".into(), (&product.profile).into()];
    let mut option = |name: &str, value: Option<OsString>| {
        words.extend(value.into_iter().flat_map(|value| [name.into(), value]));
    };
    option("--version", product.version.as_ref().map(OsString::from));
    option("--ca", config.authority.as_ref().map(OsString::from));
    option("--proxy", config.proxy.url.as_ref().map(OsString::from));
    option(
        "--proxy-script",
        config.proxy.script.as_ref().map(OsString::from),
    );
    option(
        "--proxy-login",
        config.proxy.login_file.as_ref().map(OsString::from),
    );
    option(
        "--no-proxy",
        config.proxy.no_proxy.as_ref().map(OsString::from),
    );
    Ok(words)
}
