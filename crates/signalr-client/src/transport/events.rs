//! Server-Sent Events.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use outgate_signalr::event;

use super::Opening;
use crate::error::Cause;
use crate::http::{Ask, Line, status};

const EVENTS: &str = "the request for events";
/// Bytes in a row that carry nothing: comments, and fields that nobody knows. Hubs send two.
const EMPTY_MAX: usize = 64 * 1024;
const EVENT_STREAM: &str = "text/event-stream";

pub(crate) struct Reader {
    /// Its connection is the stream's.
    _line: Line,
    body: Incoming,
    reader: event::Reader,
}

impl Reader {
    pub(super) async fn open(opening: Opening<'_>) -> Result<Self, Cause> {
        let mut line = Line::new(opening.server.clone());
        let ask = Ask {
            what: EVENTS,
            method: Method::GET,
            target: &opening.target,
            accept: HeaderValue::from_static(EVENT_STREAM),
            body: None,
            limit: opening.server.way.request_limit,
        };
        let answer = line.ask(&ask).await?;
        if answer.status() != StatusCode::OK {
            return Err(status(EVENTS, &answer));
        }
        let kind = answer.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case(EVENT_STREAM) {
            return Err(Cause::Unexpected {
                what: EVENTS,
                wanted: EVENT_STREAM,
            });
        }
        Ok(Self {
            _line: line,
            body: answer.into_body(),
            reader: event::Reader::default(),
        })
    }

    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Cause> {
        let mut empty = 0;
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| Cause::http("the stream of events", error))?;
            let mut data = Vec::new();
            if let Some(bytes) = frame.data_ref() {
                self.reader.handle_bytes(bytes, &mut data);
                empty += bytes.len();
            }
            if !data.is_empty() {
                return Ok(Some(data.into()));
            }
            if empty > EMPTY_MAX {
                return Err(Cause::Unexpected {
                    what: EVENTS,
                    wanted: "events",
                });
            }
        }
        Ok(None)
    }
}
