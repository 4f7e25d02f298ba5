//! Traces for who collects them: requests, MQTT and commits, told by OTLP over HTTP.
//!
//! Nothing waits for the collector: what it does not take in time is dropped. A span says what was
//! done and how long that took, never what was in it.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use tokio::runtime::Handle;

use crate::config::{self, ConfigError};
use crate::webhooks;

/// The most spans that wait for the collector; further ones are dropped.
const MAX_WAITING: usize = 4_096;

/// The most spans that are sent at a time.
const MAX_SENT: usize = 512;

/// How long the collector may take for an answer, and when the hub ends for all that wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The most bytes of an answer.
const MAX_ANSWER: usize = 64 * 1024;

/// What collects spans and sends them.
#[derive(Clone, Debug)]
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Starts to collect. To be called within a runtime, which has to outlive this.
    pub(crate) fn start(settings: &config::Traces) -> Result<Self, ConfigError> {
        let failed = |why: String| ConfigError::Value {
            key: "traces.endpoint",
            why,
        };
        let runtime = Handle::try_current().map_err(|error| failed(error.to_string()))?;
        let client = client().map_err(|error| failed(error.to_string()))?;
        let endpoint = settings.endpoint.trim_end_matches('/');
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(OnRuntime { client, runtime })
            .with_endpoint(format!("{endpoint}/v1/traces"))
            .with_timeout(ANSWER_WITHIN)
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let bounds = BatchConfigBuilder::default()
            .with_max_queue_size(MAX_WAITING)
            .with_max_export_batch_size(MAX_SENT)
            .build();
        let sending = BatchSpanProcessor::builder(exporter)
            .with_batch_config(bounds)
            .build();
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder()
            .with_service_name("outgate-hub")
            .with_attribute(version);
        let share = Sampler::TraceIdRatioBased(settings.share);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(sending)
            .with_sampler(Sampler::ParentBased(Box::new(share)))
            .with_resource(resource.build());
        Ok(Self(provider.build()))
    }

    /// What makes spans.
    pub(crate) fn tracer(&self) -> SdkTracer {
        self.0.tracer("outgate")
    }

    /// Sends what waits, for as long as an answer may take.
    pub(crate) async fn finish(self) {
        let sent = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(ANSWER_WITHIN));
        if let Ok(Err(error)) = sent.await {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Sends on the hub's runtime what the thread that collects spans hands to it.
#[derive(Debug)]
struct OnRuntime {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, request) = (self.client.clone(), request.try_into()?);
        self.runtime.spawn(send(client, request)).await?
    }
}

async fn send(
    client: reqwest::Client,
    request: reqwest::Request,
) -> Result<Response<Bytes>, HttpError> {
    let mut answer = client.execute(request).await?;
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await? {
        if body.len() + part.len() > MAX_ANSWER {
            return Err(format!("an answer of more than {MAX_ANSWER} bytes").into());
        }
        body.extend_from_slice(&part);
    }
    let answered = Response::builder().status(answer.status());
    Ok(answered.body(Bytes::from(body))?)
}

fn client() -> Result<reqwest::Client, HttpError> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(webhooks::tls_config(None)?)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(ANSWER_WITHIN)
        .timeout(ANSWER_WITHIN)
        .user_agent(concat!("outgate/", env!("CARGO_PKG_VERSION")))
        .build()?;
    Ok(client)
}
