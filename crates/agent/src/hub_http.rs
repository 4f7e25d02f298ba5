//! Requests to the hub beside the link, the way that it goes: one request a connection.

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Body;
use hyper_util::rt::TokioIo;
use outgate_probe::{Ask, Host, Transport};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::chain::chain;

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
) -> Result<http::Response<Bytes>, String>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| chain(&error))?;
    let asking = async {
        let answer = sender.send_request(request).await;
        let (parts, body) = answer.map_err(|error| chain(&error))?.into_parts();
        let body = Limited::new(body, most).collect().await;
        let body = body.map_err(|error| chain(&*error))?.to_bytes();
        Ok(http::Response::from_parts(parts, body))
    };
    tokio::pin!(asking);
    tokio::select! {
        answered = &mut asking => answered,
        // What has come before it ended is still there.
        _ = connection => asking.await,
    }
}
