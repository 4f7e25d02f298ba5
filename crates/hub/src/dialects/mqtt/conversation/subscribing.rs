//! What a client subscribes to.

use std::sync::Arc;

use outgate_mqtt::packet::{QoS, ReasonCode, Subscribe, SubscribeFilter, Unsubscribe};

use super::job::{Done, Subscribed, TwinPart};
use super::{Conversation, Role};
use crate::dialects::mqtt::broker::Granted;
use crate::dialects::mqtt::broker::client::Subscription;
use crate::dialects::mqtt::tongue::{Part, capped, within};

impl Conversation<'_> {
    /// The client subscribes.
    pub(super) fn on_subscribe(&mut self, subscribe: Subscribe) {
        let identifier = subscribe.subscription_id.map(std::num::NonZeroU32::get);
        let mut reasons = Vec::with_capacity(subscribe.filters.len());
        let mut granted = Vec::new();
        for filter in subscribe.filters {
            let reason = match self.permit(&filter) {
                Ok(qos) => self.grant(SubscribeFilter { qos, ..filter }, identifier, &mut granted),
                Err(reason) => reason,
            };
            reasons.push(reason);
        }
        self.answer_granted(Subscribed {
            packet_id: subscribe.packet_id,
            reasons,
            granted,
        });
    }

    /// The client unsubscribes.
    pub(super) fn on_unsubscribe(&mut self, unsubscribe: Unsubscribe) {
        let mut reasons = Vec::with_capacity(unsubscribe.filters.len());
        let mut gone = Vec::new();
        for filter in unsubscribe.filters {
            if self.hub.broker.unsubscribe(self.client, &filter) {
                gone.push(filter.as_str().to_owned());
                reasons.push(ReasonCode::Success);
            } else {
                reasons.push(ReasonCode::NoSubscriptionExisted);
            }
        }
        self.close_feed_without_filters();
        let (broker, client) = (Arc::clone(&self.hub.broker), Arc::clone(self.client));
        let packet_id = unsubscribe.packet_id;
        if client.mailbox.kept().is_none() || gone.is_empty() {
            return self.on_done(Done::Unsubscribed(packet_id, reasons, Ok(())));
        }
        self.jobs.push(Box::pin(async move {
            let done = broker.forget_subscriptions(&client, gone).await;
            Done::Unsubscribed(packet_id, reasons, done)
        }));
    }

    /// Ends subscriptions that rules which have been taken up meanwhile do not allow any more. Its
    /// client cannot be told: MQTT has no words for it.
    pub(super) fn heed_rules(&mut self) {
        let current = self.hub.rules.load();
        let heeded = self.rules.as_ref();
        if heeded.is_some_and(|heeded| Arc::ptr_eq(heeded, &current)) {
            return;
        }
        self.rules = Some(Arc::clone(&current));
        let mut gone = Vec::new();
        for subscription in self.client.subscriptions() {
            let filter = &subscription.filter;
            if self.permit(filter).is_err()
                && self.hub.broker.unsubscribe(self.client, &filter.filter)
            {
                gone.push(filter.filter.as_str().to_owned());
            }
        }
        if gone.is_empty() {
            return;
        }
        tracing::info!(count = gone.len(), "subscriptions are no longer allowed");
        let (broker, client) = (Arc::clone(&self.hub.broker), Arc::clone(self.client));
        self.jobs.push(Box::pin(async move {
            let done = broker.forget_subscriptions(&client, gone).await;
            Done::Noted("that subscriptions are no longer allowed", done)
        }));
    }

    /// What follows from subscriptions that are in force and that the client knows of.
    pub(super) fn on_subscribed(&mut self) {
        self.commands.more = true;
        self.read_deltas();
        self.read_fresh_jobs();
        if !self.wants(Part::Desired) {
            return;
        }
        if self.tells_changes() {
            if self.desired_known.is_none() {
                self.read_known(None);
            }
        } else if !self.desired_sent {
            self.desired_sent = true;
            self.read_twin(TwinPart::Desired);
        }
    }

    /// Whether the client may have this subscription, and with which quality of service.
    fn permit(&self, filter: &SubscribeFilter) -> Result<QoS, ReasonCode> {
        match &self.role {
            Role::Device(device) => {
                let rules = self.hub.rules.load();
                let tongue = &device.tongue;
                tongue.permit(&rules.policies, &device.subject, filter)
            }
            Role::Service(_) => permit_service(filter),
        }
    }

    fn grant(
        &mut self,
        filter: SubscribeFilter,
        identifier: Option<u32>,
        granted: &mut Vec<Granted>,
    ) -> ReasonCode {
        if let Role::Device(device) = &self.role
            && filter
                .filter
                .matches(&device.tongue.place(&device.id, Part::Desired))
        {
            self.desired_sent = false;
        }
        let subscription = Subscription { filter, identifier };
        let pass = self.session.pass();
        let granting = self.hub.broker.subscribe(self.client, &pass, subscription);
        let Some(found) = granting else {
            return ReasonCode::QuotaExceeded;
        };
        let qos = found.subscription.filter.qos;
        self.note_fresh(&found.subscription.filter.filter);
        granted.push(found);
        match qos {
            QoS::AtMostOnce => ReasonCode::Success,
            QoS::AtLeastOnce => ReasonCode::GrantedQos1,
            QoS::ExactlyOnce => ReasonCode::GrantedQos2,
        }
    }

    /// Answers once it is known what the client knows, where it is told what changes: a change that
    /// comes after the answer is one that it does not know.
    fn answer_granted(&mut self, subscribed: Subscribed) {
        let unknown = self.tells_changes() && self.desired_known.is_none();
        if unknown && self.wants(Part::Desired) {
            return self.read_known(Some(Box::new(subscribed)));
        }
        self.keep_granted(subscribed);
    }

    /// Answers once the subscriptions are on the disk, where the session is kept.
    pub(super) fn keep_granted(&mut self, subscribed: Subscribed) {
        let Subscribed {
            packet_id,
            reasons,
            granted,
        } = subscribed;
        self.open_feed(!granted.is_empty());
        let (mut subscriptions, mut replays) = (Vec::new(), Vec::new());
        for one in granted {
            subscriptions.push((one.subscription, one.replay.is_some()));
            replays.extend(one.replay);
        }
        if subscriptions.is_empty() || self.client.mailbox.kept().is_none() {
            return self.on_done(Done::Subscribed(packet_id, reasons, replays, Ok(())));
        }
        let (broker, client) = (Arc::clone(&self.hub.broker), Arc::clone(self.client));
        let pass = self.session.pass();
        self.jobs.push(Box::pin(async move {
            let done = broker
                .keep_subscriptions(&client, pass, subscriptions)
                .await;
            Done::Subscribed(packet_id, reasons, replays, done)
        }));
    }
}

fn permit_service(asked: &SubscribeFilter) -> Result<QoS, ReasonCode> {
    if asked.filter.shared().is_some() {
        return Err(ReasonCode::SharedSubscriptionsNotSupported);
    }
    if within("events/#", &asked.filter) {
        return Ok(capped(asked.qos));
    }
    Err(ReasonCode::NotAuthorized)
}
