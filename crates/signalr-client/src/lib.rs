//! A SignalR client: calls to a hub and from it, streams both ways, over whichever transport gets
//! through, in JSON or MessagePack.
//!
//! ```no_run
//! use outgate_signalr_client::{Client, Policy, Token};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder("https://hub.example/chat")
//!     .token(Token::new("secret".to_owned()))
//!     .retry(Policy::DEVICE)
//!     .retry_start(true)
//!     .build()?;
//! client.on("Said", |(user, text): (String, String)| async move {
//!     println!("{user}: {text}");
//! });
//! client.answer("Temperature", |()| async { Ok::<f64, String>(21.5) });
//! client.start().await?;
//!
//! client.send("Say", ("ann", "hello")).await?;
//! let members: Vec<String> = client.invoke("Members", ("room",)).await?;
//! # drop(members);
//! client.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Transports
//!
//! WebSocket, Server-Sent Events and long polling are tried in the server's order. A transport
//! counts once the hub has answered the handshake over it. One that opens and then is silent, or is
//! closed, is given up after a few seconds ([`Builder::patience`]) and the next one is tried; what
//! failed while another one worked is tried last from then on ([`Client::memory`]). So a proxy that
//! strips the upgrade, keeps a stream of events, or drops WebSockets costs a few seconds once.
//! A proxy that has no patience with polls (504) costs nothing.
//!
//! # Connections
//!
//! [`Client::state`] tells what the client is doing, and why. It comes back by a [`Policy`]:
//! [`Policy::default`] is what Microsoft's clients do, [`Policy::DEVICE`] never gives up. A server
//! that asks for time (`Retry-After`) gets it. With [`Builder::stateful`] a connection outlives its
//! WebSocket: after a cut both ends go on where they were. Otherwise calls are not kept for later:
//! without a connection they fail at once, and whoever waits for an answer when it ends learns of
//! that.
//!
//! Who has a proxy, trust or addresses of its own brings a [`Connect`](connect::Connect). TLS for
//! [`Direct`](connect::Direct) connections is behind the feature `tls`.
//!
//! # Bounds
//!
//! A server cannot make a client grow. What waits is bounded in number and in bytes, as they came
//! (values of MessagePack may take forty times as much memory), and one message fits always. What
//! happens then:
//!
//! | what waits | at its bound |
//! |---|---|
//! | calls for one handler ([`Builder::handler_queue_max`], [`Builder::handler_queue_bytes_max`]) | the connection ends with [`Cause::SlowHandler`] |
//! | items of one stream ([`Builder::items_max`], [`Builder::items_bytes_max`]) | the stream is cancelled and ends with [`CallError::Overflow`], after the items that wait |
//! | what the program sends ([`settings::OUTGOING_MAX`], [`settings::OUTGOING_BYTES_MAX`]) | who sends waits |
//! | answers that the hub does not take ([`settings::LATE_MAX`]) | the connection ends with [`Cause::SlowHub`] |
//! | calls and streams without an answer ([`settings::PENDING_MAX`]) | one more fails with [`CallError::TooMany`] |
//!
//! Messages ([`Builder::message_max`]) and every wait ([`settings`]) are bounded too. A handler that
//! is slow holds up its own calls and nothing else.
//!
//! # Streams
//!
//! [`Client::stream`] gives what the hub streams; dropped, it makes the hub stop. [`Call::upload`]
//! sends a stream along with a call.
//!
//! # Values
//!
//! Arguments, results and items are whatever [`serde`] writes and reads. Bytes are [`Binary`]:
//! base 64 in JSON and `bin` in MessagePack, as .NET's `byte[]`; points of time are [`Timestamp`]:
//! text in JSON and MessagePack's own, as `DateTime`.
//!
//! # Beside Microsoft's clients
//!
//! The same: the wire, the order of transports, pings and time-outs, cookies of load balancers, a
//! new token after 401, redirections. Different: it goes on after a transport that stalls; the start
//! can be tried again too; a connection must hold for half a minute before earlier failures are
//! forgotten; a redirection never leaves TLS; a token is never put into a URL.
//!
//! # A chat
//!
//! ```no_run
#![doc = include_str!("../examples/chat_client.rs")]
//! ```

mod arguments;
mod builder;
mod call;
mod client;
mod climb;
pub mod connect;
mod cookies;
mod counted;
mod driver;
mod error;
mod handlers;
mod http;
mod link;
mod outgoing;
mod room;
mod serving;
mod session;
pub mod settings;
mod state;
mod token;
mod transport;
mod url;
mod value;

pub use outgate_signalr::ladder::Memory;
pub use outgate_signalr::negotiate::{Token, Transport};
pub use outgate_signalr::retry::Policy;
pub use outgate_signalr::{Binary, Protocol, Timestamp};

pub use self::arguments::{Arguments, FromArguments};
pub use self::builder::Builder;
pub use self::call::{Call, Items};
pub use self::client::Client;
pub use self::error::{CallError, Cause};
pub use self::handlers::Registration;
pub use self::state::State;
pub use self::url::BadUrl;
pub use self::value::ValueError;
