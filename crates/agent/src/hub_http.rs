//! Requests to the hub beside the link, the way that it goes: one request a connection.

use std::io;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use outgate_probe::{Ask, Host, Path, PathConfig, Transport};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use crate::chain::chain;
use crate::files::Coming;

/// The host and port of an address, and whether there is to be TLS.
pub(crate) fn asked(uri: &Uri) -> Result<(Ask, bool), String> {
    let secure = uri.scheme_str() == Some("https");
    let host = uri.host().ok_or("the hub's address has no host")?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let host = match bare.parse() {
        Ok(address) => Host::Address(address),
        Err(_) => Host::Name(bare.to_owned()),
    };
    let (protocol, port) = if secure { ("https", 443) } else { ("http", 80) };
    let port = uri.port_u16().unwrap_or(port);
    let ask = Ask::new(protocol, host, Some(port), Transport::Tcp);
    Ok((ask, secure))
}

/// Asks over the stream. An answer has at most `most` bytes.
pub(crate) async fn exchange<B>(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<B>,
    most: usize,
) -> Result<Response<Bytes>, String>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let shaken = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| chain(&error))?;
    let asking = async {
        let answer = sender.send_request(request).await;
        let (parts, body) = answer.map_err(|error| chain(&error))?.into_parts();
        let body = Limited::new(body, most).collect().await;
        let body = body.map_err(|error| chain(&*error))?.to_bytes();
        Ok(Response::from_parts(parts, body))
    };
    tokio::pin!(asking);
    tokio::select! {
        answered = &mut asking => answered,
        // What has come before it ended is still there.
        _ = connection => asking.await,
    }
}

/// Asks the hub at `at`; the answer's body has the connection with it. Host and address are filled in.
///
/// # Errors
/// Why there is no answer.
pub(crate) async fn send<B>(
    (at, path): (&str, &str),
    way: PathConfig,
    mut request: Request<B>,
) -> io::Result<Response<Coming>>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let uri: Uri = format!("{}{path}", at.trim_end_matches('/'))
        .parse()
        .map_err(io::Error::other)?;
    let (ask, secure) = asked(&uri).map_err(io::Error::other)?;
    // Of its own, since networks, name servers and proxies change.
    let way = Path::new(way).map_err(|error| io::Error::other(chain(&error)))?;
    let stream = outgate_probe::open(&ask, &way, secure).await;
    let stream = stream.map_err(|trouble| io::Error::other(trouble.to_string()))?;
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let mut task = JoinSet::new();
    task.spawn(async {
        // What became of it the answer shows.
        let _ = connection.await;
    });
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let authority = HeaderValue::from_str(authority.unwrap_or_default());
    let authority = authority.map_err(io::Error::other)?;
    request.headers_mut().insert(HOST, authority);
    *request.uri_mut() = uri
        .path_and_query()
        .map(|path| path.as_str())
        .unwrap_or_default()
        .parse()
        .map_err(io::Error::other)?;
    let response = requests.send_request(request).await;
    let response = response.map_err(io::Error::other)?;
    Ok(response.map(|body| Coming::new(body, task)))
}
