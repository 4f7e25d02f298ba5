//! Multicast DNS, found and judged by avahi and systemd-resolved.

use std::fs;

use outgate_agent::config;
use outgate_agent::lan::names::{Names, Offer};
use outgate_agent::status::{Board, Claim};
use outgate_testbed::PATIENCE;
use outgate_wire::llmnr::Label;

use crate::stage::{
    AVAHI, DEVICE, NEIGHBOUR, Neighbour, Place, ask, ask_at, eventually, eventually_within,
    on_a_cable, shell, shown,
};

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
        // What announces it may be lost, as anything that is sent to a group: then avahi has the old
        // one until its time is over (120 seconds, RFC 6762, section 10).
        eventually_within(3 * PATIENCE, "its new address", async || {
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

/// Tells everybody of 60,000 hosts, of which nobody has asked.
const FLOOD: &str = "
import socket, struct, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
out.bind(('10.77.0.2', 5353))
out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton('10.77.0.2'))
for packet in range(2000):
    records = b''
    for host in range(30):
        name = b'%04x%02x' % (packet, host)
        records += bytes([len(name)]) + name + b'\\5local\\0' + struct.pack('>HHIH', 1, 0x8001, 4500, 4)
        records += bytes([10, 77, 0, 9])
    # As fast as it is heard.
    time.sleep(0.001)
    out.sendto(struct.pack('>6H', 0, 0x8400, 0, 30, 0, 0) + records, ('224.0.0.251', 5353))
";

#[test]
fn who_floods_the_network_does_not_fill_the_agents_memory() {
    on_a_cable(|| async {
        let board = Board::new(None);
        let names = cube(&board);
        shown(&board, |it| it.network.naming.mdns == Claim::Held).await;
        let (done, said) = ask(&["python3", "-c", FLOOD]).await;
        assert!(done, "{said}");
        let status = shown(&board, |it| it.network.naming.mdns == Claim::Failed).await;
        let told = &status.troubles[0].text;
        assert!(told.contains("flooded"), "{told}");
        names.stop().await;
    });
}

#[test]
fn an_avahi_of_the_same_machine_and_the_agent_do_not_take_the_name_from_each_other() {
    on_a_cable(|| async {
        let _avahi = Neighbour::avahi_at(Place::Device, "cube").await;
        let board = Board::new(None);
        let names = cube(&board);
        let status = shown(&board, |it| !it.network.names.is_empty()).await;
        assert_eq!(
            status.network.names,
            ["cube.local"],
            "{:?}",
            status.troubles
        );
        // What the agent has announced avahi has heard before it answers this.
        let query = ["avahi-browse", "--terminate", "--parsable", "_outgate._tcp"];
        eventually("the device", async || {
            ask_at(Place::Device, &query).await.1.contains(";cube;")
        })
        .await;
        let name = "org.freedesktop.Avahi.Server.GetHostName";
        let name = [
            "dbus-send",
            "--system",
            "--print-reply=literal",
            AVAHI,
            "/",
            name,
        ];
        assert_eq!(ask_at(Place::Device, &name).await.1.trim(), "cube");
        assert_eq!(board.status().network.names, ["cube.local"]);
        names.stop().await;
    });
}
