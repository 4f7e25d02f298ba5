//! Events for services: each has its own place, and loses nothing.

use std::time::Instant;

use outgate_core::events::{Event, EventFilter, Taken};
use outgate_core::refusal::Refusal;
use outgate_mqtt::packet::{PublishProperties, ReasonCode};
use outgate_mqtt::text::Text;

use super::delivering::Letter;
use super::feed::{BATCH, Feed};
use super::job::Done;
use super::{Conversation, Role, Tag};
use crate::dialects::mqtt::broker::consumer_of;
use crate::dialects::mqtt::topics;

impl Conversation<'_> {
    /// Begins to take events, if the service subscribes to some and does not take any yet.
    pub(super) fn open_feed(&mut self, subscribes: bool) {
        let Role::Service(service) = &mut self.role else {
            return;
        };
        let takes = subscribes && self.client.subscription_count() > 0;
        if service.feed.is_some() || !takes {
            return;
        }
        let newest = *service.news.borrow_and_update();
        let consumer = self
            .client
            .mailbox
            .kept()
            .and_then(|_| consumer_of(&self.client.key));
        let mut feed = Feed::new(consumer.clone(), service.scope.clone(), newest);
        let Some(consumer) = consumer else {
            service.feed = Some(feed);
            return;
        };
        // Nothing is read before its place is known.
        feed.reading = true;
        service.feed = Some(feed);
        let (consumers, pass) = (&self.hub.core.consumers, self.session.pass());
        self.jobs.push(Box::pin(async move {
            let found = consumers.register(Some(pass), &consumer, None).await;
            Done::FeedOpen(found.map(|consumer| consumer.place))
        }));
    }

    /// The service's place is known.
    pub(super) fn on_feed_open(&mut self, place: Result<u64, Refusal>) {
        let Role::Service(service) = &mut self.role else {
            return;
        };
        match (place, &mut service.feed) {
            (Ok(place), Some(feed)) => {
                *feed = Feed::new(feed.consumer.take(), feed.scope.clone(), place);
                self.read_events();
            }
            (Ok(_), None) => {}
            (Err(refusal), _) => {
                tracing::warn!(error = %refusal, "a service's place is not known");
                self.close(ReasonCode::UnspecifiedError);
            }
        }
    }

    /// Reads the next events, if there are any and there is room.
    pub(super) fn read_events(&mut self) {
        let room = self.room();
        if !self.letters.is_empty() {
            return;
        }
        let Role::Service(service) = &mut self.role else {
            return;
        };
        let newest = *service.news.borrow_and_update();
        let Some(feed) = &mut service.feed else {
            return;
        };
        if feed.reading || room == 0 || feed.read >= newest {
            return;
        }
        feed.reading = true;
        let filter = EventFilter {
            scope: feed.scope.clone(),
            device: None,
            prefix: None,
        };
        let (after, limit) = (feed.read, BATCH.min(u32::try_from(room).unwrap_or(BATCH)));
        let events = &self.hub.core.events;
        self.jobs.push(Box::pin(async move {
            Done::Events(events.after(&filter, after, limit).await)
        }));
    }

    /// Events have been read.
    pub(super) fn on_events(&mut self, taken: Result<Taken, Refusal>) {
        let Role::Service(service) = &mut self.role else {
            return;
        };
        let Some(feed) = &mut service.feed else {
            return;
        };
        feed.reading = false;
        match taken {
            Ok(taken) => {
                feed.read = taken.next;
                for event in taken.events {
                    self.send_event(event);
                }
                self.place_feed();
                self.read_events();
            }
            Err(Refusal::Expired { oldest }) => {
                tracing::warn!(
                    oldest,
                    "a service has missed events that are no longer kept"
                );
                feed.read = feed.read.max(oldest.saturating_sub(1));
                self.read_events();
            }
            Err(refusal) => {
                tracing::warn!(error = %refusal, "events cannot be read");
                self.close(ReasonCode::UnspecifiedError);
            }
        }
    }

    /// The service has an event.
    pub(super) fn on_event_taken(&mut self, place: u64) {
        if let Role::Service(service) = &mut self.role
            && let Some(feed) = &mut service.feed
        {
            feed.on_taken(place);
        }
        self.place_feed();
    }

    /// A new place is on the disk.
    pub(super) fn on_placed(&mut self, place: Result<u64, Refusal>) {
        if let Role::Service(service) = &mut self.role
            && let Some(feed) = &mut service.feed
        {
            feed.placing = false;
            match place {
                Ok(place) => feed.placed = feed.placed.max(place),
                // The next one covers it.
                Err(refusal) => tracing::warn!(error = %refusal, "a service's place was not kept"),
            }
        }
        self.place_feed();
    }

    /// Stops to take events when nothing is subscribed to any more.
    pub(super) fn close_feed_without_filters(&mut self) {
        let Role::Service(service) = &mut self.role else {
            return;
        };
        if self.client.subscription_count() > 0 {
            return;
        }
        let feed = service.feed.take();
        if let Some(consumer) = feed.and_then(|feed| feed.consumer) {
            let (consumers, pass) = (&self.hub.core.consumers, self.session.pass());
            self.jobs.push(Box::pin(async move {
                Done::Noted(
                    "that a service takes no events",
                    forgotten(consumers.remove(Some(pass), &consumer).await),
                )
            }));
        }
    }

    /// Has the place noted that a service has come to when its connection ends: what it has
    /// acknowledged last may not have been, while a place before it was on its way to the disk.
    pub(super) fn place_at_last(&mut self) {
        let Role::Service(service) = &mut self.role else {
            return;
        };
        let Some(feed) = &mut service.feed else {
            return;
        };
        if let (Some(place), Some(consumer)) = (feed.new_place(), feed.consumer.clone()) {
            let (consumers, pass) = (self.hub.core.consumers.clone(), self.session.pass());
            self.commits.push(Box::pin(async move {
                let done = consumers.advance(Some(pass), &consumer, place).await;
                Done::Placed(done.map(|()| place))
            }));
        }
    }

    fn place_feed(&mut self) {
        let Role::Service(service) = &mut self.role else {
            return;
        };
        let Some(feed) = &mut service.feed else {
            return;
        };
        let (Some(place), false) = (feed.new_place(), feed.placing) else {
            return;
        };
        let Some(consumer) = feed.consumer.clone() else {
            feed.placed = place;
            return;
        };
        feed.placing = true;
        let (consumers, pass) = (&self.hub.core.consumers, self.session.pass());
        self.jobs.push(Box::pin(async move {
            let done = consumers.advance(Some(pass), &consumer, place).await;
            Done::Placed(done.map(|()| place))
        }));
    }

    fn send_event(&mut self, event: Event) {
        let topic = topics::event(event.site.as_str(), event.device.as_str(), &event.name);
        let Some(qos) = self.wanted(&topic) else {
            return;
        };
        if let Role::Service(service) = &mut self.role
            && let Some(feed) = &mut service.feed
        {
            feed.on_sent(event.seq);
        }
        let properties = PublishProperties {
            content_type: (!event.content_type.is_empty())
                .then(|| Text::lossy(&event.content_type)),
            user_properties: user_properties(&event),
            ..PublishProperties::default()
        };
        let letter = Letter {
            topic,
            payload: event.payload,
            properties,
            qos,
            tag: Tag::Event(event.seq),
        };
        self.send(letter, Instant::now());
    }
}

/// The device's own properties, and what the hub knows of the event.
fn user_properties(event: &Event) -> Vec<(Text, Text)> {
    let own = event
        .properties
        .iter()
        .map(|(name, value)| (Text::lossy(name), Text::lossy(value)));
    let ours = [
        ("outgate-place", event.seq.to_string()),
        ("outgate-received", event.received.to_string()),
    ];
    own.chain(ours.map(|(name, value)| (Text::lossy(name), Text::lossy(&value))))
        .collect()
}

/// That something was not there is no failure to forget it.
fn forgotten(done: Result<(), Refusal>) -> Result<(), Refusal> {
    match done {
        Err(Refusal::NotFound { .. }) => Ok(()),
        done => done,
    }
}
