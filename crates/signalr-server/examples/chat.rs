//! A chat with rooms: `cargo run -p outgate-signalr-server --example chat`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::request::Parts;
use outgate_signalr_server::{
    Args, Connection, Disconnected, HubError, Identity, SignalR, State, client_methods,
};

client_methods! {
    /// What the chat's clients can be told.
    struct ChatClient {
        /// Somebody said something.
        fn said(name: &str, text: &str) = "Said";
        /// So many are here now.
        fn here(people: usize) = "Here";
    }
}

/// How many are here.
type People = Arc<AtomicUsize>;

#[expect(
    clippy::print_stdout,
    reason = "whoever starts it has to know where it is"
)]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (service, hub) = SignalR::builder()
        .authenticate(name)
        .with_state(People::default())
        .on_connect(arrived)
        .on_disconnect(left)
        .on("Enter", enter)
        .on("Say", say)
        .build();
    let app = Router::new().nest_service("/chat", service);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("http://{}/chat", listener.local_addr()?);
    // Who is cut off by the end of the program comes back to the next one by himself.
    let end = async move {
        let _ = tokio::signal::ctrl_c().await;
        hub.shut_down(std::time::Duration::from_secs(5)).await;
    };
    axum::serve(listener, app)
        .with_graceful_shutdown(end)
        .await?;
    Ok(())
}

/// A token is a name here. In earnest it would be looked up.
async fn name(parts: Parts) -> Result<Identity, Response> {
    let header = parts.headers.get(http::header::AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    // Browsers cannot put it into a header of WebSockets and event streams.
    let mut fields = parts.uri.query().unwrap_or_default().split('&');
    let query = fields.find_map(|field| field.strip_prefix("access_token="));
    let refused = || StatusCode::UNAUTHORIZED.into_response();
    Ok(Identity {
        user: Some(header.or(query).ok_or_else(refused)?.into()),
        extension: None,
    })
}

async fn arrived(connection: Connection, State(people): State<People>) -> Result<(), HubError> {
    let people = people.fetch_add(1, Ordering::Relaxed) + 1;
    ChatClient(connection.hub().clients().all()).here(people)?;
    Ok(())
}

async fn left(
    connection: Connection,
    _why: Arc<Disconnected>,
    State(people): State<People>,
) -> Result<(), HubError> {
    let people = people.fetch_sub(1, Ordering::Relaxed) - 1;
    ChatClient(connection.hub().clients().all()).here(people)?;
    Ok(())
}

async fn enter(connection: Connection, Args((room,)): Args<(String,)>) -> Result<(), HubError> {
    for before in connection.groups() {
        connection.leave(&before);
    }
    connection.join(&room)?;
    Ok(())
}

/// Gives how many hear it.
async fn say(connection: Connection, Args((text,)): Args<(String,)>) -> Result<usize, HubError> {
    let Some(room) = connection.groups().pop() else {
        return Err(HubError::new("enter a room first"));
    };
    let name = connection.user().unwrap_or("somebody");
    let room = connection.hub().clients().group(&*room);
    Ok(ChatClient(room).said(name, &text)?)
}
