//! The client and a hub in memory, in virtual time.

#![cfg(test)]

mod hostile;
mod hub;
mod ladder;
mod reconnection;
mod stateful;
mod talk;

use outgate_signalr_client::{Cause, Client, State};

/// The cause for which the client comes back.
async fn reconnecting(client: &Client) -> (u32, Cause) {
    let mut states = client.state();
    let state = states.wait_for(|it| matches!(it, State::Reconnecting { .. }));
    let State::Reconnecting { attempt, cause } = state.await.unwrap().clone() else {
        unreachable!("it was waited for");
    };
    (attempt, cause)
}

/// The cause for which the client has ended.
async fn closed(client: &Client) -> Option<Cause> {
    let mut states = client.state();
    let state = states.wait_for(|it| matches!(it, State::Closed { .. }));
    let State::Closed { cause } = state.await.unwrap().clone() else {
        unreachable!("it was waited for");
    };
    cause
}
