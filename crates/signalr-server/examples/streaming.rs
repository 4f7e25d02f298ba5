//! Streams in both directions: `cargo run -p outgate-signalr-server --example streaming`.

use std::time::Duration;

use axum::Router;
use futures_util::{Stream, StreamExt as _, stream};
use outgate_signalr_server::{Args, Connection, HubError, SignalR, Upload, client_methods};
use serde::{Deserialize, Serialize};

#[expect(
    clippy::print_stdout,
    reason = "whoever starts it has to know where it is"
)]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (service, _hub) = SignalR::builder()
        .on_stream("Count", count)
        .on("Store", store)
        .on_stream("Average", average)
        .on("Measure", measure)
        .build();
    let app = Router::new().nest_service("/streams", service);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("http://{}/streams", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// What a sensor measures.
#[derive(Debug, Serialize, Deserialize)]
struct Reading {
    degrees: f64,
}

/// Counts, with a pause before each number. A client that cancels has the stream dropped.
async fn count(
    Args((to, pause)): Args<(u32, u64)>,
) -> Result<impl Stream<Item = Result<u32, HubError>>, HubError> {
    if to > 1_000 {
        return Err(HubError::new("that would take too long"));
    }
    Ok(stream::iter(0..to).then(move |number| async move {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        Ok(number)
    }))
}

/// Takes a stream, and answers when it is over with how many items it had.
async fn store(mut readings: Upload<Reading>) -> Result<usize, HubError> {
    let mut stored = 0;
    while let Some(reading) = readings.next().await {
        let _reading = reading?;
        stored += 1;
    }
    Ok(stored)
}

/// Answers each reading with the average of all so far.
async fn average(
    readings: Upload<Reading>,
) -> Result<impl Stream<Item = Result<f64, HubError>>, HubError> {
    Ok(readings.scan((0.0, 0.0), |(sum, count), reading| {
        let average = reading.map_err(HubError::from).map(|reading| {
            *sum += reading.degrees;
            *count += 1.0;
            *sum / *count
        });
        std::future::ready(Some(average))
    }))
}

client_methods! {
    /// What clients can be told and asked that have a sensor.
    struct Sensor {
        /// It was asked.
        fn asked(place: &str) = "Asked";
        /// What it measures in a place.
        fn read(place: &str) -> Reading = "Read";
    }
}

/// Asks the client that asks, and tells it so.
async fn measure(connection: Connection) -> Result<String, HubError> {
    let patience = Duration::from_secs(10);
    let reading = Sensor::read(&connection, "inside", patience).await?;
    Sensor(connection.hub().clients().client(connection.id())).asked("inside")?;
    Ok(format!("{} degrees", reading.degrees))
}
