#![cfg(test)]

use super::*;

const LEAST: &str = "hub = \"https://hub.example:8443\"\ntoken-file = \"token\"\n";

fn refused(text: &str) -> String {
    let error = Config::parse(text).unwrap_err();
    match error {
        ConfigError::Value { key, .. } => key.to_owned(),
        ConfigError::Text(error) => error.message().to_owned(),
    }
}

#[test]
fn the_least_configuration_is_a_hub_and_a_token() {
    let config = Config::parse(LEAST).unwrap();
    assert_eq!(config.proof, Proof::Token("token".into()));
    assert_eq!(config.data, PathBuf::from(DEFAULT_DATA));
    assert_eq!(config.queue.bytes, 256 * 1024 * 1024);
    assert_eq!(config.local.socket, None);
}

#[test]
fn a_device_goes_to_its_hub_over_tls_or_stays_on_its_machine() {
    for good in [
        "https://hub.example",
        "http://127.0.0.1:8080/x",
        "http://[::1]",
    ] {
        Config::parse(&format!("hub = \"{good}\"\ntoken-file = \"t\"\n")).unwrap();
    }
    for bad in [
        "http://hub.example",
        "http://localhost.hub.example",
        "http://127.0.0.1.hub.example",
        "https:///client",
        "hub.example",
        "https://user@hub.example",
        "http://localhost:x@hub.example",
        "https://hub.example?hub=pos",
        "",
    ] {
        let text = format!("hub = \"{bad}\"\ntoken-file = \"t\"\n");
        assert_eq!(refused(&text), "hub", "{bad}");
    }
}

#[test]
fn a_device_has_a_token_or_a_certificate_with_its_key() {
    let hub = "hub = \"https://hub.example\"\n";
    for wrong in [
        "",
        "certificate-file = \"c\"\n",
        "key-file = \"k\"\n",
        "token-file = \"t\"\ncertificate-file = \"c\"\nkey-file = \"k\"\n",
    ] {
        assert_eq!(refused(&format!("{hub}{wrong}")), "token-file", "{wrong}");
    }
    let certificate = format!("{hub}certificate-file = \"c\"\nkey-file = \"k\"\n");
    let proof = Proof::Certificate {
        certificate: "c".into(),
        key: "k".into(),
    };
    assert_eq!(Config::parse(&certificate).unwrap().proof, proof);
}

#[test]
fn a_proxy_is_given_or_found_by_a_script() {
    let text = format!("{LEAST}[proxy]\nurl = \"http://proxy:3128\"\n");
    let config = Config::parse(&text).unwrap();
    assert_eq!(config.proxy.url.as_deref(), Some("http://proxy:3128"));
    assert_eq!(
        refused(&format!("{text}script = \"wpad\"\n")),
        "proxy.script"
    );
}

#[test]
fn the_local_api_is_on_no_network() {
    for bad in ["0.0.0.0:80", "192.168.1.2:80", "[::]:80"] {
        let text = format!("{LEAST}[local]\nlisten = \"{bad}\"\n");
        assert_eq!(refused(&text), "local.listen", "{bad}");
    }
    let text = format!("{LEAST}[local]\nlisten = \"127.0.0.1:8472\"\n");
    assert!(Config::parse(&text).unwrap().local.listen.is_some());
}

#[test]
fn values_out_of_range_and_unknown_keys_are_named() {
    let text = format!("{LEAST}[queue]\nmebibytes = 0\n");
    assert_eq!(refused(&text), "queue.mebibytes");
    let text = format!("{LEAST}[queue]\nkeep-hours = 100000\n");
    assert_eq!(refused(&text), "queue.keep-hours");
    assert!(refused(&format!("{LEAST}tokenfile = \"t\"\n")).contains("unknown field `tokenfile`"));
}

#[test]
fn the_configuration_in_the_book_is_one() {
    let book = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/book/agent.md");
    let book = std::fs::read_to_string(book).unwrap();
    let (_, text) = book.split_once("```toml\n").unwrap();
    let (text, _) = text.split_once("```").unwrap();
    let config = Config::parse(text).unwrap();
    assert_eq!(config.product.unwrap().profile, "open-pos");
}

#[test]
fn the_page_is_where_the_book_says_it_may_be() {
    let book = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/book/diagnostics-page.md"
    );
    let book = std::fs::read_to_string(book).unwrap();
    let (_, text) = book.split_once("```toml\n").unwrap();
    let (text, _) = text.split_once("```").unwrap();
    let config = Config::parse(&format!("{LEAST}{text}")).unwrap();
    assert_eq!(config.page.networks, ["10.20.0.0/16".parse().unwrap()]);
    let untold = Config::parse(LEAST).unwrap().page;
    assert_eq!(
        (untold.diagnostics, untold.listen),
        (config.page.diagnostics, None)
    );
}

#[test]
fn the_page_is_shown_to_networks_of_the_site_and_not_to_the_internet() {
    let text = format!("{LEAST}[page]\nnetworks = [\"0.0.0.0/0\"]\n");
    assert_eq!(refused(&text), "page.networks");
}

#[test]
fn neighbours_are_known_by_addresses_and_searched_in_the_sites_own_networks_only() {
    let of = |more: &str| format!("{LEAST}[neighbours]\nlisten = \"0.0.0.0:80\"\n{more}");
    let good = of("known = [\"10.0.0.7\", \"10.0.0.8:81\"]\nsearch = [\"10.0.0.1\"]\n");
    let known = Config::parse(&good).unwrap().neighbours.unwrap().known;
    let shown: Vec<_> = known.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["10.0.0.7:80", "10.0.0.8:81"]);
    assert_eq!(Config::parse(LEAST).unwrap().neighbours, None);
    for bad in ["search = [\"8.8.8.8\"]", "search = [\"fe80::1\"]"] {
        assert_eq!(refused(&of(bad)), "neighbours.search");
    }
    let many = format!("known = [{}]", "\"10.0.0.7\",".repeat(257));
    assert_eq!(refused(&of(&many)), "neighbours.known");
}
