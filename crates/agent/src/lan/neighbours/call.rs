//! Speaks to one other member, wherever it is.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use outgate_neighbours::{GIVE_MESSAGE_MAX_BYTES, MemberId, Message};
use outgate_signed_http::check_content;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::driver::Command;
use super::envelope::{CHALLENGE, MEMBER, NotHeard, PATH, ROSTER_PATH, SITE};
use super::serve::Site;
use crate::files::Coming;

/// So long a connection may take to stand: on a local network it is there at once or not at all.
const CONNECT_MAX: Duration = Duration::from_millis(500);
/// So long what is sent may go without being received by the other machine: after that it is cut off,
/// and what is to be said next begins anew. The system itself would try for a quarter of an hour, at
/// longer and longer intervals, and would be in the middle of one when the machine can be heard again.
pub(super) const UNRECEIVED_MAX: Duration = Duration::from_secs(1);
/// The same for what is long, and for whom an answer may keep busy: who reads slowly receives nothing
/// meanwhile.
pub(super) const UNTAKEN_MAX: Duration = Duration::from_secs(10);
/// How often the other machine is asked whether it is there while nothing is to be sent: what was
/// received before its answer may have been the last that it did.
const STILL_THERE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(1))
    .with_interval(Duration::from_secs(1));
/// So long a message waits to be said: a little longer than it takes to try one address of a member that
/// is away, of which there are up to three. Beats that are older say what is not so any more.
const WAITS_MAX: Duration = Duration::from_millis(600);
/// So long an answer may take, also one with all that counts.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Why nothing was said, or nothing was heard.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsaid {
    /// Not reached in time.
    #[error("not reached in time")]
    Late,
    /// Not reached.
    #[error(transparent)]
    Connect(#[from] std::io::Error),
    /// The connection broke off.
    #[error(transparent)]
    Http(#[from] hyper::Error),
    /// Somebody else is there.
    #[error("somebody else is there")]
    Another,
    /// It did not answer as members do.
    #[error("nothing that is signed")]
    Declined,
    /// It is at it, or at too much else: it may be asked again.
    #[error("it is busy, or what was asked for is still to come")]
    Busy,
    #[error(transparent)]
    NotHeard(#[from] NotHeard),
}

/// A connection to a member.
pub(super) struct Line {
    address: SocketAddr,
    requests: SendRequest<Full<Bytes>>,
    challenge: HeaderValue,
    /// Ended when this is dropped.
    task: JoinSet<()>,
}

impl Line {
    /// From the address at which this device listens, if it is one of several, so that it is found
    /// where it comes from. It ends once the other machine has received nothing for so long as
    /// `unreceived`, or is not heard for that and the second in which it is not asked.
    pub(super) async fn open(
        address: SocketAddr,
        own: IpAddr,
        unreceived: Duration,
    ) -> Result<Self, Unsaid> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if !own.is_unspecified() && own.is_ipv4() == address.is_ipv4() {
            socket.bind(SocketAddr::new(own, 0))?;
        }
        let stream = tokio::time::timeout(CONNECT_MAX, socket.connect(address)).await;
        let stream = stream.map_err(|_| Unsaid::Late)??;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        socket.set_tcp_user_timeout(Some(unreceived))?;
        socket.set_tcp_keepalive(&STILL_THERE)?;
        let (requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut task = JoinSet::new();
        task.spawn(async {
            // What became of it the request shows.
            let _ = connection.await;
        });
        Ok(Self {
            address,
            requests,
            challenge: HeaderValue::from_static("none"),
            task,
        })
    }

    /// To this member, if it says to be there.
    pub(super) async fn to(
        member: &MemberId,
        address: SocketAddr,
        own: IpAddr,
        unreceived: Duration,
    ) -> Result<Self, Unsaid> {
        let mut line = Self::open(address, own, unreceived).await?;
        let (_, there) = line.who().await?;
        if there != *member {
            return Err(Unsaid::Another);
        }
        Ok(line)
    }

    /// What is to be shown to the other end.
    pub(super) fn challenge(&self) -> &HeaderValue {
        &self.challenge
    }

    /// The other end wants another challenge to be shown.
    pub(super) fn shows(&mut self, challenge: &HeaderValue) {
        self.challenge = challenge.clone();
    }

    /// A body that comes over this line, which serves for nothing else then.
    pub(super) fn coming(self, body: Incoming) -> Coming {
        Coming::new(body, self.task)
    }

    /// Learns who says to be there, and the challenge to be shown to it.
    async fn who(&mut self) -> Result<(HeaderValue, MemberId), Unsaid> {
        let asked = self.send(Method::GET, PATH, HeaderMap::new(), Vec::new());
        let (head, body) = asked.await?.into_parts();
        nothing(body).await?;
        let member = head.headers.get(MEMBER);
        let member = member.and_then(|id| id.to_str().ok()?.parse().ok());
        let said = (head.headers.get(SITE), member, head.headers.get(CHALLENGE));
        let (Some(site), Some(member), Some(challenge)) = said else {
            return Err(Unsaid::Declined);
        };
        self.challenge = challenge.clone();
        Ok((site.clone(), member))
    }

    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        mut fields: HeaderMap,
        content: Vec<u8>,
    ) -> Result<http::Response<Incoming>, Unsaid> {
        if let Ok(host) = HeaderValue::from_str(&self.address.to_string()) {
            fields.insert(http::header::HOST, host);
        }
        let mut request = Request::new(Full::new(Bytes::from(content)));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap_or_default();
        *request.headers_mut() = fields;
        Ok(self.requests.send_request(request).await?)
    }
}

/// What is to be said, and since when.
pub(super) type Waiting = (Instant, Message);

/// Says to one member what comes, until nothing can come any more.
pub(super) async fn speak(to: MemberId, mut messages: mpsc::Receiver<Waiting>, site: Arc<Site>) {
    let mut line = None;
    while let Some((since, message)) = messages.recv().await {
        if since.elapsed() > WAITS_MAX {
            continue;
        }
        let said = tokio::time::timeout(ANSWER_MAX, reach(&to, &message, &mut line, &site)).await;
        match said.unwrap_or(Err(Unsaid::Late)) {
            Ok(Some(answer)) => {
                let heard = Command::Heard {
                    from: to.clone(),
                    address: line.as_ref().map(|line: &Line| line.address),
                    message: answer,
                    answer: None,
                };
                if site.commands.send(heard).await.is_err() {
                    return;
                }
            }
            Ok(None) => {}
            Err(why) => {
                line = None;
                if let Unsaid::NotHeard(why) = &why {
                    site.envelope.count(why);
                }
                tracing::debug!(%to, %why, "a neighbour is not reached");
            }
        }
    }
}

/// Says it by the line that stands, or wherever the member was before.
async fn reach(
    to: &MemberId,
    message: &Message,
    line: &mut Option<Line>,
    site: &Site,
) -> Result<Option<Message>, Unsaid> {
    if let Some(standing) = line.as_mut().filter(|line| !line.requests.is_closed())
        && let Ok(answer) = say(to, message, standing, site).await
    {
        return Ok(answer);
    }
    *line = None;
    let mut last = Unsaid::Late;
    for address in site.addresses.of_member(to) {
        let said = async {
            let mut new = Line::to(to, address, site.own.ip(), UNRECEIVED_MAX).await?;
            let answer = say(to, message, &mut new, site).await?;
            Ok((new, answer))
        };
        match said.await {
            Ok((new, answer)) => {
                site.addresses.worked(to, address);
                *line = Some(new);
                return Ok(answer);
            }
            Err(why) => last = why,
        }
    }
    Err(last)
}

async fn say(
    to: &MemberId,
    message: &Message,
    line: &mut Line,
    site: &Site,
) -> Result<Option<Message>, Unsaid> {
    if let Message::Roster(signed) = message {
        let path = ROSTER_PATH;
        let response = line
            .send(Method::POST, path, HeaderMap::new(), signed.clone())
            .await?;
        nothing(response.into_body()).await?;
        return Ok(None);
    }
    let content = message.to_bytes();
    // Once more where the challenge was another one by now.
    for _ in 0..2 {
        let asked = site
            .envelope
            .request(PATH, to, line.challenge.clone(), &content);
        let response = line
            .send(Method::POST, PATH, asked.clone(), content.clone())
            .await?;
        let (head, body) = response.into_parts();
        if head.status != StatusCode::OK && head.status != StatusCode::CONFLICT {
            return Err(Unsaid::Declined);
        }
        // The head first: only a member may send as much as an answer can be.
        site.envelope
            .open_response(to, head.status, &head.headers, &asked)?;
        let body = Limited::new(body, GIVE_MESSAGE_MAX_BYTES).collect().await;
        let body = body.map_err(|_| Unsaid::Declined)?.to_bytes();
        check_content(&head.headers, &body).map_err(|_| NotHeard::Changed)?;
        if let Some(challenge) = head.headers.get(CHALLENGE) {
            line.challenge = challenge.clone();
        }
        if head.status == StatusCode::OK {
            if body.is_empty() {
                return Ok(None);
            }
            let answer = Message::from_bytes(&body).map_err(|_| NotHeard::Unreadable)?;
            return Ok(Some(answer));
        }
    }
    Err(Unsaid::NotHeard(NotHeard::Stale))
}

/// Reads the end of a response without content.
pub(super) async fn nothing(body: Incoming) -> Result<(), Unsaid> {
    let read = Limited::new(body, 0).collect().await;
    read.map(|_| ()).map_err(|_| Unsaid::Declined)
}

/// Asks who is at an address; nothing that is to be believed.
pub(super) async fn who(
    address: SocketAddr,
    own: IpAddr,
) -> Result<(HeaderValue, MemberId), Unsaid> {
    let mut line = Line::open(address, own, UNRECEIVED_MAX).await?;
    line.who().await
}
