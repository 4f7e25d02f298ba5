//! What is written down while the hub runs, for people or for programs.

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt};

use crate::config::{Config, ConfigError, LogFormat};
use crate::traces::Traces;

/// The log of this process, whose filter can be changed while it runs; and its traces.
#[derive(Clone, Debug)]
pub struct Logs {
    filter: reload::Handle<EnvFilter, Registry>,
    traces: Option<Traces>,
}

/// Something that is told what happens.
type Listener = Box<dyn Layer<Registry> + Send + Sync>;

impl Logs {
    /// Starts to log to standard error, and to collect traces if that is configured; then within a
    /// runtime. The first call of a process decides; later ones change nothing.
    ///
    /// # Errors
    /// [`ConfigError::Value`] when the filter is none, or traces cannot be sent.
    pub fn start(config: &Config, coloured: bool) -> Result<Self, ConfigError> {
        let (filtered, handle) = reload::Layer::new(filter(&config.log_filter)?);
        let lines = fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(coloured);
        let mut listeners: Vec<Listener> = vec![match config.log_format {
            LogFormat::Text => lines.with_filter(filtered).boxed(),
            LogFormat::Json => lines.json().with_filter(filtered).boxed(),
        }];
        let traces = config.traces.as_ref().map(Traces::start).transpose()?;
        if let Some(traces) = &traces {
            // Whose trace a span belongs to is known only after it has been entered, once a caller
            // has logged in. Nothing here asks OpenTelemetry where it is.
            let spans = tracing_opentelemetry::layer()
                .with_tracer(traces.tracer())
                .with_context_activation(false);
            listeners.push(spans.with_filter(traced()).boxed());
        }
        // An error means that this process logs already.
        let _ = Registry::default().with(listeners).try_init();
        Ok(Self {
            filter: handle,
            traces,
        })
    }

    /// Logs by the filter of `config` from now on.
    ///
    /// # Errors
    /// [`ConfigError::Value`] when the filter is none.
    pub fn reload(&self, config: &Config) -> Result<(), ConfigError> {
        let filter = filter(&config.log_filter)?;
        // An error means that this process never logged by this handle.
        let _ = self.filter.reload(filter);
        Ok(())
    }

    /// Sends the traces that wait, for a few seconds at most.
    pub async fn finish(self) {
        if let Some(traces) = self.traces {
            traces.finish().await;
        }
    }
}

/// Our own spans, whatever the log's filter says.
fn traced() -> FilterFn {
    let ours: fn(&Metadata<'_>) -> bool =
        |about| about.is_span() && about.target().starts_with("outgate");
    FilterFn::new(ours).with_max_level_hint(LevelFilter::DEBUG)
}

/// Reads a filter.
pub(crate) fn filter(text: &str) -> Result<EnvFilter, ConfigError> {
    EnvFilter::try_new(text).map_err(|error| ConfigError::Value {
        key: "logs.filter",
        why: format!("{error}; as in `info,outgate_hub=debug`"),
    })
}
