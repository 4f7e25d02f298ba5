//! Bodies of callers with a token, which have only so much room together.

use std::convert::Infallible;
use std::future::pending;

use axum::body::{Body, Bytes};
use futures_util::stream::{self, FuturesUnordered, StreamExt as _};
use http::header::RETRY_AFTER;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::hub::{Hub, request, soon};

/// The largest body.
static LARGE: [u8; 1_048_576] = [b' '; 1_048_576];

/// How many of those one caller has room for.
const EACH: usize = 16;

/// How many callers fill all the room.
const CALLERS: usize = 4;

/// A request whose body has come but for its end. Tells when all of it has been taken.
fn unended(token: &str, taken: UnboundedSender<()>) -> Request<Body> {
    let parts = stream::unfold(false, move |begun| {
        let taken = taken.clone();
        async move {
            if begun {
                taken.send(()).unwrap();
                pending::<()>().await;
            }
            Some((Ok::<_, Infallible>(Bytes::from_static(&LARGE)), true))
        }
    });
    let mut asked = request(token, Method::POST, "/api/sites", &json!({}));
    *asked.body_mut() = Body::from_stream(parts);
    asked
}

#[tokio::test]
async fn bodies_of_all_callers_have_only_so_much_room_together() {
    let hub = Hub::new().await;
    let mut tokens = Vec::new();
    for number in 0..=CALLERS {
        let name = format!("operator-{number}");
        tokens.push(hub.operator(&name, "admin", None).await);
    }
    let make = |token: usize, site: &str| {
        let new = json!({"id": site, "title": "S"});
        hub.ask(&tokens[token], Method::POST, "/api/sites", new)
    };
    let (tell, mut told) = unbounded_channel();
    let mut open = FuturesUnordered::new();
    for token in &tokens[..CALLERS] {
        for _ in 0..EACH {
            open.push(hub.tell(unended(token, tell.clone())));
        }
    }
    soon(async {
        for _ in 0..CALLERS * EACH {
            tokio::select! {
                answer = open.next() => panic!("{answer:?}"),
                taken = told.recv() => taken.unwrap(),
            }
        }
    })
    .await;

    let own = make(0, "own").await;
    assert_eq!(own.status, StatusCode::TOO_MANY_REQUESTS, "{own:?}");
    let beyond = make(CALLERS, "beyond").await;
    assert_eq!(beyond.status, StatusCode::SERVICE_UNAVAILABLE, "{beyond:?}");
    assert_eq!(beyond.body["type"], "/problems/busy");
    assert_eq!(beyond.headers[RETRY_AFTER], "1");
    // With a key, a body is read before that.
    let mut keyed = request(
        &tokens[CALLERS],
        Method::POST,
        "/api/sites",
        &json!({"id": "b"}),
    );
    let key = "key".parse().unwrap();
    keyed.headers_mut().insert("idempotency-key", key);
    let keyed = hub.tell(keyed).await;
    assert_eq!(keyed.status, StatusCode::SERVICE_UNAVAILABLE, "{keyed:?}");
    // Who sends none is not concerned.
    let listed = hub
        .ask(&tokens[CALLERS], Method::GET, "/api/sites", Value::Null)
        .await;
    assert_eq!(listed.status, StatusCode::OK);

    drop(open);
    for (token, site) in [(0, "own"), (CALLERS, "beyond")] {
        let made = make(token, site).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    }
}
