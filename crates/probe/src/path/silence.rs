//! Why resolvers say nothing: because nothing comes back, or because nobody is there.

use std::{net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use hickory_proto::{
    op::{Message, MessageType, OpCode, Query},
    rr::{Name, RecordType},
};
use tokio::{net::UdpSocket, time::timeout};

use crate::evidence::Trouble;

/// How long a refusal may take. It comes from the machine itself or from the network nearby.
const REFUSAL_WAIT: Duration = Duration::from_millis(500);

/// Asks each resolver once more, for the root's name servers, on a socket that hears of refusals.
pub(super) async fn reason(servers: &[SocketAddr]) -> Trouble {
    let refused = join_all(servers.iter().map(|server| refuses(*server))).await;
    if refused.iter().all(|refused| *refused) {
        Trouble::ResolverUnreachable
    } else {
        Trouble::ResolverSilent
    }
}

async fn refuses(server: SocketAddr) -> bool {
    let mut question = Message::new(0, MessageType::Query, OpCode::Query);
    question.add_query(Query::query(Name::root(), RecordType::NS));
    let Ok(question) = question.to_vec() else {
        return false;
    };
    let any = if server.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let exchange = async {
        let socket = UdpSocket::bind(any).await?;
        socket.connect(server).await?;
        socket.send(&question).await?;
        socket.recv(&mut [0; 1]).await
    };
    matches!(timeout(REFUSAL_WAIT, exchange).await, Ok(Err(_)))
}
