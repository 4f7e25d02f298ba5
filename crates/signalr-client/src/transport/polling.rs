//! Long polling: requests that the server holds until there is something to say.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use super::Opening;
use crate::error::Cause;
use crate::http::{Ask, Line, status};

const POLL: &str = "a poll";
/// How long a proxy must have waited for its impatience (504) to mean only that there was nothing
/// to say, and not that the server is away.
const IMPATIENT: Duration = Duration::from_millis(500);

/// Polls in a row that are answered with nothing, without being held: whoever does so is no hub,
/// and would be asked without a pause.
const HASTY_MAX: u32 = 10;

pub(crate) struct Reader {
    line: Line,
    target: String,
    limit: Duration,
    polls: u64,
    /// An answer that has not been read to its end.
    body: Option<Incoming>,
    asked: Instant,
    hasty: u32,
}

impl Reader {
    /// Makes the first poll, which the server answers at once.
    pub(super) async fn open(opening: Opening<'_>) -> Result<Self, Cause> {
        let mut reader = Self {
            line: Line::new(opening.server.clone()),
            target: opening.target,
            limit: opening.poll_limit,
            polls: 0,
            body: None,
            asked: Instant::now(),
            hasty: 0,
        };
        let body = reader.poll().await?;
        reader.body = Some(body.ok_or(Cause::Closed {
            error: None,
            allow_reconnect: true,
        })?);
        Ok(reader)
    }

    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Cause> {
        loop {
            while let Some(body) = &mut self.body {
                let limit = self.limit;
                let reading = timeout(limit, body.frame()).await;
                let frame = reading.map_err(|_| Cause::TimedOut { what: POLL, limit })?;
                let Some(frame) = frame else {
                    self.body = None;
                    self.on_empty()?;
                    break;
                };
                let frame = frame.map_err(|error| Cause::http(POLL, error))?;
                if let Ok(data) = frame.into_data()
                    && !data.is_empty()
                {
                    // What is left of its body is no poll that brings nothing.
                    self.hasty = 0;
                    self.asked = Instant::now();
                    return Ok(Some(data));
                }
            }
            match self.poll().await? {
                Some(body) => self.body = Some(body),
                None => return Ok(None),
            }
        }
    }

    /// A poll has brought nothing, or nothing more.
    fn on_empty(&mut self) -> Result<(), Cause> {
        self.hasty = if self.asked.elapsed() < IMPATIENT {
            self.hasty + 1
        } else {
            0
        };
        if self.hasty > HASTY_MAX {
            return Err(Cause::Unexpected {
                what: POLL,
                wanted: "a message",
            });
        }
        Ok(())
    }

    /// The answer to a poll; nothing when there will be no other.
    async fn poll(&mut self) -> Result<Option<Incoming>, Cause> {
        loop {
            self.asked = Instant::now();
            // A number of its own keeps caches on the way from answering it.
            let target = format!("{}&_={}", self.target, self.polls);
            self.polls += 1;
            let ask = Ask {
                what: POLL,
                method: Method::GET,
                target: &target,
                accept: HeaderValue::from_static("*/*"),
                body: None,
                limit: self.limit,
            };
            let answer = self.line.ask(&ask).await?;
            match answer.status() {
                StatusCode::OK => return Ok(Some(answer.into_body())),
                StatusCode::NO_CONTENT => return Ok(None),
                // A proxy has less patience than the server. Nothing was said, so nothing is lost.
                StatusCode::GATEWAY_TIMEOUT | StatusCode::REQUEST_TIMEOUT
                    if self.asked.elapsed() >= IMPATIENT => {}
                _ => return Err(status(POLL, &answer)),
            }
        }
    }
}
