//! A name server that is asked over HTTPS (RFC 8484), for a second opinion.

use std::{fmt, str::FromStr};

use hickory_proto::op::Message;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::Instant;

use crate::{
    ask::{Ask, Host, Transport},
    dns::Question,
    evidence::{Outcome, PhaseName, Trouble, Unit},
    http::{HEAD_MAX, HEADERS_MAX, USER_AGENT, stop_of},
    run::{Run, Stop},
    stream::{BoxedStream, open_tls_for},
};

/// The type of questions and answers (RFC 8484 §6).
const MESSAGE_TYPE: &str = "application/dns-message";
/// Where it is usually asked (RFC 8484 §4.1.1 shows it, and everybody has taken it up).
const USUAL_PATH: &str = "/dns-query";
/// What ends a URL that is a template (RFC 8484 §4.1); a question in the body needs none.
const TEMPLATE: &str = "{?dns}";
/// What it speaks on its port: HTTP/2 is the least that is recommended (RFC 8484 §5.2).
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// Longest URL, in bytes.
pub(super) const URL_MAX: usize = 1024;
/// Longest answer, in bytes (RFC 8484 §6).
const ANSWER_MAX: usize = 65_535;
/// Most bytes that HTTP/2 may send ahead of what is read.
const WINDOW: u32 = 65_535;

/// The URL of a name server that is asked over HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DohUrl {
    host: Host,
    port: u16,
    authority: String,
    path: String,
}

impl FromStr for DohUrl {
    type Err = DohUrlError;

    /// Reads `https://HOST[:PORT][/PATH]`; the path is `/dns-query` where none is said.
    fn from_str(text: &str) -> Result<Self, DohUrlError> {
        let text = text.strip_suffix(TEMPLATE).unwrap_or(text);
        if text.len() > URL_MAX {
            return Err(DohUrlError);
        }
        let uri: Uri = text.parse().map_err(|_| DohUrlError)?;
        let authority = uri.authority().ok_or(DohUrlError)?;
        if authority.as_str().contains('@') {
            return Err(DohUrlError);
        }
        let behind = authority.as_str().strip_prefix(authority.host());
        let port = match behind.ok_or(DohUrlError)?.strip_prefix(':') {
            None => 443,
            Some(port) => port.parse().map_err(|_| DohUrlError)?,
        };
        let host = authority.host().trim_matches(['[', ']']);
        if uri.scheme_str() != Some("https") || host.is_empty() || port == 0 {
            return Err(DohUrlError);
        }
        let host = match host.parse() {
            Ok(address) => Host::Address(address),
            Err(_) => Host::Name(host.to_owned()),
        };
        let path = uri.path_and_query().map_or("/", |both| both.as_str());
        Ok(Self {
            host,
            port,
            authority: authority.as_str().to_owned(),
            path: if path == "/" { USUAL_PATH } else { path }.to_owned(),
        })
    }
}

impl fmt::Display for DohUrl {
    /// Without its path, which may be somebody's own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority)
    }
}

/// The text is not the URL of a name server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a URL such as https://192.0.2.53/dns-query, of 1024 bytes at most")]
pub struct DohUrlError;

impl DohUrl {
    /// The way to it: that of any other HTTPS, through the product's proxy, and vouched for by the
    /// same roots.
    pub(super) fn ask(&self) -> Ask {
        Ask::new("https", self.host.clone(), Some(self.port), Transport::Tcp)
    }

    /// Asks one question at the address of a run of [`DohUrl::ask`].
    pub(super) async fn exchange(
        &self,
        run: &mut Run<'_>,
        question: &Question,
    ) -> Result<Message, Stop> {
        let opened = open_tls_for(run, &ALPN).await?;
        if let Some(doubt) = opened.doubt.filter(|doubt| doubt.outcome == Outcome::Fail) {
            return Err(doubt);
        }
        let tls = run.attempt.tls.as_ref();
        let two = tls.and_then(|tls| tls.alpn.as_deref()) == Some("h2");
        let request = self.request(question, two)?;
        let exchange = async {
            let body = if two {
                over_http2(opened.stream, request).await?
            } else {
                over_http1(opened.stream, request).await?
            };
            Ok(question.read(&body)?)
        };
        run.phase(PhaseName::Exchange, exchange).await
    }

    /// The question in the body of a POST, which is shorter than in a URL and stands in no log
    /// (RFC 8484 §4.1, §8.2).
    fn request(&self, question: &Question, two: bool) -> Result<Request<Full<Bytes>>, Trouble> {
        // HTTP/2 takes the host from the URL, HTTP/1.1 from its own field.
        let uri = if two {
            format!("https://{}{}", self.authority, self.path)
        } else {
            self.path.clone()
        };
        let mut request = Request::post(uri)
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::ACCEPT, MESSAGE_TYPE)
            .header(header::CONTENT_TYPE, MESSAGE_TYPE);
        if !two {
            request = request.header(header::HOST, &self.authority);
        }
        let body = Full::from(question.bytes.clone());
        request.body(body).map_err(|error| Trouble::BadAsk {
            what: error.to_string(),
        })
    }
}

async fn over_http2(
    stream: BoxedStream,
    request: Request<Full<Bytes>>,
) -> Result<Vec<u8>, Trouble> {
    let start = Instant::now();
    let said = |error| stop_of(&error, PhaseName::FirstByte, start).trouble;
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .max_header_list_size(u32::try_from(HEAD_MAX).unwrap_or(u32::MAX))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(said)?;
    let sent = async { sender.send_request(request).await.map_err(said) };
    answer(sent, connection).await
}

async fn over_http1(
    stream: BoxedStream,
    request: Request<Full<Bytes>>,
) -> Result<Vec<u8>, Trouble> {
    let start = Instant::now();
    let said = |error| stop_of(&error, PhaseName::FirstByte, start).trouble;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(said)?;
    let sent = async { sender.send_request(request).await.map_err(said) };
    answer(sent, connection).await
}

/// The message that comes for what is sent over a connection, which is driven meanwhile. What ends
/// the connection is told by the exchange that it carries.
async fn answer(
    sent: impl Future<Output = Result<Response<Incoming>, Trouble>>,
    connection: impl Future,
) -> Result<Vec<u8>, Trouble> {
    let exchange = async { read(sent.await?).await };
    let driving = async {
        connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        result = exchange => result,
        () = driving => Err(Trouble::Closed { phase: PhaseName::FirstByte }),
    }
}

/// The message in an answer: any status of success, and no other type (RFC 8484 §4.2.1). Nobody is
/// followed elsewhere.
async fn read(response: Response<Incoming>) -> Result<Vec<u8>, Trouble> {
    let status = response.status();
    if !status.is_success() {
        return Err(Trouble::HttpStatus {
            status: status.as_u16(),
        });
    }
    let told = response.headers().get(header::CONTENT_TYPE);
    if !told.is_some_and(is_message) {
        return Err(Trouble::AnswerUnexpected {
            what: format!("it is not of the type {MESSAGE_TYPE}"),
        });
    }
    let body = Limited::new(response.into_body(), ANSWER_MAX);
    match body.collect().await {
        Ok(body) => Ok(body.to_bytes().to_vec()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Trouble::TooMuch {
            bound: ANSWER_MAX as u64,
            unit: Unit::MessageBytes,
        }),
        Err(error) => Err(Trouble::Malformed {
            what: error.to_string(),
        }),
    }
}

/// Whether it is the type of a DNS message, whatever its parameters (RFC 9110 §8.3.1).
fn is_message(told: &HeaderValue) -> bool {
    let told = told.to_str().unwrap_or_default();
    let kind = told.split_once(';').map_or(told, |(kind, _)| kind);
    kind.trim().eq_ignore_ascii_case(MESSAGE_TYPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_with_or_without_path_port_and_template() {
        for (text, shown, path) in [
            ("https://192.0.2.53", "https://192.0.2.53", "/dns-query"),
            (
                "https://dns.example:8443/q/mine",
                "https://dns.example:8443",
                "/q/mine",
            ),
            (
                "https://[::1]/dns-query{?dns}",
                "https://[::1]",
                "/dns-query",
            ),
        ] {
            let url: DohUrl = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.path.as_str()), (shown, path));
        }
        let url: DohUrl = "https://[::1]:8443/".parse().unwrap();
        assert_eq!(url.host, Host::Address("::1".parse().unwrap()));
        assert_eq!(url.port, 8443);
    }

    #[test]
    fn what_is_no_url_of_a_name_server_is_refused() {
        let long = format!("https://dns.example/{}", "x".repeat(URL_MAX));
        for text in [
            "http://dns.example",
            "dns.example",
            "https://me:it@dns.example",
            "https://dns.example@dns.example",
            "https://dns.example:0/",
            "https://dns.example:70000/",
            "https://dns.example:/",
            "https:///dns-query",
            "",
            &long,
        ] {
            assert_eq!(text.parse::<DohUrl>(), Err(DohUrlError), "{text}");
        }
    }

    #[test]
    fn the_type_of_an_answer_is_read_without_its_parameters() {
        for (told, is) in [
            ("application/dns-message", true),
            ("Application/DNS-Message; charset=x", true),
            ("application/dns-json", false),
            ("text/html", false),
        ] {
            assert_eq!(is_message(&HeaderValue::from_static(told)), is, "{told}");
        }
    }
}
