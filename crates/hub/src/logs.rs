//! What is written down while the hub runs, for people or for programs.

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt};

use crate::config::{Config, ConfigError, LogFormat};

/// The log of this process, whose filter can be changed while it runs.
#[derive(Clone, Debug)]
pub struct Logs(reload::Handle<EnvFilter, Registry>);

impl Logs {
    /// Starts to log to standard error. The first call of a process decides; later ones change
    /// nothing.
    ///
    /// # Errors
    /// [`ConfigError::Value`] when the filter is none.
    pub fn start(config: &Config, coloured: bool) -> Result<Self, ConfigError> {
        let (filter, handle) = reload::Layer::new(filter(&config.log_filter)?);
        let lines = fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(coloured);
        let begun = Registry::default().with(filter);
        // An error means that this process logs already.
        let _ = match config.log_format {
            LogFormat::Text => begun.with(lines).try_init(),
            LogFormat::Json => begun.with(lines.json()).try_init(),
        };
        Ok(Self(handle))
    }

    /// Logs by the filter of `config` from now on.
    ///
    /// # Errors
    /// [`ConfigError::Value`] when the filter is none.
    pub fn reload(&self, config: &Config) -> Result<(), ConfigError> {
        let filter = filter(&config.log_filter)?;
        // An error means that this process never logged by this handle.
        let _ = self.0.reload(filter);
        Ok(())
    }
}

/// Reads a filter.
pub(crate) fn filter(text: &str) -> Result<EnvFilter, ConfigError> {
    EnvFilter::try_new(text).map_err(|error| ConfigError::Value {
        key: "logs.filter",
        why: format!("{error}; as in `info,outgate_hub=debug`"),
    })
}
