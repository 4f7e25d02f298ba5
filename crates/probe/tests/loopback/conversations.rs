//! SSH, XMPP and LDAP servers that say nothing, too much, nonsense, or something else. Real ones
//! are in `peers_probe`.

use std::future::Future;

use outgate_probe::{Finding, Host, LdapEvidence, Outcome, PhaseName, StartTls, Trouble, Unit};
use outgate_wire::{ldap, ssh};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    asks::{ask, config_to, run},
    server::{Server, flood},
};

const PROTOCOLS: [&str; 3] = ["ssh", "xmpp", "ldap"];

/// A beginning of XMPP that offers to change to TLS.
const OFFER: &str = "<stream:stream from='api.example'><stream:features><starttls/>\
    </stream:features>";

async fn found<F>(protocol: &str, script: fn(TcpStream) -> F) -> Finding
where
    F: Future<Output = ()> + Send + 'static,
{
    let server = Server::start(script).await;
    run(&ask(protocol), config_to(server.address)).await
}

/// The same, of a lane that demands TLS.
async fn found_with_tls<F>(protocol: &str, script: fn(TcpStream) -> F) -> Finding
where
    F: Future<Output = ()> + Send + 'static,
{
    let server = Server::start(script).await;
    let mut ask = ask(protocol);
    ask.tls.required = true;
    run(&ask, config_to(server.address)).await
}

fn failure(finding: &Finding) -> Option<Trouble> {
    assert_eq!(finding.outcome, Outcome::Fail, "{:?}", finding.trouble);
    finding.trouble.clone()
}

/// Waits for the other side to say something.
async fn listen(stream: &mut TcpStream) {
    let _ = stream.read(&mut [0; 4096]).await;
}

/// Waits until the other side hangs up.
async fn linger(mut stream: TcpStream) {
    while matches!(stream.read(&mut [0; 4096]).await, Ok(1..)) {}
}

#[tokio::test]
async fn a_server_that_says_nothing_stalls() {
    for protocol in PROTOCOLS {
        let finding = found(protocol, linger).await;
        let phase = PhaseName::Conversation;
        let stalled = Some(Trouble::TimedOut { phase });
        assert_eq!(failure(&finding), stalled, "{protocol}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_is_closed() {
    for protocol in PROTOCOLS {
        let finding = found(protocol, |mut stream| async move {
            listen(&mut stream).await;
        })
        .await;
        let phase = PhaseName::Conversation;
        assert_eq!(
            failure(&finding),
            Some(Trouble::Closed { phase }),
            "{protocol}"
        );
    }
}

#[tokio::test]
async fn a_web_server_is_none_of_them() {
    for protocol in PROTOCOLS {
        let finding = found(protocol, |mut stream| async move {
            listen(&mut stream).await;
            let _ = stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n<html>")
                .await;
            let _ = stream.shutdown().await;
        })
        .await;
        let trouble = failure(&finding);
        let malformed = matches!(trouble, Some(Trouble::Malformed { .. }));
        assert!(malformed, "{protocol}: {trouble:?}");
    }
}

#[tokio::test]
async fn a_server_that_never_ends_is_cut_off() {
    let finding = found("ssh", |mut stream| async move {
        flood(&mut stream, &[b'-'; 4096]).await;
    })
    .await;
    let unit = Unit::ConversationBytes;
    let bound = 16 * 1024;
    assert_eq!(failure(&finding), Some(Trouble::TooMuch { bound, unit }));

    let finding = found("xmpp", |mut stream| async move {
        let _ = stream.write_all(b"<stream:stream><stream:features>").await;
        flood(&mut stream, "<a/>".repeat(1024).as_bytes()).await;
    })
    .await;
    assert_eq!(failure(&finding), Some(Trouble::TooMuch { bound, unit }));

    let finding = found("ldap", |mut stream| async move {
        flood(&mut stream, b"\x30\x84\x7f\xff\xff\xff").await;
    })
    .await;
    let unit = Unit::MessageBytes;
    let bound = 64 * 1024;
    assert_eq!(failure(&finding), Some(Trouble::TooMuch { bound, unit }));

    let finding = found("ldap", |mut stream| async move {
        // A reference that answers the search, and no end.
        flood(&mut stream, b"\x30\x05\x02\x01\x02\x73\x00").await;
    })
    .await;
    let unit = Unit::Messages;
    assert_eq!(
        failure(&finding),
        Some(Trouble::TooMuch { bound: 16, unit })
    );
}

#[tokio::test]
async fn an_ssh_server_says_who_it_is_after_its_notice() {
    let finding = found("ssh", |mut stream| async move {
        let notice = b"Authorised use only.\r\nSSH-2.0-dropbear_2024.86 \x1b[31m\r\n";
        let said = [&notice[..], &ssh::algorithms([0; ssh::COOKIE_LEN])].concat();
        let _ = stream.write_all(&said).await;
        linger(stream).await;
    })
    .await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let ssh = finding.attempts[0].ssh.clone().unwrap();
    assert_eq!(
        (ssh.software.as_str(), ssh.lines_before),
        ("dropbear_2024.86", 1)
    );
    assert_eq!(ssh.comments.as_deref(), Some("\u{fffd}[31m"));
}

#[tokio::test]
async fn ssh_that_ends_after_the_first_line_is_told_by_how_it_ends() {
    const LINE: &[u8] = b"SSH-2.0-OpenSSH_9.2p1\r\n";
    let phase = PhaseName::KeyExchange;
    let finding = found("ssh", |mut stream| async move {
        let _ = stream.write_all(LINE).await;
        linger(stream).await;
    })
    .await;
    assert_eq!(failure(&finding), Some(Trouble::TimedOut { phase }));
    // Who it is was heard all the same.
    assert!(finding.attempts[0].ssh.is_some());

    for last in [Vec::new(), ssh::goodbye()] {
        let server = Server::start(move |mut stream| {
            let said = [LINE, &last].concat();
            async move {
                let _ = stream.write_all(&said).await;
                listen(&mut stream).await;
                let _ = stream.shutdown().await;
                linger(stream).await;
            }
        })
        .await;
        let finding = run(&ask("ssh"), config_to(server.address)).await;
        assert_eq!(failure(&finding), Some(Trouble::Closed { phase }));
    }

    let finding = found("ssh", |mut stream| async move {
        let _ = stream.write_all(LINE).await;
        let _ = stream.write_all(b"\0\0\0\x0c\x0aHTTP/1.1 200").await;
        linger(stream).await;
    })
    .await;
    let what = "no packet of SSH that may come first".to_owned();
    assert_eq!(failure(&finding), Some(Trouble::Malformed { what }));

    let finding = found("ssh", |mut stream| async move {
        let _ = stream.write_all(LINE).await;
        // Packets that may be passed over, without end.
        flood(&mut stream, &b"\0\0\0\x0c\x0a\x02----------".repeat(100)).await;
    })
    .await;
    let (bound, unit) = (8, Unit::Messages);
    assert_eq!(failure(&finding), Some(Trouble::TooMuch { bound, unit }));
}

#[tokio::test]
async fn an_ssh_server_of_version_1_is_too_old() {
    let finding = found("ssh", |mut stream| async move {
        let _ = stream.write_all(b"SSH-1.5-old\n").await;
        linger(stream).await;
    })
    .await;
    let protocol = "1.5".to_owned();
    assert_eq!(failure(&finding), Some(Trouble::SshTooOld { protocol }));
}

#[tokio::test]
async fn xmpp_without_tls_is_worth_a_warning_and_fails_where_tls_is_demanded() {
    async fn plain(mut stream: TcpStream) {
        listen(&mut stream).await;
        let offer = "<stream:stream><stream:features><mechanisms>\
            <mechanism>PLAIN</mechanism></mechanisms></stream:features>";
        let _ = stream.write_all(offer.as_bytes()).await;
        linger(stream).await;
    }
    let missing = Some(Trouble::StartTlsMissing);
    let finding = found("xmpp", plain).await;
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Warn, missing.clone())
    );
    let xmpp = finding.attempts[0].xmpp.clone().unwrap();
    assert_eq!(xmpp.start_tls, StartTls::Missing);
    assert_eq!(xmpp.mechanisms, ["PLAIN"]);
    let finding = found_with_tls("xmpp", plain).await;
    assert_eq!(failure(&finding), missing);
}

#[tokio::test]
async fn an_xmpp_server_that_does_not_know_the_domain_is_quoted() {
    async fn stranger(mut stream: TcpStream) {
        listen(&mut stream).await;
        let error = "<stream:stream><stream:error><host-unknown/></stream:error>";
        let _ = stream.write_all(error.as_bytes()).await;
        linger(stream).await;
    }
    let condition = "host-unknown".to_owned();
    let unknown = Some(Trouble::XmppError { condition });
    assert_eq!(failure(&found("xmpp", stranger).await), unknown);
    // Whom a role serves is not known, so that it does not serve its address is no failure.
    let server = Server::start(stranger).await;
    let mut ask = ask("xmpp");
    ask.host = Host::Role("device".to_owned());
    let finding = run(&ask, config_to(server.address)).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Warn, unknown));
    assert_eq!(finding.attempts[0].xmpp.clone().unwrap().to, "127.0.0.1");
}

#[tokio::test]
async fn an_xmpp_server_that_takes_its_offer_of_tls_back_refuses() {
    let finding = found("xmpp", |mut stream| async move {
        listen(&mut stream).await;
        let _ = stream.write_all(OFFER.as_bytes()).await;
        listen(&mut stream).await;
        let _ = stream.write_all(b"<failure/></stream:stream>").await;
        linger(stream).await;
    })
    .await;
    let trouble = failure(&finding);
    let refused = matches!(trouble, Some(Trouble::StartTlsRefused { .. }));
    assert!(refused, "{trouble:?}");
}

#[tokio::test]
async fn words_slipped_in_before_tls_are_not_taken_for_the_servers() {
    let finding = found("xmpp", |mut stream| async move {
        listen(&mut stream).await;
        let _ = stream.write_all(OFFER.as_bytes()).await;
        listen(&mut stream).await;
        let _ = stream.write_all(b"<proceed/><stream:stream>").await;
        linger(stream).await;
    })
    .await;
    let trouble = failure(&finding);
    assert!(
        matches!(trouble, Some(Trouble::Malformed { .. })),
        "{trouble:?}"
    );
    let finding = found_with_tls("ldap", |mut stream| async move {
        listen(&mut stream).await;
        let agreed = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0\x04\0\x30\x05";
        let _ = stream.write_all(agreed).await;
        linger(stream).await;
    })
    .await;
    let trouble = failure(&finding);
    assert!(
        matches!(trouble, Some(Trouble::Malformed { .. })),
        "{trouble:?}"
    );
}

#[tokio::test]
async fn what_follows_start_tls_is_judged_as_any_tls() {
    let finding = found("xmpp", |mut stream| async move {
        listen(&mut stream).await;
        let _ = stream.write_all(OFFER.as_bytes()).await;
        listen(&mut stream).await;
        let _ = stream.write_all(b"<proceed/>").await;
        listen(&mut stream).await;
        let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 112]).await;
    })
    .await;
    let description = "unrecognized_name".to_owned();
    let code = 112;
    assert_eq!(
        failure(&finding),
        Some(Trouble::TlsAlert { code, description })
    );
    assert!(finding.attempts[0].tls.is_some());
}

#[tokio::test]
async fn a_directory_that_wants_a_login_first_answered_all_the_same() {
    let finding = found("ldap", |mut stream| async move {
        let question = ldap::root_dse_search(2);
        let mut heard = vec![0; question.len()];
        let _ = stream.read_exact(&mut heard).await;
        assert_eq!(heard, question);
        let refusal = b"\x30\x0c\x02\x01\x02\x65\x07\x0a\x01\x32\x04\0\x04\0";
        let _ = stream.write_all(refusal).await;
        linger(stream).await;
    })
    .await;
    let name = "insufficientAccessRights".to_owned();
    let trouble = Some(Trouble::LdapResult {
        code: 50,
        name: name.clone(),
    });
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Warn, trouble));
    let expected = LdapEvidence {
        result: name,
        root_dse: false,
        versions: Vec::new(),
        start_tls: false,
        mechanisms: Vec::new(),
        vendor: None,
    };
    assert_eq!(finding.attempts[0].ldap, Some(expected));
}

#[tokio::test]
async fn a_directory_that_does_not_know_start_tls_or_cannot_is_told() {
    let finding = found_with_tls("ldap", |mut stream| async move {
        listen(&mut stream).await;
        let unknown = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\0\x04\0";
        let _ = stream.write_all(unknown).await;
        linger(stream).await;
    })
    .await;
    assert_eq!(failure(&finding), Some(Trouble::StartTlsMissing));
    let finding = found_with_tls("ldap", |mut stream| async move {
        listen(&mut stream).await;
        let cannot = b"\x30\x0f\x02\x01\x01\x78\x0a\x0a\x01\x34\x04\0\x04\x03key";
        let _ = stream.write_all(cannot).await;
        linger(stream).await;
    })
    .await;
    let why = "unavailable: key".to_owned();
    assert_eq!(failure(&finding), Some(Trouble::StartTlsRefused { why }));
}

#[tokio::test]
async fn a_directory_that_says_it_ends_is_believed() {
    let finding = found("ldap", |mut stream| async move {
        listen(&mut stream).await;
        let notice = b"\x30\x0c\x02\x01\0\x78\x07\x0a\x01\x33\x04\0\x04\0";
        let _ = stream.write_all(notice).await;
    })
    .await;
    let name = "busy".to_owned();
    assert_eq!(
        failure(&finding),
        Some(Trouble::LdapResult { code: 51, name })
    );
}
