//! Why resolvers say nothing: because nothing comes back, or because nobody is there.

use std::{io, net::SocketAddr, time::Duration};

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
/// `None`: this machine itself fails, so that nothing can be said of the resolvers.
pub(super) async fn reason(servers: &[SocketAddr]) -> Option<Trouble> {
    let answers = join_all(servers.iter().map(|server| ask(*server))).await;
    let all = |wanted| answers.iter().all(|answer| *answer == wanted);
    if answers.contains(&Answer::Unknown) {
        None
    } else if all(Answer::Refusal) {
        Some(Trouble::ResolverUnreachable)
    } else {
        Some(Trouble::ResolverSilent)
    }
}

/// What comes back from a resolver that seemed to say nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    /// Nothing, or an answer after all.
    NoRefusal,
    /// Nobody is there, or there is no way, or a packet filter forbids it.
    Refusal,
    /// It could not be asked.
    Unknown,
}

async fn ask(server: SocketAddr) -> Answer {
    let mut question = Message::new(0, MessageType::Query, OpCode::Query);
    question.add_query(Query::query(Name::root(), RecordType::NS));
    let Ok(question) = question.to_vec() else {
        return Answer::Unknown;
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
    match timeout(REFUSAL_WAIT, exchange).await {
        Err(_) | Ok(Ok(_)) => Answer::NoRefusal,
        Ok(Err(error)) => meaning(&error),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other kind is this machine's own, such as too many open files"
)]
fn meaning(error: &io::Error) -> Answer {
    match error.kind() {
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::PermissionDenied => Answer::Refusal,
        _ => Answer::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_network_says_is_a_refusal() {
        for (code, answer) in [
            (111, Answer::Refusal), // ECONNREFUSED
            (101, Answer::Refusal), // ENETUNREACH
            (113, Answer::Refusal), // EHOSTUNREACH
            (1, Answer::Refusal),   // EPERM
            (24, Answer::Unknown),  // EMFILE
            (105, Answer::Unknown), // ENOBUFS
            (12, Answer::Unknown),  // ENOMEM
        ] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(meaning(&error), answer, "{error}");
        }
    }
}
