//! The device's jobs on the wire, where it speaks AWS's dialect.

use outgate_core::refusal::Refusal;
use outgate_mqtt::connection::Token;
use outgate_mqtt::topics::TopicFilter;

use super::job::Done;
use super::{Conversation, Tag};
use crate::dialects::aws::jobs::{Ask, Waiting, takes_jobs, told_in};

/// What a device is told of its jobs unasked.
#[derive(Debug, Default)]
pub(super) struct News {
    told: Told,
    /// Whether they are being read.
    reading: bool,
    /// Whether they may have changed since that began: what is read sooner must not come later.
    stale: bool,
}

/// Which jobs a device was told of unasked.
#[derive(Debug, Default)]
enum Told {
    /// None, and nothing says that it is to be told.
    #[default]
    Nothing,
    /// None yet: it has just subscribed.
    Fresh,
    /// Those at these places, in their order.
    Jobs(Vec<u64>),
}

impl Conversation<'_> {
    /// The client asks something of its jobs.
    pub(super) fn on_job(&mut self, ask: Ask, token: Option<Token>) {
        let (core, session) = (&self.hub.core, self.session);
        let asked = async move { Done::Asked(token, ask.answer(core, session).await) };
        self.ask_at_once(Box::pin(asked));
    }

    /// Notes that the client has newly subscribed to be told of its jobs, or has come back.
    pub(super) fn note_fresh_jobs(&mut self, filter: &TopicFilter) {
        let takes = |device| takes_jobs(device, filter);
        if self.has_shadows().is_some_and(takes) {
            self.news.told = Told::Fresh;
        }
    }

    /// What it has newly subscribed to is in force.
    pub(super) fn read_fresh_jobs(&mut self) {
        if let Told::Fresh = self.news.told {
            self.read_jobs();
        }
    }

    /// Reads which jobs the client has to do, if it is told so unasked.
    pub(super) fn read_jobs(&mut self) {
        let Some(device) = self.has_shadows() else {
            return;
        };
        let topics = told_in(device);
        if topics.iter().all(|topic| self.wanted(topic).is_none()) {
            return;
        }
        if self.news.reading {
            self.news.stale = true;
            return;
        }
        self.news.reading = true;
        let (core, session) = (&self.hub.core, self.session);
        self.jobs.push(Box::pin(async move {
            Done::Jobs(Waiting::of(core, session).await)
        }));
    }

    /// The jobs have been read: the client is told when there are others than it was told of.
    pub(super) fn on_jobs(&mut self, waiting: Result<Waiting, Refusal>) {
        self.news.reading = false;
        if std::mem::take(&mut self.news.stale) {
            self.read_jobs();
        }
        let waiting = match waiting {
            Ok(waiting) => waiting,
            Err(refusal) => {
                tracing::warn!(error = %refusal, "jobs cannot be read");
                return;
            }
        };
        let Some(device) = self.has_shadows() else {
            return;
        };
        let places = waiting.places();
        // Who was told of none is not told that there are none.
        let before = match &self.news.told {
            Told::Nothing | Told::Fresh => &[][..],
            Told::Jobs(before) => before,
        };
        let now = self.hub.core.clock.now();
        let all = (before != places).then(|| waiting.all(device, now));
        let next = (before.first() != places.first()).then(|| waiting.next(device, now));
        self.news.told = Told::Jobs(places);
        self.say(all, Tag::Nothing);
        self.say(next, Tag::Nothing);
    }
}
