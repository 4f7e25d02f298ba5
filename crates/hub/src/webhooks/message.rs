//! What is sent: a body of events, and what is signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use outgate_core::Timestamp;
use outgate_core::events::Event;
use outgate_core::id::WebhookId;
use outgate_core::secret::Secret;
use ring::hmac;
use serde::Serialize;

use crate::api::view;

/// The most bytes of a body, beyond its first event.
pub const MAX_BODY: usize = 1024 * 1024;

/// Something to send.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// Its name, the same however often it is sent.
    pub(super) id: String,
    /// The place of its first event.
    pub(super) first: u64,
    /// The place of its last event.
    pub(super) last: u64,
    /// How many events are in it.
    pub(super) events: u64,
    /// Its body.
    pub(super) body: Bytes,
}

#[derive(Serialize)]
struct Item {
    r#type: &'static str,
    timestamp: Timestamp,
    data: view::Event,
}

impl Message {
    /// The first of `events` that go into one body; `None` when there are none.
    pub(super) fn of(webhook: &WebhookId, batch: u32, events: Vec<Event>) -> Option<Self> {
        let first = events.first()?.seq;
        let mut last = first;
        let mut count = 0;
        let mut body = Vec::new();
        for event in events {
            let place = event.seq;
            let item = serde_json::to_vec(&Item {
                r#type: "event",
                timestamp: event.received,
                data: event.into(),
            })
            .ok()?;
            if count > 0 && (count >= u64::from(batch) || body.len() + item.len() > MAX_BODY) {
                break;
            }
            body.push(if count == 0 { b'[' } else { b',' });
            body.extend(item);
            last = place;
            count += 1;
        }
        if batch == 1 {
            body.remove(0);
        } else {
            body.push(b']');
        }
        Some(Self {
            id: format!("{webhook}_{first}_{last}"),
            first,
            last,
            events: count,
            body: body.into(),
        })
    }
}

/// The value of `webhook-signature`: one signature a secret (Standard Webhooks, "Signature
/// scheme").
pub(super) fn signatures(secrets: &[Secret], id: &str, seconds: i64, body: &[u8]) -> String {
    let signed = secrets.iter().map(|secret| {
        let mut context =
            hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose()));
        context.update(format!("{id}.{seconds}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    });
    signed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_reference_implementations_is_signed_as_they_do() {
        // From the tests of the Standard Webhooks libraries.
        let secret = Secret::from_base64("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            signatures(
                &[secret],
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                body
            ),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_body_is_cut_where_it_would_become_too_large_and_goes_on_with_the_next() {
        let id = "wh-1".parse().unwrap();
        let events: Vec<_> = (1..=9).map(|seq| event(seq, 200 * 1024)).collect();
        let message = Message::of(&id, 100, events).unwrap();
        assert_eq!((message.first, message.last, message.events), (1, 3, 3));
        assert!(message.body.len() <= MAX_BODY);
        let read: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
        assert_eq!(read.as_array().unwrap().len(), 3);
        let alone = Message::of(&id, 1, vec![event(7, 10), event(8, 10)]).unwrap();
        assert_eq!((alone.id.as_str(), alone.events), ("wh-1_7_7", 1));
        let read: serde_json::Value = serde_json::from_slice(&alone.body).unwrap();
        assert_eq!(
            (&read["type"], &read["data"]["place"]),
            (&"event".into(), &7.into())
        );
        assert!(Message::of(&id, 1, Vec::new()).is_none());
    }

    fn event(seq: u64, bytes: usize) -> Event {
        Event {
            seq,
            device: "till-1".parse().unwrap(),
            site: "shop".parse().unwrap(),
            name: "door/opened".to_owned(),
            content_type: String::new(),
            properties: std::collections::BTreeMap::new(),
            received: Timestamp::from_millis(0),
            payload: vec![0; bytes].into(),
        }
    }
}
