//! `/api/devices/{device}/logs`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Uri};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::id::DeviceId;
use outgate_core::logs::{LogFilter, TakenLogs, Wants};
use outgate_core::{Refusal, Timestamp};
use outgate_wire::otlp::{MAX_SEVERITY, Record};

use crate::api::caller::Caller;
use crate::api::events::{last_event_id, patience, place};
use crate::api::extract::{Asked, Named};
use crate::api::follow::{self, Feed, Portion};
use crate::api::names::OfDevice;
use crate::api::pages::with_next;
use crate::api::problem::{Kind, Problem};
use crate::api::{Api, view};
use crate::http::Cut;

/// The most bytes of a regular expression.
const MAX_PATTERN: usize = 256;

/// The most bytes that one is compiled to, and that it may use while it is looked for.
const MAX_COMPILED: usize = 256 * 1_024;

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list_logs))
}

/// Which records.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only those after this place: `next` of the answer before. When absent: from the oldest that
    /// is kept; a stream begins after the newest.
    #[param(required = false, minimum = 0, maximum = 9007199254740991_u64)]
    after: Option<u64>,
    /// Only those that the hub took at this moment or later.
    #[param(required = false, value_type = String, format = DateTime)]
    since: Option<Timestamp>,
    /// Only those that the hub took before this moment.
    #[param(required = false, value_type = String, format = DateTime)]
    until: Option<Timestamp>,
    /// Only those at least so bad, in the numbers of OpenTelemetry: 5 debug, 9 info, 13 warn,
    /// 17 error, 21 fatal.
    #[param(required = false, minimum = 1, maximum = 24)]
    severity: Option<u8>,
    /// Only those in whose body, or in one of whose attributes as `name=value`, this regular
    /// expression (of the Rust crate `regex`) is found.
    #[param(
        required = false,
        min_length = 1,
        max_length = 256,
        example = "timeout|refused"
    )]
    grep: Option<String>,
    /// The most records of the answer. Fewer are given when they are large.
    #[param(required = false, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// Read or follow what a device logs
///
/// In the order in which the hub took it. With `Accept: text/event-stream` as server-sent events:
/// `data` is a record, `id` its place, and `Last-Event-ID` goes on after one; a message without
/// `data` only tells the place; an event `problem` is the last. One answer looks at 10,000 records
/// at most: while `next` is below `newest` there may be more, although it has no items.
#[utoipa::path(get, path = "/api/devices/{device}/logs", tag = "logs",
    params(OfDevice, Wanted, ("last-event-id" = Option<u64>, Header,
        description = "Of a stream that is taken up again: the last `id` that was seen.",
        minimum = 0, maximum = 9007199254740991_u64)),
    responses((status = 200, description = "Log records",
        content((view::LogList = "application/json"), (String = "text/event-stream")),
        headers(("link" = Option<String>, description = "Leads on from here (RFC 8288)")))))]
async fn list_logs(
    State(api): State<Arc<Api>>,
    caller: Caller,
    cut: Cut,
    uri: Uri,
    headers: HeaderMap,
    Named(OfDevice { device }): Named<OfDevice>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Problem> {
    let (limit, _) = patience(wanted.limit, None)?;
    let after = wanted.after.map(place).transpose()?;
    let last = last_event_id(&headers)?;
    let core = &api.state.core;
    core.identity.device(&caller.actor()?, &device).await?;
    let filter = filter(&caller, device, wanted)?;
    if follow::wants_stream(&headers) {
        let open = api.streams.stream(caller.share())?;
        let newest = *core.logs.newest().borrow();
        let feed = Logs {
            api: Arc::clone(&api),
            filter,
        };
        let messages = follow::feed(feed, last.or(after).unwrap_or(newest));
        let messages = Box::pin(messages);
        return Ok(follow::stream_of(&api, caller, cut, open, messages));
    }
    let taken = core.logs.after(&filter, after.unwrap_or(0), limit).await?;
    Ok(with_next(&uri, taken.next, view::LogList::new(taken)?))
}

fn filter(caller: &Caller, device: DeviceId, wanted: Wanted) -> Result<LogFilter, Problem> {
    let severity = wanted.severity.unwrap_or(0);
    if wanted.severity == Some(0) || severity > MAX_SEVERITY {
        let detail = format!("severity: 1 to {MAX_SEVERITY}");
        return Err(Problem::new(Kind::Malformed, detail));
    }
    Ok(LogFilter {
        device: Some(device),
        since: wanted.since,
        until: wanted.until,
        severity,
        wants: wanted.grep.as_deref().map(grep).transpose()?,
        ..LogFilter::seen_by(caller.scope())
    })
}

/// Whether a pattern is found in a record.
///
/// # Errors
/// [`Kind::Malformed`] when it is none, or too large.
pub(crate) fn grep(pattern: &str) -> Result<Wants, Problem> {
    if pattern.is_empty() || pattern.len() > MAX_PATTERN {
        let detail = format!("grep: a regular expression of 1 to {MAX_PATTERN} bytes");
        return Err(Problem::new(Kind::Malformed, detail));
    }
    let pattern = RegexBuilder::new(pattern)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .build()
        .map_err(|error| Problem::new(Kind::Malformed, format!("grep: {error}")))?;
    Ok(Arc::new(move |bytes: &[u8]| {
        Record::from_bytes(bytes).is_ok_and(|record| is_in(&pattern, &record))
    }))
}

fn is_in(pattern: &Regex, record: &Record) -> bool {
    pattern.is_match(&record.body.to_text())
        || record
            .attributes
            .iter()
            .any(|(name, value)| pattern.is_match(&format!("{name}={}", value.to_text())))
}

/// What a device logs, as it comes.
struct Logs {
    api: Arc<Api>,
    filter: LogFilter,
}

impl Feed for Logs {
    type Item = view::LogRecord;

    fn newest(&self) -> watch::Receiver<u64> {
        self.api.state.core.logs.newest()
    }

    async fn after(&self, after: u64, limit: u32) -> Result<Portion<Self::Item>, Refusal> {
        let logs = &self.api.state.core.logs;
        let TakenLogs { logs, next, .. } = logs.after(&self.filter, after, limit).await?;
        let items: Result<_, Refusal> = logs
            .into_iter()
            .map(|log| Ok((log.seq, view::LogRecord::new(log)?)))
            .collect();
        let items = items?;
        Ok(Portion { items, next })
    }
}

#[cfg(test)]
mod tests {
    use outgate_wire::otlp::Value;

    use super::*;

    #[test]
    fn a_pattern_is_looked_for_in_the_body_and_in_each_attribute() {
        let record = Record {
            body: Value::Text("no answer from the printer".to_owned()),
            attributes: vec![
                ("tries".to_owned(), Value::Int(3)),
                ("error".to_owned(), Value::Text("timed out".to_owned())),
            ],
            ..Record::default()
        };
        let found = |pattern: &str| grep(pattern).unwrap()(&record.to_bytes());
        for pattern in ["printer$", "(?i)NO ANSWER", "^tries=3$", "^error=timed"] {
            assert!(found(pattern), "{pattern}");
        }
        for pattern in ["^printer", "NO ANSWER", "3 error", "tries=4"] {
            assert!(!found(pattern), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_or_would_take_much_room_is_refused() {
        let long = "a".repeat(MAX_PATTERN + 1);
        for pattern in ["", "(", "(?:a{1000}){1000}", &long] {
            let refused = grep(pattern).err().unwrap();
            assert_eq!(refused.kind(), Kind::Malformed, "{pattern}");
            assert!(refused.detail().starts_with("grep: "), "{pattern}");
        }
    }
}
