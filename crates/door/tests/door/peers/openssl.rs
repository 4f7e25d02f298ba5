//! OpenSSL as the client.

use std::path::Path;
use std::process::Stdio;

use outgate_door::{Protocol, Refused};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::place::Place;

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken() {
    for (option, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let mut place = Place::open();
        let said = s_client(&place, &[option, "-alpn", "mqtt"]).await;
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        assert!(said.contains("ALPN protocol: mqtt"), "{said}");
        let (protocol, facts) = place.arrival().await;
        assert_eq!(protocol, Protocol::Mqtt);
        assert_eq!(facts.tls.unwrap().version, version);
    }
}

#[tokio::test]
async fn older_versions_are_refused() {
    for option in ["-tls1", "-tls1_1"] {
        let mut place = Place::open();
        let said = s_client(&place, &[option, "-cipher", "DEFAULT@SECLEVEL=0"]).await;
        // Their hellos lack extensions that newer ones must have; which is missed first, the
        // version or those, is all the same.
        let refused = ["alert protocol version", "alert handshake failure"];
        assert!(refused.iter().any(|alert| said.contains(alert)), "{said}");
        assert_eq!(place.refused().await, Refused::BadHandshake);
    }
}

#[tokio::test]
async fn weak_ciphers_are_refused() {
    for cipher in ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA"] {
        let place = Place::open();
        let cipher = format!("{cipher}@SECLEVEL=0");
        let said = s_client(&place, &["-tls1_2", "-cipher", &cipher]).await;
        assert!(said.contains("alert handshake failure"), "{said}");
    }
}

#[tokio::test]
async fn an_unknown_protocol_is_refused() {
    let place = Place::open();
    let said = s_client(&place, &["-alpn", "imap"]).await;
    assert!(said.contains("no application protocol"), "{said}");
}

#[tokio::test]
async fn sessions_are_resumed() {
    for option in ["-tls1_2", "-tls1_3"] {
        let mut place = Place::open();
        let file = place.folder.path().join("session");
        let file = file.to_str().unwrap();
        let certificate = own_certificate(place.folder.path()).await;
        let mut options = vec![option, "-alpn", "mqtt"];
        options.extend(certificate.iter().map(String::as_str));
        let said = s_client(&place, &[&options[..], &["-sess_out", file]].concat()).await;
        assert!(said.contains("\nNew, "), "{said}");
        let first = place.arrival().await.1.tls.unwrap();
        let said = s_client(&place, &[&options[..], &["-sess_in", file]].concat()).await;
        assert!(said.contains("\nReused, "), "{said}");
        let second = place.arrival().await.1.tls.unwrap();
        assert!(second.resumed);
        assert_eq!(first.client_chain.len(), 1);
        assert_eq!(first.client_chain, second.client_chain);
        assert_ne!(first.channel_binding, second.channel_binding);
    }
}

#[tokio::test]
async fn openssl_derives_the_same_channel_binding() {
    let mut place = Place::open();
    let label = "EXPORTER-Channel-Binding";
    let options = ["-tls1_3", "-alpn", "mqtt", "-keymatexport", label];
    let said = s_client(
        &place,
        &[&options[..], &["-keymatexportlen", "32"]].concat(),
    )
    .await;
    let ours = place
        .arrival()
        .await
        .1
        .tls
        .unwrap()
        .channel_binding
        .unwrap();
    let ours: String = ours.iter().map(|byte| format!("{byte:02X}")).collect();
    assert!(said.contains(&format!("Keying material: {ours}")), "{said}");
}

#[tokio::test]
async fn without_an_extended_master_secret_there_is_no_channel_binding() {
    let mut place = Place::open();
    let file = place.folder.path().join("openssl.cnf");
    let configuration = "openssl_conf = all\n[all]\nssl_conf = tls\n[tls]\n\
                         system_default = old\n[old]\nOptions = -ExtendedMasterSecret\n";
    std::fs::write(&file, configuration).unwrap();
    for (version, bound) in [("-tls1_2", false), ("-tls1_3", true)] {
        let mut command = client(&place, &[version, "-alpn", "mqtt"]);
        command.env("OPENSSL_CONF", &file);
        let said = conversation(command).await;
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        if !bound {
            assert!(said.contains("Extended master secret: no"), "{said}");
        }
        let facts = place.arrival().await.1.tls.unwrap();
        assert_eq!(facts.channel_binding.is_some(), bound, "{version}");
    }
}

/// A certificate that only its owner has signed, with an RSA key, as options of `s_client`.
async fn own_certificate(folder: &Path) -> [String; 4] {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (path("own.pem"), path("own.key"));
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj"])
        .args(["/CN=device-1", "-out", &certificate, "-keyout", &key])
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    ["-cert".to_owned(), certificate, "-key".to_owned(), key]
}

async fn s_client(place: &Place, options: &[&str]) -> String {
    conversation(client(place, options)).await
}

fn client(place: &Place, options: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-servername", "localhost", "-connect"])
        .arg(place.address.to_string())
        .arg("-CAfile")
        .arg(place.authority())
        .args(options);
    command
}

/// Says a line, waits for its echo or the end, and gives all that OpenSSL wrote. The echo comes
/// after the session's ticket, so that this has come by then.
async fn conversation(mut command: Command) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may have ended already.
    let _ = stdin.write_all(b"echo this\n").await;
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        said.push_str(&line);
        said.push('\n');
        // OpenSSL may be in the midst of a line about the session's ticket.
        if line.ends_with("echo this") {
            break;
        }
    }
    drop(stdin);
    while let Some(line) = lines.next_line().await.unwrap() {
        said.push_str(&line);
        said.push('\n');
    }
    let output = child.wait_with_output().await.unwrap();
    said + &String::from_utf8_lossy(&output.stderr)
}
