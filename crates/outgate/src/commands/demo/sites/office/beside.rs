//! What stands around the office: the names that the profile has its terminals ask, and the vendor's
//! API, which only the hub can reach.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use outgate_probe::Host;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::SITE;
use crate::commands::demo::stage::{Scene, asks};
use crate::library;

/// The scope of the provisioning service.
pub(super) const SCOPE: &str = "0ne00DEMO";

/// Where the API holds an answer back until nobody waits for it any more.
pub(super) const HELD: &str = "flow/held";

/// The names at which a terminal finds the three endpoints of its product.
#[derive(Clone)]
pub(super) struct Names {
    /// Messages, and the provisioning service.
    pub(super) messages: String,
    /// Files.
    pub(super) files: String,
    /// Look-ups.
    pub(super) lookups: String,
}

/// What stands around the office.
pub(in crate::commands::demo::sites) struct Beside {
    pub(super) names: Names,
    api: SocketAddr,
    /// Told when somebody waits for [`HELD`].
    pub(super) held: Arc<Notify>,
    serving: JoinHandle<()>,
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Beside {
    /// Reads the names, and starts the API.
    pub(in crate::commands::demo::sites) async fn start() -> anyhow::Result<Self> {
        let names = Names::of_profile()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let api = listener.local_addr()?;
        let held = Arc::new(Notify::new());
        let router = Router::new()
            .route("/api/balances/{card}", get(balance))
            .route("/api/held", get(hold))
            .with_state(Arc::clone(&held));
        let serving = tokio::spawn(async move {
            // It ends with the demo; until then a look-up that fails tells of it.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            names,
            api,
            held,
            serving,
        })
    }

    /// The names that the hub answers to.
    pub(in crate::commands::demo::sites) fn names(&self) -> impl Iterator<Item = &str> {
        let Names {
            messages,
            files,
            lookups,
        } = &self.names;
        [messages, files, lookups].into_iter().map(String::as_str)
    }

    /// What the hub is told of it.
    pub(in crate::commands::demo::sites) fn configured(&self) -> String {
        let (hub, api) = (&self.names.messages, self.api);
        format!(
            "[azure.provisioning]\nscopes = ['{SCOPE}']\nhub = '{hub}'\n\
             [[live.upstreams]]\nname = 'flow'\nurl = 'http://{api}/api'\n\
             paths = ['balances', 'held']\nnetworks = ['127.0.0.0/8']\nanswer-seconds = 60\n"
        )
    }
}

impl Names {
    /// Those that a check of the profile asks as well.
    fn of_profile() -> anyhow::Result<Self> {
        let manifest = library::read_quietly(SITE.product).map_err(|error| anyhow!(error))?;
        let (_, plan) = Scene::set(SITE.product, &manifest)?;
        let name = |flow: &str| {
            let mut asked = asks(&plan).into_iter();
            let found = asked.find_map(|(lane, ask)| {
                let Host::Name(name) = &ask.host else {
                    return None;
                };
                (lane.flow.to_string() == flow).then(|| name.to_ascii_lowercase())
            });
            found.with_context(|| format!("the profile's flow {flow} leads to no name"))
        };
        Ok(Self {
            messages: name("iot-hub")?,
            files: name("blob")?,
            lookups: name("flow-api")?,
        })
    }
}

/// What the holder of a card has, and for whom it was asked.
async fn balance(Path(card): Path<String>, headers: HeaderMap) -> Json<Value> {
    let asker = headers.get("outgate-device");
    let asker = asker.and_then(|asker| asker.to_str().ok());
    let shown = headers.get("authorization").is_some();
    Json(json!({ "card": card, "balance": "+2:30", "asked by": asker, "shown a key": shown }))
}

async fn hold(State(held): State<Arc<Notify>>) {
    held.notify_one();
    std::future::pending().await
}
