//! What is not TLS, and what breaks off. Real TLS servers are in `peers_probe`.

use outgate_probe::{Finding, LegacyTls, Outcome, PhaseName, TlsVersion, Trouble};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    asks::{ask, config_to, run},
    server::{Server, flood},
};

async fn asked(server: &Server) -> Finding {
    let finding = run(&ask("tls"), config_to(server.address)).await;
    assert_eq!(finding.outcome, Outcome::Fail, "{:?}", finding.trouble);
    finding
}

#[tokio::test]
async fn a_plain_http_server_is_not_tls() {
    let server = Server::start(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    assert_eq!(asked(&server).await.trouble, Some(Trouble::NotTls));
}

#[tokio::test]
async fn an_alert_is_quoted() {
    let server = Server::start(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 112]).await;
    })
    .await;
    let description = "unrecognized_name".to_owned();
    assert_eq!(
        asked(&server).await.trouble,
        Some(Trouble::TlsAlert {
            code: 112,
            description
        })
    );
}

#[tokio::test]
async fn a_server_that_hangs_up_on_every_hello_is_closed() {
    let server = Server::start(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
    })
    .await;
    let finding = asked(&server).await;
    assert_eq!(
        finding.trouble,
        Some(Trouble::Closed {
            phase: PhaseName::Tls
        })
    );
    assert_eq!(
        finding.attempts[0].tls.clone().unwrap().legacy,
        Some(LegacyTls::Silence)
    );
}

#[tokio::test]
async fn a_server_that_only_copes_with_tls_1_0_hellos_is_found_out() {
    // Breaks off at versions it does not know, as some did before TLS 1.1 was common.
    let server = Server::start(|mut stream| async move {
        let mut hello = [0; 1024];
        let _ = stream.read(&mut hello).await;
        if hello[9..11] == [3, 1] {
            let mut answer = vec![22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
            answer.extend([7; 32]);
            answer.extend([0, 0, 0x2f, 0]);
            let _ = stream.write_all(&answer).await;
        }
    })
    .await;
    let finding = asked(&server).await;
    let (highest, floor) = (TlsVersion::Tls10, TlsVersion::Tls12);
    assert_eq!(finding.trouble, Some(Trouble::TlsTooOld { highest, floor }));
}

#[tokio::test]
async fn what_breaks_new_handshakes_but_takes_an_old_one_is_not_called_a_lack_of_ciphers() {
    // Breaks off where TLS 1.3 is offered (extension supported_versions), and else chooses a
    // cipher suite that was offered, too.
    let server = Server::start(|mut stream| async move {
        let mut hello = [0; 4096];
        let length = stream.read(&mut hello).await.unwrap();
        let offers_tls_1_3 = hello[..length].windows(2).any(|pair| pair == [3, 4]);
        if !offers_tls_1_3 {
            let mut answer = vec![22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3];
            answer.extend([7; 32]);
            answer.extend([0, 0xc0, 0x2f, 0]);
            let _ = stream.write_all(&answer).await;
        }
    })
    .await;
    let finding = asked(&server).await;
    let phase = PhaseName::Tls;
    assert_eq!(finding.trouble, Some(Trouble::Closed { phase }));
    let legacy = finding.attempts[0].tls.clone().unwrap().legacy;
    assert!(matches!(
        legacy,
        Some(LegacyTls::Version {
            cipher_suite: 0xc02f,
            ..
        })
    ));
}

#[tokio::test]
async fn a_silent_server_is_a_time_out_in_the_handshake() {
    let server = Server::start(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let trouble = asked(&server).await.trouble;
    assert_eq!(
        trouble,
        Some(Trouble::TimedOut {
            phase: PhaseName::Tls
        })
    );
}

#[tokio::test]
async fn endless_rubbish_ends() {
    for chunk in [
        &[0_u8; 1000][..],
        &[22; 1000],
        &[22, 3, 3, 0x40, 0, 2, 0xff, 0xff, 0xff],
    ] {
        let rubbish = chunk.to_vec().leak();
        let address = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let rubbish: &[u8] = rubbish;
                    tokio::spawn(async move { flood(&mut stream, rubbish).await });
                }
            });
            address
        };
        let finding = run(&ask("tls"), config_to(address)).await;
        assert_eq!(finding.outcome, Outcome::Fail, "{:?}", finding.trouble);
    }
}
