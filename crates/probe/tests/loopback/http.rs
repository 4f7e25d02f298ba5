//! HTTP servers, most of them bad.

use std::time::{Duration, SystemTime};

use outgate_probe::{Finding, Host, Outcome, PathConfig, PhaseName, Trouble, Unit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    asks::{ask, config_to, run},
    server::{Server, flood, read_head},
};

async fn asked(server: &Server) -> Finding {
    run(&ask("http"), config_to(server.address)).await
}

async fn trouble_with(server: Server) -> Option<Trouble> {
    let finding = asked(&server).await;
    assert_eq!(finding.outcome, Outcome::Fail, "{:?}", finding.trouble);
    finding.trouble
}

#[tokio::test]
async fn an_answer_passes_and_its_head_is_evidence() {
    let server = Server::saying(
        "HTTP/1.1 302 Found\r\nServer: s/1\r\nVia: 1.1 proxy\r\nLocation: https://API.example./?token=s3cret\r\n\
         Content-Type: text/plain\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 4\r\n\r\nbody",
    )
    .await;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 + 86_400);
    let config = PathConfig {
        clock: std::sync::Arc::new(move || now),
        ..config_to(server.address)
    };
    let finding = run(&ask("http"), config).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let http = finding.attempts[0].http.clone().unwrap();
    assert_eq!(http.status, 302);
    assert_eq!(http.server.as_deref(), Some("s/1"));
    assert_eq!(http.via.as_deref(), Some("1.1 proxy"));
    assert_eq!(
        http.location.as_deref(),
        Some("https://API.example./?token=…")
    );
    assert_eq!((http.body_bytes, http.body_cut), (4, false));
    assert_eq!(http.date.unwrap().offset_millis, -86_400_000);
}

#[tokio::test]
async fn the_request_names_the_lane_and_not_the_detour() {
    let server = Server::start(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let body = head
            .lines()
            .map(|line| format!("{line}|"))
            .collect::<String>();
        let text = format!("HTTP/1.1 200 OK\r\nServer: {body}\r\nContent-Length: 0\r\n\r\n");
        let _ = stream.write_all(text.as_bytes()).await;
    })
    .await;
    let mut ask = ask("http");
    ask.http.path = "/health?full=1".to_owned();
    ask.port = Some(8080);
    let finding = run(&ask, config_to(server.address)).await;
    let head = finding.attempts[0].http.clone().unwrap().server.unwrap();
    assert!(head.starts_with("GET /health?full=1 HTTP/1.1|"), "{head}");
    assert!(head.contains("host: api.example:8080|"), "{head}");
    assert!(head.contains("user-agent: outgate-check/"), "{head}");
    ask.host = Host::Address("2001:db8::1".parse().unwrap());
    ask.port = Some(80);
    let finding = run(&ask, config_to(server.address)).await;
    let head = finding.attempts[0].http.clone().unwrap().server.unwrap();
    assert!(head.contains("host: [2001:db8::1]|"), "{head}");
}

#[tokio::test]
async fn server_errors_and_proxy_authentication_fail() {
    for (status, text) in [
        (
            503,
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            407,
            "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
        ),
    ] {
        let trouble = trouble_with(Server::saying(text).await).await;
        assert_eq!(trouble, Some(Trouble::HttpStatus { status }));
    }
}

#[tokio::test]
async fn only_the_wanted_statuses_count_when_some_are_wanted() {
    let server = Server::saying("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(asked(&server).await.outcome, Outcome::Pass);
    let mut strict = ask("http");
    strict.http.statuses = vec![200..=299, 401..=401];
    let finding = run(&strict, config_to(server.address)).await;
    let expected = (Outcome::Fail, Some(Trouble::HttpStatus { status: 404 }));
    assert_eq!((finding.outcome, finding.trouble), expected);
    strict.http.statuses = vec![404..=404];
    assert_eq!(
        run(&strict, config_to(server.address)).await.outcome,
        Outcome::Pass
    );
}

#[tokio::test]
async fn a_date_at_the_end_of_the_calendar_is_no_trouble() {
    for (second, kept) in [(59, true), (60, false)] {
        let text = format!(
            "HTTP/1.1 200 OK\r\nDate: Fri, 31 Dec 9999 23:59:{second} GMT\r\nContent-Length: 0\r\n\r\n"
        );
        let finding = asked(&Server::saying(text.leak()).await).await;
        assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
        let date = finding.attempts[0].http.clone().unwrap().date;
        assert_eq!(date.is_some(), kept, "{second}");
    }
}

#[tokio::test]
async fn what_anybody_on_the_way_could_say_is_not_the_vendors_word() {
    let portal = Some("login.portal.example".to_owned());
    for (head, shown) in [
        (
            "302 Found\r\nLocation: http://Login.portal.example:8080/?to=x",
            Some((302, portal.clone())),
        ),
        (
            "307 Moved\r\nLocation: //login.portal.example/",
            Some((307, portal)),
        ),
        ("301 Moved\r\nLocation: http://", Some((301, None))),
        ("403 Forbidden", Some((403, None))),
        ("451 Unavailable", Some((451, None))),
        ("301 Moved\r\nLocation: https://api.example/", None),
        ("302 Found\r\nLocation: /welcome", None),
        ("304 Not Modified", None),
        ("401 Unauthorized", None),
        ("404 Not Found", None),
    ] {
        let text = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
        let server = Server::saying(text.leak()).await;
        let finding = asked(&server).await;
        let expected = match shown {
            None => (Outcome::Pass, None),
            Some((status, location_host)) => {
                let trouble = Trouble::NotShownToBeTheVendor {
                    status,
                    location_host,
                };
                (Outcome::Warn, Some(trouble))
            }
        };
        assert_eq!((finding.outcome, finding.trouble), expected, "{head}");
        // A lane that says what counts is judged by that alone.
        let mut declared = ask("http");
        declared.http.statuses = vec![300..=499];
        let finding = run(&declared, config_to(server.address)).await;
        assert_eq!(
            (finding.outcome, finding.trouble),
            (Outcome::Pass, None),
            "{head}"
        );
    }
}

#[tokio::test]
async fn a_network_that_wants_a_login_fails() {
    let text = "HTTP/1.1 511 Network Authentication Required\r\nContent-Length: 0\r\n\r\n";
    let trouble = trouble_with(Server::saying(text).await).await;
    assert_eq!(trouble, Some(Trouble::HttpStatus { status: 511 }));
}

#[tokio::test]
async fn a_peers_words_cannot_steer_a_terminal() {
    let server = Server::saying(
        "HTTP/1.1 200 OK\r\nServer: a\u{9b}2J\u{202e}b\u{61c}\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    let http = asked(&server).await.attempts[0].http.clone().unwrap();
    assert_eq!(http.server.as_deref(), Some("a\u{fffd}2J\u{fffd}b\u{fffd}"));
}

#[tokio::test]
async fn another_protocol_is_not_http() {
    let server = Server::saying("SSH-2.0-OpenSSH_9.2\r\n").await;
    assert_eq!(trouble_with(server).await, Some(Trouble::NotHttp));
}

#[tokio::test]
async fn a_server_that_hangs_up_is_closed() {
    let trouble = trouble_with(Server::saying("").await).await;
    assert_eq!(
        trouble,
        Some(Trouble::Closed {
            phase: PhaseName::FirstByte
        })
    );
}

#[tokio::test]
async fn a_server_that_resets_is_told_from_one_that_hangs_up() {
    let server = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    })
    .await;
    let trouble = trouble_with(server).await;
    assert_eq!(
        trouble,
        Some(Trouble::Reset {
            phase: PhaseName::FirstByte
        })
    );
}

#[tokio::test]
async fn a_silent_server_is_a_time_out_while_waiting_for_the_first_byte() {
    let server = Server::start(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let trouble = trouble_with(server).await;
    assert_eq!(
        trouble,
        Some(Trouble::TimedOut {
            phase: PhaseName::FirstByte
        })
    );
}

#[tokio::test]
async fn endless_headers_are_too_much() {
    let server = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await;
        flood(&mut stream, &[b'x'; 1000]).await;
    })
    .await;
    assert_eq!(
        trouble_with(server).await,
        Some(Trouble::TooMuch {
            bound: 65_536,
            unit: Unit::HeadBytes
        })
    );
    let server = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        flood(&mut stream, b"X: y\r\n").await;
    })
    .await;
    assert_eq!(
        trouble_with(server).await,
        Some(Trouble::TooMuch {
            bound: 65_536,
            unit: Unit::HeadBytes
        })
    );
}

#[tokio::test]
async fn an_endless_body_is_read_up_to_its_bound() {
    let server = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        flood(&mut stream, &[b'x'; 1000]).await;
    })
    .await;
    let finding = asked(&server).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let http = finding.attempts[0].http.clone().unwrap();
    assert_eq!((http.body_bytes, http.body_cut), (65_536, true));
}

#[tokio::test]
async fn a_body_that_never_ends_is_a_warning() {
    let server = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            .await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let finding = asked(&server).await;
    let trouble = Trouble::TimedOut {
        phase: PhaseName::Body,
    };
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Warn, Some(trouble))
    );
    assert_eq!(finding.attempts[0].http.clone().unwrap().body_bytes, 4);
}

#[tokio::test]
async fn a_body_that_is_cut_off_fails() {
    let server = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await;
    let trouble = trouble_with(server).await;
    assert_eq!(
        trouble,
        Some(Trouble::Closed {
            phase: PhaseName::Body
        })
    );
}

#[tokio::test]
async fn a_path_that_cannot_be_asked_for_is_a_bad_ask() {
    let server = Server::saying("").await;
    let mut bad = ask("http");
    bad.http.path = "/a b\r\nX: y".to_owned();
    let finding = run(&bad, config_to(server.address)).await;
    assert!(
        matches!(finding.trouble, Some(Trouble::BadAsk { .. })),
        "{:?}",
        finding.trouble
    );
}

#[tokio::test]
async fn the_answer_that_is_due_passes_and_another_says_what_is_wrong_with_it() {
    let up = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"up\"}";
    let server = Server::saying(up).await;
    for (wanted, outcome) in [("up", Outcome::Pass), ("down", Outcome::Fail)] {
        let mut ask = ask("http");
        ask.http.expected.json = Some(("/status".to_owned(), Some(wanted.to_owned())));
        let finding = run(&ask, config_to(server.address)).await;
        assert_eq!(finding.outcome, outcome, "{:?}", finding.trouble);
        if outcome == Outcome::Fail {
            let what = "/status of its body is `up`, not `down`".to_owned();
            assert_eq!(finding.trouble, Some(Trouble::AnswerUnexpected { what }));
        }
    }
}

#[tokio::test]
async fn a_login_page_in_the_clear_is_told_from_another_answer() {
    let page = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<html><form action=/login>";
    let server = Server::saying(page).await;
    let mut ask = ask("http");
    ask.http.expected.body = Some("pong".to_owned());
    let finding = run(&ask, config_to(server.address)).await;
    let expected = (Outcome::Fail, Some(Trouble::LoginPage));
    assert_eq!((finding.outcome, finding.trouble), expected);
}

#[tokio::test]
async fn a_portal_shows_itself_where_the_right_answer_is_known() {
    const PAGE: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<html><form action=/login>";
    const AWAY: &str = "HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\n\
                        Content-Length: 0\r\n\r\n";
    const HOME: &str = "HTTP/1.1 302 Found\r\nLocation: https://api.example/\r\n\
                        Content-Length: 0\r\n\r\n";
    const RIGHT: &str = "HTTP/1.1 204 No Content\r\n\r\n";
    let portal = Trouble::NotShownToBeTheVendor {
        status: 302,
        location_host: Some("portal.example".to_owned()),
    };
    for (text, outcome, trouble) in [
        (PAGE, Outcome::Fail, Some(Trouble::LoginPage)),
        (AWAY, Outcome::Fail, Some(portal)),
        (
            HOME,
            Outcome::Fail,
            Some(Trouble::HttpStatus { status: 302 }),
        ),
        (RIGHT, Outcome::Pass, None),
    ] {
        let server = Server::saying(text).await;
        let mut ask = ask("http");
        ask.http.statuses = vec![204..=204];
        let finding = run(&ask, config_to(server.address)).await;
        assert_eq!((finding.outcome, finding.trouble), (outcome, trouble));
    }
}

#[tokio::test]
async fn a_redirection_to_where_it_is_due_is_no_doubt() {
    let away = "HTTP/1.1 302 Found\r\nLocation: https://www.vendor.example/\r\n\
                Content-Length: 0\r\n\r\n";
    let server = Server::saying(away).await;
    for (host, outcome) in [
        ("www.vendor.example", Outcome::Pass),
        ("other.example", Outcome::Fail),
    ] {
        let mut ask = ask("http");
        ask.http.expected.redirect_host = Some(host.to_owned());
        let finding = run(&ask, config_to(server.address)).await;
        assert_eq!(finding.outcome, outcome, "{:?}", finding.trouble);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_told_as_that_and_not_as_another_answer() {
    let broken = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf";
    let server = Server::saying(broken).await;
    let mut ask = ask("http");
    ask.http.expected.body = Some("whole".to_owned());
    let finding = run(&ask, config_to(server.address)).await;
    assert!(
        matches!(finding.trouble, Some(Trouble::Closed { .. })),
        "{:?}",
        finding.trouble
    );
}
