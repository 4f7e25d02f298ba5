//! What the documents show is run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use outgate_standin::Authority;

use crate::support::{outgate, stderr, stdout};

/// Options that keep a check of the documents on this machine: nobody resolves names, so nobody
/// can be reached but who stands at a given address, and loopback leads to no DHCP server.
const ALONE: &str = " --resolver 127.0.0.1:1 --timeout 1 --source 127.0.0.1";

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every page of the book, and the README.
fn pages() -> Vec<PathBuf> {
    let book = std::fs::read_dir(root().join("docs/book")).unwrap();
    let mut pages: Vec<PathBuf> = book
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.push(root().join("README.md"));
    pages.sort();
    pages
}

/// The contents of the fenced blocks of a language.
pub(crate) fn blocks(page: &Path, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(page).unwrap();
    let mut blocks = Vec::new();
    let mut rest = text.as_str();
    let fence = format!("```{language}\n");
    while let Some((_, after)) = rest.split_once(&fence) {
        let (block, after) = after.split_once("```").expect("a fence that ends");
        blocks.push(block.to_owned());
        rest = after;
    }
    blocks
}

/// The commands of a page that call `outgate`.
pub(crate) fn commands(page: &Path) -> Vec<String> {
    let lines = blocks(page, "sh")
        .into_iter()
        .flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>());
    lines.filter(|line| line.starts_with("outgate ")).collect()
}

/// The files that commands of the book name.
fn write_what_checks_are_given(folder: &Path) {
    let authority = Authority::new(SystemTime::now()).unwrap();
    let direct = "function FindProxyForURL(url, host) { return 'DIRECT'; }";
    for (name, text) in [
        ("login.txt", "alice:open sesame\n"),
        ("proxy.pac", direct),
        ("company.pem", &authority.pem()),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

#[test]
fn every_command_that_the_documents_show_works() {
    let folder = tempfile::tempdir().unwrap();
    let example = root().join("docs/examples/box.yaml");
    std::fs::copy(example, folder.path().join("my-product.yaml")).unwrap();
    let hotel = root().join("docs/examples/hotel.toml");
    std::fs::copy(hotel, folder.path().join("hotel.toml")).unwrap();
    write_what_checks_are_given(folder.path());
    let program = Path::new(env!("CARGO_BIN_EXE_outgate"));
    let search = std::env::var("PATH").unwrap();
    let search = format!("{}:{search}", program.parent().unwrap().display());
    let mut count = 0;
    for page in pages() {
        for command in commands(&page) {
            let code = command.split('#').next().unwrap().trim_end().to_owned();
            if code.contains(" --netns ") {
                // It needs such a namespace: see `place`.
                continue;
            }
            let lab = code.starts_with("outgate lab run");
            if lab && !cfg!(feature = "namespaces") {
                continue;
            }
            let sends = code.starts_with("outgate check") && !code.contains("--plan");
            let code = if sends { code + ALONE } else { code };
            let output = Command::new("sh")
                .args(["-c", &code])
                .current_dir(folder.path())
                .env("PATH", &search)
                .output()
                .unwrap();
            let fits = match (sends, lab) {
                (true, _) => [3, 4, 5].as_slice(),
                (false, true) => &[0, 3],
                (false, false) => &[0],
            };
            let status = output.status.code().unwrap();
            let said = format!("{}{}", stdout(&output), stderr(&output));
            assert!(
                fits.contains(&status),
                "{}: `{code}`: {status}: {said}",
                page.display()
            );
            count += 1;
        }
    }
    assert!(count >= 15, "the documents show {count} commands");
}

/// Output without what differs from run to run: times, and the widths that follow from them.
#[cfg(feature = "namespaces")]
fn settled(output: &str) -> Vec<String> {
    let words = output.lines().map(|line| {
        let line: Vec<&str> = line
            .split_whitespace()
            .filter(|word| !word.starts_with('─'))
            .collect();
        line.join(" ")
    });
    let time = |word: &str| word.parse::<f64>().is_ok();
    let settle = |line: String| {
        let words: Vec<&str> = line.split(' ').collect();
        let settled = words
            .iter()
            .enumerate()
            .map(|(at, word)| match words.get(at + 1) {
                Some(unit) if ["ms", "s"].contains(unit) && time(word) => "T",
                _ => word,
            });
        settled.collect::<Vec<_>>().join(" ").replace("T s", "T ms")
    };
    words.map(settle).filter(|line| !line.is_empty()).collect()
}

/// Where there are no namespaces the tills cannot be unplugged, and it prints a line less.
#[cfg(feature = "namespaces")]
#[test]
fn the_readme_shows_what_the_demo_prints() {
    let shown = blocks(&root().join("README.md"), "text").concat();
    let printed = stdout(&outgate(["demo", "open-pos", "--once"]));
    assert_eq!(settled(&shown), settled(&printed));
}

#[test]
fn the_example_manifest_of_the_book_is_the_one_that_is_tested() {
    let shown = blocks(&root().join("docs/book/manifest.md"), "yaml");
    let example = std::fs::read_to_string(root().join("docs/examples/box.yaml")).unwrap();
    assert!(
        shown.contains(&example),
        "docs/examples/box.yaml is shown as it is"
    );
}

#[test]
fn the_scenario_of_the_book_is_the_one_that_is_tested() {
    let shown = blocks(&root().join("docs/book/lab.md"), "toml");
    let example = std::fs::read_to_string(root().join("docs/examples/hotel.toml")).unwrap();
    assert_eq!(shown, [example]);
}

#[test]
fn the_fields_of_the_schema_are_all_in_the_book() {
    let schema = crate::support::json(&outgate(["schema"]));
    let book = std::fs::read_to_string(root().join("docs/book/manifest.md")).unwrap();
    let definitions = schema["$defs"].as_object().unwrap();
    for name in ["Flow", "Party", "Product", "Source", "Import", "Tls"] {
        for field in definitions[name]["properties"].as_object().unwrap().keys() {
            assert!(
                book.contains(&format!("`{field}`")),
                "{name}.{field} is not in the book"
            );
        }
    }
}
