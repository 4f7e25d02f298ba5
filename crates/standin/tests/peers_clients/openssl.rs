use std::{net::SocketAddr, process::Stdio, time::SystemTime};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use outgate_standin::{Authority, TlsFault, Validity};

use crate::{Ended, file, https, path, run, stage};

#[tokio::test]
async fn openssl_verifies_the_whole_chain() {
    let (mut stage, authority) = stage();
    let address = https(&mut stage, TlsFault::None).await;
    for (version, shown) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let trust = ["-CAfile", path(&authority), "-verify_hostname", "a.example"];
        let more = [&trust[..], &["-alpn", "http/1.1", "-x509_strict", version]].concat();
        let ended = s_client(address, &more).await;
        for line in [
            "depth=2 CN = Outgate stand-in root",
            "depth=1 CN = Outgate stand-in intermediate",
            "Verify return code: 0 (ok)",
            "ALPN protocol: http/1.1",
            "id-ecPublicKey, 256 (bit)",
            &format!("New, {shown}, Cipher is"),
        ] {
            assert!(ended.text.contains(line), "{line}: {}", ended.text);
        }
    }
}

#[tokio::test]
async fn an_old_server_looks_as_openssls_own_does() {
    let authority = Authority::new(SystemTime::now()).unwrap();
    let names = ["a.example".to_owned()];
    let identity = authority
        .issue(&names, Validity::around(SystemTime::now()))
        .unwrap();
    let certificate = file(identity.chain_pem());
    let key = file(&identity.key_pem());
    let (_server, real) = s_server(&[
        "-cert",
        path(&certificate),
        "-key",
        path(&key),
        "-tls1_1",
        "-cipher",
        "ALL:@SECLEVEL=0",
    ])
    .await;

    let (mut stage, _authority) = stage();
    let ours = https(&mut stage, TlsFault::OldVersions).await;
    let modern = ["-msg", "-min_protocol", "TLSv1.2"];
    let from_real = received(s_client(real, &modern).await);
    assert!(from_real.contains("fatal protocol_version"), "{from_real}");
    assert_eq!(received(s_client(ours, &modern).await), from_real);

    let old = [
        "-msg",
        "-min_protocol",
        "TLSv1",
        "-cipher",
        "ALL:@SECLEVEL=0",
    ];
    for address in [real, ours] {
        let received = received(s_client(address, &old).await);
        let version = "<<< TLS 1.1, RecordHeader [length 0005]\n    16 03 02 00 ";
        assert!(received.starts_with(version), "{received}");
        assert!(
            received.contains(", ServerHello\n    02 00 00 "),
            "{received}"
        );
    }
}

/// What came from the server, of the output of `s_client -msg`.
fn received(ended: Ended) -> String {
    let (_, received) = ended.text.split_once("<<<").expect(&ended.text);
    let (received, _) = received.split_once("---").expect(&ended.text);
    format!("<<<{received}")
}

async fn s_client(address: SocketAddr, more: &[&str]) -> Ended {
    let address = address.to_string();
    let mut arguments = vec!["s_client", "-connect", &address, "-servername", "a.example"];
    arguments.extend(more);
    run("openssl", &arguments).await
}

/// OpenSSL's own server, which ends with the returned child.
async fn s_server(more: &[&str]) -> (Child, SocketAddr) {
    let mut child = Command::new("openssl")
        .args(["s_server", "-accept", "127.0.0.1:0", "-4"])
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some(address) = line.strip_prefix("ACCEPT ") {
            let address = address.parse().unwrap();
            // Whoever does not read it any more stops it at its next line.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return (child, address);
        }
    }
    panic!("openssl s_server says nowhere where it listens");
}
