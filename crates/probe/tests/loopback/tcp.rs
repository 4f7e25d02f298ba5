//! Open, closed and silent ports.

use std::net::SocketAddr;

use outgate_probe::{Outcome, PhaseName, Trouble};
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::asks::{PATIENCE, ask, config_to, run};

#[tokio::test]
async fn an_open_port_passes_and_shows_how_long_it_took() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let finding = run(&ask("tcp"), config_to(address)).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let [attempt] = finding.attempts.as_slice() else {
        panic!("one attempt")
    };
    assert_eq!(
        (attempt.address, attempt.port),
        (address.ip(), Some(address.port()))
    );
    assert_eq!(attempt.phases[0].name, PhaseName::Connect);
    assert!(attempt.phases[0].took > std::time::Duration::ZERO);
    assert_eq!(finding.resolution, None);
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let finding = run(&ask("tcp"), config_to(address)).await;
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Fail, Some(Trouble::Refused))
    );
}

#[tokio::test]
async fn packets_that_vanish_are_a_time_out_while_connecting() {
    // A listener whose queue is full drops what comes, as a firewall does.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let _queued = TcpStream::connect(address).await.unwrap();
    let finding = run(&ask("tcp"), config_to(address)).await;
    let trouble = Trouble::TimedOut {
        phase: PhaseName::Connect,
    };
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Fail, Some(trouble))
    );
    assert!(finding.took >= PATIENCE);
}
