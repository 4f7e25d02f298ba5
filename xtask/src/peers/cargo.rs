//! The programs that crates.io has.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::folder;
use crate::report::say;
use crate::run;

/// What `cargo install` is told: cargo-deb (MIT) makes the agent's Debian package. Without its default
/// features it compiles no C.
const CARGO_DEB: [&str; 6] = [
    "cargo-deb",
    "--version=3.8.0",
    "--locked",
    "--no-default-features",
    "--features=gzip",
    "--debug",
];

/// Installs the programs, unless they are there already.
///
/// # Errors
///
/// When one cannot be fetched or built.
pub(super) fn prepare(peers: &Path) -> Result<()> {
    folder::made_from(&peers.join("cargo"), &CARGO_DEB.join(" "), |folder| {
        say(format_args!(
            "Cargo packages: installing into {}",
            folder.display()
        ));
        let mut cargo = Command::new("cargo");
        // What is built on the way goes with it, and nothing of the workspace counts.
        cargo.current_dir(folder).env_remove("CARGO_TARGET_DIR");
        cargo.args(["install", "--quiet", "--root"]).arg(folder);
        run::quietly(cargo.args(CARGO_DEB)).map(drop)
    })
}
