//! Multicast DNS, found and judged by avahi and systemd-resolved.

use std::fs;

use outgate_agent::config;
use outgate_agent::lan::names::{Names, Offer};
use outgate_agent::status::{Board, Claim};
use outgate_wire::llmnr::Label;

use crate::stage::{DEVICE, NEIGHBOUR, Neighbour, ask, eventually, on_a_cable, shell, shown};

/// A device called `cube`, with a diagnostics page and another.
fn cube(board: &Board) -> Names {
    let config = config::Names {
        host: Some(Label::new("cube").unwrap()),
        ..config::Names::default()
    };
    let offer = Offer {
        pages: vec![80, 5555],
        product: Some("homag-cube".to_owned()),
    };
    Names::start(&config, offer, board)
}

/// What avahi has found of a service: a line a finding.
async fn browsed(service: &str) -> String {
    let options = ["--resolve", "--terminate", "--parsable", "--no-db-lookup"];
    let mut words = vec!["avahi-browse"];
    words.extend(options);
    words.push(service);
    ask(&words).await.1
}

#[test]
fn avahi_finds_the_device_and_its_pages_follows_its_address_and_hears_it_take_leave() {
    on_a_cable(|| async {
        let board = Board::new(None);
        let names = cube(&board);
        let status = shown(&board, |it| it.network.naming.mdns == Claim::Held).await;
        assert_eq!(status.network.names, ["cube.local"]);
        assert_eq!(status.network.naming.wanted.as_deref(), Some("cube"));
        // LLMNR is off: nobody hears at its port, 5355.
        let sockets = fs::read_to_string("/proc/net/udp").unwrap();
        assert!(
            sockets.contains(":14E9 ") && !sockets.contains(":14EB "),
            "{sockets}"
        );

        let _neighbour = Neighbour::avahi("technician").await;
        let page = format!("=;e0;IPv4;cube;_http._tcp;local;cube.local;{DEVICE};80;\"path=/\"");
        let other = format!("cube\\0325555;_http._tcp;local;cube.local;{DEVICE};5555;");
        let device = format!(";cube;_outgate._tcp;local;cube.local;{DEVICE};80;");
        eventually("its pages", async || {
            let found = browsed("_http._tcp").await;
            found.contains(&page) && found.contains(&other)
        })
        .await;
        eventually("the device", async || {
            let found = browsed("_outgate._tcp").await;
            found.contains(&device) && found.contains("\"product=homag-cube\"")
        })
        .await;
        shell("ip addr del 10.77.0.1/24 dev e0; ip addr add 10.77.0.7/24 dev e0");
        eventually("its new address", async || {
            let (_, found) = ask(&["avahi-resolve", "-4", "--name", "cube.local"]).await;
            found.contains("10.77.0.7")
        })
        .await;
        names.stop().await;
        eventually("its leave", async || {
            !browsed("_outgate._tcp").await.contains(";cube;")
        })
        .await;
    });
}

#[test]
fn a_name_that_avahi_has_is_left_to_it_and_the_other_one_is_shown() {
    on_a_cable(|| async {
        let _neighbour = Neighbour::avahi("cube").await;
        let board = Board::new(None);
        let names = cube(&board);
        let status = shown(&board, |it| it.network.naming.mdns == Claim::Renamed).await;
        assert_eq!(status.network.names, ["cube-2.local"]);
        let told = &status.troubles[0];
        assert_eq!(told.part, "names");
        assert!(
            told.text.contains("cube.local is somebody else's on e0"),
            "{told:?}"
        );
        for (name, address) in [("cube-2.local", DEVICE), ("cube.local", NEIGHBOUR)] {
            eventually(name, async || {
                ask(&["avahi-resolve", "-4", "--name", name])
                    .await
                    .1
                    .contains(address)
            })
            .await;
        }
        names.stop().await;
    });
}

#[test]
fn systemd_resolved_finds_the_device_by_multicast_dns() {
    on_a_cable(|| async {
        let board = Board::new(None);
        let names = cube(&board);
        shown(&board, |it| it.network.naming.mdns == Claim::Held).await;
        let _neighbour = Neighbour::resolved("technician").await;
        let query = ["resolvectl", "query", "--protocol=mdns", "-4", "cube.local"];
        eventually("its address", async || ask(&query).await.1.contains(DEVICE)).await;
        names.stop().await;
    });
}

#[test]
fn a_network_that_comes_later_is_followed() {
    on_a_cable(|| async {
        shell("ip link set e0 down");
        let board = Board::new(None);
        let names = cube(&board);
        let status = shown(&board, |it| it.network.naming.wanted.is_some()).await;
        assert!(status.network.names.is_empty());
        shell("ip link set e0 up");
        let status = shown(&board, |it| !it.network.names.is_empty()).await;
        assert_eq!(status.network.names, ["cube.local"]);
        shell("ip link set e0 down");
        shown(&board, |it| it.network.names.is_empty()).await;
        names.stop().await;
    });
}
