//! Enhanced authentication, by a method of the test's: the client is given a riddle and answers
//! with what its key makes of it.

use std::sync::Arc;

use bytes::Bytes;
use outgate_core::Core;
use outgate_core::identity::{Actor, Claim};
use outgate_core::secret::Secret;
use outgate_hub::dialects::mqtt::methods::{Answering, Exchange, Method, Methods, Step};
use outgate_mqtt::packet::{Auth, Authentication, ConnAck, Connect, Packet, ReasonCode, Version};
use ring::hmac;

use crate::client::{Client, publish, text};
use crate::site::Site;

const METHOD: &str = "RIDDLE";
const RIDDLE: &[u8] = b"riddle";

/// Every device's key is its token.
#[derive(Debug)]
struct Riddles {
    core: Core,
    tokens: [(&'static str, String); 2],
}

#[derive(Debug)]
struct Riddle {
    core: Core,
    tokens: [(&'static str, String); 2],
    asked: Option<usize>,
}

impl Method for Riddles {
    fn begin(&self) -> Box<dyn Exchange> {
        Box::new(Riddle {
            core: self.core.clone(),
            tokens: self.tokens.clone(),
            asked: None,
        })
    }
}

impl Exchange for Riddle {
    fn step(&mut self, said: Option<Bytes>) -> Answering<'_> {
        Box::pin(async move {
            let said = said.unwrap_or_default();
            let Some(place) = self.asked else {
                let known = |(name, _): &(&str, String)| name.as_bytes() == said;
                self.asked = self.tokens.iter().position(known);
                return match self.asked {
                    Some(_) => Step::Challenge(Some(Bytes::from_static(RIDDLE))),
                    None => Step::Refused,
                };
            };
            let (name, token) = &self.tokens[place];
            if hmac::verify(&key(token), RIDDLE, &said).is_err() {
                return Step::Refused;
            }
            let device = name.parse().unwrap();
            let claim = Claim::Token {
                token: &Secret::new(token.clone().into_bytes()),
                device: Some(&device),
            };
            match self.core.identity.authenticate(claim).await {
                Ok(identified) => Step::Proved {
                    identified: Box::new(identified),
                    data: Some(Bytes::from_static(b"welcome")),
                },
                Err(_) => Step::Refused,
            }
        })
    }
}

fn key(token: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes())
}

fn solved(site: &Site, name: &str) -> Bytes {
    Bytes::copy_from_slice(hmac::sign(&key(site.token(name)), RIDDLE).as_ref())
}

async fn riddled(folder: &std::path::Path) -> Site {
    let mut site = Site::new(folder).await;
    let method: Arc<dyn Method> = Arc::new(Riddles {
        core: site.core.clone(),
        tokens: ["one", "two"].map(|name| (name, site.token(name).to_owned())),
    });
    site.speak(Methods::from([(METHOD.to_owned(), method)]))
        .await;
    site
}

/// A CONNECT that names the method, and no password.
fn asking(method: &str, name: &'static str) -> Connect {
    let mut connect = Connect::new(Version::V5, text("client"));
    connect.authentication = Some(Authentication {
        method: text(method),
        data: Some(Bytes::from_static(name.as_bytes())),
    });
    connect
}

fn auth(reason: ReasonCode, data: Bytes) -> Packet {
    Packet::Auth(Box::new(Auth {
        reason,
        authentication: Some(Authentication {
            method: text(METHOD),
            data: Some(data),
        }),
        reason_string: None,
        user_properties: Vec::new(),
    }))
}

async fn asked(client: &mut Client, reason: ReasonCode, data: &'static [u8]) {
    let wanted = auth(reason, Bytes::from_static(data));
    assert_eq!(client.hear().await, Some(wanted));
}

/// A connection that has been asked the riddle before it is let in.
async fn challenged(site: &Site) -> Client {
    let mut client = site.dial(Version::V5);
    client
        .say(Packet::Connect(Box::new(asking(METHOD, "one"))))
        .await;
    asked(&mut client, ReasonCode::ContinueAuthentication, RIDDLE).await;
    client
}

async fn answered(client: &mut Client, answer: Bytes) -> Box<ConnAck> {
    client
        .say(auth(ReasonCode::ContinueAuthentication, answer))
        .await;
    match client.hear().await {
        Some(Packet::ConnAck(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

async fn closed(client: &mut Client, reason: ReasonCode) {
    match client.hear().await {
        Some(Packet::Disconnect(why)) => assert_eq!(why.reason, reason),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.hear().await, None);
}

#[tokio::test]
async fn a_client_is_let_in_by_a_method_and_proves_itself_anew() {
    let folder = tempfile::tempdir().unwrap();
    let site = riddled(folder.path()).await;
    let mut one = challenged(&site).await;
    let welcome = answered(&mut one, solved(&site, "one")).await;
    assert_eq!(welcome.reason, ReasonCode::Success);
    let told = welcome.authentication.unwrap();
    assert_eq!(
        (&*told.method, told.data.as_deref()),
        (METHOD, Some(&b"welcome"[..]))
    );
    let event = publish("devices/one/events/x", "x", 1, 1);
    assert_eq!(one.publish(event.clone()).await, ReasonCode::Success);
    for _ in 0..2 {
        one.say(auth(ReasonCode::ReAuthenticate, Bytes::from_static(b"one")))
            .await;
        asked(&mut one, ReasonCode::ContinueAuthentication, RIDDLE).await;
        // Nothing waits for it.
        assert_eq!(one.publish(event.clone()).await, ReasonCode::Success);
        one.say(auth(
            ReasonCode::ContinueAuthentication,
            solved(&site, "one"),
        ))
        .await;
        asked(&mut one, ReasonCode::Success, b"welcome").await;
    }
    one.ping().await;
}

#[tokio::test]
async fn a_method_that_is_not_registered_is_refused_and_so_is_a_wrong_answer() {
    let folder = tempfile::tempdir().unwrap();
    let site = riddled(folder.path()).await;
    let mut client = site.dial(Version::V5);
    let answer = client.connect(asking("SCRAM-SHA-256", "one")).await;
    assert_eq!(answer.reason, ReasonCode::BadAuthenticationMethod);
    assert_eq!(client.hear().await, None);

    let mut wrong = challenged(&site).await;
    let answer = answered(&mut wrong, solved(&site, "two")).await;
    assert_eq!(answer.reason, ReasonCode::NotAuthorized);
    assert_eq!(wrong.hear().await, None);

    // Whoever came in by a password has no method to go on with.
    let mut two = site.device(Version::V5, "two").await;
    two.say(auth(ReasonCode::ReAuthenticate, Bytes::from_static(b"two")))
        .await;
    closed(&mut two, ReasonCode::ProtocolError).await;
}

#[tokio::test]
async fn who_fails_to_prove_itself_anew_is_closed_and_so_is_who_proves_to_be_another() {
    let folder = tempfile::tempdir().unwrap();
    let site = riddled(folder.path()).await;
    for (name, answer) in [("one", "two"), ("two", "two")] {
        let mut one = challenged(&site).await;
        answered(&mut one, solved(&site, "one")).await;
        one.say(auth(ReasonCode::ReAuthenticate, Bytes::from(name)))
            .await;
        asked(&mut one, ReasonCode::ContinueAuthentication, RIDDLE).await;
        one.say(auth(
            ReasonCode::ContinueAuthentication,
            solved(&site, answer),
        ))
        .await;
        closed(&mut one, ReasonCode::NotAuthorized).await;
    }
}

#[tokio::test]
async fn a_revocation_in_the_midst_ends_it_before_the_login_and_after() {
    let folder = tempfile::tempdir().unwrap();
    let site = riddled(folder.path()).await;
    let mut inside = challenged(&site).await;
    answered(&mut inside, solved(&site, "one")).await;
    inside
        .say(auth(ReasonCode::ReAuthenticate, Bytes::from_static(b"one")))
        .await;
    asked(&mut inside, ReasonCode::ContinueAuthentication, RIDDLE).await;
    let mut outside = challenged(&site).await;

    let device = "one".parse().unwrap();
    let revoked = site
        .core
        .identity
        .revoke_device(&Actor::hub(), &device)
        .await
        .unwrap();
    assert_eq!(revoked.connections.ended, 1);
    closed(&mut inside, ReasonCode::AdministrativeAction).await;
    let answer = answered(&mut outside, solved(&site, "one")).await;
    assert_eq!(answer.reason, ReasonCode::NotAuthorized);
    assert_eq!(outside.hear().await, None);
}
