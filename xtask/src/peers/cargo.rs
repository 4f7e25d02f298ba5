//! The programs that crates.io has.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::folder;
use crate::report::say;
use crate::run;

/// What `cargo install` is told, and the folder that it fills.
const PROGRAMS: [(&str, &[&str]); 2] = [("cargo", &CARGO_DEB), ("s3s-fs", &S3S_FS)];

/// cargo-deb (MIT) makes the agent's Debian package. Without its default features it compiles no C.
const CARGO_DEB: [&str; 6] = [
    "cargo-deb",
    "--version=3.8.0",
    "--locked",
    "--no-default-features",
    "--features=gzip",
    "--debug",
];

/// s3s-fs (Apache-2.0) is a store that speaks S3 and verifies signatures, in a folder.
const S3S_FS: [&str; 5] = [
    "s3s-fs",
    "--version=0.14.1",
    "--locked",
    "--features=binary",
    "--debug",
];

/// Installs the programs, unless they are there already.
///
/// # Errors
///
/// When one cannot be fetched or built.
pub(super) fn prepare(peers: &Path) -> Result<()> {
    for (name, told) in PROGRAMS {
        folder::made_from(&peers.join(name), &told.join(" "), |folder| {
            say(format_args!(
                "Cargo packages: installing into {}",
                folder.display()
            ));
            let mut cargo = Command::new("cargo");
            // What is built on the way goes with it, and nothing of the workspace counts.
            cargo.current_dir(folder).env_remove("CARGO_TARGET_DIR");
            cargo.args(["install", "--quiet", "--root"]).arg(folder);
            run::quietly(cargo.args(told)).map(drop)
        })?;
    }
    Ok(())
}
