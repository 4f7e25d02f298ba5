//! Where webhooks may and may not go.

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use outgate_core::webhooks::NewWebhook;
use outgate_core::{Clock, Timestamp};
use outgate_hub::webhooks::Settings;

use crate::hub::{Hub, at};
use crate::receiver::Receiver;

#[tokio::test]
async fn a_receiver_on_this_machine_is_not_connected_to_unless_trusted() {
    let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = receiver.local_addr().unwrap().port();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://localhost:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        format!("https://0x7f000001:{port}/"),
        format!("https://0.0.0.0:{port}/"),
    ] {
        let clock = Clock::held(Timestamp::from_millis(0));
        let mut hub = Hub::with(Settings::default(), clock).await;
        let address = receiver.local_addr().unwrap();
        let webhook = NewWebhook {
            url: url.clone(),
            ..at(address, "/")
        };
        let (id, _) = hub.webhook(webhook).await;
        hub.say("one").await;
        hub.pass().await;
        let why = hub.seen(&id).await.failure.unwrap().why;
        assert!(why.contains("may not be sent to"), "{url}: {why}");
    }
    let connected = tokio::time::timeout(std::time::Duration::ZERO, receiver.accept());
    assert!(connected.await.is_err());
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    let mut hub = Hub::new().await;
    let [mut receiver, mut other] = [Receiver::new().await, Receiver::new().await];
    let (id, _) = hub.webhook(at(receiver.address, "/")).await;
    hub.say("one").await;
    let to = format!("http://{}/", other.address);
    let elsewhere = (StatusCode::TEMPORARY_REDIRECT, [("location", to)]);
    receiver.next().await.answer_with(elsewhere.into_response());
    hub.pass().await;
    assert_eq!(hub.seen(&id).await.failure.unwrap().why, "HTTP 307");
    receiver.take().await;
    let followed = tokio::time::timeout(std::time::Duration::ZERO, other.next());
    assert!(followed.await.is_err());
}
