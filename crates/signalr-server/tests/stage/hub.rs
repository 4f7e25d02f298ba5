//! A hub that can do everything once, on loopback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse as _;
use futures_util::{Stream, StreamExt as _, stream};
use http::StatusCode;
use http::request::Parts;
use outgate_signalr_server::{
    Args, Binary, Builder, Connection, Disconnected, Hub, HubError, Identity, Payload, RawArgs,
    SignalR, State, Timestamp, Upload,
};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};

/// Long enough for everything on this machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What the hub tells the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Connected,
    /// With why.
    Disconnected(String),
    /// A stream was dropped.
    StreamDropped,
}

/// What handlers know.
#[derive(Clone)]
pub(crate) struct Ears(mpsc::UnboundedSender<Told>, Arc<Notify>);

/// A hub that runs.
pub(crate) struct Stage {
    pub(crate) hub: Hub,
    pub(crate) address: SocketAddr,
    pub(crate) told: mpsc::UnboundedReceiver<Told>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Stage {
    /// With all defaults.
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(change: impl FnOnce(Builder<Ears>) -> Builder<Ears>) -> Self {
        Self::beside(change, Router::new()).await
    }

    /// Beside other things on the same server.
    pub(crate) async fn beside(
        change: impl FnOnce(Builder<Ears>) -> Builder<Ears>,
        others: Router,
    ) -> Self {
        let (sender, told) = mpsc::unbounded_channel();
        let (service, hub) = change(builder(Ears(sender, Arc::default()))).build();
        let app = others.nest_service("/hub", service);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        Self {
            hub,
            address,
            told,
            server,
        }
    }

    /// The next thing that the hub tells.
    pub(crate) async fn told(&mut self) -> Told {
        let told = tokio::time::timeout(PATIENCE, self.told.recv()).await;
        told.expect("the hub tells something").unwrap()
    }

    /// As [`Stage::told`], until there is an end.
    pub(crate) async fn disconnected(&mut self) -> String {
        loop {
            if let Told::Disconnected(reason) = self.told().await {
                return reason;
            }
        }
    }
}

fn builder(ears: Ears) -> Builder<Ears> {
    let builder = SignalR::builder()
        .with_state(ears)
        .on_connect(async |State(ears): State<Ears>| {
            let _ = ears.0.send(Told::Connected);
            Ok::<_, HubError>(())
        })
        .on_disconnect(
            async |reason: Arc<Disconnected>, State(ears): State<Ears>| {
                let _ = ears.0.send(Told::Disconnected(reason.to_string()));
                Ok::<_, HubError>(())
            },
        );
    native(streams(groups(calls(builder))))
}

fn calls(builder: Builder<Ears>) -> Builder<Ears> {
    builder
        .on("Echo", async |RawArgs(arguments): RawArgs| {
            let first = arguments.into_iter().next();
            first.ok_or_else(|| HubError::new("nothing to echo")) as Result<Payload, HubError>
        })
        .on("Add", async |Args((a, b)): Args<(i64, i64)>| {
            Ok::<_, HubError>(a + b)
        })
        .on("Long", async |Args((length,)): Args<(usize,)>| {
            Ok::<_, HubError>("x".repeat(length))
        })
        .on("Nothing", async || Ok::<_, HubError>(()))
        .on("Refuse", async || Err::<(), _>(HubError::new("not today")))
        .on("Fail", async || {
            Err::<(), HubError>(std::io::Error::other("secret path").into())
        })
        .on("Panic", async || -> Result<(), HubError> {
            panic!("secret state")
        })
        .on("WhoAmI", async |connection: Connection| {
            let transport = connection.transport().map(|it| it.as_str());
            Ok::<_, HubError>((
                connection.id().to_owned(),
                connection.user().map(str::to_owned),
                transport,
            ))
        })
        .on(
            "AskMe",
            async |connection: Connection, Args((question,)): Args<(String,)>| {
                let answer = connection.invoke::<String>("GetMessage", (question,), PATIENCE);
                Ok::<_, HubError>(format!("you said {}", answer.await?))
            },
        )
        .on(
            "CloseMe",
            async |connection: Connection, Args((error, again)): Args<(Option<String>, bool)>| {
                connection.close(error.as_deref(), again);
                Ok::<_, HubError>(())
            },
        )
        .on("Forever", async || {
            std::future::pending::<Result<(), HubError>>().await
        })
}

fn groups(builder: Builder<Ears>) -> Builder<Ears> {
    builder
        .on(
            "Send",
            async |connection: Connection, Args((user, text)): Args<(String, String)>| {
                connection
                    .hub()
                    .clients()
                    .all()
                    .send("Received", (user, text))?;
                Ok::<_, HubError>(())
            },
        )
        .on(
            "SendToOthers",
            async |connection: Connection, Args((text,)): Args<(String,)>| {
                let clients = connection.hub().clients();
                clients
                    .all()
                    .except(connection.id())
                    .send("Received", ("other", text))?;
                Ok::<_, HubError>(())
            },
        )
        .on(
            "Join",
            async |connection: Connection, Args((group,)): Args<(String,)>| {
                connection.join(&group)?;
                Ok::<_, HubError>(())
            },
        )
        .on(
            "Leave",
            async |connection: Connection, Args((group,)): Args<(String,)>| {
                connection.leave(&group);
                Ok::<_, HubError>(())
            },
        )
        .on(
            "SendToGroups",
            async |connection: Connection, Args((groups, text)): Args<(Vec<String>, String)>| {
                let clients = connection.hub().clients();
                Ok::<_, HubError>(clients.groups(groups).send("Received", ("group", text))?)
            },
        )
        .on(
            "SendToUser",
            async |connection: Connection, Args((user, text)): Args<(String, String)>| {
                let clients = connection.hub().clients();
                Ok::<_, HubError>(clients.user(user).send("Received", ("user", text))?)
            },
        )
}

fn streams(builder: Builder<Ears>) -> Builder<Ears> {
    builder
        .on_stream("Counter", async |Args((count,)): Args<(u32,)>| {
            Ok::<_, HubError>(stream::iter((0..count).map(Ok::<_, HubError>)))
        })
        .on_stream(
            "CounterWhenTold",
            async |State(ears): State<Ears>, Args((count,)): Args<(u32,)>| {
                ears.1.notified().await;
                Ok::<_, HubError>(stream::iter((0..count).map(Ok::<_, HubError>)))
            },
        )
        .on("Go", async |State(ears): State<Ears>| {
            ears.1.notify_one();
            Ok::<_, HubError>(())
        })
        .on_stream("Broken", async || {
            let items = [Ok(1), Err(HubError::new("torn"))];
            Ok::<_, HubError>(stream::iter(items))
        })
        .on_stream("Endless", async |State(ears): State<Ears>| {
            let tell = Tell(ears);
            Ok::<_, HubError>(stream::iter(0_u64..).map(move |item| {
                let _held = &tell;
                Ok::<_, HubError>(item)
            }))
        })
        .on("Sum", async |mut numbers: Upload<i64>| {
            let mut sum = 0;
            while let Some(number) = numbers.next().await {
                sum += number?;
            }
            Ok::<_, HubError>(sum)
        })
        .on(
            "SumToMe",
            async |connection: Connection, mut numbers: Upload<i64>| {
                let mut sum = 0;
                while let Some(number) = numbers.next().await {
                    sum += number?;
                }
                connection.send("Received", ("sum", sum.to_string()))?;
                Ok::<_, HubError>(())
            },
        )
        .on_stream("Double", async |numbers: Upload<i64>| {
            Ok::<_, HubError>(doubled(numbers))
        })
}

/// Bytes and points of time, wherever values stand.
fn native(builder: Builder<Ears>) -> Builder<Ears> {
    builder
        .on(
            "Turn",
            async |Args((bytes, time)): Args<(Binary, Timestamp)>| {
                Ok::<_, HubError>((turned(&bytes), later(time)))
            },
        )
        .on_stream("Photos", async |photos: Upload<Photo>| {
            Ok::<_, HubError>(photos.map(|photo| {
                let photo = photo?;
                Ok::<_, HubError>(Photo {
                    taken: later(photo.taken),
                    pixels: turned(&photo.pixels),
                })
            }))
        })
        .on(
            "AskForPhoto",
            async |connection: Connection, Args((time,)): Args<(Timestamp,)>| {
                let photo = connection.invoke::<Photo>("GetPhoto", (time,), PATIENCE);
                let photo = photo.await?;
                connection.send("Seen", (turned(&photo.pixels), later(photo.taken)))?;
                Ok::<_, HubError>(photo)
            },
        )
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Photo {
    taken: Timestamp,
    pixels: Binary,
}

fn turned(bytes: &Binary) -> Binary {
    let turned: Vec<u8> = bytes.0.iter().rev().copied().collect();
    turned.into()
}

/// A day later.
fn later(time: Timestamp) -> Timestamp {
    Timestamp(time.0 + Duration::from_secs(24 * 60 * 60))
}

fn doubled(numbers: Upload<i64>) -> impl Stream<Item = Result<i64, HubError>> {
    numbers.map(|number| Ok(2 * number?))
}

/// Tells when a stream is dropped.
struct Tell(Ears);

impl Drop for Tell {
    fn drop(&mut self) {
        let _ = self.0.0.send(Told::StreamDropped);
    }
}

/// Takes whoever shows `user-<name>` as that user, by header or query, and nobody else.
pub(crate) async fn by_token(parts: Parts) -> Result<Identity, axum::response::Response> {
    let header = parts.headers.get(http::header::AUTHORIZATION);
    let header = header.and_then(|it| it.to_str().ok()?.strip_prefix("Bearer "));
    let query = parts.uri.query().unwrap_or_default().split('&');
    let query = query
        .filter_map(|field| field.strip_prefix("access_token="))
        .next();
    let user = header
        .or(query)
        .and_then(|token| token.strip_prefix("user-"));
    match user {
        Some(user) => Ok(Identity {
            user: Some(user.into()),
            extension: None,
        }),
        None => Err(StatusCode::UNAUTHORIZED.into_response()),
    }
}
