//! Mender's own tool writes artifacts and judges them; what it says of each is said here as well.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use outgate_mender::VerifyingKey;
use outgate_mender::artifact::{Artifact, Bounds, Untrusted, read};
use outgate_testbed::{installed, told};
use tempfile::TempDir;

/// How many places of an artifact are changed, spread over all of it.
const CHANGES: usize = 60;

/// A folder with keys and something to install.
struct Workshop(TempDir);

impl Workshop {
    fn new() -> Self {
        let shop = Self(TempDir::new().unwrap());
        fs::write(shop.at("install.sh"), b"#!/bin/sh\necho done\n").unwrap();
        fs::write(shop.at("ArtifactInstall_Enter_10_wait"), b"#!/bin/sh\n").unwrap();
        let data: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        fs::write(shop.at("data.bin"), data).unwrap();
        // In the forms of old, the only ones that the tool takes.
        for (name, arguments) in [
            ("ec", "ecparam -name prime256v1 -genkey -noout -out FILE"),
            ("rsa", "genrsa -traditional -out FILE 3072"),
        ] {
            let private = format!("{name}.key");
            let made = arguments.replace("FILE", &private);
            shop.run("openssl", made.split(' ')).unwrap();
            let public = format!("{name}.pub");
            shop.run(
                "openssl",
                ["pkey", "-in", &private, "-pubout", "-out", &public],
            )
            .unwrap();
        }
        shop
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What a program said: the error is what it said when it failed.
    fn run<'a>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<String, String> {
        let mut command = Command::new(installed(program).unwrap());
        command.args(arguments).current_dir(self.0.path());
        let output = command.output().unwrap();
        let said = told(&output);
        if output.status.success() {
            Ok(said)
        } else {
            Err(said)
        }
    }

    fn write(&self, name: &str, more: &[&str]) {
        let common = "write module-image -T script -n rel-2 -t fort -t bastion -N rel-1 \
                      -f install.sh -f data.bin -s ArtifactInstall_Enter_10_wait";
        let arguments = common.split_whitespace().chain(["-o", name]);
        self.run("mender-artifact", arguments.chain(more.iter().copied()))
            .unwrap();
    }

    fn key(&self, name: &str) -> VerifyingKey {
        VerifyingKey::from_pem(&fs::read_to_string(self.at(name)).unwrap()).unwrap()
    }
}

fn artifact(path: &Path) -> Artifact {
    read(&*fs::read(path).unwrap(), &Bounds::default()).unwrap()
}

#[test]
fn an_artifact_of_each_compression_is_read() {
    let shop = Workshop::new();
    for compression in ["none", "gzip", "lzma"] {
        shop.write("a.mender", &["--compression", compression]);
        let artifact = artifact(&shop.at("a.mender"));
        assert_eq!(artifact.name, "rel-2", "{compression}");
        assert_eq!(artifact.device_types, ["fort", "bastion"]);
        assert_eq!(artifact.depends_name, ["rel-1"]);
        assert_eq!(artifact.payload_type.as_deref(), Some("script"));
        assert_eq!(artifact.scripts, ["ArtifactInstall_Enter_10_wait"]);
        let files: Vec<_> = artifact
            .files
            .iter()
            .map(|file| (file.name.as_str(), file.size))
            .collect();
        assert_eq!(files, [("data.bin", 800_000), ("install.sh", 20)]);
        assert!(!artifact.is_signed());
    }
}

#[test]
fn who_signed_is_told_apart() {
    let shop = Workshop::new();
    let keys = [shop.key("rsa.pub"), shop.key("ec.pub")];
    shop.write("plain.mender", &[]);
    assert_eq!(
        artifact(&shop.at("plain.mender")).signer(&keys),
        Err(Untrusted::Unsigned)
    );
    for (key, its) in ["rsa.key", "ec.key"].into_iter().zip(&keys) {
        shop.write("signed.mender", &["-k", key]);
        let artifact = artifact(&shop.at("signed.mender"));
        assert_eq!(artifact.signer(&keys), Ok(its));
        let other: Vec<_> = keys.iter().filter(|key| *key != its).cloned().collect();
        assert_eq!(artifact.signer(&other), Err(Untrusted::OtherKey));
    }
}

#[test]
fn a_long_name_and_a_root_file_system_are_read() {
    let shop = Workshop::new();
    let long = format!("{}.bin", "x".repeat(140));
    fs::copy(shop.at("data.bin"), shop.at(&long)).unwrap();
    shop.write("long.mender", &["-f", &long]);
    let names: Vec<String> = artifact(&shop.at("long.mender"))
        .files
        .into_iter()
        .map(|file| file.name)
        .collect();
    assert!(names.contains(&long), "{names:?}");
    let root = "write rootfs-image -n root-7 -t fort -f data.bin -o root.mender";
    shop.run("mender-artifact", root.split(' ')).unwrap();
    let artifact = artifact(&shop.at("root.mender"));
    assert_eq!(artifact.payload_type.as_deref(), Some("rootfs-image"));
    let provides = &artifact.type_info.artifact_provides;
    assert_eq!(
        provides.get("rootfs-image.version").map(String::as_str),
        Some("root-7")
    );
}

#[test]
fn what_menders_tool_refuses_is_refused_here_too() {
    let shop = Workshop::new();
    shop.write("right.mender", &["-k", "ec.key"]);
    let right = fs::read(shop.at("right.mender")).unwrap();
    let keys = [shop.key("ec.pub")];
    let mut refused = 0;
    for at in (0..CHANGES).map(|step| step * right.len() / CHANGES) {
        let mut changed = right.clone();
        changed[at] ^= 0x10;
        fs::write(shop.at("changed.mender"), &changed).unwrap();
        let theirs = shop.run(
            "mender-artifact",
            ["validate", "-k", "ec.pub", "changed.mender"],
        );
        let ours = read(changed.as_slice(), &Bounds::default())
            .ok()
            .is_some_and(|artifact| artifact.signer(&keys).is_ok());
        if let Err(why) = theirs {
            refused += 1;
            assert!(!ours, "byte {at}: {why}");
        }
    }
    assert!(refused > CHANGES / 2, "only {refused} were refused");
}

#[test]
fn parts_that_stand_in_another_order_are_refused_by_both() {
    let shop = Workshop::new();
    shop.write("right.mender", &[]);
    fs::create_dir(shop.at("parts")).unwrap();
    shop.run("tar", ["-xf", "right.mender", "-C", "parts"])
        .unwrap();
    for order in [
        "manifest version header.tar.gz data/0000.tar.gz",
        "version header.tar.gz manifest data/0000.tar.gz",
        "version manifest data/0000.tar.gz header.tar.gz",
        "version manifest header.tar.gz",
    ] {
        let begin = "--format=ustar -cf mixed.mender -C parts";
        shop.run("tar", begin.split(' ').chain(order.split(' ')))
            .unwrap();
        let theirs = shop.run("mender-artifact", ["validate", "mixed.mender"]);
        let mixed = fs::read(shop.at("mixed.mender")).unwrap();
        let ours = read(mixed.as_slice(), &Bounds::default());
        assert!(theirs.is_err() && ours.is_err(), "{order}: {theirs:?}");
    }
}
