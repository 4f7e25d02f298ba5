//! What happens when a receiver does not take a message.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use outgate_core::webhooks::{WebhookChange, WebhookState};
use outgate_hub::webhooks::{LONGEST_WAIT, MAX_REJECTIONS, STOP_AFTER};

use crate::hub::{Hub, admin, at};
use crate::receiver::Receiver;

#[tokio::test]
async fn a_message_is_tried_again_as_the_same_and_before_later_ones() {
    let mut hub = Hub::new().await;
    let mut receiver = Receiver::new().await;
    let (id, _) = hub.webhook(at(receiver.address, "/")).await;
    hub.say("one").await;
    hub.say("two").await;
    let mut seen = Vec::new();
    for (status, shortest) in [(500, 4.0), (404, 8.0), (503, 16.0)] {
        let request = receiver.next().await;
        assert_eq!(request.json()["data"]["name"], "one");
        let header = |name| request.header(name).to_owned();
        seen.push((header("webhook-id"), header("webhook-timestamp")));
        request.answer(StatusCode::from_u16(status).unwrap());
        let waited = hub.pass().await.as_secs_f64();
        assert!((shortest..=shortest * 1.5).contains(&waited), "{waited}");
        let failure = hub.seen(&id).await.failure.unwrap();
        assert_eq!(failure.attempts as usize, seen.len());
        assert_eq!(failure.why, format!("HTTP {status}"));
    }
    assert!(seen.windows(2).all(|pair| pair[0].0 == pair[1].0));
    assert!(seen.windows(2).all(|pair| pair[0].1 < pair[1].1));
    assert_eq!(receiver.take().await["data"]["name"], "one");
    assert_eq!(receiver.take().await["data"]["name"], "two");
    hub.say("three").await;
    // With the next request on its way, what came of the one before is on the disk.
    let third = receiver.next().await;
    assert_eq!(hub.seen(&id).await.failure, None);
    third.answer(StatusCode::OK);
}

#[tokio::test]
async fn a_receiver_is_left_alone_for_as_long_as_it_asks() {
    let mut hub = Hub::new().await;
    let mut receiver = Receiver::new().await;
    hub.webhook(at(receiver.address, "/")).await;
    hub.say("one").await;
    for (asked, waits) in [("3600", 3_600), ("99999999", 24 * 3_600)] {
        let busy = (StatusCode::TOO_MANY_REQUESTS, [("retry-after", asked)]);
        receiver.next().await.answer_with(busy.into_response());
        assert_eq!(hub.pass().await, Duration::from_secs(waits));
    }
    assert_eq!(receiver.take().await["data"]["name"], "one");
}

#[tokio::test]
async fn a_receiver_that_was_away_gets_everything() {
    let mut hub = Hub::new().await;
    let mut receiver = Receiver::new().await;
    let (id, _) = hub.webhook(at(receiver.address, "/")).await;
    hub.say("one").await;
    receiver.take().await;
    hub.say("two").await;
    // Killed with a request in its hands.
    receiver.next().await;
    let address = receiver.kill().await;
    for name in ["three", "four"] {
        hub.say(name).await;
    }
    for _ in 0..2 * MAX_REJECTIONS {
        hub.pass().await;
    }
    assert_eq!(hub.seen(&id).await.letters, 0);
    // Nothing is under way when the receiver comes back: the hub waits.
    let wait = hub.waits.recv().await.unwrap();
    let mut receiver = Receiver::on(address).await;
    hub.core.clock.advance(wait.length);
    wait.over.send(()).unwrap();
    for name in ["two", "three", "four"] {
        assert_eq!(receiver.take().await["data"]["name"], name);
    }
}

#[tokio::test]
async fn a_hub_that_restarts_goes_on_trying_the_same_message() {
    let mut hub = Hub::new().await;
    let mut receiver = Receiver::new().await;
    let webhook = outgate_core::webhooks::NewWebhook {
        batch: 10,
        ..at(receiver.address, "/")
    };
    let (id, _) = hub.webhook(webhook).await;
    hub.say("one").await;
    let first = receiver.next().await;
    let name = first.header("webhook-id").to_owned();
    first.answer(StatusCode::INTERNAL_SERVER_ERROR);
    hub.pass().await;
    let again = receiver.next().await;
    again.answer(StatusCode::INTERNAL_SERVER_ERROR);
    let wait = hub.waits.recv().await.unwrap();
    hub.say("two").await;
    hub.core.clock.advance(wait.length);
    let hub = hub.restarted().await;
    let again = receiver.next().await;
    assert_eq!(again.header("webhook-id"), name);
    assert_eq!(again.json().as_array().unwrap().len(), 1);
    assert_eq!(hub.seen(&id).await.failure.unwrap().attempts, 2);
    again.answer(StatusCode::OK);
    assert_eq!(receiver.take().await[0]["data"]["name"], "two");
}

#[tokio::test]
async fn a_message_nobody_takes_is_set_aside_and_can_be_sent_again() {
    let mut hub = Hub::new().await;
    let mut receiver = Receiver::new().await;
    let (id, _) = hub.webhook(at(receiver.address, "/")).await;
    let place = hub.say("bad").await;
    hub.say("good").await;
    let mut body = None;
    for attempt in 1..=MAX_REJECTIONS {
        let request = receiver.next().await;
        body = Some(request.body.clone());
        request.answer(StatusCode::UNPROCESSABLE_ENTITY);
        if attempt < MAX_REJECTIONS {
            hub.pass().await;
        }
    }
    assert_eq!(receiver.take().await["data"]["name"], "good");
    let letters = hub.letters(&id).await;
    let [letter] = letters.as_slice() else {
        panic!("one letter was expected: {letters:?}");
    };
    assert_eq!((letter.first_place, letter.last_place), (place, place));
    assert_eq!(
        (letter.attempts, letter.why.as_str()),
        (MAX_REJECTIONS, "HTTP 422")
    );
    assert_eq!(Some(&letter.body), body.as_ref());
    assert!(
        hub.metrics
            .text()
            .contains("outgate_webhook_messages_set_aside_total 1")
    );
    let webhooks = &hub.core.webhooks;
    webhooks.redeliver(&admin(), &id, letter.seq).await.unwrap();
    let again = receiver.next().await;
    assert_eq!(again.header("webhook-id"), letter.message);
    again.answer(StatusCode::UNPROCESSABLE_ENTITY);
    hub.say("next").await;
    receiver.take().await;
    assert_eq!(hub.letters(&id).await[0].attempts, MAX_REJECTIONS + 1);
    webhooks.redeliver(&admin(), &id, letter.seq).await.unwrap();
    assert_eq!(receiver.take().await["data"]["name"], "bad");
    hub.say("last").await;
    let last = receiver.next().await;
    assert!(hub.letters(&id).await.is_empty());
    last.answer(StatusCode::OK);
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_left_alone_and_gives_up_its_place() {
    let hub = Hub::new().await;
    let mut receiver = Receiver::new().await;
    let (id, _) = hub.webhook(at(receiver.address, "/")).await;
    let mut changes = hub.core.webhooks.changes();
    changes.borrow_and_update();
    hub.say("one").await;
    receiver.next().await.answer(StatusCode::GONE);
    changes.changed().await.unwrap();
    assert_eq!(hub.seen(&id).await.state, WebhookState::Stopped);
    assert!(hub.core.consumers.list(&admin()).await.unwrap().is_empty());
    hub.say("unheard").await;
    let change = WebhookChange {
        active: Some(true),
        ..WebhookChange::default()
    };
    let webhooks = &hub.core.webhooks;
    webhooks.update(&admin(), &id, change, None).await.unwrap();
    hub.say("heard").await;
    assert_eq!(receiver.take().await["data"]["name"], "heard");
}

#[tokio::test]
async fn a_receiver_that_is_away_for_too_long_is_stopped() {
    let mut hub = Hub::new().await;
    let address = Receiver::new().await.kill().await;
    let (id, _) = hub.webhook(at(address, "/")).await;
    hub.say("one").await;
    let mut away = Duration::ZERO;
    let mut changes = hub.core.webhooks.changes();
    changes.borrow_and_update();
    while away < STOP_AFTER {
        away += hub.pass().await;
    }
    changes.changed().await.unwrap();
    let webhook = hub.seen(&id).await;
    assert_eq!(webhook.state, WebhookState::Stopped);
    assert!(webhook.failure.unwrap().why.contains("7 days"));
}

#[tokio::test]
async fn a_clock_that_was_far_ahead_and_is_put_right_stops_no_webhook() {
    let mut hub = Hub::new().await;
    let address = Receiver::new().await.kill().await;
    let (id, _) = hub.webhook(at(address, "/")).await;
    hub.say("one").await;
    hub.pass().await;
    // It jumps ahead by more than a receiver may be away.
    hub.core.clock.advance(2 * STOP_AFTER);
    hub.pass().await;
    let waits = tokio::time::timeout(Duration::from_secs(20), hub.waits.recv());
    let _held = waits.await.expect("it was stopped").unwrap();
    assert_eq!(hub.seen(&id).await.state, WebhookState::Active);
    // It is put right: the next try was planned for then.
    let mut hub = hub.restarted_at(|now| now.before(2 * STOP_AFTER)).await;
    let wait = hub.waits.recv().await.unwrap();
    assert!(
        wait.length <= LONGEST_WAIT.mul_f64(1.2),
        "{:?}",
        wait.length
    );
    let failure = hub.seen(&id).await.failure.unwrap();
    assert!(failure.since <= hub.core.clock.now());
    assert!(failure.next_try.unwrap().since(hub.core.clock.now()) <= LONGEST_WAIT);
}

#[tokio::test]
async fn a_changed_address_is_tried_at_once() {
    let mut hub = Hub::new().await;
    let address = Receiver::new().await.kill().await;
    let (id, _) = hub.webhook(at(address, "/")).await;
    hub.say("one").await;
    let _held = hub.waits.recv().await.unwrap();
    let mut receiver = Receiver::new().await;
    let change = WebhookChange {
        url: Some(format!("http://{}/", receiver.address)),
        ..WebhookChange::default()
    };
    let webhooks = &hub.core.webhooks;
    webhooks.update(&admin(), &id, change, None).await.unwrap();
    assert_eq!(receiver.take().await["data"]["name"], "one");
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_given_up_on() {
    let settings = outgate_hub::webhooks::Settings {
        answer_within: Duration::from_millis(50),
        ..crate::hub::trusting()
    };
    let clock = outgate_core::Clock::held(outgate_core::Timestamp::from_millis(0));
    let mut hub = Hub::with(settings, clock).await;
    let mut receiver = Receiver::new().await;
    let (id, _) = hub.webhook(at(receiver.address, "/")).await;
    hub.say("one").await;
    let silent = receiver.next().await;
    hub.pass().await;
    let failure = hub.seen(&id).await.failure.unwrap();
    assert!(failure.why.contains("timed out"), "{}", failure.why);
    drop(silent);
}
