//! A second opinion over HTTPS: when it is asked for, and what it comes to.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::future::join_all;
use hickory_proto::{
    op::ResponseCode,
    rr::{RData, RecordType, rdata::A},
};
use outgate_probe::{
    Ask, DohUrl, Elsewhere, Finding, Host, NameServer, Outcome, Path, PathConfig, Proxy,
    ProxyChoice, ProxyKind, Proxying, ResolverChoice, Roots, Trouble,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    asks::{PATIENCE, ask, run_on},
    proxy::tunnel,
    resolver::{Resolver, Say, respond},
    secure,
    server::Server,
};

const HIDDEN: &str = "hidden.example";
/// Where things are outside.
const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
/// What an answer is headed by.
const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\n";

fn a(address: [u8; 4]) -> Say {
    Say::Records(vec![RData::A(A(address.into()))])
}

/// The network's own name server: it knows where the one outside is, and nothing else.
fn here(name: &str, record_type: RecordType) -> Say {
    match (name, record_type) {
        ("api.example.", RecordType::A) => a([127, 0, 0, 1]),
        ("api.example.", _) => Say::Records(Vec::new()),
        _ => Say::Code(ResponseCode::NXDomain),
    }
}

/// The one outside knows everything.
fn outside(_: &str, record_type: RecordType) -> Say {
    match record_type {
        RecordType::A => a([192, 0, 2, 7]),
        _ => Say::Records(Vec::new()),
    }
}

/// Nobody knows anything.
fn nothing(_: &str, _: RecordType) -> Say {
    Say::Code(ResponseCode::NXDomain)
}

/// A name server over HTTPS, called `api.example`.
struct Outside {
    address: SocketAddr,
    pem: String,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Outside {
    /// `head` is what its answers begin with.
    async fn start(head: &'static str, say: fn(&str, RecordType) -> Say) -> Self {
        let (server, pem) = secure::identity();
        let acceptor = TlsAcceptor::from(server);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, counter) = (acceptor.clone(), counter.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        counter.fetch_add(1, Ordering::Relaxed);
                        answer(stream, head, say).await;
                    }
                });
            }
        });
        Self {
            address,
            pem,
            asked,
            task,
        }
    }

    fn url(&self) -> DohUrl {
        let url = format!("https://api.example:{}/dns-query", self.address.port());
        url.parse().unwrap()
    }

    fn config(&self, resolver: &Resolver) -> PathConfig {
        PathConfig {
            resolver: ResolverChoice::at(resolver.address),
            second_opinion: Some(self.url()),
            roots: Roots::mozilla().give_pem(self.pem.as_bytes()).unwrap(),
            timeout: PATIENCE,
            ..PathConfig::default()
        }
    }

    fn times_asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads a question, which must be as RFC 8484 §4.1 has it, and answers it.
async fn answer(
    mut stream: TlsStream<TcpStream>,
    head: &str,
    say: fn(&str, RecordType) -> Say,
) -> Option<()> {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        asked.push(stream.read_u8().await.ok()?);
    }
    let asked = String::from_utf8(asked).unwrap().to_ascii_lowercase();
    assert!(asked.starts_with("post /dns-query http/1.1\r\n"), "{asked}");
    for field in ["content-type", "accept"] {
        let wanted = format!("\r\n{field}: application/dns-message\r\n");
        assert!(asked.contains(&wanted), "{asked}");
    }
    let length = asked.split("content-length: ").nth(1).unwrap();
    let length = length.lines().next().unwrap().parse().unwrap();
    let mut question = vec![0; length];
    stream.read_exact(&mut question).await.ok()?;
    assert_eq!(question[..2], [0, 0], "best for caches");
    let body = respond(&question, &std::sync::Mutex::default(), say).unwrap_or_default();
    let told = format!("{head}Content-Length: {}\r\n\r\n", body.len());
    stream.write_all(told.as_bytes()).await.ok()?;
    stream.write_all(&body).await.ok()?;
    stream.shutdown().await.ok()
}

fn outside_ask(name: &str) -> Ask {
    Ask {
        outside: true,
        host: Host::Name(name.to_owned()),
        ..ask("tcp")
    }
}

async fn asked(outside: &Outside, config: PathConfig) -> Finding {
    assert_eq!(outside.times_asked(), 0);
    run_on(&outside_ask(HIDDEN), &Path::new(config).unwrap()).await
}

fn elsewhere(finding: &Finding) -> &Elsewhere {
    let resolution = finding.resolution.as_ref().unwrap();
    resolution.elsewhere.as_deref().unwrap()
}

fn named(outside: &Outside) -> NameServer {
    NameServer::Https(format!("https://api.example:{}", outside.address.port()))
}

#[tokio::test]
async fn a_name_that_somebody_outside_knows_is_hidden_here() {
    let resolver = Resolver::start(here).await;
    let outside = Outside::start(GOOD, outside).await;
    let finding = asked(&outside, outside.config(&resolver)).await;
    let trouble = Trouble::NameHidden {
        here: Box::new(Trouble::NameNotFound),
        elsewhere: named(&outside),
    };
    assert_eq!(
        (finding.outcome, &finding.trouble),
        (Outcome::Fail, &Some(trouble))
    );
    let found: Vec<_> = elsewhere(&finding).addresses().collect();
    assert_eq!(found, [OUTSIDE]);
    assert_eq!(finding.attempts, [], "what it says is not used");
}

#[tokio::test]
async fn a_name_whose_addresses_are_taken_out_is_hidden_too() {
    let resolver = Resolver::start(|name, record_type| match name {
        "hidden.example." => Say::Records(Vec::new()),
        _ => here(name, record_type),
    })
    .await;
    let outside = Outside::start(GOOD, outside).await;
    let finding = asked(&outside, outside.config(&resolver)).await;
    let trouble = Trouble::NameHidden {
        here: Box::new(Trouble::NoAddress),
        elsewhere: named(&outside),
    };
    assert_eq!(finding.trouble, Some(trouble));
}

#[tokio::test]
async fn a_name_that_nobody_knows_does_not_exist() {
    let resolver = Resolver::start(here).await;
    let outside = Outside::start(GOOD, nothing).await;
    let finding = asked(&outside, outside.config(&resolver)).await;
    let elsewhere = named(&outside);
    assert_eq!(finding.trouble, Some(Trouble::NameNowhere { elsewhere }));
}

#[tokio::test]
async fn a_name_that_is_blocked_outside_too_is_not_called_hidden() {
    let resolver = Resolver::start(here).await;
    let outside = Outside::start(GOOD, |_, record_type| match record_type {
        RecordType::A => a([0, 0, 0, 0]),
        _ => Say::Records(Vec::new()),
    })
    .await;
    let finding = asked(&outside, outside.config(&resolver)).await;
    assert_eq!(finding.trouble, Some(Trouble::NameNotFound));
}

#[tokio::test]
async fn the_way_there_is_the_products_proxy() {
    let resolver = Resolver::start(here).await;
    let outside = Outside::start(GOOD, outside).await;
    let proxy = Server::start(tunnel).await;
    let (host, port) = (Host::Address(proxy.address.ip()), proxy.address.port());
    let through = Proxy::new(ProxyKind::Socks5, host.clone(), 9);
    let config = |proxy| PathConfig {
        proxying: Proxying {
            choice: ProxyChoice::Always(proxy),
            ..Proxying::default()
        },
        ..outside.config(&resolver)
    };
    // What goes through an HTTP proxy is resolved there; datagrams go direct and are resolved here.
    let mut ntp = outside_ask(HIDDEN);
    ntp.protocol = "ntp".to_owned();
    ntp.transport = outgate_probe::Transport::Udp;
    let finding = run_on(
        &ntp,
        &Path::new(config(Proxy::new(ProxyKind::Http, host, port))).unwrap(),
    )
    .await;
    let hidden = matches!(finding.trouble, Some(Trouble::NameHidden { .. }));
    assert!(hidden, "{:?}", finding.trouble);
    // And there is no other way.
    let finding = run_on(&ntp, &Path::new(config(through)).unwrap()).await;
    assert_eq!(finding.trouble, Some(Trouble::NameNotFound));
    let lost = elsewhere(&finding).ipv4.asked[0].trouble.clone();
    assert!(
        matches!(lost, Some(Trouble::ProxyUnreachable { .. })),
        "{lost:?}"
    );
}

#[tokio::test]
async fn nobody_outside_is_asked_where_nothing_is_doubtful_or_nobodys_business() {
    let outside = Outside::start(GOOD, outside).await;
    let resolver = Resolver::start(|name, record_type| match (name, record_type) {
        ("public.example.", RecordType::A) => a([192, 0, 2, 1]),
        ("silent.example.", _) => Say::Nothing,
        ("refused.example.", _) => Say::Code(ResponseCode::Refused),
        _ => here(name, record_type),
    })
    .await;
    let mut config = outside.config(&resolver);
    let detour = format!("detoured.example:443:inside.example:{}", 9);
    config.connect_to = vec![detour.parse().unwrap()];
    let path = Path::new(config).unwrap();
    for name in [
        "public.example",
        "silent.example",
        "refused.example",
        "detoured.example",
    ] {
        run_on(&outside_ask(name), &path).await;
        assert_eq!(outside.times_asked(), 0, "{name}");
    }
    let inside = Ask {
        outside: false,
        ..outside_ask(HIDDEN)
    };
    assert_eq!(
        run_on(&inside, &path).await.trouble,
        Some(Trouble::NameNotFound)
    );
    let address = Ask {
        host: Host::Address(Ipv4Addr::LOCALHOST.into()),
        ..outside_ask(HIDDEN)
    };
    run_on(&address, &path).await;
    assert_eq!(outside.times_asked(), 0);
}

#[tokio::test]
async fn a_name_that_leads_inside_is_asked_for_and_tried_all_the_same() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resolver = Resolver::start(|name, record_type| match (name, record_type) {
        ("hidden.example.", RecordType::A) => a([127, 0, 0, 1]),
        ("hidden.example.", _) => Say::Records(Vec::new()),
        _ => here(name, record_type),
    })
    .await;
    let outside = Outside::start(GOOD, outside).await;
    let path = Path::new(outside.config(&resolver)).unwrap();
    let mut ask = outside_ask(HIDDEN);
    ask.port = Some(listener.local_addr().unwrap().port());
    let finding = run_on(&ask, &path).await;
    assert_eq!((finding.outcome, &finding.trouble), (Outcome::Pass, &None));
    let found: Vec<_> = elsewhere(&finding).addresses().collect();
    assert_eq!(found, [OUTSIDE]);
}

#[tokio::test]
async fn fifty_lanes_of_one_name_ask_once_for_each_family() {
    let resolver = Resolver::start(here).await;
    let outside = Outside::start(GOOD, outside).await;
    let path = Path::new(outside.config(&resolver)).unwrap();
    let asks = vec![outside_ask(HIDDEN); 50];
    join_all(asks.iter().map(|ask| run_on(ask, &path))).await;
    assert_eq!(outside.times_asked(), 2);
}

#[tokio::test]
async fn an_answer_that_is_none_leaves_the_finding_as_it_is() {
    const TEXT: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n";
    const ELSEWHERE: &str = "HTTP/1.1 302 Found\r\nLocation: https://portal.example/\r\n";
    let status = |status| Trouble::HttpStatus { status };
    for (head, why) in [
        (TEXT, None),
        (ELSEWHERE, Some(status(302))),
        ("HTTP/1.1 415 No\r\n", Some(status(415))),
        ("HTTP/1.1 200 OK\r\n", None),
    ] {
        let resolver = Resolver::start(here).await;
        let outside = Outside::start(head, outside).await;
        let finding = asked(&outside, outside.config(&resolver)).await;
        assert_eq!(finding.trouble, Some(Trouble::NameNotFound), "{head}");
        let trouble = elsewhere(&finding).ipv4.trouble.clone().unwrap();
        match why {
            Some(why) => assert_eq!(trouble, why),
            None => assert!(matches!(trouble, Trouble::AnswerUnexpected { .. })),
        }
    }
}

#[tokio::test]
async fn an_answer_to_another_question_does_not_count() {
    const OTHER: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\n\
        Transfer-Encoding: identity\r\n";
    let resolver = Resolver::start(here).await;
    let outside = Outside::start(OTHER, |_, _| Say::Nothing).await;
    let finding = asked(&outside, outside.config(&resolver)).await;
    assert_eq!(finding.trouble, Some(Trouble::NameNotFound));
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_no_second_opinion() {
    let resolver = Resolver::start(here).await;
    let outside = Outside::start(GOOD, outside).await;
    let config = PathConfig {
        roots: Roots::mozilla(),
        ..outside.config(&resolver)
    };
    let finding = run_on(&outside_ask(HIDDEN), &Path::new(config).unwrap()).await;
    assert_eq!(finding.trouble, Some(Trouble::NameNotFound));
    let trouble = elsewhere(&finding).ipv4.trouble.clone().unwrap();
    let untrusted = matches!(trouble, Trouble::CertificateUntrusted { .. });
    assert!(untrusted, "{trouble:?}");
}

#[tokio::test]
async fn the_name_server_outside_has_no_second_opinion_of_its_own() {
    let resolver = Resolver::start(nothing).await;
    let outside = Outside::start(GOOD, outside).await;
    let path = Path::new(outside.config(&resolver)).unwrap();
    let finding = run_on(&outside_ask("api.example"), &path).await;
    assert_eq!(finding.trouble, Some(Trouble::NameNotFound));
    let trouble = elsewhere(&finding).ipv4.asked[0].trouble.clone();
    assert_eq!(trouble, Some(Trouble::NameNotFound), "its own name");
    assert_eq!(outside.times_asked(), 0);
}

#[test]
fn what_is_sent_is_told_for_names_outside_alone() {
    let url: DohUrl = "https://192.0.2.53/mine/secret".parse().unwrap();
    let config = PathConfig {
        second_opinion: Some(url),
        ..PathConfig::default()
    };
    let path = Path::new(config).unwrap();
    let told = |ask: &Ask| -> Vec<String> {
        let sends = path.sends(ask).into_iter();
        sends.map(|sent| sent.what).collect()
    };
    let of = told(&outside_ask(HIDDEN));
    assert_eq!(of.len(), 1, "{of:?}");
    assert!(
        of[0].contains("hidden.example to https://192.0.2.53,"),
        "{of:?}"
    );
    assert!(!of[0].contains("secret"), "{of:?}");
    let inside = Ask {
        outside: false,
        ..outside_ask(HIDDEN)
    };
    assert_eq!(told(&inside), Vec::<String>::new());
}
