//! SignalR hubs for axum, which Microsoft's clients cannot tell from ASP.NET Core's.
//!
//! ```no_run
//! use axum::Router;
//! use outgate_signalr_server::{Args, Connection, HubError, SignalR};
//!
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! let (service, hub) = SignalR::builder()
//!     .on("Send", async |connection: Connection, Args((text,)): Args<(String,)>| {
//!         let others = connection.hub().clients().all().except(connection.id());
//!         Ok::<_, HubError>(others.send("Received", (text,))?)
//!     })
//!     .build();
//! let app = Router::new().nest_service("/chat", service);
//! hub.clients().all().send("Received", ("from anywhere in the program",))?;
//! # axum::serve(tokio::net::TcpListener::bind("127.0.0.1:0").await?, app).await?;
//! # Ok(()) }
//! ```
//!
//! `/chat` then answers clients over WebSockets, Server-Sent Events and long polling, in JSON and
//! MessagePack, and negotiates in versions 0 and 1. It needs nothing of the rest of the router; a
//! layer for cross-origin requests goes around it like around any other service.
//!
//! # Handlers
//!
//! A handler is an asynchronous function or closure. Its parameters say what it needs:
//!
//! | parameter | what it is |
//! |---|---|
//! | [`Args<(A, B)>`](Args) | the call's arguments, as many as there are, each of its type |
//! | [`Connection`] | who calls: [`send`](Connection::send), [`invoke`](Connection::invoke), [`join`](Connection::join), [`close`](Connection::close) |
//! | [`State<T>`](State) | the state of [`Builder::with_state`], or a part of it ([`FromRef`](axum::extract::FromRef)) |
//! | [`Extension<T>`](Extension) | what [`Builder::authenticate`] put on the connection |
//! | [`Upload<T>`](Upload) | a stream that comes with the call |
//! | [`Target`], [`RawArgs`] | the method's name and the arguments as they came, for [`Builder::fallback`] |
//!
//! Anything else can be one by [`FromCall`]. It gives `Result<T, HubError>`: `T` is the result, and
//! `()` none. The text of [`HubError::new`] is told to the client; any other error becomes a
//! `HubError` by `?`, and the client is told only that there was one, in ASP.NET Core's words. So
//! is a panic. Methods are found whatever the case of their names.
//!
//! Calls of one client run one after the other ([`Builder::parallel_calls`]), each as far as it
//! goes at once on the task that read it, and only then on a task of its own. While a handler
//! waits, pings, answers and streams of the same client go on.
//!
//! A handler of [`Builder::on_stream`] gives a stream. Items are taken from it no faster than the
//! client takes them, and it is dropped when the client cancels or leaves.
//!
//! Arguments, results and items are whatever [`serde`] reads and writes. Bytes are [`Binary`]:
//! base 64 in JSON and `bin` in MessagePack, as `byte[]` is in ASP.NET Core; points of time are
//! [`Timestamp`]: text in JSON and MessagePack's own, as `DateTime` is.
//!
//! # Sending
//!
//! [`Hub::clients`] chooses whom: everyone, groups, users, single connections, all but some. A
//! message is written once for each protocol and shared by all who hear it. [`client_methods!`]
//! makes a type with a method for each that clients have, those with a result too.
//!
//! Sending never waits: a message is put in line. When 1,000 messages or 1 MiB wait
//! ([`Builder::waiting_max`]), the client is too slow, and [`Builder::slow_peer`] says what happens:
//! it is disconnected (unless said otherwise), misses the oldest news, or misses what
//! [`Clients::about`] the same has come since. Answers and items of streams are never left out.
//! Whoever sends much to one client waits by [`Connection::flow`].
//!
//! # Who clients are
//!
//! [`Builder::authenticate`] sees the parts of a request, and gives an [`Identity`] or a refusal. It
//! is asked at the negotiation and once more when a transport is opened; later polls and posts show
//! the connection's own secret, 128 random bits. Neither that nor tokens are printed or logged.
//! [`Hub::close_connection`] ends a connection on every transport at once, a hanging poll included.
//!
//! # Ends
//!
//! [`Connection::close`] and [`Hub::disconnect_all`] tell the client why, and whether to come back;
//! [`Hub::shut_down`] tells everyone to come back, takes nobody new, and waits until they are gone.
//! [`Builder::on_disconnect`] is told of every end of a connection that [`Builder::on_connect`] was
//! told of.
//!
//! With [`Builder::stateful_reconnect`], a connection over WebSockets outlives them where its client
//! asks for it: nothing is lost, and nothing comes twice.
//!
//! # Networks
//!
//! Event streams say to nginx that they are not to be buffered. Where a proxy swallows a transport
//! all the same, Microsoft's clients give up; [`Builder::remember_stalls`] offers it last at their
//! next negotiation. Clients that skip the negotiation need one request and no sticky sessions.
//!
//! # Limits
//!
//! Everything that comes from outside has a bound, with ASP.NET Core's defaults where it has them:
//! see the methods of [`Builder`]. An idle WebSocket has one task and no timer of its own; one task
//! for the whole hub looks once a second at what is due.
//!
//! What is not here: several machines that serve one hub, WebSockets over HTTP/2, and refreshing a
//! token on a connection.
//!
//! # A chat
//!
//! ```no_run
#![doc = include_str!("../examples/chat.rs")]
//! ```
//!
//! # Streams
//!
//! ```no_run
#![doc = include_str!("../examples/streaming.rs")]
//! ```

mod arguments;
mod builder;
mod call;
mod clients;
mod connection;
mod dispatch;
mod error;
mod handler;
mod hub;
mod memory;
mod negotiation;
mod polling;
mod post;
mod registry;
mod service;
mod shared;
mod sse;
mod sweep;
mod upload;
mod websocket;

pub use outgate_signalr::connection::{End, SlowPeer};
pub use outgate_signalr::encode::EncodeError;
pub use outgate_signalr::negotiate::{Token, Transport};
pub use outgate_signalr::payload::{Arguments, Payload};
pub use outgate_signalr::{Binary, Completed, Protocol, Timestamp};

pub use arguments::{ArgumentsError, FromArguments, ToArguments};
pub use builder::{Builder, Redirection};
pub use call::{Args, Call, Extension, FromCall, InvocationId, RawArgs, Rejection, State, Target};
pub use clients::Clients;
pub use connection::{Connection, Disconnected, Identity, InvokeError, TooManyGroups};
pub use error::HubError;
pub use handler::{Handler, Reply, StreamReply};
pub use hub::Hub;
pub use service::SignalRService;
pub use upload::{Upload, UploadError};

/// Begins a hub.
#[derive(Debug)]
pub struct SignalR;

impl SignalR {
    /// A hub that can do nothing yet.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }
}
