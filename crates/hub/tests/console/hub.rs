//! A hub of its own, with a device that says things.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HOST, ORIGIN, SET_COOKIE};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use outgate_core::commands::NewCommand;
use outgate_core::deployments::{Plan, Share, Target};
use outgate_core::events::NewEvent;
use outgate_core::id::{CommandId, DeviceId, OperatorId};
use outgate_core::identity::{self, Actor, Claim, Given, Role};
use outgate_core::logs::{NewLog, NewLogs};
use outgate_core::releases::{Described, NewRelease};
use outgate_core::secret::Secret;
use outgate_core::sessions::Session;
use outgate_door::Facts;
use outgate_hub::config::{Config, Overrides};
use outgate_hub::{Hub as Whole, console};
use outgate_wire::otlp::{Record, Resource, Scope, Value};
use tower::ServiceExt as _;

/// From where the tests ask.
const PEER: &str = "192.0.2.7:50000";

pub(crate) struct Hub {
    pub(crate) whole: Whole,
    router: Router,
    _folder: tempfile::TempDir,
}

impl Hub {
    /// A hub with the site `a`, which is called `title`, its device `till`, and the site `b`.
    pub(crate) async fn new(title: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let overrides = Overrides {
            data: Some(folder.path().to_owned()),
            listen: vec!["127.0.0.1:0".parse().unwrap()],
        };
        let whole = Whole::start(Config::new("", overrides).unwrap())
            .await
            .unwrap();
        let identity = &whole.state().core.identity;
        let actor = Actor::hub();
        for (site, title) in [("a", title), ("b", "Other")] {
            identity
                .create_site(&actor, site.parse().unwrap(), title.to_owned())
                .await
                .unwrap();
        }
        let hub = Self {
            router: console::router(whole.state().clone()),
            whole,
            _folder: folder,
        };
        hub.make("till").await;
        hub
    }

    /// A further device at the site `a`.
    pub(crate) async fn make(&self, device: &str) {
        let identity = &self.whole.state().core.identity;
        let (device, site) = (device.parse().unwrap(), "a".parse().unwrap());
        identity
            .create_device(&Actor::hub(), device, site, None)
            .await
            .unwrap();
    }

    #[cfg(feature = "peers")]
    pub(crate) async fn revoke_device(&self, device: &str) {
        let identity = &self.whole.state().core.identity;
        identity
            .revoke_device(&Actor::hub(), &device.parse().unwrap())
            .await
            .unwrap();
    }

    /// A new operator's token.
    pub(crate) async fn operator(&self, id: &str, scope: identity::Scope) -> String {
        let identity = &self.whole.state().core.identity;
        let id: OperatorId = id.parse().unwrap();
        let (_, issued) = identity
            .create_operator(&Actor::hub(), id, Role::Viewer, scope)
            .await
            .unwrap();
        let Given::Token(token) = issued.given else {
            panic!("an operator gets a token");
        };
        String::from_utf8(token.expose().to_vec()).unwrap()
    }

    pub(crate) async fn revoke(&self, operator: &str) {
        let identity = &self.whole.state().core.identity;
        let revoked = identity
            .revoke_operator(&Actor::hub(), &operator.parse().unwrap())
            .await
            .unwrap();
        assert_eq!(revoked.connections.lingering, 0);
    }

    /// A release of that name, on its way to the device in two phases. Gives the deployment's name.
    pub(crate) async fn deploy(&self, name: &str) -> String {
        let (core, hub) = (&self.whole.state().core, Actor::hub());
        let (key, print) = ("a key".to_owned(), "00".to_owned());
        let key = core.releases.add_key(&hub, "ours".to_owned(), key, print);
        let incoming = core.releases.begin(&hub).await.unwrap();
        let incoming = incoming.take(Bytes::from(name.to_owned())).await.unwrap();
        let new = NewRelease {
            name: name.parse().unwrap(),
            described: Described::default(),
            signed_by: key.await.unwrap().id,
        };
        let content = incoming.finish().await.unwrap();
        let release = core.releases.add(&hub, new, content).await.unwrap();
        let shares = ["50%", "100%"].map(|share| share.parse::<Share>().unwrap());
        let plan = Plan {
            phases: shares.to_vec().try_into().unwrap(),
            ..Plan::default()
        };
        let device = Target::Devices(vec!["till".parse().unwrap()]);
        let made = core.deployments.create(&hub, release.name, device, plan);
        made.await.unwrap().id.to_string()
    }

    /// A live session of the device.
    pub(crate) async fn device(&self) -> Session {
        let core = &self.whole.state().core;
        let device: DeviceId = "till".parse().unwrap();
        let identity = &core.identity;
        let issued = identity
            .add_token(&Actor::hub(), &device, "test".to_owned(), None)
            .await
            .unwrap();
        let Given::Token(token) = issued.given else {
            panic!("a token was asked for");
        };
        let claim = Claim::Token {
            token: &token,
            device: Some(&device),
        };
        let identified = identity.authenticate(claim).await.unwrap();
        let peer = PEER.parse().unwrap();
        core.open_session(&identified, "test", peer).await.unwrap()
    }

    pub(crate) async fn say(&self, session: &Session, name: &str, kind: &str, payload: &str) {
        let event = NewEvent {
            name: name.to_owned(),
            content_type: kind.to_owned(),
            properties: BTreeMap::new(),
            payload: Bytes::from(payload.to_owned()),
        };
        let events = &self.whole.state().core.events;
        events.append(session, event).await.unwrap();
    }

    /// Has the device log texts, each so bad and with this attribute.
    pub(crate) async fn log(&self, session: &Session, severity: u8, texts: &[&str], place: &str) {
        let record = |text: &&str| Record {
            severity,
            body: Value::Text((*text).to_owned()),
            attributes: vec![("place".to_owned(), Value::Text(place.to_owned()))],
            ..Record::default()
        };
        let records = texts.iter().map(|text| NewLog {
            resource: 0,
            scope: 1,
            severity,
            record: record(text).to_bytes().into(),
        });
        let contexts = vec![
            Resource::default().to_bytes().into(),
            Scope::default().to_bytes().into(),
        ];
        let logs = NewLogs {
            contexts,
            records: records.collect(),
        };
        let kept = &self.whole.state().core.logs;
        kept.append(session.pass(), logs).await.unwrap();
    }

    /// Has the device's twin be wanted to be `patch`, too.
    pub(crate) async fn desire(&self, patch: &str) {
        let (twins, patch) = (
            &self.whole.state().core.twins,
            serde_json::from_str(patch).unwrap(),
        );
        let till = "till".parse().unwrap();
        let desired = twins.desire(&Actor::hub(), &till, patch, None).await;
        desired.unwrap();
    }

    /// Has the device say that its twin is `patch`, too.
    pub(crate) async fn report(&self, session: &Session, patch: &str) {
        let patch = serde_json::from_str(patch).unwrap();
        let twins = &self.whole.state().core.twins;
        twins.report(session, patch).await.unwrap();
    }

    /// Sends the device a command that is worth doing for long.
    pub(crate) async fn command(&self, name: &str) -> CommandId {
        self.command_for(name, Duration::from_secs(3_600)).await
    }

    pub(crate) async fn command_for(&self, name: &str, lasts: Duration) -> CommandId {
        let new = NewCommand {
            name: name.to_owned(),
            content_type: String::new(),
            properties: BTreeMap::new(),
            payload: Bytes::from_static(b"now"),
            lasts,
        };
        let (commands, till) = (&self.whole.state().core.commands, "till".parse().unwrap());
        let sent = commands.send(&Actor::hub(), &till, new).await;
        sent.unwrap().id
    }

    /// Asks for a page with a cookie, if there is one.
    pub(crate) async fn get(&self, path: &str, cookie: &str) -> Response<Body> {
        let request = Request::get(path)
            .header(COOKIE, cookie)
            .header(HOST, "hub");
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Sends a form from a page of `origin`.
    pub(crate) async fn post(
        &self,
        path: &str,
        cookie: &str,
        origin: &str,
        form: String,
    ) -> Response<Body> {
        let request = Request::post(path)
            .header(HOST, "hub")
            .header(ORIGIN, origin)
            .header(COOKIE, cookie)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form)).unwrap()).await
    }

    /// Logs in and gives the cookie as it is sent back.
    pub(crate) async fn log_in(&self, token: &str) -> String {
        let form = format!("token={token}");
        let entered = self.post("/console/login", "", "http://hub", form).await;
        assert_eq!(entered.status(), 303, "{entered:?}");
        let set = entered.headers()[SET_COOKIE].to_str().unwrap();
        set.split(';').next().unwrap().to_owned()
    }

    async fn send(&self, mut request: Request<Body>) -> Response<Body> {
        request.extensions_mut().insert(Facts {
            peer: PEER.parse().unwrap(),
            local: "192.0.2.1:443".parse().unwrap(),
            tls: None,
        });
        self.router.clone().oneshot(request).await.unwrap()
    }
}

/// The body as text.
pub(crate) async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A token that is nobody's.
pub(crate) fn stray_token() -> String {
    Secret::random(20).unwrap().to_base64_url().to_string()
}
