//! What a page is told of a device's twin and commands, without a browser.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt as _;
use http::Response;
use outgate_core::commands::Settlement;
use outgate_core::identity::{Actor, Scope};

use crate::hub::Hub;

#[tokio::test]
async fn the_page_of_a_device_is_told_of_its_twin_and_its_commands() {
    let hub = Hub::new("A").await;
    let cookie = hub.log_in(&hub.operator("anna", Scope::All).await).await;
    let device = hub.device().await;
    let mut live = Live::new(hub.get("/console/live?after=0&device=till", &cookie).await);
    live.until(r#"{"part":"desired","version":0,"document":"{}"}"#)
        .await;
    live.until("event: commands\ndata: []").await;
    hub.desire(r#"{"on":true}"#).await;
    live.until(r#"{"part":"desired","version":1,"document":"{\n  \"on\": true\n}"}"#)
        .await;
    hub.report(&device, r#"{"on":false}"#).await;
    live.until(r#"{"part":"reported","version":1,"#).await;
    let (core, till) = (&hub.whole.state().core, "till".parse().unwrap());
    hub.command("first").await;
    live.until(r#""command":"first","state":"queued""#).await;
    let taken = core.commands.take(&device, 1).await.unwrap();
    live.until(r#""command":"first","state":"delivered""#).await;
    let done = core
        .commands
        .settle(&device, &taken[0].id, Settlement::Completed);
    done.await.unwrap();
    live.until(r#""command":"first","state":"completed""#).await;
    let second = hub.command("second").await;
    core.commands.take(&device, 1).await.unwrap();
    live.until(r#""command":"second","state":"delivered""#)
        .await;
    // What nobody has any more is in the queue again.
    drop(device);
    live.until(r#""command":"second","state":"queued""#).await;
    let actor = Actor::hub();
    let cancelled = core.commands.cancel(&actor, &till, &second);
    cancelled.await.unwrap();
    live.until(r#""command":"second","state":"cancelled""#)
        .await;
}

#[tokio::test]
async fn a_command_expires_on_the_page_whatever_else_changes_meanwhile() {
    let hub = Hub::new("A").await;
    let cookie = hub.log_in(&hub.operator("anna", Scope::All).await).await;
    // Nobody is there for it: a session that ends would have the commands told again.
    drop(hub.device().await);
    let mut live = Live::new(hub.get("/console/live?after=0&device=till", &cookie).await);
    live.until("event: commands\ndata: []").await;
    hub.command_for("short", Duration::from_secs(1)).await;
    live.until(r#""command":"short","state":"queued""#).await;
    let changing = async {
        for version in 0.. {
            hub.desire(&format!(r#"{{"version":{version}}}"#)).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    tokio::select! {
        () = live.until(r#""command":"short","state":"expired""#) => {}
        () = changing => {}
    }
}

/// What a page is told.
struct Live {
    parts: BodyDataStream,
    /// What it has been told since it was last looked for.
    told: String,
}

impl Live {
    fn new(response: Response<Body>) -> Self {
        Self {
            parts: response.into_body().into_data_stream(),
            told: String::new(),
        }
    }

    /// Waits until it is told these words after those before, but not for ever.
    async fn until(&mut self, words: &str) {
        let coming = async {
            while !self.told.contains(words) {
                let next = self.parts.next().await.unwrap().unwrap();
                self.told.push_str(std::str::from_utf8(&next).unwrap());
            }
        };
        let came = tokio::time::timeout(Duration::from_secs(20), coming).await;
        assert!(came.is_ok(), "no {words} in {}", self.told);
        let end = self.told.find(words).unwrap() + words.len();
        self.told.drain(..end);
    }
}
