//! A hub's API in a folder of its own, and those who ask it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use outgate_core::id::DeviceId;
use outgate_core::identity::Claim;
use outgate_core::secret::Secret;
use outgate_core::sessions::Session;
use outgate_core::{Clock, Core, Settings, Timestamp};
use outgate_door::Facts;
use outgate_hub::config::{Config, Overrides};
use outgate_hub::dialects::otlp;
use outgate_hub::metrics::Metrics;
use outgate_hub::push::Push;
use outgate_hub::{State, api};
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt as _;

/// From where the tests ask.
pub(crate) const PEER: &str = "192.0.2.7:50000";

/// A hub's API.
pub(crate) struct Hub {
    pub(crate) core: Core,
    pub(crate) draining: watch::Sender<bool>,
    /// The token of an administrator of all sites.
    pub(crate) admin: String,
    router: Router,
    _folder: Option<tempfile::TempDir>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Hub {
    pub(crate) async fn new() -> Self {
        Self::with(Clock::System).await
    }

    /// One whose time stands still, so that whoever is told to wait stays told so.
    pub(crate) async fn held() -> Self {
        Self::with(Clock::held(Timestamp::from_millis(1_790_000_000_000))).await
    }

    async fn with(clock: Clock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            clock,
            ..Settings::new(folder.path())
        };
        let hub = Self::on(&settings).await;
        Self {
            _folder: Some(folder),
            ..hub
        }
    }

    pub(crate) async fn on(settings: &Settings) -> Self {
        let core = Core::open(settings).unwrap();
        core.identity.first_operator().await.unwrap().unwrap();
        let admin = std::fs::read_to_string(settings.data.join("operator.token")).unwrap();
        let overrides = Overrides {
            data: Some(settings.data.clone()),
            listen: Vec::new(),
        };
        let config = Config::new("", overrides).unwrap();
        let (draining, drained) = watch::channel(false);
        let state = State {
            core: core.clone(),
            metrics: Metrics::default(),
            push: Push::default(),
            config: Arc::new(ArcSwap::from_pointee(config)),
            entrance: Arc::default(),
            draining: drained,
        };
        Self {
            core: core.clone(),
            draining,
            admin: admin.trim().to_owned(),
            router: api::router(state).merge(otlp::router(core)),
            _folder: None,
        }
    }

    /// A hub with the sites `a` and `b`, and the device `till` at `a`.
    pub(crate) async fn furnished() -> Self {
        let hub = Self::new().await;
        hub.furnish().await;
        hub
    }

    /// Makes the sites `a` and `b`, and the device `till` at `a`.
    pub(crate) async fn furnish(&self) {
        for site in ["a", "b"] {
            self.make("/api/sites", json!({"id": site, "title": "Site"}))
                .await;
        }
        self.make("/api/devices", json!({"id": "till", "site": "a"}))
            .await;
    }

    /// Sends a request as it is, from [`PEER`] unless it says otherwise.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Response<Body> {
        let peer = request.extensions().get().copied();
        request.extensions_mut().insert(Facts {
            peer: peer.unwrap_or_else(|| PEER.parse().unwrap()),
            local: "192.0.2.1:443".parse().unwrap(),
            tls: None,
        });
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn tell(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.send(request).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        }
    }

    /// Asks with a token, and with a body if it is not null.
    pub(crate) async fn ask(&self, token: &str, method: Method, path: &str, body: Value) -> Answer {
        self.tell(request(token, method, path, &body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(&self.admin, Method::GET, path, Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(&self.admin, Method::POST, path, body).await
    }

    /// Makes something that is not there yet.
    pub(crate) async fn make(&self, path: &str, body: Value) -> Value {
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{path}: {answer:?}");
        answer.body
    }

    /// A new operator's token.
    pub(crate) async fn operator(&self, id: &str, role: &str, site: Option<&str>) -> String {
        let mut new = json!({"id": id, "role": role});
        if let Some(site) = site {
            new["site"] = site.into();
        }
        let made = self.make("/api/operators", new).await;
        made["issued"]["given"]["token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// A new token of a device.
    pub(crate) async fn token(&self, device: &str) -> String {
        let path = format!("/api/devices/{device}/credentials");
        let made = self
            .make(&path, json!({"kind": "token", "label": "test"}))
            .await;
        let token = &made["items"][0]["given"]["token"];
        token.as_str().unwrap().to_owned()
    }

    /// A live session of a device, which gets a token for it.
    pub(crate) async fn session(&self, device: &str) -> Session {
        let token = Secret::new(self.token(device).await.into_bytes());
        let device: DeviceId = device.parse().unwrap();
        let claim = Claim::Token {
            token: &token,
            device: Some(&device),
        };
        let identified = self.core.identity.authenticate(claim).await.unwrap();
        self.core
            .open_session(&identified, "test", PEER.parse().unwrap())
            .await
            .unwrap()
    }
}

/// A request with a token, and with a body if it is not null.
pub(crate) fn request(token: &str, method: Method, path: &str, body: &Value) -> Request<Body> {
    let twin = ["/twin/desired", "/twin/tags"];
    let twin = twin.iter().any(|half| path.ends_with(half));
    let merges = method == Method::PATCH && twin;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {token}"));
    if body.is_null() {
        return request.body(Body::empty()).unwrap();
    }
    let kind = match merges {
        true => "application/merge-patch+json",
        false => "application/json",
    };
    request
        .header("content-type", kind)
        .body(Body::from(body.to_string()))
        .unwrap()
}

/// Waits for what must come, but not for ever.
pub(crate) async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), what)
        .await
        .expect("it did not come")
}
