//! A client of the server's example `chat`:
//! `cargo run -p outgate-signalr-client --example chat_client http://127.0.0.1:…/chat NAME ROOM`.
//!
//! What is typed is said in the room. It comes back by itself however long the server is away, and
//! enters the room again.

use outgate_signalr_client::{Client, Policy, State, Token};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

#[expect(clippy::print_stdout, reason = "it is what one came for")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(name), Some(room)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: chat_client URL NAME ROOM".into());
    };
    let client = Client::builder(&url)
        .token(Token::new(name))
        .stateful(true)
        .retry(Policy::DEVICE)
        .retry_start(true)
        .build()?;
    client.on("Said", async |(name, text): (String, String)| {
        println!("{name}: {text}");
    });
    client.on("Here", async |(people,): (usize,)| {
        println!("({people} are here)");
    });
    let entering = tokio::spawn(enter(client.clone(), room));
    client.start().await?;
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        match client.invoke::<usize>("Say", (line,)).await {
            Ok(people) => println!("({people} hear it)"),
            Err(error) => println!("(not said: {error})"),
        }
    }
    entering.abort();
    client.stop().await;
    Ok(())
}

/// Enters the room over each new connection, and tells what becomes of it.
#[expect(clippy::print_stdout, reason = "it is what one came for")]
async fn enter(client: Client, room: String) {
    let mut states = client.state();
    // It ends with the client.
    while states.changed().await.is_ok() {
        let state = states.borrow_and_update().clone();
        match state {
            State::Connected { transport, .. } => {
                println!("(connected by {})", transport.as_str());
                match client.invoke::<()>("Enter", (&room,)).await {
                    Ok(()) => println!("(in {room})"),
                    Err(error) => println!("(not in {room}: {error})"),
                }
            }
            State::Reconnecting { attempt, cause } => println!("({cause}; try {attempt})"),
            State::Idle | State::Connecting | State::Closed { .. } => {}
        }
    }
}
