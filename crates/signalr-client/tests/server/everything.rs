//! Every transport, protocol and feature.

use outgate_signalr_client::{Cause, Client, Policy, State, Token};

use crate::hub::{Stage, exercise, transport, ways};

#[tokio::test]
async fn everything_works_over_every_transport_in_both_protocols() {
    for (only, protocol) in ways() {
        let mut stage = Stage::new().await;
        let builder = stage.client().transports(&[only]).protocol(protocol);
        let client = builder.build().unwrap();
        client.start().await.unwrap();
        assert_eq!(transport(&client), only);
        exercise(&mut stage, &client).await;
        let id = stage.hub.connections().remove(0).id().to_owned();
        let State::Connected { connection_id, .. } = client.state().borrow().clone() else {
            panic!("not connected");
        };
        assert_eq!(connection_id, Some(id));
        client.stop().await;
        // The goodbye was heard, so nobody waits for the client to come back.
        for connection in stage.hub.connections() {
            connection.closed().await;
        }
        assert_eq!(stage.hub.count(), 0);
    }
}

#[tokio::test]
async fn a_websocket_needs_no_negotiation() {
    let mut stage = Stage::new().await;
    let client = stage.client().skip_negotiation().build().unwrap();
    client.start().await.unwrap();
    exercise(&mut stage, &client).await;
}

#[tokio::test]
async fn a_client_comes_back_when_the_hub_says_so_and_not_when_it_does_not() {
    for (only, protocol) in ways() {
        let stage = Stage::new().await;
        let builder = stage.client().transports(&[only]).protocol(protocol);
        let client = builder.retry(Policy::DEVICE).build().unwrap();
        client.start().await.unwrap();
        let first = stage.hub.connections().remove(0);
        let mut states = client.state();
        first.close(Some("drained"), true);
        let state = states.wait_for(|it| matches!(it, State::Reconnecting { .. }));
        drop(state.await.unwrap());
        drop(states.wait_for(State::is_connected).await.unwrap());
        client.invoke::<()>("Nothing", ()).await.unwrap();
        stage.hub.disconnect_all(Some("revoked"), false);
        let state = states.wait_for(State::is_over).await.unwrap().clone();
        let State::Closed { cause: Some(cause) } = state else {
            panic!("{state:?}");
        };
        assert_eq!(cause.to_string(), "the hub closed the connection: revoked");
    }
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_told() {
    let stage = Stage::new().await;
    let client = stage.client().token(Token::new("other".to_owned()));
    let cause = client.build().unwrap().start().await.unwrap_err();
    assert!(
        matches!(cause, Cause::Status { status: 401, .. }),
        "{cause}"
    );
    let url = format!("http://{}/elsewhere", stage.address);
    let client = Client::builder(&url).build().unwrap();
    let cause = client.start().await.unwrap_err();
    assert!(
        matches!(cause, Cause::Status { status: 404, .. }),
        "{cause}"
    );
}
