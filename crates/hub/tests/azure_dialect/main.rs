//! What devices and back ends of Azure IoT Hub ask over HTTPS, byte by byte: above all who may not.

#![cfg(test)]

#[path = "../running/hub.rs"]
mod running;
#[path = "../running/site.rs"]
mod site;

mod batches;
mod names;
mod policies;
mod queries;
mod uploads;

use std::time::SystemTime;

use outgate_azure::sas;
use outgate_core::events::{Event, EventFilter};
use outgate_core::identity::{Actor, Given, Issued, Scope};
use outgate_core::secret::Secret;
use reqwest::{Method, Response};
use serde_json::Value;

use self::running::Running;

/// What the hub is called in tokens.
const HUB: &str = "vendor.azure-devices.net";

const CONFIG: &str = "
[[listen]]
address = '127.0.0.1:0'
tls = false
[azure]
hub-names = ['vendor.azure-devices.net']
";

/// A hub, and who asks it.
struct Bench {
    running: Running,
    client: reqwest::Client,
}

impl Bench {
    async fn start() -> Self {
        Self::configured("").await
    }

    /// One that is configured by `text`, too.
    async fn configured(text: &str) -> Self {
        // Another test of this program may have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let text = format!("{CONFIG}{text}");
        let running = Running::on(tempfile::tempdir().unwrap(), &text).await;
        running.furnish().await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { running, client }
    }

    /// A device with a key, and that.
    async fn device(&self, name: &str) -> Secret {
        self.running.device(name).await;
        let (actor, id) = (Actor::hub(), name.parse().unwrap());
        let keys = self.running.core().identity.add_keys(&actor, &id).await;
        let [first, _] = keys.unwrap();
        key(first)
    }

    /// Asks for something by a token, if there is one.
    async fn ask(&self, method: Method, path: &str, token: &str, body: &str) -> Response {
        let address = self.running.hub.listening()[0].address;
        let url = format!("http://{address}{path}?api-version=2021-04-12");
        let mut request = self.client.request(method, url).body(body.to_owned());
        if !token.is_empty() {
            request = request.header("authorization", token);
        }
        request.send().await.unwrap()
    }

    async fn post(&self, path: &str, token: &str, body: &str) -> Response {
        self.ask(Method::POST, path, token, body).await
    }

    /// All events of a device.
    async fn events(&self, device: &str) -> Vec<Event> {
        let filter = EventFilter {
            scope: Scope::All,
            device: Some(device.parse().unwrap()),
            prefix: None,
        };
        let events = &self.running.core().events;
        events.after(&filter, 0, 1_000).await.unwrap().events
    }
}

/// A token of a device that holds for an hour.
fn token_of(device: &str, key: &Secret) -> String {
    token(&format!("{HUB}/devices/{device}"), 3_600, key, None)
}

/// A token for a resource that holds for so many seconds from now.
fn token(resource: &str, lasts: i64, key: &Secret, policy: Option<&str>) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let end = now.unwrap().as_secs().checked_add_signed(lasts).unwrap();
    sas::sign(resource, end, key.expose(), policy)
}

/// The key that was given.
fn key(issued: Issued) -> Secret {
    match issued.given {
        Given::Key(key) => key,
        other @ (Given::Token(_) | Given::Certificate(_) | Given::Nothing) => panic!("{other:?}"),
    }
}

async fn body(response: Response) -> Value {
    let text = response.text().await.unwrap();
    serde_json::from_str(&text).unwrap_or(Value::Null)
}
