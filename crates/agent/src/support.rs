//! Remote support at the device: what the hub asks for, who allows it, and what goes on.
//!
//! The device decides: what its configuration does not name is refused, and the rest waits for
//! whoever is at the device, unless the configuration allows it always. Then the agent opens a
//! connection of its own to the hub and passes bytes between it and the service or shell, until
//! either side ends it or its time is over.

mod ground;
mod session;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use outgate_wire::agent::{Answer, Blob, Call, SupportAsked};
use parking_lot::Mutex;
use serde::Serialize;
use thiserror::Error;
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::config::{self, Allow};

pub(crate) use session::{Way, run};

/// The most sessions at a time, asked for or open.
pub const MAX_SESSIONS: usize = 4;

/// How many that are over are shown.
const SHOWN: usize = 8;

/// The most characters of a text that is shown.
const MAX_TEXT: usize = 500;

/// The longest that a session lasts, whatever the hub says: 8 hours.
const MAX_TIME: Duration = Duration::from_secs(8 * 3_600);

/// Who allows a session that the configuration always allows.
const POLICY: &str = "the device's policy";

/// Why a session cannot be allowed, refused or ended.
#[derive(Clone, Debug, Error)]
pub enum SupportError {
    /// There is no such session that is not over.
    #[error("there is no such session, or it is over")]
    Unknown,
    /// It is allowed already.
    #[error("it is allowed already; end it")]
    Open,
    /// It is not allowed yet.
    #[error("it waits to be allowed; refuse it")]
    Asked,
}

/// What the agent knows of support sessions. Cloned freely; all clones are the same.
#[derive(Clone, Debug)]
pub struct Desk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: config::Support,
    sessions: Mutex<VecDeque<Arc<Entry>>>,
    jobs: mpsc::Sender<Job>,
}

/// One session.
#[derive(Debug)]
struct Entry {
    asked: SupportAsked,
    until: Instant,
    until_date: OffsetDateTime,
    state: watch::Sender<State>,
}

/// Where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Asked,
    /// It is allowed by somebody, and the agent looks for a way to the hub.
    Opening {
        by: String,
    },
    Open {
        port: u16,
        tried: Vec<String>,
    },
    /// It ends: by whom and why.
    Over {
        by: String,
        why: String,
    },
}

/// What there is to do for a session.
#[derive(Debug)]
pub(crate) enum Job {
    /// Open it.
    Open(Handle),
    /// Tell the hub that it is not allowed.
    Refuse(Handle),
}

/// A session, for who opens it.
#[derive(Clone, Debug)]
pub(crate) struct Handle(Arc<Entry>);

/// A session as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Its name.
    pub session: String,
    /// Who asks.
    pub operator: String,
    /// Why.
    pub reason: String,
    /// To what it leads: `service NAME`, or `shell COLUMNSxROWS`.
    pub what: String,
    /// Until when.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
    /// `asked`, `opening`, `open`, `over`.
    pub state: &'static str,
    /// By which port of the hub, while it is open.
    pub port: Option<u16>,
    /// What was tried before, and why it does not lead to the hub.
    pub tried: Vec<String>,
    /// By whom and why it is over.
    pub over: Option<String>,
}

impl Desk {
    /// A desk, and what there will be to do.
    pub(crate) fn new(config: config::Support) -> (Self, mpsc::Receiver<Job>) {
        let (jobs, to_do) = mpsc::channel(2 * MAX_SESSIONS);
        let inner = Inner {
            config,
            sessions: Mutex::default(),
            jobs,
        };
        (Self(Arc::new(inner)), to_do)
    }

    pub(crate) fn config(&self) -> &config::Support {
        &self.0.config
    }

    /// Answers the hub's question for a session. The same question again is the same session.
    pub(crate) fn on_call(&self, call: &Call) -> Answer {
        let Ok(asked) = serde_json::from_slice::<SupportAsked>(&call.payload.0) else {
            return refused(400, "the question cannot be understood");
        };
        let texts = [&asked.session, &asked.operator, &asked.reason, &asked.what];
        let is_shown = |text: &&String| {
            text.chars().count() <= MAX_TEXT && !text.chars().any(char::is_control)
        };
        if !texts.iter().all(is_shown) {
            return refused(400, "the question cannot be shown");
        }
        if let Err(why) = ground::Ground::of(&self.0.config, &asked.what) {
            return refused(403, &why);
        }
        match self.enter(asked) {
            Ok(None) => {}
            Ok(Some(entry)) if self.0.config.allow == Allow::Always => {
                // It was asked for just now, so nobody can have decided.
                let _ = self.allow(&entry.asked.session, POLICY);
            }
            Ok(Some(entry)) => tracing::info!(
                session = entry.asked.session,
                "a support session waits to be allowed here"
            ),
            Err(why) => return refused(429, why),
        }
        Answer {
            status: 202,
            content_type: String::new(),
            payload: Blob::default(),
        }
    }

    /// Takes a session in, unless it is known.
    fn enter(&self, asked: SupportAsked) -> Result<Option<Arc<Entry>>, &'static str> {
        let mut sessions = self.0.sessions.lock();
        if sessions
            .iter()
            .any(|one| one.asked.session == asked.session)
        {
            return Ok(None);
        }
        for session in sessions.iter() {
            session.end_late();
        }
        let live = sessions.iter().filter(|one| !one.is_over()).count();
        if live >= MAX_SESSIONS {
            return Err("there are as many sessions of support as may be");
        }
        while sessions.len() >= SHOWN + MAX_SESSIONS {
            let old = sessions.iter().position(|one| one.is_over());
            let Some(old) = old else { break };
            sessions.remove(old);
        }
        let lasts = Duration::from_secs(asked.seconds).min(MAX_TIME);
        let entry = Arc::new(Entry {
            until: Instant::now() + lasts,
            until_date: OffsetDateTime::now_utc() + lasts,
            asked,
            state: watch::Sender::new(State::Asked),
        });
        sessions.push_back(Arc::clone(&entry));
        Ok(Some(entry))
    }

    /// All sessions that are shown, the oldest first.
    #[must_use]
    pub fn sessions(&self) -> Vec<Shown> {
        let sessions = self.0.sessions.lock();
        sessions
            .iter()
            .map(|one| {
                one.end_late();
                one.shown()
            })
            .collect()
    }

    /// Allows a session; the agent opens it then. `by` is who is at the device, as the hub is told.
    ///
    /// # Errors
    /// [`SupportError`].
    pub fn allow(&self, session: &str, by: &str) -> Result<(), SupportError> {
        let entry = self.find(session)?;
        let by = plain(by);
        entry.turn(|state| match state {
            State::Asked => Ok(State::Opening { by }),
            State::Opening { .. } | State::Open { .. } => Err(SupportError::Open),
            State::Over { .. } => Err(SupportError::Unknown),
        })?;
        self.give(Job::Open(Handle(Arc::clone(&entry))), &entry);
        Ok(())
    }

    /// Does not allow a session.
    ///
    /// # Errors
    /// [`SupportError`].
    pub fn refuse(&self, session: &str, by: &str) -> Result<(), SupportError> {
        let entry = self.find(session)?;
        let (by, why) = (plain(by), "it is not allowed at the device".to_owned());
        entry.turn(|state| match state {
            State::Asked => Ok(State::Over { by, why }),
            State::Opening { .. } | State::Open { .. } => Err(SupportError::Open),
            State::Over { .. } => Err(SupportError::Unknown),
        })?;
        self.give(Job::Refuse(Handle(Arc::clone(&entry))), &entry);
        Ok(())
    }

    /// Ends a session that is open or being opened, at once.
    ///
    /// # Errors
    /// [`SupportError`].
    pub fn end(&self, session: &str, by: &str) -> Result<(), SupportError> {
        let entry = self.find(session)?;
        let (by, why) = (plain(by), "ended at the device".to_owned());
        entry.turn(|state| match state {
            State::Asked => Err(SupportError::Asked),
            State::Opening { .. } | State::Open { .. } => Ok(State::Over { by, why }),
            State::Over { .. } => Err(SupportError::Unknown),
        })
    }

    fn find(&self, session: &str) -> Result<Arc<Entry>, SupportError> {
        let sessions = self.0.sessions.lock();
        let found = sessions.iter().find(|one| one.asked.session == session);
        let found = found.ok_or(SupportError::Unknown)?;
        found.end_late();
        Ok(Arc::clone(found))
    }

    /// Has something done; a session for which nothing can be done is over.
    fn give(&self, job: Job, entry: &Entry) {
        if self.0.jobs.try_send(job).is_err() {
            entry.finish("the agent", "it is going down, or has too much to do");
        }
    }
}

impl Entry {
    fn turn(
        &self,
        next: impl FnOnce(&State) -> Result<State, SupportError>,
    ) -> Result<(), SupportError> {
        let mut turned = Ok(());
        self.state.send_if_modified(|state| match next(state) {
            Ok(next) => {
                *state = next;
                true
            }
            Err(error) => {
                turned = Err(error);
                false
            }
        });
        turned
    }

    fn finish(&self, by: &str, why: &str) {
        // What said so first is the reason.
        let _ = self.turn(|state| match state {
            State::Asked | State::Opening { .. } | State::Open { .. } => Ok(State::Over {
                by: by.to_owned(),
                why: plain(why),
            }),
            State::Over { .. } => Err(SupportError::Unknown),
        });
    }

    fn is_over(&self) -> bool {
        matches!(&*self.state.borrow(), State::Over { .. })
    }

    /// One that nobody has allowed in its time is over.
    fn end_late(&self) {
        if Instant::now() >= self.until {
            self.finish("the agent", "its time is over");
        }
    }

    fn shown(&self) -> Shown {
        let (state, port, tried, over) = match &*self.state.borrow() {
            State::Asked => ("asked", None, Vec::new(), None),
            State::Opening { .. } => ("opening", None, Vec::new(), None),
            State::Open { port, tried } => ("open", Some(*port), tried.clone(), None),
            State::Over { by, why } => ("over", None, Vec::new(), Some(format!("{why} ({by})"))),
        };
        Shown {
            session: self.asked.session.clone(),
            operator: self.asked.operator.clone(),
            reason: self.asked.reason.clone(),
            what: self.asked.what.clone(),
            until: self.until_date,
            state,
            port,
            tried,
            over,
        }
    }
}

fn refused(status: u16, why: &str) -> Answer {
    Answer {
        status,
        content_type: "text/plain".to_owned(),
        payload: Blob(why.as_bytes().to_vec()),
    }
}

/// A text that may be shown and told.
fn plain(text: &str) -> String {
    let signs = text.chars().filter(|sign| !sign.is_control());
    signs.take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests;
