//! APIs behind nginx.

use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use http::StatusCode;
use outgate_standin::{Authority, Validity};
use outgate_testbed::{BETWEEN_LOOKS, PATIENCE, Program, free};
use tempfile::TempDir;

use crate::{Elsewhere, Whole, upstream, waited_for};

/// An API, and who stands behind it.
struct Api {
    address: SocketAddr,
    folder: TempDir,
    /// Takes connections, and says nothing.
    silent: Elsewhere,
    /// Where it sends who asks for what has moved.
    elsewhere: Elsewhere,
    _nginx: Program,
}

impl Api {
    /// With more directives for its server.
    async fn start(more: &str) -> Self {
        let (address, folder) = (free().unwrap(), tempfile::tempdir().unwrap());
        Self::on(folder, address, "", more).await
    }

    async fn on(folder: TempDir, address: SocketAddr, ssl: &str, more: &str) -> Self {
        let (silent, elsewhere) = (Elsewhere::new(), Elsewhere::new());
        let (nobody, root) = (free().unwrap(), folder.path().display());
        for (name, size) in [("whole", 1_024), ("large", 1_025)] {
            std::fs::write(folder.path().join(name), vec![b'a'; size]).unwrap();
        }
        let http = format!(
            "log_format asked '$request_method $request_uri $http_outgate_device';
            server {{
                listen {address} {ssl};
                access_log {root}/asked.log asked;
                location /v1/open {{ return 200 'nginx: $request_uri'; }}
                location = /v1/open/moved {{ return 302 http://{}/v1/open/a; }}
                location = /v1/open/whole {{ alias {root}/whole; }}
                location = /v1/open/large {{ alias {root}/large; }}
                location = /v1/open/slow {{ alias {root}/whole; limit_rate 100; }}
                location = /v1/open/held {{ proxy_pass http://{}; }}
                location = /v1/open/broken {{ proxy_pass http://{nobody}; }}
                location = /v1/closed {{ return 200 'nobody may'; }}
                {more}
            }}",
            elsewhere.address(),
            silent.address(),
        );
        let mut command = outgate_testbed::nginx(folder.path(), &http).unwrap();
        let nginx = Program::start(&mut command, folder.path(), address).await;
        Self {
            address,
            folder,
            silent,
            elsewhere,
            _nginx: nginx.unwrap(),
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked for before the last time: that it writes down while it is answered.
    fn asked(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join("asked.log")).unwrap();
        log.lines().map(str::to_owned).collect()
    }

    /// The same, once it has written down so many.
    async fn asked_for(&self, times: usize) -> Vec<String> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let asked = self.asked();
            if asked.len() >= times {
                return asked;
            }
            assert!(Instant::now() < give_up, "{asked:?}");
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_is_asked_for_what_is_allowed_and_nothing_that_it_reads_otherwise() {
    let api = Api::start("").await;
    let whole = Whole::with(&upstream("flow", &api.url(), "")).await;
    let asked = whole.looks_up("flow/open/a%20b?q=1").await;
    let told = "nginx: /v1/open/a%20b?q=1".to_owned();
    assert_eq!(asked, (StatusCode::OK, told));
    // nginx leaves out dots, doubled slashes and encodings before it looks which place is meant.
    for path in [
        "flow/closed",
        "flow/opened",
        "flow/open/../closed",
        "flow/open/%2e%2e/closed",
        "flow/open/..%2fclosed",
        "flow/open//../../closed",
        "flow/open/.%2e/closed",
        "flow/%63losed",
        "flow/open%2f..%2fclosed",
    ] {
        let status = whole.asks_as_written(path).await;
        assert!(["400", "404"].contains(&status.as_str()), "{path} {status}");
    }
    // By then it has written down all that it was asked before.
    whole.looks_up("flow/open/last").await;
    let asked = api.asked();
    assert_eq!(asked[0], "GET /v1/open/a%20b?q=1 T7");
    assert!(
        asked[1..].iter().all(|line| line.ends_with("/last T7")),
        "{asked:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nginx_has_moved_elsewhere_is_not_followed() {
    let api = Api::start("").await;
    let whole = Whole::with(&upstream("flow", &api.url(), "")).await;
    let told = whole.fails("flow/open/moved").await;
    assert_eq!(told, (502, "upstream".to_owned()));
    assert!(!api.elsewhere.was_asked());
    assert_eq!(whole.counted("elsewhere"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_nginx_are_handed_on_up_to_the_bound() {
    let api = Api::start("").await;
    let whole = Whole::with(&upstream("flow", &api.url(), "")).await;
    let (status, text) = whole.looks_up("flow/open/whole").await;
    assert_eq!((status, text.len()), (StatusCode::OK, 1_024));
    let told = whole.fails("flow/open/large").await;
    assert_eq!(told, (502, "upstream".to_owned()));
    assert_eq!(whole.counted("too-large"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_behind_nginx_or_is_sent_little_by_little_waits_no_longer_than_is_configured() {
    let api = Api::start("").await;
    let whole = Whole::with(&waited_for(1, "flow", &api.url(), "")).await;
    for path in ["flow/open/held", "flow/open/slow"] {
        let told = whole.fails(path).await;
        assert_eq!(told, (504, "upstream-late".to_owned()), "{path}");
    }
    assert!(api.silent.was_asked());
    // Of which a p99 is made: both took a second at least, and nothing took more than any bucket.
    assert_eq!(whole.counted("late"), 2);
    assert_eq!((whole.within("0.512"), whole.within("+Inf")), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_is_left_alone_when_nobody_answers_behind_it() {
    let api = Api::start("").await;
    let whole = Whole::with(&upstream("flow", &api.url(), "break-after = 3\n")).await;
    for _ in 0..3 {
        // nginx's own answer.
        let (status, text) = whole.looks_up("flow/open/broken").await;
        assert_eq!(status, StatusCode::BAD_GATEWAY);
        assert!(text.contains("nginx"), "{text}");
    }
    let told = whole.fails("flow/open/a").await;
    assert_eq!(told, (503, "upstream-away".to_owned()));
    assert_eq!(api.asked_for(3).await, ["GET /v1/open/broken T7"; 3]);
    assert_eq!(
        (whole.counted("failed"), whole.counted("left-alone")),
        (3, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_over_tls_has_to_show_a_certificate_of_its_name_that_the_hub_trusts() {
    let (address, folder) = (free().unwrap(), tempfile::tempdir().unwrap());
    let now = SystemTime::now();
    let authority = Authority::new(now).unwrap();
    let own = authority
        .issue(&["localhost".to_owned()], Validity::around(now))
        .unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (trusted, chain, key) = (file("ca.pem"), file("chain.pem"), file("key.pem"));
    std::fs::write(&trusted, authority.pem()).unwrap();
    std::fs::write(&chain, own.chain_pem()).unwrap();
    std::fs::write(&key, own.key_pem()).unwrap();
    let more = format!("ssl_certificate {chain}; ssl_certificate_key {key};");
    let api = Api::on(folder, address, "ssl", &more).await;
    let port = address.port();
    let by_name = format!("https://localhost:{port}");
    let trust = format!("authority = '{trusted}'\n");
    let apis = [
        upstream("flow", &by_name, &trust),
        upstream("unknown", &by_name, ""),
        upstream("unnamed", &format!("https://127.0.0.1:{port}"), &trust),
    ];
    let whole = Whole::with(&apis.concat()).await;
    for name in ["unknown", "unnamed"] {
        let told = whole.fails(&format!("{name}/open/a")).await;
        assert_eq!(told, (502, "upstream".to_owned()), "{name}");
    }
    let (status, text) = whole.looks_up("flow/open/a").await;
    assert_eq!(
        (status, text.as_str()),
        (StatusCode::OK, "nginx: /v1/open/a")
    );
    whole.looks_up("flow/open/last").await;
    let asked = api.asked();
    assert!(asked.len() <= 2, "{asked:?}");
    assert_eq!(asked[0], "GET /v1/open/a T7");
}
