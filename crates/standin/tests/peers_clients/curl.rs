use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use outgate_standin::{Authority, HttpFault, Place, Stage, StatusCode, TlsFault, Validity};

use crate::{Ended, file, https, path, run, stage};

/// Exit statuses of curl.
const TIMED_OUT: i32 = 28;
const TLS_FAILED: i32 = 35;
const NO_REPLY: i32 = 52;
const NOT_TRUSTED: i32 = 60;

#[tokio::test]
async fn curl_reads_a_page_over_tls_1_2_and_1_3() {
    let (mut stage, authority) = stage();
    let address = https(&mut stage, TlsFault::None).await;
    for versions in [
        ["--tlsv1.2", "--tls-max", "1.2"],
        ["--tlsv1.3", "--tls-max", "1.3"],
    ] {
        for host in ["a.example", "x.b.example", "192.0.2.1"] {
            let url = format!("https://{host}/some/path");
            let mut more = vec!["--cacert", path(&authority)];
            more.extend(versions);
            let ended = curl(&url, address, &more).await;
            let page = format!("outgate stand-in for {host}: /some/path\n");
            assert!(ended.text.ends_with(&page), "{}", ended.text);
            assert!(ended.text.starts_with("HTTP/1.1 200 OK\r\n"));
        }
    }
}

#[tokio::test]
async fn curl_reads_a_page_only_with_a_client_certificate_where_one_is_required() {
    let (mut stage, authority) = stage();
    let names = ["a.example".to_owned()];
    let address = stage.https_mutual(Place::v4(), &names).await.unwrap();
    let now = Validity::around(SystemTime::now());
    let known = stage.authority().issue_client("till-1", now).unwrap();
    let other = Authority::new(SystemTime::now()).unwrap();
    let stranger = other.issue_client("till-1", now).unwrap();
    for version in ["1.2", "1.3"] {
        let trust = ["--tls-max", version, "--cacert", path(&authority)];
        let without = curl("https://a.example/", address, &trust).await;
        assert_ne!(without.status, 0, "{}", without.text);
        assert!(!without.text.contains("200 OK"), "{}", without.text);
        for (identity, is_known) in [(&known, true), (&stranger, false)] {
            let (chain, key) = (file(identity.chain_pem()), file(&identity.key_pem()));
            let own = ["--cert", path(&chain), "--key", path(&key)];
            let with = curl("https://a.example/x", address, &[trust, own].concat()).await;
            let read = with.text.ends_with("outgate stand-in for a.example: /x\n");
            assert_eq!(read, is_known, "{}", with.text);
        }
    }
}

#[tokio::test]
async fn curl_refuses_each_bad_certificate() {
    for (fault, reason) in [
        (
            TlsFault::OtherAuthority,
            "unable to get local issuer certificate",
        ),
        (TlsFault::LeafOnly, "unable to get local issuer certificate"),
        (TlsFault::Expired, "certificate has expired"),
        (TlsFault::NotYetValid, "certificate is not yet valid"),
        (
            TlsFault::WrongName,
            "no alternative certificate subject name",
        ),
    ] {
        let (mut stage, authority) = stage();
        let address = https(&mut stage, fault).await;
        let more = ["--cacert", path(&authority)];
        let ended = curl("https://a.example/", address, &more).await;
        assert_eq!(ended.status, NOT_TRUSTED, "{fault:?}: {}", ended.text);
        assert!(ended.text.contains(reason), "{fault:?}: {}", ended.text);
    }
}

#[tokio::test]
async fn curl_sees_the_faults_of_a_connection() {
    for (fault, status, words) in [
        (TlsFault::Silent, TIMED_OUT, "timed out"),
        (TlsFault::CloseAtOnce, TLS_FAILED, ""),
        (TlsFault::OldVersions, TLS_FAILED, "alert protocol version"),
        (TlsFault::Http(HttpFault::Silent), TIMED_OUT, "timed out"),
        (
            TlsFault::Http(HttpFault::CloseAtOnce),
            NO_REPLY,
            "Empty reply",
        ),
    ] {
        let (mut stage, authority) = stage();
        let address = https(&mut stage, fault).await;
        let patience = if status == TIMED_OUT { "1" } else { "20" };
        let more = [
            "--tlsv1.2",
            "--cacert",
            path(&authority),
            "--max-time",
            patience,
        ];
        let ended = curl("https://a.example/", address, &more).await;
        assert_eq!(ended.status, status, "{fault:?}: {}", ended.text);
        assert!(ended.text.contains(words), "{fault:?}: {}", ended.text);
    }
}

#[tokio::test]
async fn curl_is_told_that_a_name_is_not_served() {
    let (mut stage, authority) = stage();
    let address = https(&mut stage, TlsFault::None).await;
    let more = ["--cacert", path(&authority)];
    let ended = curl("https://c.example/", address, &more).await;
    assert_eq!(ended.status, TLS_FAILED, "{}", ended.text);
    assert!(ended.text.contains("unrecognized name"), "{}", ended.text);
}

#[tokio::test]
async fn curl_reads_plain_http_over_both_families() {
    let (mut stage, _authority) = stage();
    for place in [Place::v4(), Place::v6()] {
        let address = stage.http(place, HttpFault::None).await.unwrap();
        let ended = curl("http://a.example/x", address, &[]).await;
        assert!(
            ended.text.ends_with("for a.example: /x\n"),
            "{}",
            ended.text
        );
    }
}

#[tokio::test]
async fn curl_gets_the_status_that_was_wanted() {
    let (mut stage, _authority) = stage();
    let fault = HttpFault::Status(StatusCode::SERVICE_UNAVAILABLE);
    let address = stage.http(Place::v4(), fault).await.unwrap();
    let ended = curl("http://a.example/", address, &[]).await;
    assert!(ended.text.starts_with("HTTP/1.1 503 "), "{}", ended.text);
}

#[tokio::test]
async fn a_stage_in_another_year_has_certificates_of_that_year() {
    let then = SystemTime::now() - Duration::from_secs(10 * 365 * 24 * 60 * 60);
    let authority = Authority::new(then).unwrap();
    let root = file(&authority.pem());
    let mut stage = Stage::new(authority, move || then);
    let address = https(&mut stage, TlsFault::None).await;
    let ended = curl("https://a.example/", address, &["--cacert", path(&root)]).await;
    assert_eq!(ended.status, NOT_TRUSTED);
    assert!(ended.text.contains("has expired"), "{}", ended.text);
}

/// Asks for `url` at `address`, whatever host the URL names.
async fn curl(url: &str, address: SocketAddr, more: &[&str]) -> Ended {
    let connect_to = format!("::{address}");
    let mut arguments = vec!["--silent", "--show-error", "--include", "--noproxy", "*"];
    arguments.extend(["--connect-to", &connect_to, url]);
    arguments.extend(more);
    run("curl", &arguments).await
}
