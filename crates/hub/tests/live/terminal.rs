//! A site with a fleet key, and a terminal that shows both keys as the book tells.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outgate_core::Clock;
use outgate_core::id::FleetKeyId;
use outgate_core::identity::{Actor, Given, NewFleetKey};
use outgate_core::secret::Secret;
use reqwest::{Client, RequestBuilder, Response};
use ring::hmac;
use serde_json::{Value, json};

use crate::running::Running;

/// How long a fleet key lasts here.
const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// A fleet's key.
pub(crate) struct Fleet {
    pub(crate) id: FleetKeyId,
    pub(crate) key: Secret,
}

/// A terminal and its two keys.
pub(crate) struct Terminal {
    pub(crate) name: String,
    pub(crate) hub: String,
    pub(crate) fleet: FleetKeyId,
    pub(crate) fleet_key: Vec<u8>,
    pub(crate) own_key: Vec<u8>,
    pub(crate) client: Client,
}

impl Running {
    /// Makes a fleet key of the site `s` for devices whose names `ids` means.
    pub(crate) async fn fleet(&self, ids: &str) -> Fleet {
        let new = NewFleetKey {
            site: "s".parse().unwrap(),
            ids: ids.to_owned(),
            uses: 1,
            lasts: DAY,
            from: Vec::new(),
            key: None,
        };
        let hub = Actor::hub();
        let made = self.core().identity.create_fleet_key(&hub, new);
        let (fleet, key) = made.await.unwrap();
        Fleet { id: fleet.id, key }
    }

    /// Makes a device with a pair of keys.
    pub(crate) async fn terminal(&self, name: &str, fleet: &Fleet) -> Terminal {
        let _ = rustls::crypto::ring::default_provider().install_default();
        self.device(name).await;
        let device = name.parse().unwrap();
        let hub = Actor::hub();
        let keys = self.core().identity.add_keys(&hub, &device);
        let [primary, _] = keys.await.unwrap();
        let Given::Key(own) = primary.given else {
            panic!("a key was expected");
        };
        Terminal {
            name: name.to_owned(),
            hub: format!("http://{}", self.hub.listening()[0].address),
            fleet: fleet.id.clone(),
            fleet_key: fleet.key.expose().to_vec(),
            own_key: own.expose().to_vec(),
            client: Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap(),
        }
    }
}

impl Terminal {
    /// Shows the fleet's key.
    pub(crate) async fn show_fleet_key(&self) -> Response {
        let at = Clock::System.now();
        let text = format!("outgate-live-1\n{}\n{at}\n", self.name);
        let shown = json!({
            "fleet_key": self.fleet, "device": self.name, "at": at.to_string(),
            "proof": signed(&self.fleet_key, &text),
        });
        let post = self.client.post(format!("{}/live/fleet", self.hub));
        post.json(&shown).send().await.unwrap()
    }

    /// Shows its own key.
    pub(crate) async fn show_own_key(&self, challenge: &str) -> Response {
        let text = format!("outgate-live-2\n{challenge}\n");
        let shown = json!({ "challenge": challenge, "proof": signed(&self.own_key, &text) });
        let post = self.client.post(format!("{}/live/token", self.hub));
        post.json(&shown).send().await.unwrap()
    }

    pub(crate) async fn challenge(&self) -> String {
        told(self.show_fleet_key().await, "challenge").await
    }

    /// Shows both, and gives the token.
    pub(crate) async fn token(&self) -> String {
        told(self.show_own_key(&self.challenge().await).await, "token").await
    }

    /// What it asks with a token.
    pub(crate) fn look_up(&self, token: &str, path: &str) -> RequestBuilder {
        let get = self.client.get(format!("{}/live/{path}", self.hub));
        get.bearer_auth(token)
    }
}

/// The text of that name in an answer.
async fn told(answer: Response, name: &str) -> String {
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    let Some(text) = body[name].as_str() else {
        panic!("{status} {body}");
    };
    text.to_owned()
}

fn signed(key: &[u8], text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    STANDARD.encode(hmac::sign(&key, text.as_bytes()))
}
