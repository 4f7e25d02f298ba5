//! Answers that are known before their request has come.

use axum::body::{Body, Bytes};
use futures_util::StreamExt as _;
use http::{Method, Request, StatusCode};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::hub::soon;
use crate::running::Running;

const BODY: &str = "{\"id\":\"s\"}";

/// A request by nobody, whose body comes from `pieces`.
fn by_nobody(mut pieces: mpsc::Receiver<Bytes>) -> Request<Body> {
    let pieces = futures_util::stream::poll_fn(move |context| pieces.poll_recv(context));
    let body = Body::from_stream(pieces.map(Ok::<_, std::io::Error>));
    Request::builder()
        .method(Method::POST)
        .uri("http://hub/api/sites")
        .header("content-type", "application/json")
        .header("content-length", BODY.len())
        .body(body)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_a_refusal_waits_for_the_end_of_a_short_request() {
    let text = "[[listen]]\naddress = '127.0.0.1:0'\ntls = false\n";
    let running = Running::on(tempfile::tempdir().unwrap(), text).await;
    let stream = TcpStream::connect(running.hub.listening()[0].address);
    let (mut client, connection) = http2::Builder::new(TokioExecutor::new())
        .handshake::<_, Body>(TokioIo::new(stream.await.unwrap()))
        .await
        .unwrap();
    tokio::spawn(connection);
    let (sender, pieces) = mpsc::channel(1);
    let refused = tokio::spawn(client.send_request(by_nobody(pieces)));
    // What is asked after it over the same connection is answered meanwhile.
    for _ in 0..10 {
        let other = Request::get("http://hub/api/sites").body(Body::empty());
        let other = soon(client.send_request(other.unwrap())).await.unwrap();
        assert_eq!(other.status(), StatusCode::UNAUTHORIZED);
    }
    assert!(!refused.is_finished(), "it was answered before it had come");
    sender.send(BODY.into()).await.unwrap();
    drop(sender);
    let answer = soon(refused).await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_does_not_wait_for_a_long_request() {
    let text = "[[listen]]\naddress = '127.0.0.1:0'\ntls = false\n";
    let running = Running::on(tempfile::tempdir().unwrap(), text).await;
    let stream = TcpStream::connect(running.hub.listening()[0].address);
    let (mut client, connection) = http2::Builder::new(TokioExecutor::new())
        .handshake::<_, Body>(TokioIo::new(stream.await.unwrap()))
        .await
        .unwrap();
    tokio::spawn(connection);
    let (_sender, pieces) = mpsc::channel(1);
    let mut request = by_nobody(pieces);
    let long = (1 << 20).into();
    request.headers_mut().insert("content-length", long);
    let answer = soon(client.send_request(request)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}
