//! What arrives when all goes well.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outgate_core::identity::{Actor, Role, Scope};
use outgate_core::webhooks::{NewWebhook, WebhookChange, WebhookState};
use outgate_core::{Refusal, Timestamp};
use ring::hmac;
use serde_json::Value;

use crate::hub::{Hub, admin, at};
use crate::receiver::{Receiver, Request, endless};

#[tokio::test]
async fn events_arrive_in_order_signed_and_named() {
    let hub = Hub::new().await;
    let mut receiver = Receiver::new().await;
    let (id, secret) = hub.webhook(at(receiver.address, "/hook")).await;
    let place = hub.say("door/opened").await;
    let request = receiver.next().await;
    assert_eq!(request.path, "/hook");
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(
        request.header("webhook-id"),
        format!("{id}_{place}_{place}")
    );
    assert_eq!(request.header("webhook-timestamp"), "1790000000");
    assert!(is_signed(&request, &secret));
    let body = request.json();
    assert_eq!(body["type"], "event");
    assert_eq!(
        body["timestamp"],
        Timestamp::from_millis(1_790_000_000_000).to_string()
    );
    assert_eq!(body["data"]["device"], "till-1");
    assert_eq!(body["data"]["name"], "door/opened");
    assert_eq!(
        body["data"]["payload_base64"],
        STANDARD.encode("door/opened")
    );
    request.answer(StatusCode::OK);
    for name in ["two", "three", "four"] {
        hub.say(name).await;
    }
    for name in ["two", "three", "four"] {
        assert_eq!(receiver.take().await["data"]["name"], name);
    }
}

#[tokio::test]
async fn what_waits_goes_together_when_the_webhook_takes_batches() {
    let hub = Hub::new().await;
    let mut receiver = Receiver::new().await;
    hub.webhook(NewWebhook {
        batch: 3,
        ..at(receiver.address, "/")
    })
    .await;
    hub.say("0").await;
    let first = receiver.next().await;
    for name in 1..=5 {
        hub.say(&name.to_string()).await;
    }
    first.answer(StatusCode::OK);
    assert_eq!(names(&receiver.take().await), ["1", "2", "3"]);
    assert_eq!(names(&receiver.take().await), ["4", "5"]);
}

#[tokio::test]
async fn only_wanted_events_arrive_and_the_place_goes_past_the_others() {
    let hub = Hub::new().await;
    let mut receiver = Receiver::new().await;
    let (id, _) = hub
        .webhook(NewWebhook {
            prefix: Some("door/".to_owned()),
            ..at(receiver.address, "/")
        })
        .await;
    for _ in 0..300 {
        hub.say("window").await;
    }
    let place = hub.say("door/opened").await;
    assert_eq!(receiver.take().await["data"]["place"], place);
    let (hub, id) = (hub.restarted().await, id);
    hub.say("door/closed").await;
    assert_eq!(receiver.take().await["data"]["name"], "door/closed");
    let consumers = hub.core.consumers.list(&admin()).await.unwrap();
    assert_eq!(consumers[0].id.as_str(), id.as_str());
    assert!(consumers[0].place >= place);
}

#[tokio::test]
async fn two_webhooks_do_not_wait_for_each_other() {
    let hub = Hub::new().await;
    let [mut slow, mut quick] = [Receiver::new().await, Receiver::new().await];
    hub.webhook(at(slow.address, "/")).await;
    hub.webhook(at(quick.address, "/")).await;
    hub.say("one").await;
    hub.say("two").await;
    let held = slow.next().await;
    assert_eq!(quick.take().await["data"]["name"], "one");
    assert_eq!(quick.take().await["data"]["name"], "two");
    held.answer(StatusCode::OK);
    assert_eq!(slow.take().await["data"]["name"], "two");
}

#[tokio::test]
async fn an_endless_answer_does_not_hold_the_next_event_up() {
    let hub = Hub::new().await;
    let mut receiver = Receiver::new().await;
    hub.webhook(at(receiver.address, "/")).await;
    hub.say("one").await;
    receiver.next().await.answer_with(endless());
    hub.say("two").await;
    assert_eq!(receiver.take().await["data"]["name"], "two");
}

#[tokio::test]
async fn a_new_secret_signs_beside_the_old_one_until_the_overlap_ends() {
    let hub = Hub::new().await;
    let mut receiver = Receiver::new().await;
    let (id, old) = hub.webhook(at(receiver.address, "/")).await;
    let hour = std::time::Duration::from_secs(3_600);
    let new = hub.core.webhooks.rotate(&admin(), &id, hour).await.unwrap();
    let new = String::from_utf8(new.expose().to_vec()).unwrap();
    for (name, by_old) in [("one", true), ("two", false)] {
        hub.say(name).await;
        let request = receiver.next().await;
        assert!(is_signed(&request, &new), "{name}");
        assert_eq!(is_signed(&request, &old), by_old, "{name}");
        request.answer(StatusCode::OK);
        hub.core.clock.advance(hour);
    }
}

#[tokio::test]
async fn a_paused_webhook_goes_on_where_it_was() {
    let hub = Hub::new().await;
    let mut receiver = Receiver::new().await;
    let (id, _) = hub.webhook(at(receiver.address, "/")).await;
    let set = |active| WebhookChange {
        active: Some(active),
        ..WebhookChange::default()
    };
    let webhooks = &hub.core.webhooks;
    let paused = webhooks.update(&admin(), &id, set(false), Some(1)).await;
    assert_eq!(paused.unwrap().state, WebhookState::Paused);
    let stale = webhooks.update(&admin(), &id, set(true), Some(1)).await;
    assert!(matches!(stale, Err(Refusal::Conflict { .. })));
    hub.say("one").await;
    webhooks
        .update(&admin(), &id, set(true), Some(2))
        .await
        .unwrap();
    assert_eq!(receiver.take().await["data"]["name"], "one");
}

#[tokio::test]
async fn a_removed_webhook_holds_no_events_any_more() {
    let hub = Hub::new().await;
    let receiver = Receiver::new().await;
    let (id, _) = hub.webhook(at(receiver.address, "/")).await;
    assert_eq!(hub.core.consumers.list(&admin()).await.unwrap().len(), 1);
    hub.core.webhooks.remove(&admin(), &id).await.unwrap();
    assert!(hub.core.consumers.list(&admin()).await.unwrap().is_empty());
    let gone = hub.core.webhooks.get(&admin(), &id).await;
    assert!(matches!(gone, Err(Refusal::NotFound { .. })));
}

#[tokio::test]
async fn only_administrators_of_all_sites_make_webhooks_and_it_is_written_down() {
    let hub = Hub::new().await;
    let webhook = || at(([127, 0, 0, 1], 1).into(), "/");
    let site = Scope::Site("shop".parse().unwrap());
    for (role, scope) in [(Role::Operator, Scope::All), (Role::Admin, site)] {
        let actor = Actor {
            role,
            scope,
            ..admin()
        };
        let made = hub.core.webhooks.create(&actor, webhook()).await;
        assert!(matches!(made, Err(Refusal::Forbidden { .. })));
    }
    let (id, secret) = hub.webhook(webhook()).await;
    let page = outgate_core::identity::Page {
        after: None,
        limit: 1,
    };
    let entries = hub.core.audit.entries(&admin(), &page).await.unwrap();
    assert_eq!(entries.items[0].act, "webhook.create");
    assert_eq!(entries.items[0].on, format!("webhook/{id}"));
    assert!(!format!("{:?}", entries.items).contains(&secret));
    assert!(!format!("{:?}", hub.seen(&id).await).contains(&secret));
}

/// Whether one of the signatures is by `secret` (Standard Webhooks, "Verifying signatures").
fn is_signed(request: &Request, secret: &str) -> bool {
    let key = STANDARD
        .decode(secret.strip_prefix("whsec_").unwrap())
        .unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let (id, at) = (
        request.header("webhook-id"),
        request.header("webhook-timestamp"),
    );
    let signed = [format!("{id}.{at}.").as_bytes(), &request.body].concat();
    request
        .header("webhook-signature")
        .split(' ')
        .any(|signature| {
            let signature = STANDARD
                .decode(signature.strip_prefix("v1,").unwrap())
                .unwrap();
            hmac::verify(&key, &signed, &signature).is_ok()
        })
}

fn names(batch: &Value) -> Vec<&str> {
    let items = batch.as_array().unwrap().iter();
    items
        .map(|item| item["data"]["name"].as_str().unwrap())
        .collect()
}
