//! Proxies that refuse, that talk nonsense, too much or not at all, and one that works.

use std::net::{Ipv4Addr, SocketAddr};

use outgate_probe::{
    Ask, ConnectTo, Finding, Host, Login, NoProxy, Outcome, PathConfig, PhaseName, Proxy,
    ProxyChoice, ProxyEnvironment, ProxyKind, ProxyScript, Proxying, ResolvedBy, Script, Trouble,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::{
    asks::{PATIENCE, ask, nowhere, run, run_on},
    server::{Server, flood, read_head},
};

fn proxy_at(kind: ProxyKind, address: SocketAddr) -> Proxy {
    Proxy::new(kind, Host::Address(address.ip()), address.port())
}

fn through(proxy: Proxy) -> PathConfig {
    PathConfig {
        proxying: Proxying {
            choice: ProxyChoice::Always(proxy),
            ..Proxying::default()
        },
        resolver: nowhere(),
        timeout: PATIENCE,
        ..PathConfig::default()
    }
}

async fn asked(protocol: &str, server: &Server) -> Finding {
    run(
        &ask(protocol),
        through(proxy_at(ProxyKind::Http, server.address)),
    )
    .await
}

async fn trouble_with(server: Server) -> Trouble {
    let finding = asked("tcp", &server).await;
    assert_eq!(finding.outcome, Outcome::Fail);
    finding.trouble.unwrap()
}

/// Asked for a tunnel, leads to the port that is asked for on loopback, whatever the name; speaks
/// first what it is told to.
pub(crate) async fn tunnel(mut stream: TcpStream) {
    let head = read_head(&mut stream).await;
    let target = head.split(' ').nth(1).unwrap();
    let port: u16 = target.rsplit(':').next().unwrap().parse().unwrap();
    let Ok(mut far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
        let _ = stream.write_all(b"HTTP/1.1 503 No\r\n\r\n").await;
        return;
    };
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let _ = copy_bidirectional(&mut stream, &mut far).await;
}

#[tokio::test]
async fn a_name_is_left_to_the_proxy_and_the_evidence_says_so() {
    let far = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let proxy = Server::start(tunnel).await;
    let mut ask = ask("ws");
    ask.port = Some(far.address.port());
    let finding = run(&ask, through(proxy_at(ProxyKind::Http, proxy.address))).await;
    // The far end was reached by a name that no resolver here would tell.
    assert_eq!(
        finding.trouble,
        Some(Trouble::UpgradeRefused { status: 200 })
    );
    assert_eq!(finding.resolution, None);
    let attempt = &finding.attempts[0];
    assert_eq!(attempt.port, Some(proxy.address.port()));
    let evidence = attempt.proxy.clone().unwrap();
    assert_eq!(evidence.proxy, format!("http://{}", proxy.address));
    assert_eq!(
        evidence.target,
        format!("api.example:{}", far.address.port())
    );
    assert_eq!(evidence.resolved_by, ResolvedBy::Proxy);
    assert_eq!((evidence.status, evidence.login_given), (Some(200), false));
    let phases: Vec<_> = attempt.phases.iter().map(|phase| phase.name).collect();
    assert_eq!(phases[..2], [PhaseName::Connect, PhaseName::Proxy]);
}

#[tokio::test]
async fn what_the_far_end_says_first_is_not_lost() {
    let proxy = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        let both = "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n";
        let _ = stream.write_all(both.as_bytes()).await;
    })
    .await;
    let finding = asked("ws", &proxy).await;
    // The answer stood in the same bytes as the proxy's; it is a bad one, but it was heard.
    assert!(
        matches!(finding.trouble, Some(Trouble::UpgradeBroken { .. })),
        "{:?}",
        finding.trouble
    );
}

#[tokio::test]
async fn plain_http_is_handed_on_with_its_whole_url_and_the_login() {
    let proxy = Server::start(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let right = head.starts_with("GET http://api.example/ HTTP/1.1\r\n")
            && head.contains("\r\nhost: api.example\r\n")
            && head.contains("\r\nproxy-authorization: Basic dTpw\r\n");
        let status = if right { "200 OK" } else { "500 Wrong" };
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        let _ = stream.write_all(text.as_bytes()).await;
    })
    .await;
    let login = Login::new("u", "p").unwrap();
    let proxy = proxy_at(ProxyKind::Http, proxy.address).with_login(login);
    let finding = run(&ask("http"), through(proxy.clone())).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let json = serde_json::to_string(&finding.attempts).unwrap();
    assert!(!json.contains("dTpw") && json.contains("\"login_given\":true"));
    // On a detour the URL would lead elsewhere, so it is a tunnel.
    let config = PathConfig {
        connect_to: vec![ConnectTo::new(None, None, [127, 0, 0, 1].into(), Some(9))],
        ..through(proxy)
    };
    let finding = run(&ask("http"), config).await;
    let evidence = finding.attempts[0].proxy.clone().unwrap();
    assert_eq!(
        (evidence.target.as_str(), evidence.status),
        ("127.0.0.1:9", Some(500))
    );
}

#[tokio::test]
async fn a_login_that_is_wanted_is_named_by_its_kinds() {
    const ANSWER: &str = "HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\n\
         Proxy-Authenticate: NTLM, Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n";
    let proxy = Server::saying(ANSWER).await;
    for protocol in ["https", "http", "wss", "tcp"] {
        let finding = asked(protocol, &proxy).await;
        let schemes = ["Negotiate", "NTLM", "Basic"].map(str::to_owned).to_vec();
        let wanted = Trouble::ProxyLogin {
            schemes: schemes.clone(),
            given: false,
        };
        assert_eq!(finding.trouble, Some(wanted), "{protocol}");
        let evidence = finding.attempts[0].proxy.clone().unwrap();
        assert_eq!((evidence.status, evidence.schemes), (Some(407), schemes));
    }
}

#[tokio::test]
async fn what_a_proxy_forbids_and_what_it_cannot_reach_are_told_apart() {
    let forbids = Server::saying("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
    let answer = "HTTP status 403".to_owned();
    assert_eq!(
        trouble_with(forbids).await,
        Trouble::ProxyForbids { answer }
    );
    let cannot = Server::saying("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").await;
    let answer = "HTTP status 502".to_owned();
    assert_eq!(
        trouble_with(cannot).await,
        Trouble::ProxyCannotReach { answer }
    );
}

#[tokio::test]
async fn what_is_no_proxy_is_told() {
    for text in ["SSH-2.0-x\r\n", "", "HTTP/1.1 2"] {
        let trouble = trouble_with(Server::saying(text).await).await;
        assert!(
            matches!(trouble, Trouble::ProxyBroken { .. }),
            "{trouble:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let server = Server::start(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await;
        flood(&mut stream, &[b'a'; 4096]).await;
    })
    .await;
    let trouble = trouble_with(server).await;
    assert!(
        matches!(trouble, Trouble::ProxyBroken { .. }),
        "{trouble:?}"
    );
}

#[tokio::test]
async fn a_proxy_that_says_nothing_is_a_time_out_there() {
    let phase = PhaseName::Proxy;
    let silent = Server::start(|mut stream| async move {
        let _ = stream.read(&mut [0; 2048]).await;
        let _ = stream.read(&mut [0; 2048]).await;
    })
    .await;
    for kind in [ProxyKind::Http, ProxyKind::Socks5h] {
        let finding = run(&ask("tcp"), through(proxy_at(kind, silent.address))).await;
        let phases: Vec<_> = finding.attempts[0]
            .phases
            .iter()
            .map(|one| one.name)
            .collect();
        assert_eq!(finding.trouble, Some(Trouble::TimedOut { phase }));
        assert_eq!(phases, [PhaseName::Connect, PhaseName::Proxy]);
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_the_trouble() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let finding = run(&ask("https"), through(proxy_at(ProxyKind::Https, address))).await;
    let unreachable = |proxy: String, why| Trouble::ProxyUnreachable {
        proxy,
        why: Box::new(why),
    };
    let expected = unreachable(format!("https://{address}"), Trouble::Refused);
    assert_eq!(finding.trouble, Some(expected));
    let named: Proxy = "http://proxy.example:3128".parse().unwrap();
    let finding = run(&ask("https"), through(named)).await;
    let silent = Trouble::ResolverUnreachable;
    let expected = unreachable("http://proxy.example:3128".to_owned(), silent);
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Fail, Some(expected))
    );
}

#[tokio::test]
async fn socks_replies_are_read() {
    async fn replying(mut stream: TcpStream, reply: u8) {
        let mut greeting = [0; 3];
        let _ = stream.read_exact(&mut greeting).await;
        let _ = stream.write_all(&[5, 0]).await;
        let _ = stream.read(&mut [0; 300]).await;
        let _ = stream.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]).await;
    }
    let forbids = Server::start(|stream| replying(stream, 2)).await;
    let cannot = Server::start(|stream| replying(stream, 5)).await;
    let nonsense = Server::saying("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let wants = Server::start(|mut stream| async move {
        let _ = stream.read(&mut [0; 3]).await;
        let _ = stream.write_all(&[5, 0xff]).await;
    })
    .await;
    let mut found = Vec::new();
    for server in [&forbids, &cannot, &wants, &nonsense] {
        let proxy = proxy_at(ProxyKind::Socks5h, server.address);
        found.push(run(&ask("tcp"), through(proxy)).await.trouble.unwrap());
    }
    assert!(
        matches!(found[0], Trouble::ProxyForbids { .. }),
        "{found:?}"
    );
    assert!(
        matches!(found[1], Trouble::ProxyCannotReach { .. }),
        "{found:?}"
    );
    assert!(
        matches!(found[2], Trouble::ProxyLogin { given: false, .. }),
        "{found:?}"
    );
    // It waits for the end of a head that never comes.
    let phase = PhaseName::Proxy;
    assert_eq!(found[3], Trouble::TimedOut { phase });
}

#[tokio::test]
async fn a_proxy_that_was_not_used_is_tried_where_there_is_no_direct_way() {
    let far = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let proxy = Server::start(tunnel).await;
    let url = format!("http://{}", proxy.address);
    let variable = |name: &str| (name == "https_proxy").then(|| url.clone());
    let (environment, _) = ProxyEnvironment::read(variable).unwrap();
    let config = |choice, no_proxy| PathConfig {
        proxying: Proxying {
            choice,
            environment: environment.clone(),
            no_proxy: NoProxy::new(no_proxy),
        },
        resolver: nowhere(),
        timeout: PATIENCE,
        ..PathConfig::default()
    };
    let host = Host::Name("api.example".to_owned());
    let ask = Ask::new(
        "tcp",
        host,
        Some(far.address.port()),
        outgate_probe::Transport::Tcp,
    );
    for (choice, no_proxy) in [(ProxyChoice::None, ""), (ProxyChoice::Environment, "*")] {
        let finding = run(&ask, config(choice, no_proxy)).await;
        let needed = Trouble::ProxyNeeded {
            proxy: url.clone(),
            direct: Box::new(Trouble::ResolverUnreachable),
        };
        assert_eq!(
            (finding.outcome, finding.trouble),
            (Outcome::Fail, Some(needed))
        );
    }
    drop(far);
    let finding = run(&ask, config(ProxyChoice::None, "")).await;
    assert_eq!(finding.trouble, Some(Trouble::ResolverUnreachable));
}

fn scripted(script: ProxyScript) -> PathConfig {
    PathConfig {
        proxying: Proxying {
            choice: ProxyChoice::Script(script),
            ..Proxying::default()
        },
        resolver: nowhere(),
        timeout: PATIENCE,
        ..PathConfig::default()
    }
}

#[tokio::test]
async fn a_script_is_fetched_once_and_its_ways_are_tried_in_turn() {
    let far = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let proxy = Server::start(tunnel).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (port, proxy_at) = (far.address.port(), proxy.address);
    let body = format!(
        "function FindProxyForURL(url, host) {{
            if (url != 'tcp://api.example:{port}/' || host != 'api.example') return 'DIRECT';
            return 'PROXY 127.0.0.1:9; PROXY {proxy_at}; DIRECT';
        }}"
    );
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        let _ = stream.write_all(answer.as_bytes()).await;
        // Nobody asks for it again.
        drop(listener);
    });
    let config = scripted(ProxyScript::At(format!("http://{address}/p")));
    let path = outgate_probe::Path::new(config).unwrap();
    let mut ask = ask("tcp");
    ask.port = Some(port);
    for _ in 0..2 {
        let finding = run_on(&ask, &path).await;
        // The first proxy is not there; the second leads on.
        assert_eq!(finding.outcome, Outcome::Warn, "{:?}", finding.trouble);
        let unreachable = matches!(finding.trouble, Some(Trouble::ProxyUnreachable { .. }));
        assert!(unreachable && finding.attempts.len() == 2);
    }
    serving.await.unwrap();
}

#[tokio::test]
async fn a_script_that_does_not_work_is_the_trouble() {
    let missing = Server::saying("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n").await;
    let long = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        flood(&mut stream, &[b' '; 65536]).await;
    })
    .await;
    let silent = Server::start(|mut stream| async move {
        let _ = stream.read(&mut [0; 2048]).await;
        let _ = stream.read(&mut [0; 2048]).await;
    })
    .await;
    let at = |server: &Server| ProxyScript::At(format!("http://{}/", server.address));
    let here = |text| ProxyScript::Here(Script::new(text).unwrap());
    for (script, part) in [
        (at(&missing), "404"),
        (at(&long), "limit"),
        (at(&silent), "in time"),
        (ProxyScript::At("http://a:b@127.0.0.1/".to_owned()), "login"),
        (ProxyScript::At("ftp://x/".to_owned()), "http"),
        (
            here("function FindProxyForURL() { for (;;) {} }"),
            "ran for",
        ),
        (here("<html>"), ""),
    ] {
        let finding = run(&ask("tcp"), scripted(script)).await;
        let Some(Trouble::ProxyScript { what }) = finding.trouble else {
            panic!("{:?}", finding.trouble);
        };
        assert!(what.contains(part), "{what}");
        assert_eq!(finding.outcome, Outcome::Fail);
    }
}
