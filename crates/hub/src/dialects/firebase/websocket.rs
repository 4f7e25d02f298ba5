//! The WebSocket protocol: one connection, from its upgrade to what it leaves to be written.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query as Parameters, Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{StatusCode, header};
use hyper_util::rt::TokioIo;
use outgate_core::Core;
use outgate_core::id::SessionId;
use outgate_core::sessions::Ending;
use outgate_door::Facts;
use outgate_firebase::frame::{PIECE_MAX, Pieces, cut};
use outgate_firebase::session::{Due, Session};
use outgate_firebase::wire::{self, Message, Proof};
use serde::Deserialize;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::login::Login;
use super::namespace::{Answer, Namespace, What};
use super::outbox::{Letter, Outbox};
use super::{Inner, VIA};
use crate::http::websocket::accept;

mod requests;

/// Bytes read at a time: a device seldom says more at once, and this is held while it is silent.
const READ_BUFFER: usize = 2 * 1024;

/// The most bytes of a text: a piece whose characters all take three.
const MAX_TEXT: usize = 3 * PIECE_MAX + 1024;

/// The most bytes of a request of somebody who has not proved who they are.
const MAX_FIRST_REQUEST: usize = 64 * 1024;

/// The most bytes of the host that a client says it asked for.
const MAX_HOST: usize = 255;

/// What a client says in the address. The App Check token that is in it as well is of no use yet:
/// it comes again in a message, which no proxy writes down.
#[derive(Deserialize)]
pub(super) struct Address {
    v: String,
    ns: Option<String>,
}

/// Takes a request for a WebSocket and serves it on a task of its own.
pub(super) async fn upgrade(
    State(firebase): State<Arc<Inner>>,
    Parameters(address): Parameters<Address>,
    mut request: Request,
) -> Response {
    let facts = request.extensions().get::<Facts>().cloned();
    let host = host(&request);
    let namespace = firebase.namespace(address.ns.as_deref(), &host).cloned();
    let (Some(facts), Some(namespace)) = (facts, namespace) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if address.v != wire::VERSION {
        return (StatusCode::BAD_REQUEST, "only version 5 is spoken\n").into_response();
    }
    let accepted = match accept(&mut request, &[]) {
        Ok(accepted) => accepted,
        Err(not_ours) => return not_ours.into_response(),
    };
    tokio::spawn(async move {
        match accepted.upgrade.await {
            Ok(upgraded) => {
                let socket = socket(TokioIo::new(upgraded)).await;
                converse(&firebase, namespace, socket, facts, &host).await;
            }
            Err(error) => tracing::debug!(%error, "a WebSocket did not come about"),
        }
    });
    accepted.response
}

/// The host that a client says it asked for.
pub(super) fn host(request: &Request) -> String {
    let header = request.headers().get(header::HOST);
    let header = header.and_then(|host| host.to_str().ok());
    let authority = || {
        request
            .uri()
            .authority()
            .map(|authority| authority.as_str())
    };
    let host = header.or_else(authority).unwrap_or_default();
    host.get(..MAX_HOST).unwrap_or(host).to_owned()
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

async fn socket(stream: TokioIo<hyper::upgrade::Upgraded>) -> Socket {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MAX_TEXT)
        .max_message_size(Some(MAX_TEXT))
        .max_frame_size(Some(MAX_TEXT));
    WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await
}

/// Why a connection is over.
enum End {
    /// The client went, said nothing for too long or what is not in the protocol, or did not take
    /// what it was told.
    Gone(&'static str),
    /// Its session ended.
    Ended(Ending),
}

/// One connection.
struct Conversation<'a> {
    party: Party<'a>,
    namespace: Namespace,
    facts: Facts,
    session: Session,
    pieces: Pieces,
}

/// Who is at the other end.
struct Party<'a> {
    firebase: &'a Inner,
    outbox: Arc<Outbox>,
    auth: Option<Login>,
    app_check: Option<Login>,
}

impl Party<'_> {
    /// Who they are: what they proved by `auth` counts before App Check.
    fn login(&self) -> Option<&Login> {
        self.auth.as_ref().or(self.app_check.as_ref())
    }

    fn set(&mut self, proof: Proof, login: Option<Login>) {
        match proof {
            Proof::Auth => self.auth = login,
            Proof::AppCheck => self.app_check = login,
        }
    }

    /// Waits until the connection has to end whatever the client does.
    async fn over(&self) -> End {
        let core = self.firebase.core();
        let ended = async |login: Option<&Login>| match login {
            Some(login) => End::Ended(login.ended(core).await),
            None => pending().await,
        };
        let goes_down = async {
            match self.login() {
                // Its session says so.
                Some(_) => pending().await,
                None => self.firebase.goes_down().await,
            }
        };
        tokio::select! {
            end = ended(self.auth.as_ref()) => end,
            end = ended(self.app_check.as_ref()) => end,
            () = self.outbox.overrun() => End::Gone("it took too little of what it was told"),
            () = goes_down => End::Gone("the hub goes down"),
        }
    }

    /// What comes of `what`, unless the connection is over first.
    async fn unless_over<T>(&self, what: impl Future<Output = T>) -> Result<T, End> {
        tokio::select! {
            biased;
            end = self.over() => Err(end),
            done = what => Ok(done),
        }
    }
}

/// Serves a connection to its end, and has written what it leaves.
async fn converse(
    firebase: &Inner,
    namespace: Namespace,
    mut socket: Socket,
    facts: Facts,
    host: &str,
) {
    let core = firebase.core();
    let mut conversation = Conversation {
        party: Party {
            firebase,
            outbox: firebase.outbox(),
            auth: None,
            app_check: None,
        },
        namespace,
        facts,
        session: Session::new(core.clock.uptime()),
        pieces: Pieces::new(MAX_FIRST_REQUEST),
    };
    let _live = firebase.state.metrics.session(VIA);
    let end = conversation.run(&mut socket, host).await;
    if let End::Gone(why) = &end {
        tracing::debug!(why, "a client of the Realtime Database has gone");
    }
    if matches!(end, End::Ended(Ending::Draining)) {
        // The hub waits for its connections: so what is left is on the disk before it ends.
        conversation.leave(core, &end).await;
        drop(socket);
    } else {
        // Whoever ends a session waits for its connection.
        drop(socket);
        conversation.leave(core, &end).await;
    }
}

impl Conversation<'_> {
    async fn run(&mut self, socket: &mut Socket, host: &str) -> End {
        let Ok(id) = SessionId::made_up() else {
            return End::Gone("the system has no randomness");
        };
        let hello = wire::hello(self.party.firebase.now(), host, id.as_str());
        let mut letter = Some(Letter::Message(hello, None));
        loop {
            if let Some(letter) = letter.take()
                && let Err(end) = self.say(socket, letter).await
            {
                return end;
            }
            let text = tokio::select! {
                biased;
                end = self.party.over() => return end,
                next = self.party.outbox.next() => {
                    letter = next.ok();
                    continue;
                }
                frame = socket.next() => match frame {
                    Some(Ok(Frame::Text(text))) => text,
                    Some(Ok(Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_))) => {
                        self.session.on_heard(self.uptime());
                        continue;
                    }
                    Some(Ok(Frame::Binary(_))) => return End::Gone("it does not speak text"),
                    Some(Ok(Frame::Close(_)) | Err(_)) | None => return End::Gone("it closed"),
                },
                () = tokio::time::sleep(self.patience()) => {
                    if let Err(end) = self.see_to_silence(socket).await {
                        return end;
                    }
                    continue;
                }
            };
            if let Err(end) = self.hear(text.as_str()).await {
                return end;
            }
        }
    }

    fn uptime(&self) -> Duration {
        self.party.firebase.core().clock.uptime()
    }

    fn patience(&self) -> Duration {
        self.session.poll_timeout().saturating_sub(self.uptime())
    }

    /// The client has said nothing, or not who it is, for long.
    async fn see_to_silence(&mut self, socket: &mut Socket) -> Result<(), End> {
        match self.session.handle_timeout(self.uptime()) {
            Some(Due::Close) => Err(End::Gone("it said nothing, or not who it is, for too long")),
            Some(Due::Ask) => {
                let ping = socket.send(Frame::Ping(Bytes::new()));
                let sent = self.party.unless_over(ping).await?;
                sent.map_err(|_| End::Gone("it closed"))
            }
            None => Ok(()),
        }
    }

    async fn say(&self, socket: &mut Socket, letter: Letter) -> Result<(), End> {
        // Until all of it has been sent.
        let (text, _held) = match letter {
            Letter::Message(text, held) => (text, held),
            Letter::Told(told, held) => (wire::push(&told), Some(held)),
        };
        let pieces = cut(&text);
        let count = Some(pieces.len().to_string()).filter(|_| pieces.len() > 1);
        let sending = async {
            for text in count.as_deref().into_iter().chain(pieces) {
                socket.send(Frame::text(text)).await?;
            }
            Ok::<_, tokio_tungstenite::tungstenite::Error>(())
        };
        let sent = self.party.unless_over(sending).await?;
        sent.map_err(|_| End::Gone("it closed"))
    }

    /// Takes a text, and does what the message asks that is whole with it.
    async fn hear(&mut self, text: &str) -> Result<(), End> {
        self.session.on_heard(self.uptime());
        let message = self.pieces.handle_text(text.to_owned());
        let message = message.map_err(|_| End::Gone("it said too much at once"))?;
        let Some(text) = message else {
            return Ok(());
        };
        match Message::read(&text).map_err(|_| End::Gone("it does not keep to the protocol"))? {
            Message::Request(number, request) => self.request(number, request, text.len()).await,
            Message::Ping => {
                self.tell(wire::pong().to_owned());
                Ok(())
            }
            Message::Other => Ok(()),
        }
    }

    fn tell(&self, message: String) {
        self.party.outbox.put(Letter::Message(message, None));
    }

    /// Forgets what it listened to, and has written what it leaves: unless it was put out, for then
    /// it says nothing more.
    async fn leave(self, core: &Core, end: &End) {
        let Self {
            party,
            namespace,
            session,
            ..
        } = self;
        let login = party.login();
        let credential = login.map(|login| login.session.presence().credential.clone());
        let by = party.outbox.number;
        drop(party);
        let listens = session.listens().map(|(path, tag, _)| (path.clone(), tag));
        let what = What::Forget {
            by,
            listens: listens.collect(),
            gone: true,
        };
        namespace.forget(what).await;
        let is_put_out = match end {
            End::Gone(_) | End::Ended(Ending::Replaced | Ending::Draining) => false,
            End::Ended(Ending::Revoked | Ending::Expired | Ending::Dismissed) => true,
        };
        let last_words = session.into_last_words();
        let Some(credential) = credential.filter(|_| !is_put_out && !last_words.is_empty()) else {
            return;
        };
        match core.stand_in(&credential, VIA).await {
            Ok(pass) => {
                for write in last_words {
                    let returns = false;
                    let what = What::Write { write, returns };
                    let answer = namespace.ask(pass.clone(), what, None).await;
                    if let Answer::Refused(_, why) = answer {
                        tracing::debug!(why, "what a client left is not written");
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "what a client left is not written"),
        }
    }
}
