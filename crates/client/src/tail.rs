//! Streams that go on where they broke off.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::Response;
use serde::de::DeserializeOwned;

use crate::error::{Error, Problem};
use crate::random;
use crate::sse::{Parser, SseEvent};
use crate::transport::{Ask, Client};

/// How long a stream may be silent. The hub sends a comment more often than that.
const SILENCE: Duration = Duration::from_secs(60);

/// How long the hub may take to begin a stream.
const BEGIN: Duration = Duration::from_secs(30);

/// The wait after the first break; it doubles with each that follows.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest wait between attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What a stream gives.
#[derive(Debug)]
pub enum Tailed<T> {
    /// Something new.
    Item(T),
    /// The stream broke; it is taken up again after a wait, without loss.
    Broken {
        /// Why.
        why: Error,
        /// How long the wait is.
        wait: Duration,
    },
}

/// A stream of what is new, which is taken up again where it broke off.
#[derive(Debug)]
pub struct Tail<T> {
    client: Client,
    ask: Ask,
    /// The id of the newest item that was given.
    place: Option<String>,
    state: State,
    waiting: VecDeque<SseEvent>,
    breaks: u32,
    kind: std::marker::PhantomData<fn() -> T>,
}

#[derive(Debug)]
enum State {
    Away,
    Pausing(Duration),
    Reading(Box<(Response, Parser)>),
}

impl<T: DeserializeOwned> Tail<T> {
    /// What `ask` asks for, from after `place`.
    pub(crate) fn new(client: Client, ask: Ask, place: Option<String>) -> Self {
        Self {
            client,
            ask: ask
                .header("accept", "text/event-stream")
                .header("cache-control", "no-store")
                .patience(BEGIN),
            place,
            state: State::Away,
            waiting: VecDeque::new(),
            breaks: 0,
            kind: std::marker::PhantomData,
        }
    }

    /// Waits for what comes next. May be dropped and asked again: nothing is lost.
    ///
    /// # Errors
    /// What waiting will not mend: a refusal, a stream that cannot be read.
    pub async fn next(&mut self) -> Result<Tailed<T>, Error> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.place = event.id.or(self.place.take());
                self.breaks = 0;
                let Some(data) = event.data else { continue };
                if event.kind == "problem" {
                    // The stream's last word, after which it ends; it is a refusal as any other.
                    self.state = State::Away;
                    self.waiting.clear();
                    let problem = Problem::told(data.as_bytes());
                    return self.on_break(Error::Refused(problem));
                }
                let item = serde_json::from_str(&data).map_err(|error| Error::Answer {
                    hub: self.client.hub().to_owned(),
                    why: error.to_string(),
                })?;
                return Ok(Tailed::Item(item));
            }
            let trouble = match &mut self.state {
                State::Pausing(wait) => {
                    tokio::time::sleep(*wait).await;
                    self.state = State::Away;
                    continue;
                }
                State::Away => match self.client.open(&self.positioned()).await {
                    Ok(response) => {
                        self.state = State::Reading(Box::new((response, Parser::default())));
                        continue;
                    }
                    Err(error) => error,
                },
                State::Reading(reading) => {
                    let (response, parser) = &mut **reading;
                    match chunk(&self.client, response).await {
                        Ok(bytes) => {
                            self.waiting.extend(parser.handle_bytes(&bytes)?);
                            continue;
                        }
                        Err(error) => error,
                    }
                }
            };
            return self.on_break(trouble);
        }
    }

    fn positioned(&self) -> Ask {
        match &self.place {
            Some(place) => self.ask.clone().header("last-event-id", place),
            None => self.ask.clone(),
        }
    }

    fn on_break(&mut self, why: Error) -> Result<Tailed<T>, Error> {
        let asked = match &why {
            Error::Refused(problem) if problem.passes() => problem.retry_after,
            Error::Unreachable { hint: "", .. } | Error::Silent { .. } | Error::Ended { .. } => {
                None
            }
            Error::Unreachable { .. }
            | Error::Refused(_)
            | Error::Address { .. }
            | Error::Trust(_)
            | Error::Randomness
            | Error::FleetKey
            | Error::Clock
            | Error::Answer { .. }
            | Error::Stream(_) => return Err(why),
        };
        let doubled = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(self.breaks.min(16)));
        let wait = asked.unwrap_or_else(|| random::jittered(doubled.min(LONGEST_WAIT)));
        let wait = wait.min(LONGEST_WAIT);
        self.breaks = self.breaks.saturating_add(1);
        self.state = State::Pausing(wait);
        Ok(Tailed::Broken { why, wait })
    }
}

/// The next bytes of a stream; that it ended is a break too.
async fn chunk(client: &Client, response: &mut Response) -> Result<Vec<u8>, Error> {
    let silent = || Error::Silent {
        hub: client.hub().to_owned(),
        patience: SILENCE,
    };
    let bytes = tokio::time::timeout(SILENCE, response.chunk())
        .await
        .map_err(|_| silent())?
        .map_err(|source| client.unreachable(source))?;
    bytes.map(|bytes| bytes.to_vec()).ok_or(Error::Ended {
        hub: client.hub().to_owned(),
    })
}
