//! A small text by HTTP, straight from where it is, for the path's own needs.

use std::net::{IpAddr, SocketAddr};

use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout};

use super::{BoxedStream, dial};
use crate::{
    ask::Host,
    evidence::{PhaseName, Trouble},
    http::{HEAD_MAX, HEADERS_MAX, USER_AGENT, stop_of},
    path::Path,
    tls,
};

/// Fetches a text of at most this many bytes, within the path's time-out. An error says why not.
pub(crate) async fn text(path: &Path, url: &str, bytes_max: usize) -> Result<String, String> {
    let uri: Uri = url.parse().map_err(|_| "not a URL".to_owned())?;
    match timeout(path.timeout(), get(path, &uri, bytes_max)).await {
        Ok(result) => result,
        Err(_) => Err("nothing came in time".to_owned()),
    }
}

async fn get(path: &Path, uri: &Uri, bytes_max: usize) -> Result<String, String> {
    let secure = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        Some(_) | None => return Err("expected http:// or https://".to_owned()),
    };
    let authority = uri.authority().ok_or("there is no host")?;
    if authority.as_str().contains('@') {
        return Err("a login is not given here".to_owned());
    }
    let host = authority.host().trim_matches(['[', ']']);
    let host = match host.parse() {
        Ok(address) => Host::Address(address),
        Err(_) => Host::Name(host.to_owned()),
    };
    let port = authority
        .port_u16()
        .unwrap_or(if secure { 443 } else { 80 });
    let stream = open(path, &host, port, secure).await?;
    let path_and_query = uri.path_and_query().map_or("/", |both| both.as_str());
    let request = Request::get(path_and_query)
        .header(header::HOST, authority.as_str())
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    ask(stream, request, bytes_max).await
}

async fn ask(
    stream: BoxedStream,
    request: Request<Empty<Bytes>>,
    bytes_max: usize,
) -> Result<String, String> {
    let start = Instant::now();
    let said = |error| {
        stop_of(&error, PhaseName::FirstByte, start)
            .trouble
            .to_string()
    };
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(said)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(said)?;
        if response.status() != StatusCode::OK {
            return Err(format!("HTTP status {}", response.status().as_u16()));
        }
        let body = Limited::new(response.into_body(), bytes_max)
            .collect()
            .await;
        let body = body.map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
    };
    let driving = async {
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        result = exchange => result,
        () = driving => Err("connection closed".to_owned()),
    }
}

async fn open(path: &Path, host: &Host, port: u16, secure: bool) -> Result<BoxedStream, String> {
    let mut trouble = Trouble::NoAddress;
    for address in addresses(path, host).await? {
        let dialling = dial(
            path,
            SocketAddr::new(address, port),
            None,
            PhaseName::Connect,
        );
        let opened = match dialling.await {
            Ok(stream) if !secure => return Ok(Box::new(stream)),
            Ok(stream) => {
                let stream: BoxedStream = Box::new(stream);
                tls::secure_to_proxy(path, stream, host, address, PhaseName::Tls).await
            }
            Err(stop) => Err(stop),
        };
        match opened {
            Ok(stream) => return Ok(stream),
            Err(stop) => trouble = stop.trouble,
        }
    }
    Err(trouble.to_string())
}

async fn addresses(path: &Path, host: &Host) -> Result<Vec<IpAddr>, String> {
    let name = match host {
        Host::Address(address) => return Ok(vec![*address]),
        Host::Name(name) => name,
        Host::SystemResolvers | Host::TimeServers | Host::Role(_) => {
            return Err("no host".to_owned());
        }
    };
    let resolution = path.resolve(name).await;
    let answers = [&resolution.ipv4, &resolution.ipv6];
    let found: Vec<_> = answers
        .into_iter()
        .flat_map(|answer| &answer.addresses)
        .map(|record| record.address)
        .collect();
    match (&resolution.ipv4.trouble, found.is_empty()) {
        (Some(trouble), true) => Err(trouble.to_string()),
        (_, _) => Ok(found),
    }
}
