//! Traces for who collects them: requests, MQTT and commits, told by OTLP over HTTP.
//!
//! Nothing waits for the collector: what it does not take in time is dropped. A span says what was
//! done and how long that took, never what was in it.

use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use tokio::runtime::Handle;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::config::{self, ConfigError};
use crate::webhooks::{self, Unread, read_answer};

/// The most spans that wait for the collector; further ones are dropped.
const MAX_WAITING: usize = 4_096;

/// The most spans that are sent at a time.
const MAX_SENT: usize = 512;

/// How long the collector may take for an answer, and when the hub ends for all that wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The most bytes of an answer.
const MAX_ANSWER: usize = 64 * 1024;

/// The header that says which trace a request belongs to (W3C Trace Context, section 3.2).
const TRACEPARENT: &str = "traceparent";

/// The most bytes of it: 55 in the version that there is, and room for what later ones add.
const MAX_TRACEPARENT: usize = 128;

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

/// Has `span`, which nothing has come of yet, go on with the trace that `headers` name, if they
/// name one.
///
/// Only to be called for somebody who has logged in. Who goes on with a caller's trace takes their
/// word for whether it is told to the collector, whatever share is configured: a stranger could so
/// have the hub tell of each of many requests, until there is no room for those of others (its
/// security considerations, "Denial of Service"), and put them among anybody's spans.
///
/// `tracestate` is not read: the hub sends nothing on that would have to carry it.
pub(crate) fn follow(span: &Span, headers: &HeaderMap) {
    let mut all = headers.get_all(TRACEPARENT).iter();
    let (Some(parent), None) = (all.next(), all.next()) else {
        return;
    };
    let parent = parent.to_str().ok();
    let Some(parent) = parent.filter(|text| text.len() <= MAX_TRACEPARENT) else {
        return;
    };
    let propagator = TraceContextPropagator::new();
    let context = propagator.extract_with_context(&Context::new(), &Parent(parent));
    if context.span().span_context().is_valid() {
        // An error means that no traces are made.
        let _ = span.set_parent(context);
    }
}

/// The one header that is read.
struct Parent<'a>(&'a str);

impl Extractor for Parent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
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
    let body = read_answer(&mut answer, MAX_ANSWER).await;
    let body = body.map_err(|unread| match unread {
        Unread::Lost(error) => HttpError::from(error),
        Unread::TooLong => format!("an answer of more than {MAX_ANSWER} bytes").into(),
    })?;
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
