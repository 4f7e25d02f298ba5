//! The user's book: built with every warning an error, links and anchors checked, and nothing
//! in it that a browser would fetch from another host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::peers::Peers;
use crate::report;
use crate::run;
use crate::steps::Verdict;
use crate::workspace::Workspace;

/// What makes a browser fetch something, up to the address.
const FETCHES: [&str; 3] = ["src=\"", "<link href=\"", "stylesheet\" href=\""];

/// Builds the book into `target/book`.
///
/// # Errors
///
/// When mkdocs finds something wrong or the result cannot be read.
pub(crate) fn build(workspace: &Workspace, peers: &Peers) -> Result<Verdict> {
    if let Some(reason) = peers.lack(&["python"]) {
        return Ok(Verdict::LeftOut(format!(
            "mkdocs cannot be installed: {reason}"
        )));
    }
    let site = workspace.target.join("book");
    // Not with mkdocs's own --quiet, under which --strict sees no warnings.
    run::quietly(
        Command::new(peers.python_program("mkdocs"))
            .current_dir(&workspace.root)
            .args(["build", "--strict", "--clean"])
            .args(["--config-file", "docs/mkdocs.yml", "--site-dir"])
            .arg(&site),
    )?;
    let mut strangers = Vec::new();
    for page in pages(&site)? {
        let text = fs::read_to_string(&page)
            .with_context(|| format!("failed to read {}", page.display()))?;
        let found = fetched_from_elsewhere(&text);
        strangers.extend(
            found
                .iter()
                .map(|one| format!("{} fetches {one}", page.display())),
        );
    }
    Ok(Verdict::of(report::findings("book", &strangers)))
}

fn pages(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    let entries =
        fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("failed to list {}", folder.display()))?
            .path();
        if path.is_dir() {
            pages.extend(self::pages(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "html")
        {
            pages.push(path);
        }
    }
    Ok(pages)
}

/// The addresses on other hosts that a page makes a browser fetch.
fn fetched_from_elsewhere(page: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for mark in FETCHES {
        for (at, _) in page.match_indices(mark) {
            let address = page[at + mark.len()..]
                .split('"')
                .next()
                .unwrap_or_default();
            if address.contains("://") || address.starts_with("//") {
                found.push(address);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_or_style_sheet_of_another_host_is_found() {
        let page = r#"<script src="https://cdn.example/x.js"></script>
            <link rel="stylesheet" href="//fonts.example/y.css">"#;
        assert_eq!(
            fetched_from_elsewhere(page),
            ["https://cdn.example/x.js", "//fonts.example/y.css"]
        );
    }

    #[test]
    fn a_link_for_the_reader_and_a_file_of_our_own_are_not() {
        let page = r#"<a href="https://example.com">x</a><script src="js/theme.js"></script>"#;
        assert!(fetched_from_elsewhere(page).is_empty());
    }
}
