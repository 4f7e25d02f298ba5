#![cfg(test)]

mod stage;

use std::net::SocketAddr;
use std::sync::Arc;

use outgate_manifest::{Empty, parse};
use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use self::stage::{NASTY, Stage};
use super::doors::doors;
use super::*;
use crate::config;
use crate::product::ReadManifest;

fn cube(version: &str) -> Product {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../profiles/homag-cube.yaml"
    );
    let text = std::fs::read_to_string(path).unwrap();
    let read: ReadManifest = Arc::new(move || {
        parse("homag-cube.yaml", &text, &Empty).map_err(|found| format!("{found:?}"))
    });
    let config = config::Product {
        profile: "homag-cube".to_owned(),
        version: Some(version.to_owned()),
    };
    Product::new(&config, read)
}

fn ports(product: &Product, config: &config::Page) -> Vec<(PageKind, u16)> {
    let doors = doors(config, Some(product)).unwrap();
    let ports = doors.iter().map(|door| (door.kind, door.address.port()));
    ports.collect()
}

#[test]
fn the_pages_are_on_the_ports_that_the_installed_version_declares() {
    use PageKind::{Connector, Diagnostics};
    let config = config::Page::default();
    let old = [(Diagnostics, 45001), (Diagnostics, 80), (Connector, 5555)];
    assert_eq!(ports(&cube("0.129.7"), &config), old);
    let new = [(Diagnostics, 80), (Connector, 5555)];
    assert_eq!(ports(&cube("0.130.0"), &config), new);
}

#[test]
fn the_configuration_may_put_the_pages_elsewhere_or_nowhere() {
    let mut config = config::Page {
        listen: Some(vec![([127, 0, 0, 1], 8080).into()]),
        ..config::Page::default()
    };
    let moved = [(PageKind::Diagnostics, 8080), (PageKind::Connector, 5555)];
    assert_eq!(ports(&cube("0.130.0"), &config), moved);
    config.listen = Some(Vec::new());
    config.connector = "another-page".to_owned();
    assert_eq!(ports(&cube("0.130.0"), &config), []);
}

#[test]
fn a_version_that_is_none_is_named() {
    let refused = doors(&config::Page::default(), Some(&cube("new"))).unwrap_err();
    assert!(
        refused.to_string().contains("new is not a version"),
        "{refused}"
    );
}

/// Some of what the page says in each language.
const SAID: [(&str, [&str; 6]); 4] = [
    (
        "sv",
        [
            "Anslutning",
            "inte ansluten",
            "Namnservrar",
            "0.250 s efter",
            "cube tillhör en annan enhet här",
            "högst 1/s",
        ],
    ),
    (
        "nb",
        [
            "Forbindelse",
            "ikke tilkoblet",
            "Navnetjenere",
            "0.250 s etter",
            "cube tilhører en annen enhet her",
            "høyst 1/s",
        ],
    ),
    (
        "de",
        [
            "Verbindung",
            "nicht verbunden",
            "Nameserver",
            "0.250 s nach",
            "cube gehört hier einem anderen Gerät",
            "höchstens 1/s",
        ],
    ),
    (
        "en",
        [
            "Connection",
            "not connected",
            "Name servers",
            "0.250 s behind",
            "cube belongs to another device here",
            "at most 1/s",
        ],
    ),
];

#[tokio::test]
async fn the_diagnostics_page_shows_all_of_the_board_in_every_language() {
    let stage = Stage::new();
    for (language, words) in SAID {
        let page = stage.read("/", language).await;
        assert!(
            page.contains(&format!("<html lang=\"{language}\">")),
            "{page}"
        );
        for seen in [
            "https://hub.example/agent",
            "ServerSentEvents",
            "the proxy takes no WebSockets",
            "dhcp 192.0.2.123",
            "192.0.2.53",
            "http://proxy:3128",
            "cube-7.local",
            "till-2",
            "foreign-key: 3",
            "the hub said nothing",
            "proxy-strips-upgrade",
            "homag-cube 0.130.0",
            env!("CARGO_PKG_VERSION"),
        ]
        .iter()
        .chain(&words)
        {
            assert!(page.contains(seen), "{language} {seen}: {page}");
        }
        assert!(!page.contains('{'), "a gap was left: {page}");
    }
}

#[tokio::test]
async fn the_page_of_the_connection_shows_that_alone() {
    let stage = Stage::new();
    let page = stage.of(PageKind::Connector, "/", "en").await;
    assert!(page.contains("ServerSentEvents"), "{page}");
    assert!(!page.contains("192.0.2.53"), "{page}");
}

#[tokio::test]
async fn nothing_that_anybody_has_said_becomes_an_element() {
    let stage = Stage::new();
    stage.device.board.write(|status| {
        status.link.hub = NASTY.to_owned();
        status.network.names.push(NASTY.to_owned());
        for trouble in &mut status.troubles {
            trouble.text = NASTY.to_owned();
        }
    });
    let page = stage.read("/", "en").await;
    assert!(
        !page.contains("<script") && !page.contains("<img"),
        "{page}"
    );
    let missing = stage.read("/%3Cscript%3E?lang=%3Cscript%3E", "en").await;
    assert!(!missing.contains("<script"), "{missing}");
}

#[tokio::test]
async fn a_language_that_was_chosen_is_kept() {
    let stage = Stage::new();
    let answer = stage.ask(Method::GET, "/?lang=nb").send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("outgate-language=nb;"), "{cookie}");
    let kept = stage
        .ask(Method::GET, "/")
        .header("cookie", "outgate-language=nb");
    let page = kept.send().await.unwrap().text().await.unwrap();
    assert!(page.contains("<html lang=\"nb\">"), "{page}");
}

#[tokio::test]
async fn who_asks_by_a_name_that_is_not_this_device_learns_nothing() {
    let stage = Stage::new();
    for host in ["evil.example", "127.0.0.1.evil.example", "x@127.0.0.1"] {
        let answer = stage.ask(Method::GET, "/").header("host", host);
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST, "{host}");
        let said = answer.text().await.unwrap();
        assert!(
            said.contains("page.hosts") && !said.contains("hub"),
            "{said}"
        );
    }
    for host in [
        "cube-7.local",
        "cube-7",
        "cube.factory.example:80",
        "localhost",
    ] {
        let answer = stage.ask(Method::GET, "/").header("host", host);
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{host}");
    }
}

#[tokio::test]
async fn every_answer_forbids_scripts_frames_and_being_kept() {
    let stage = Stage::new();
    for path in ["/", "/page.css", "/nothing"] {
        let answer = stage.ask(Method::GET, path).send().await.unwrap();
        let headers = answer.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("script"), "{policy}");
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["x-content-type-options"], "nosniff");
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_finish_a_head_is_not_waited_for() {
    let stage = Stage::new();
    let address = stage.address(PageKind::Diagnostics);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n")
        .await
        .unwrap();
    // The clock goes on by itself when nothing else is to be done.
    let began = tokio::time::Instant::now();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.unwrap();
    assert!(began.elapsed() <= serving::HEAD_WITHIN + Duration::from_secs(1));
    assert!(!String::from_utf8_lossy(&said).contains("200"));
}

#[tokio::test]
async fn a_port_that_somebody_has_is_told_and_the_other_page_is_there() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let stage = Stage::at(address, SocketAddr::from(([127, 0, 0, 1], 0)));
    let page = stage.of(PageKind::Connector, "/", "en").await;
    assert!(page.contains("another program has that port"), "{page}");
    let status = stage.device.status();
    let places = status.page.unwrap().places;
    assert!(places[0].trouble.is_some() && places[1].trouble.is_none());
    assert_eq!(status.troubles[0].part, PART);
}

#[test]
fn a_port_that_may_not_be_had_is_told_with_what_to_do() {
    let refused = io::Error::from(io::ErrorKind::PermissionDenied);
    let text = doors::trouble(([0, 0, 0, 0], 80).into(), &refused);
    assert!(
        text.contains("AmbientCapabilities=CAP_NET_BIND_SERVICE"),
        "{text}"
    );
}
