//! Assets, from an operator's file to a device that fetches it with curl.

use std::path::PathBuf;
use std::process::Stdio;

use outgate_testbed::Ends;
use serde_json::Value as Json;

use crate::shop::{Got, Shop};
use crate::support::text;

impl Shop {
    /// Has an asset made of these bytes.
    fn asset(&self, name: &str, content: &[u8], more: &str) -> Json {
        std::fs::write(self.hub.file("asset.tmp"), content).expect("a file");
        let line = format!("asset add asset.tmp --name {name}{more}");
        self.hub.get(&line)["asset"].clone()
    }

    /// What a device should hold: names and where they are.
    fn held(&self, token: &str) -> Vec<(String, String)> {
        let told: Json =
            serde_json::from_str(&self.fetch(token, "/assets", &[]).body).expect("JSON");
        let assets = told["assets"].as_array().expect("a list");
        let of = |asset: &Json| (text(&asset["name"]), text(&asset["url"]));
        assets.iter().map(of).collect()
    }
}

#[test]
fn a_device_fetches_what_it_should_hold_and_no_more_than_it_lacks() {
    let shop = Shop::new();
    let token = shop.device("till-1", "lund");
    let logo = shop.asset("images/logo.png", b"0123456789", "");
    shop.asset("prices.json", b"all", "");
    shop.asset("prices.json", b"lund", " --site lund");
    shop.asset("other.txt", b"malmo", " --site malmo");
    let held = shop.held(&token);
    let names: Vec<_> = held.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["images/logo.png", "prices.json"]);
    assert_eq!(shop.fetch(&token, &held[1].1, &[]).body, "lund");
    let url = &held[0].1;
    let whole = shop.fetch(&token, url, &[]);
    assert_eq!((whole.status, whole.body.as_str()), (200, "0123456789"));
    let digest = text(&logo["sha256"]);
    assert_eq!(whole.header("etag"), format!("\"{digest}\""));
    assert_eq!(whole.header("content-type"), "image/png");
    assert_eq!(whole.header("content-length"), "10");
    assert!(whole.header("cache-control").contains("immutable"));
    let known = format!("If-None-Match: {}", whole.header("etag"));
    assert_eq!(shop.fetch(&token, url, &["-H", &known]).status, 304);
    let rest = shop.fetch(&token, url, &["--range", "4-"]);
    assert_eq!((rest.status, rest.body.as_str()), (206, "456789"));
    assert_eq!(rest.header("content-range"), "bytes 4-9/10");
    // A range of something else that the device has is of no use to it.
    let other = ["--range", "4-", "-H", "If-Range: \"other\""];
    let got = shop.fetch(&token, url, &other);
    assert_eq!((got.status, got.body.as_str()), (200, "0123456789"));
    let same = format!("If-Range: \"{digest}\"");
    let got = shop.fetch(&token, url, &["--range", "4-", "-H", &same]);
    assert_eq!((got.status, got.body.as_str()), (206, "456789"));
    assert_eq!(shop.fetch(&token, url, &["--range", "10-"]).status, 416);
}

#[test]
fn the_list_has_another_tag_once_something_has_changed() {
    let shop = Shop::new();
    let token = shop.device("till-1", "lund");
    shop.asset("prices.json", b"1", "");
    let first = shop.fetch(&token, "/assets", &[]);
    let known = format!("If-None-Match: {}", first.header("etag"));
    assert_eq!(shop.fetch(&token, "/assets", &["-H", &known]).status, 304);
    let before = shop.held(&token)[0].1.clone();
    shop.asset("prices.json", b"2", "");
    assert_eq!(shop.fetch(&token, "/assets", &["-H", &known]).status, 200);
    let after = &shop.held(&token)[0].1;
    assert_eq!(shop.fetch(&token, after, &[]).body, "2");
    assert_eq!(shop.fetch(&token, &before, &[]).status, 404);
    shop.hub.get("asset remove prices.json --yes");
    assert!(shop.held(&token).is_empty());
}

#[test]
fn a_fetch_that_broke_off_is_taken_up_where_it_was() {
    let shop = Shop::new();
    let token = shop.device("till-1", "lund");
    let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    shop.asset("big.bin", &content, "");
    let url = shop.held(&token)[0].1.clone();
    std::fs::write(shop.hub.file("copy.bin"), &content[..777_777]).expect("a file");
    let login = format!("Authorization: Bearer {token}");
    let more = ["--fail", "--continue-at", "-", "--output", "copy.bin"];
    let done = shop.curl(&["-H", &login], &url, &more).status();
    assert!(done.expect("curl starts").success());
    let copy = std::fs::read(shop.hub.file("copy.bin")).expect("a file");
    assert!(copy == content, "the copy is not what was kept");
}

#[test]
fn nobody_gets_an_asset_who_should_not_hold_it() {
    let shop = Shop::new();
    let (token, other) = (
        shop.device("till-1", "lund"),
        shop.device("till-2", "malmo"),
    );
    shop.asset("secret.txt", b"of lund", " --site lund");
    let url = &shop.held(&token)[0].1;
    assert_eq!(shop.fetch(&other, url, &[]).status, 404);
    for path in ["/assets", url] {
        assert_eq!(shop.fetch("og_de_wrong", path, &[]).status, 401);
        let unknown = shop.curl(&[], path, &["--include"]).output();
        assert_eq!(Got::of(unknown.expect("curl starts")).status, 401, "{path}");
        let wrong = shop.curl(&["--user", "till-2:bm90IGEga2V5"], path, &["--include"]);
        let wrong = { wrong }.output().expect("curl starts");
        assert_eq!(Got::of(wrong).status, 401, "{path}");
    }
    // A name and its token will do as well, for programs that know nothing else.
    let by_name = format!("till-1:{token}");
    let by_name = shop
        .curl(&["--user", &by_name], url, &["--include"])
        .output();
    assert_eq!(Got::of(by_name.expect("curl starts")).body, "of lund");
    let operator = std::fs::read_to_string(shop.hub.file("data/operator.token")).expect("a token");
    assert_eq!(shop.fetch(operator.trim(), url, &[]).status, 403);
    shop.hub.get("device revoke till-1 --yes");
    assert_eq!(shop.fetch(&token, url, &[]).status, 401);
}

#[test]
fn who_is_revoked_half_way_gets_no_more() {
    let shop = Shop::new();
    let token = shop.device("till-1", "lund");
    let content = vec![7; 64 << 20];
    shop.asset("big.bin", &content, "");
    let url = shop.held(&token)[0].1.clone();
    let login = format!("Authorization: Bearer {token}");
    for protocol in ["--http1.1", "--http2"] {
        let copy = shop.hub.file(&format!("copy{protocol}"));
        let more = [
            protocol,
            "--limit-rate",
            "1M",
            "--output",
            copy.to_str().expect("text"),
        ];
        let mut curl = shop.curl(&["-H", &login], &url, &more);
        let child = curl.stderr(Stdio::null()).spawn().expect("curl starts");
        let mut child = Ends(child);
        wait_for_some(&copy);
        shop.hub.get("device revoke till-1 --yes");
        let ended = child.0.wait().expect("it ends");
        assert!(!ended.success(), "{protocol}: as if it had been whole");
        let came = std::fs::metadata(&copy).expect("a file").len();
        assert!(came < 64 << 20, "{protocol}: {came}");
        shop.hub.get("device restore till-1 --keep-credentials");
    }
}

/// Waits until there is something in the file.
fn wait_for_some(file: &PathBuf) {
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while std::fs::metadata(file).map_or(0, |file| file.len()) == 0 {
        assert!(std::time::Instant::now() < patience, "nothing comes");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
