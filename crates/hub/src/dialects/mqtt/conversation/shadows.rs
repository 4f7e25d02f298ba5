//! The device's shadows on the wire, where it speaks AWS's dialect.

use std::task::Poll;

use outgate_core::id::{DeviceId, TwinName};
use outgate_core::refusal::Refusal;
use outgate_core::twin::Twin;
use outgate_mqtt::connection::Token;
use outgate_mqtt::packet::ReasonCode;
use outgate_mqtt::topics::TopicFilter;

use super::job::{Done, Job, handed_in};
use super::{Conversation, Role, Tag};
use crate::dialects::aws::shadow::{self, Ask};
use crate::dialects::mqtt::tongue::Utterance;

/// A twin of the device, and its name if it has one.
pub(super) type OneTwin = (Option<TwinName>, Twin);

impl<'a> Conversation<'a> {
    /// The client asks something of one of its shadows.
    pub(super) fn on_shadow(&mut self, ask: Ask, token: Option<Token>) {
        let (core, session) = (&self.hub.core, self.session);
        let asked = async move { Done::Asked(token, ask.answer(core, session).await) };
        self.ask_at_once(Box::pin(asked));
    }

    /// Hands in what the client asks before anything else is taken up: it may say goodbye next.
    pub(super) fn ask_at_once(&mut self, mut job: Job<'a>) {
        match handed_in(&mut job) {
            Poll::Ready(done) => self.on_done(done),
            Poll::Pending => self.jobs.push(job),
        }
    }

    /// What it asked is done or not: both are told in messages. There may be other jobs now.
    pub(super) fn on_answered(
        &mut self,
        token: Option<Token>,
        said: Result<Vec<Utterance>, Refusal>,
    ) {
        match said {
            Ok(said) => {
                self.acknowledge(token, ReasonCode::Success);
                for one in said {
                    self.say(Some(one), Tag::Nothing);
                }
            }
            Err(refusal) => self.on_refused(token, &refusal),
        }
        self.read_jobs();
    }

    /// What is desired of the device has changed, in its twin of this name: it is told what
    /// differs, if it takes that.
    pub(super) fn read_delta(&mut self, name: Option<TwinName>) {
        let Some(device) = self.has_shadows() else {
            return;
        };
        let topic = shadow::delta_topic(device, name.as_ref());
        if self.wanted(&topic).is_none() {
            return;
        }
        let (twins, session) = (&self.hub.core.twins, self.session);
        self.jobs.push(Box::pin(async move {
            let twin = twins.own_of(session, name.as_ref()).await;
            let taken = TopicFilter::new(&topic).into_iter().collect();
            Done::Deltas(taken, twin.map(|twin| vec![(name, twin)]))
        }));
    }

    /// Notes that the client has a new subscription, or has one again.
    pub(super) fn note_fresh(&mut self, filter: &TopicFilter) {
        let takes = |device: &DeviceId| shadow::takes_deltas(device, filter);
        if self.has_shadows().is_some_and(takes) {
            self.fresh.push(filter.clone());
        }
        self.note_fresh_jobs(filter);
    }

    /// What it has newly subscribed to is in force: it is told what differs now. What has changed
    /// while it was away it is told so, too.
    pub(super) fn read_deltas(&mut self) {
        if self.fresh.is_empty() {
            return;
        }
        let taken = std::mem::take(&mut self.fresh);
        let (twins, session) = (&self.hub.core.twins, self.session);
        self.jobs.push(Box::pin(async move {
            let all = async {
                let mut all: Vec<OneTwin> = vec![(None, twins.own(session).await?)];
                let named = twins.own_named(session).await?.into_iter();
                all.extend(named.map(|one| (Some(one.name), one.twin)));
                Ok(all)
            };
            Done::Deltas(taken, all.await)
        }));
    }

    /// Twins have been read: what differs of them is told where one of these filters takes it.
    pub(super) fn on_deltas(
        &mut self,
        taken: &[TopicFilter],
        twins: Result<Vec<OneTwin>, Refusal>,
    ) {
        let twins = match twins {
            Ok(twins) => twins,
            Err(refusal) => {
                tracing::warn!(error = %refusal, "a twin cannot be read");
                return;
            }
        };
        let now = self.hub.core.clock.now();
        for (name, twin) in twins {
            let delta = shadow::told_delta(&twin.device, name.as_ref(), (&twin, now));
            let is_taken = |said: &Utterance| taken.iter().any(|its| its.matches(&said.topic));
            self.say(delta.filter(is_taken), Tag::Nothing);
        }
    }

    /// The client's device, if it speaks of shadows and jobs.
    pub(super) fn has_shadows(&self) -> Option<&DeviceId> {
        match &self.role {
            Role::Device(device) => device.tongue.has_shadows().then_some(&device.id),
            Role::Service(_) => None,
        }
    }
}
