//! LLMNR, asked for and judged by systemd-resolved.

use std::time::Duration;

use outgate_agent::config;
use outgate_agent::lan::names::{Names, Offer};
use outgate_agent::status::{Board, Claim};
use outgate_wire::llmnr::{GROUP_V4, Label, PORT, READ_MAX};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::stage::{DEVICE, Neighbour, ask, eventually, on_a_cable, shell, shown};

/// A device called `cube`, by LLMNR alone.
fn cube(board: &Board) -> Names {
    let config = config::Names {
        host: Some(Label::new("cube").unwrap()),
        mdns: false,
        llmnr: true,
        interfaces: vec!["e0".to_owned()],
    };
    Names::start(&config, Offer::default(), board)
}

async fn asked(family: &str, name: &str) -> (bool, String) {
    ask(&[
        "resolvectl",
        "query",
        "--cache=no",
        "--protocol=llmnr",
        family,
        name,
    ])
    .await
}

/// Whether somebody answers for `cube` who is sure of the name (RFC 4795 §2.1.1).
async fn is_answered() -> bool {
    let socket = UdpSocket::bind((DEVICE, 0)).await.unwrap();
    let question = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x04cube\0\0\x01\0\x01";
    socket.send_to(question, (GROUP_V4, PORT)).await.unwrap();
    let mut answer = [0; READ_MAX];
    let came = timeout(Duration::from_secs(1), socket.recv(&mut answer)).await;
    came.is_ok() && answer[..3] == [0x12, 0x34, 0x80]
}

#[test]
fn systemd_resolved_is_told_the_devices_addresses_and_nothing_of_other_names() {
    on_a_cable(|| async {
        let board = Board::new(None);
        let names = cube(&board);
        let status = shown(&board, |it| it.network.naming.llmnr == Claim::Held).await;
        assert_eq!(status.network.names, ["cube"]);
        let _neighbour = Neighbour::resolved("technician").await;
        let (found, said) = asked("-4", "cube").await;
        assert!(
            found && said.contains(DEVICE) && said.contains("LLMNR"),
            "{said}"
        );
        let (found, said) = asked("-6", "cube").await;
        assert!(found && said.contains("fe80::"), "{said}");
        let (found, said) = asked("-4", "tube").await;
        assert!(!found, "{said}");
        shell("ip addr del 10.77.0.1/24 dev e0; ip addr add 10.77.0.7/24 dev e0");
        eventually("its new address", async || {
            let (found, said) = asked("-4", "cube").await;
            found && said.contains("10.77.0.7")
        })
        .await;
        names.stop().await;
        let (found, said) = asked("-4", "cube").await;
        assert!(!found, "{said}");
    });
}

#[test]
fn a_name_that_systemd_resolved_has_is_left_to_it() {
    on_a_cable(|| async {
        let neighbour = Neighbour::resolved("cube").await;
        eventually("the neighbour's own name", is_answered).await;
        let board = Board::new(None);
        let names = cube(&board);
        let status = shown(&board, |it| it.network.naming.llmnr == Claim::Taken).await;
        assert!(status.network.names.is_empty());
        let told = &status.troubles[0].text;
        assert!(
            told.contains("cube is somebody else's on e0 in LLMNR, by "),
            "{told}"
        );
        drop(neighbour);
        names.stop().await;
    });
}

#[test]
fn a_port_that_another_program_keeps_for_itself_is_told_with_what_to_do() {
    on_a_cable(|| async {
        let other = std::net::UdpSocket::bind("0.0.0.0:5355").unwrap();
        let board = Board::new(None);
        let names = cube(&board);
        let status = shown(&board, |it| it.network.naming.llmnr == Claim::Failed).await;
        let told = &status.troubles[0].text;
        assert!(told.contains("another program answers there"), "{told}");
        drop(other);
        shown(&board, |it| it.network.naming.llmnr == Claim::Held).await;
        names.stop().await;
    });
}
