//! The page of a report as Chromium shows it, with servers that would like it to show something else.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use tempfile::TempDir;

use crate::chromium::Chromium;
use crate::support::{Faults, Site, outgate, stderr};

/// What would run if any of it became an element, steer a terminal, or turn the direction of
/// writing.
const NASTY: &str = "<script>document.title='broken'</script>\
    <img src=x onerror=\"document.title='broken'\"></style></title>]]>\u{202e}\u{2067}";

/// The same in a manifest, where control characters may be escapes.
const MANIFEST: &str = r#"manifest: 1
product: { id: box, name: "NASTY", vendor: Boxes }
source: { document: box, language: en }
parties: { device: { at: site, name: { en: Box } } }
flows:
  cloud: { from: device, to: [cloud.box.test], speaks: https, need: required, why: { en: "NASTY" } }
  shell: { from: device, to: [shell.box.test], speaks: ssh, need: required, why: { en: x } }
  files: { from: device, to: [a-host-with-a-long-name-that-does-not-fit.files.of.the.box.test],
           speaks: http, need: required, why: { en: x } }
"#;

/// A server that answers everything with these bytes, until the tests end.
fn saying(words: String) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(words.as_bytes());
            let _ = stream.read(&mut [0; 4096]);
        }
    });
    address
}

/// Writes the page of a check in a language, and gives its file.
fn page(folder: &TempDir, language: &str) -> String {
    let names = [
        "cloud.box.test",
        "shell.box.test",
        "a-host-with-a-long-name-that-does-not-fit.files.of.the.box.test",
    ];
    let site = Site::new(&names, Faults::default());
    let manifest = folder.path().join("box.yaml");
    // A manifest may not turn the direction of writing.
    let name = NASTY.trim_end_matches(['\u{202e}', '\u{2067}']);
    let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
    std::fs::write(&manifest, MANIFEST.replace("NASTY", &quoted)).unwrap();
    let shell = saying(format!("SSH-2.0-{NASTY}\u{1b}[31m\r\n"));
    let head = format!("HTTP/1.1 503 {NASTY}\r\nServer: {NASTY}\r\nVia: 1.1 {NASTY}\r\n");
    let files = saying(format!(
        "{head}Location: javascript:document.title='broken'\r\nContent-Length: 0\r\n\r\n"
    ));
    let file = folder.path().join(format!("{language}.html"));
    let told = outgate(
        ["check".to_owned(), manifest.display().to_string()]
            .into_iter()
            .chain(site.way[..4].iter().cloned())
            .chain([
                "--timeout=2".to_owned(),
                "--firewall=nftables".to_owned(),
                format!("--connect-to=:22::{}", shell.port()),
                format!("--connect-to=:80::{}", files.port()),
                "--connect-to=:443:127.0.0.1:1".to_owned(),
                "--html".to_owned(),
                format!("--lang={language}"),
                format!("--output={}", file.display()),
            ]),
    );
    assert_eq!(told.status.code(), Some(3), "{}", stderr(&told));
    format!("file://{}", file.display())
}

/// What is too wide for the window: the page itself, and whatever would have to be moved sideways
/// to be read.
const TOO_WIDE: &str = "(() => { \
    document.querySelectorAll('details').forEach(one => one.open = true); \
    const wide = [...document.querySelectorAll('*')].filter(one => \
        one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 1 \
        && getComputedStyle(one).overflowX !== 'visible'); \
    const all = wide.map(one => one.tagName + '.' + one.className); \
    if (document.documentElement.scrollWidth > innerWidth) all.push('the page'); \
    return all.join(' '); })()";

/// How much of what these select can be seen.
fn visible(selector: &str) -> String {
    format!(
        "[...document.querySelectorAll('{selector}')].filter(one => \
            one.checkVisibility() && one.getBoundingClientRect().width > 40 \
            && one.innerText.trim() !== '').length"
    )
}

#[test]
fn the_page_is_one_file_that_asks_for_nothing_and_runs_nothing_in_every_language() {
    let folder = tempfile::tempdir().unwrap();
    let pages = ["sv", "nb", "de", "en"].map(|language| (language, page(&folder, language)));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(look_at(&pages));
}

async fn look_at(pages: &[(&str, String)]) {
    let mut browser = Chromium::new().await;
    for (language, address) in pages {
        browser.requests.clear();
        browser.go(address).await;
        assert_eq!(
            browser.run("document.documentElement.lang").await,
            *language
        );
        for (width, height) in [(360, 800), (1200, 900)] {
            browser.size(width, height).await;
            assert_eq!(browser.run(TOO_WIDE).await, "", "{language} {width}");
            for (selector, least) in [("article h3", 2), ("tbody th", 3), (".verdict", 1)] {
                let seen = browser.run(&visible(selector)).await.as_u64().unwrap();
                assert!(seen >= least, "{language} {width} {selector}: {seen}");
            }
        }
        let title = browser.run("document.title").await;
        assert!(title.as_str().unwrap().contains("<script>"), "{title}");
        let foreign = "document.querySelectorAll('script, img, iframe, link, object').length";
        assert_eq!(browser.run(foreign).await, 0);
        let links = "[...document.links].every(one => one.getAttribute('href').startsWith('#'))";
        assert_eq!(browser.run(links).await, true);
        let text = browser
            .run("document.querySelector('main').textContent")
            .await;
        let text = text.as_str().unwrap();
        // What the servers said is there, and is text.
        assert!(text.contains("document.title='broken'"), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{2067}']), "{text}");
        assert_eq!(browser.requests, [format!("\"{address}\"")]);
        assert_eq!(browser.complaints, Vec::<String>::new());
    }
}
