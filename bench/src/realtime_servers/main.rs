//! The servers in Rust that `cargo xtask bench realtime` measures: `outgate-signalr-server` and
//! socketioxide, each behind the same listener, so that nothing differs but the library.
//!
//! `outgate-bench-realtime signalr|socketioxide PORT [CERTIFICATE KEY]`; with a certificate over TLS.

mod listener;

use anyhow::{Context as _, bail};
use axum::Router;
use outgate_signalr_server::{Args, Connection, HubError, SignalR};
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef};

/// A runtime as programs have it: on one core one thread.
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (library, port, files) = match arguments.as_slice() {
        [library, port] => (library, port, None),
        [library, port, certificate, key] => (library, port, Some((certificate, key))),
        _ => bail!("usage: outgate-bench-realtime signalr|socketioxide PORT [CERTIFICATE KEY]"),
    };
    let app = match library.as_str() {
        "signalr" => signalr(),
        "socketioxide" => socketioxide(),
        other => bail!("`{other}` is neither `signalr` nor `socketioxide`"),
    };
    let tls = match files {
        None => None,
        Some((certificate, key)) => {
            Some(listener::tls(certificate, key).context("no TLS with these files")?)
        }
    };
    listener::serve(port.parse().context("no port")?, tls, app).await
}

/// A hub that sends back what it gets, and tells everyone what one says.
fn signalr() -> Router {
    let (service, _) = SignalR::builder()
        .on("Echo", async |Args((text,)): Args<(String,)>| {
            Ok::<_, HubError>(text)
        })
        .on(
            "Broadcast",
            async |connection: Connection, Args((text,)): Args<(String,)>| {
                connection.hub().clients().all().send("News", (text,))?;
                Ok::<_, HubError>(())
            },
        )
        .build();
    Router::new().nest_service("/hub", service)
}

/// The same with events and their acknowledgements.
fn socketioxide() -> Router {
    let (layer, io) = SocketIo::new_layer();
    let everyone = io.clone();
    io.ns("/", async move |socket: SocketRef| {
        socket.on("echo", async |Data(text): Data<String>, ack: AckSender| {
            // Whoever has gone waits for no answer.
            let _ = ack.send(&text);
        });
        socket.on("broadcast", async move |Data(text): Data<String>| {
            let _ = everyone.emit("news", &text).await;
        });
    });
    Router::new().layer(layer)
}
