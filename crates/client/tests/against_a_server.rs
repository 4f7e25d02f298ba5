//! The client against servers on loopback: what it sends again, what it trusts, how it goes on.
#![cfg(test)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::{StreamExt, TryStreamExt};
use outgate_client::{Client, Context, Error, EventFilter, Tailed, Token, Trust};
use tokio::sync::Mutex;

/// Serves `router` on loopback until the test is over; gives where.
async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn context(hub: String) -> Context {
    Context {
        hub,
        token: Token::new("very-secret"),
        trust: Trust::System,
        ca: None,
    }
}

async fn client(router: Router) -> Client {
    let address = serve(router).await;
    Client::new(&context(format!("http://{address}"))).unwrap()
}

const SITE: &str =
    r#"{"id":"a","title":"A","created":"2026-01-01T00:00:00Z","revoked":null,"version":1}"#;

#[tokio::test]
async fn a_creation_that_is_sent_again_carries_the_same_key() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handler = async |State(seen): State<Arc<Mutex<Vec<String>>>>, headers: HeaderMap| {
        let mut seen = seen.lock().await;
        seen.push(headers["idempotency-key"].to_str().unwrap().to_owned());
        if seen.len() < 3 {
            let wait = [("retry-after", "0")];
            (StatusCode::SERVICE_UNAVAILABLE, wait, "{}").into_response()
        } else {
            (StatusCode::CREATED, SITE).into_response()
        }
    };
    let router = Router::new()
        .route("/api/sites", post(handler))
        .with_state(Arc::clone(&seen));
    let site = client(router).await.create_site("a", "A").await.unwrap();
    assert_eq!(site.id, "a");
    let seen = seen.lock().await;
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|key| *key == seen[0]), "{seen:?}");
}

#[tokio::test]
async fn a_refusal_is_told_once_with_the_next_step() {
    let asked = Arc::new(AtomicUsize::new(0));
    let handler = async |State(asked): State<Arc<AtomicUsize>>| {
        asked.fetch_add(1, Ordering::SeqCst);
        (
            StatusCode::FORBIDDEN,
            r#"{"detail":"making sites is not allowed"}"#,
        )
    };
    let router = Router::new()
        .route("/api/sites", post(handler))
        .with_state(Arc::clone(&asked));
    let refused = client(router)
        .await
        .create_site("a", "A")
        .await
        .unwrap_err();
    let text = refused.to_string();
    assert!(text.starts_with("making sites is not allowed; "), "{text}");
    assert!(matches!(refused, Error::Refused(problem) if problem.status == 403));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_list_is_walked_through_to_its_end() {
    let handler = async |query: axum::extract::RawQuery| {
        let query = query.0.unwrap_or_default();
        let next = if query.contains("after=") {
            "null"
        } else {
            "\"a&b\""
        };
        assert!(
            !query.contains("after=") || query.contains("after=a%26b"),
            "{query}"
        );
        format!(r#"{{"items":[{SITE},{SITE}],"next":{next}}}"#)
    };
    let client = client(Router::new().route("/api/sites", get(handler))).await;
    let sites: Vec<_> = client.sites().try_collect().await.unwrap();
    assert_eq!(sites.len(), 4);
}

#[tokio::test]
async fn a_list_is_fetched_no_further_than_it_is_read() {
    let asked = Arc::new(AtomicUsize::new(0));
    let handler = async |State(asked): State<Arc<AtomicUsize>>| {
        asked.fetch_add(1, Ordering::SeqCst);
        format!(r#"{{"items":[{SITE},{SITE}],"next":"x"}}"#)
    };
    let router = Router::new()
        .route("/api/sites", get(handler))
        .with_state(Arc::clone(&asked));
    let client = client(router).await;
    let sites: Vec<_> = client.sites().take(3).collect().await;
    assert_eq!(sites.len(), 3);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

/// Streams events from after the place that is asked for, two at a time, and then breaks off.
async fn two_events(headers: HeaderMap) -> Response {
    let place = headers.get("last-event-id");
    let place: u64 = place.map_or(0, |place| place.to_str().unwrap().parse().unwrap());
    let mut text = ": hello\n\n".to_owned();
    for place in place + 1..=place + 2 {
        text.push_str(&format!(
            "id: {place}\ndata: {{\"place\":{place},\"device\":\"d\",\"site\":\"s\",\"name\":\"n\",\
             \"content_type\":\"\",\"received\":\"\",\"payload_base64\":\"\"}}\n\n"
        ));
    }
    // Places that were looked at count although they gave nothing.
    let looked_at = place + 3;
    text.push_str(&format!("id: {looked_at}\n\n"));
    // The first half of another event, never to be told.
    text.push_str("id: 99\ndata: {}\n");
    let stream = futures_util::stream::iter([Ok::<_, Infallible>(text)]);
    (
        [("content-type", "text/event-stream")],
        Body::from_stream(stream),
    )
        .into_response()
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_where_it_broke_off() {
    let client = client(Router::new().route("/api/events", get(two_events))).await;
    let mut tail = client.follow_events(&EventFilter::default(), Some(40));
    let mut places = Vec::new();
    let mut breaks = 0;
    while places.len() < 6 {
        match tail.next().await.unwrap() {
            Tailed::Item(event) => places.push(event.place),
            Tailed::Broken { .. } => breaks += 1,
        }
    }
    assert_eq!(places, [41, 42, 44, 45, 47, 48]);
    assert_eq!(breaks, 2);
}

#[tokio::test]
async fn a_stream_that_is_refused_is_not_asked_for_again() {
    let refuse = async || {
        (
            StatusCode::GONE,
            r#"{"detail":"events before 7 are no longer kept"}"#,
        )
    };
    let client = client(Router::new().route("/api/events", get(refuse))).await;
    let mut tail = client.follow_events(&EventFilter::default(), Some(1));
    let refused = tail.next().await.unwrap_err();
    assert!(matches!(refused, Error::Refused(problem) if problem.status == 410));
}

#[tokio::test]
async fn a_token_does_not_follow_a_redirection() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = async |State(asked): State<Arc<AtomicUsize>>| {
        asked.fetch_add(1, Ordering::SeqCst);
        SITE
    };
    let elsewhere = serve(
        Router::new()
            .route("/api/sites/a", get(count))
            .with_state(Arc::clone(&asked)),
    )
    .await;
    let away = move || async move {
        let there = format!("http://{elsewhere}/api/sites/a");
        (StatusCode::TEMPORARY_REDIRECT, [("location", there)])
    };
    let client = client(Router::new().route("/api/sites/a", get(away))).await;
    let refused = client.site("a").await.unwrap_err();
    assert!(matches!(refused, Error::Answer { .. }), "{refused:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let endless = async || {
        let chunk = "a".repeat(64 * 1024);
        Body::from_stream(futures_util::stream::repeat_with(move || {
            Ok::<_, Infallible>(chunk.clone())
        }))
    };
    let client = client(Router::new().route("/api/sites/a", get(endless))).await;
    let refused = client.site("a").await.unwrap_err();
    assert!(matches!(refused, Error::Answer { .. }), "{refused:?}");
}

#[tokio::test]
async fn only_an_authority_that_is_trusted_vouches_for_the_hub() {
    use outgate_standin::{Authority, Place, Stage, SystemClock, TlsFault};
    let authority = Authority::new(std::time::SystemTime::now()).unwrap();
    let pem = authority.pem();
    let mut stage = Stage::new(authority, SystemClock);
    let names = ["localhost".to_owned()];
    let address = stage
        .https(Place::v4(), &names, TlsFault::None)
        .await
        .unwrap();
    let mut context = context(format!("https://localhost:{}", address.port()));

    let refused = Client::new(&context).unwrap().status().await.unwrap_err();
    assert!(refused.to_string().contains("not trusted"), "{refused}");

    // The stand-in is no hub, but TLS came about.
    context.ca = Some(pem);
    context.trust = Trust::Pinned;
    let answered = Client::new(&context).unwrap().status().await.unwrap_err();
    assert!(
        matches!(answered, Error::Answer { .. } | Error::Refused(_)),
        "{answered:?}"
    );
    stage.stop().await;
}
