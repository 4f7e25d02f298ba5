#![cfg(test)]

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use rcgen::{KeyPair, PKCS_ED25519, SigningKey as _};
use ring::digest::{SHA256, digest};

use super::*;

const HEADER_INFO: &str = r#"{"payloads":[{"type":"script"}],
    "artifact_provides":{"artifact_name":"rel-2"},
    "artifact_depends":{"device_type":["fort"]}}"#;

const TYPE_INFO: &str = r#"{"type":"script","artifact_provides":{"rootfs.version":"2"},
    "artifact_depends":{"rootfs.version":["1","0"]},"clears_artifact_provides":["rootfs.*"]}"#;

/// The parts of an artifact, to be changed before it is put together.
struct Parts {
    version: String,
    header: Vec<(String, Vec<u8>)>,
    data: Vec<(String, Vec<u8>)>,
    /// Instead of the manifest that is right.
    manifest: Option<String>,
    key: Option<KeyPair>,
    /// Members before the data and behind it.
    before: Vec<(String, Vec<u8>)>,
    behind: Vec<(String, Vec<u8>)>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            version: r#"{"format":"mender","version":3}"#.to_owned(),
            header: vec![
                ("header-info".to_owned(), HEADER_INFO.into()),
                (
                    "scripts/ArtifactInstall_Enter_10".to_owned(),
                    b"exit 0".to_vec(),
                ),
                ("headers/0000/type-info".to_owned(), TYPE_INFO.into()),
            ],
            data: vec![("install.sh".to_owned(), b"echo done".to_vec())],
            manifest: None,
            key: None,
            before: Vec::new(),
            behind: Vec::new(),
        }
    }
}

impl Parts {
    fn artifact(&self) -> Vec<u8> {
        let header = gzip(&tar_of(&self.header));
        let manifest = self.manifest.clone().unwrap_or_else(|| {
            let data = self.data.iter();
            let mut lines: Vec<String> = data
                .map(|(name, bytes)| line(&format!("data/0000/{name}"), bytes))
                .collect();
            lines.push(line("header.tar.gz", &header));
            lines.push(line("version", self.version.as_bytes()));
            lines.concat()
        });
        let mut members = vec![
            ("version".to_owned(), self.version.clone().into_bytes()),
            ("manifest".to_owned(), manifest.clone().into_bytes()),
        ];
        if let Some(key) = &self.key {
            let signature = key.sign(manifest.as_bytes()).unwrap();
            let text = STANDARD.encode(signature).into_bytes();
            members.push(("manifest.sig".to_owned(), text));
        }
        members.push(("header.tar.gz".to_owned(), header));
        members.extend(self.before.clone());
        members.push(("data/0000.tar.gz".to_owned(), gzip(&tar_of(&self.data))));
        members.extend(self.behind.clone());
        tar_of(&members)
    }

    fn fault(&self) -> String {
        said(&self.artifact())
    }
}

fn said(bytes: &[u8]) -> String {
    read(bytes, &Bounds::default()).unwrap_err().to_string()
}

fn line(name: &str, bytes: &[u8]) -> String {
    let hex: String = digest(&SHA256, bytes)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{hex}  {name}\n")
}

fn tar_of(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        // The name as it is: the library would refuse some of those tried here.
        let place = &mut header.as_old_mut().name;
        place[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn key_of(pair: &KeyPair) -> VerifyingKey {
    VerifyingKey::from_pem(&pair.public_key_pem()).unwrap()
}

#[test]
fn an_artifact_says_what_it_is_and_for_whom() {
    let artifact = read(&*Parts::default().artifact(), &Bounds::default()).unwrap();
    assert_eq!(artifact.name, "rel-2");
    assert_eq!(artifact.device_types, ["fort"]);
    assert_eq!(artifact.payload_type.as_deref(), Some("script"));
    assert_eq!(artifact.scripts, ["ArtifactInstall_Enter_10"]);
    let depends = artifact.type_info.artifact_depends.get("rootfs.version");
    let either = OneOrMore::More(vec!["1".to_owned(), "0".to_owned()]);
    assert_eq!(depends, Some(&either));
    let [file] = artifact.files.as_slice() else {
        panic!("{:?}", artifact.files)
    };
    assert_eq!((file.name.as_str(), file.size), ("install.sh", 9));
}

#[test]
fn who_signed_it_is_found_among_the_keys_that_are_trusted() {
    let (theirs, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let (key, foreign) = (key_of(&theirs), key_of(&other));
    let parts = Parts {
        key: Some(theirs),
        ..Parts::default()
    };
    let artifact = read(&*parts.artifact(), &Bounds::default()).unwrap();
    let both = [foreign.clone(), key.clone()];
    assert_eq!(artifact.signer(&both), Ok(&key));
    assert_eq!(artifact.signer(&[foreign]), Err(Untrusted::OtherKey));
    assert_eq!(artifact.signer(&[]), Err(Untrusted::OtherKey));
    let unsigned = read(&*Parts::default().artifact(), &Bounds::default()).unwrap();
    assert_eq!(unsigned.signer(&[key]), Err(Untrusted::Unsigned));
}

#[test]
fn a_signature_of_another_manifest_is_not_one_of_this() {
    // Whose signatures are all of one length.
    let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let key = key_of(&pair);
    let mut parts = Parts {
        key: Some(pair),
        ..Parts::default()
    };
    let signed = parts.artifact();
    parts.data = vec![("install.sh".to_owned(), b"echo DONE".to_vec())];
    let changed = parts.artifact();
    // The signed one's signature into the changed one: both stand at the same place.
    let from = signature_at(&signed);
    let mut mixed = changed;
    mixed[from..from + 512].copy_from_slice(&signed[from..from + 512]);
    let mixed = mixed[..].to_vec();
    match read(&*mixed, &Bounds::default()) {
        Ok(artifact) => assert_eq!(artifact.signer(&[key]), Err(Untrusted::OtherKey)),
        Err(error) => panic!("{error}"),
    }
}

/// Where the content of `manifest.sig` begins: behind the header blocks of three members and the
/// contents of two, the second of which takes one block.
fn signature_at(artifact: &[u8]) -> usize {
    let name = b"manifest.sig";
    let at = artifact
        .windows(name.len())
        .position(|window| window == name)
        .unwrap();
    at + 512
}

#[test]
fn every_part_must_be_what_the_manifest_says() {
    let mut parts = Parts::default();
    let right = parts.artifact();
    let header = gzip(&tar_of(&parts.header));
    let common = line("header.tar.gz", &header) + &line("version", parts.version.as_bytes());
    parts.manifest = Some(line("data/0000/install.sh", b"other") + &common);
    assert_eq!(
        parts.fault(),
        "`data/0000/install.sh` is not what the manifest says: its digest is another"
    );
    parts.manifest = Some(common.clone());
    assert_eq!(
        parts.fault(),
        "the manifest does not name `data/0000/install.sh`"
    );
    let file = line("data/0000/install.sh", b"echo done");
    parts.manifest = Some(file.clone() + &common + &line("data/0000/more", b""));
    assert_eq!(
        parts.fault(),
        "the manifest names `data/0000/more`, which is not there"
    );
    parts.manifest = Some(file.clone() + &file + &common);
    assert_eq!(parts.fault(), "line 2 of the manifest cannot be read");
    assert!(read(&*right, &Bounds::default()).is_ok());
}

#[test]
fn the_parts_stand_in_one_order() {
    let version = Parts::default().version.into_bytes();
    let first = tar_of(&[("Version".to_owned(), version)]);
    assert_eq!(said(&first), "`Version` stands where version must");
    let mut parts = Parts::default();
    parts.header.swap(0, 1);
    assert!(
        parts.fault().contains("where header-info must"),
        "{}",
        parts.fault()
    );
    let behind = ("data/0001.tar.gz".to_owned(), gzip(&tar_of(&[])));
    let parts = Parts {
        behind: vec![behind],
        ..Parts::default()
    };
    assert_eq!(
        parts.fault(),
        "`data/0001.tar.gz` stands where the end must"
    );
    let parts = Parts {
        before: vec![("header-augment.tar.gz".to_owned(), gzip(&tar_of(&[])))],
        ..Parts::default()
    };
    assert_eq!(
        parts.fault(),
        "`header-augment.tar.gz` stands where data/0000.tar must"
    );
}

#[test]
fn another_version_is_refused() {
    for version in [
        r#"{"format":"mender","version":2}"#,
        r#"{"format":"other","version":3}"#,
        "3",
    ] {
        let parts = Parts {
            version: version.to_owned(),
            ..Parts::default()
        };
        assert_eq!(parts.fault(), "this is no Mender artifact of version 3");
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in [
        "../install.sh",
        "/install.sh",
        "a/../../b",
        "a\tb",
        "./a",
        "a\\b",
    ] {
        let parts = Parts {
            data: vec![(name.to_owned(), Vec::new())],
            ..Parts::default()
        };
        let mut script = Parts::default();
        script.header[1].0 = format!("scripts/{name}");
        for parts in [parts, script] {
            assert!(
                parts.fault().contains("no name of a part"),
                "{name:?}: {}",
                parts.fault()
            );
        }
    }
}

#[test]
fn what_stands_behind_the_end_is_noticed() {
    let mut bytes = Parts::default().artifact();
    bytes.extend([0; 4_096]);
    assert!(read(&*bytes, &Bounds::default()).is_ok());
    bytes.push(1);
    assert_eq!(said(&bytes), "something stands behind the artifact's end");
}

#[test]
fn more_than_may_be_unpacked_is_refused() {
    let parts = Parts {
        data: vec![("zeros".to_owned(), vec![0; 4 * 1024 * 1024])],
        ..Parts::default()
    };
    let bytes = parts.artifact();
    assert!(bytes.len() < 64 * 1024, "{}", bytes.len());
    let bounds = Bounds {
        payload: 1024 * 1024,
        ..Bounds::default()
    };
    assert!(matches!(read(&*bytes, &bounds), Err(ArtifactError::Cut(_))));
    assert!(read(&*bytes, &Bounds::default()).is_ok());
}

#[test]
fn a_header_that_no_artifact_can_have_is_refused() {
    for (from, to, why) in [
        (r#"[{"type":"script"}]"#, "[]", "not exactly one payload"),
        (r#"["fort"]"#, "[]", "no type of device"),
        ("rel-2", "", "empty"),
        ("rel-2", "a\\u0007", "cannot be shown"),
        (r#""script""#, r#""deb""#, "two types"),
    ] {
        let mut parts = Parts::default();
        let info = HEADER_INFO.replacen(from, to, 1);
        assert_ne!(info, HEADER_INFO);
        parts.header[0].1 = info.into_bytes();
        assert!(parts.fault().contains(why), "{why}: {}", parts.fault());
    }
}

proptest! {
    #[test]
    fn a_cut_artifact_is_never_whole(at in 0_usize..6_000) {
        let bytes = Parts::default().artifact();
        // Behind the last part there is nothing but zeros.
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap_or_default();
        prop_assume!(at <= end);
        prop_assert!(read(&bytes[..at], &Bounds::default()).is_err());
    }

    #[test]
    fn a_changed_byte_changes_nothing_that_counts(at in 0_usize..6_000, change in 1_u8..) {
        let bytes = Parts::default().artifact();
        prop_assume!(at < bytes.len());
        let mut changed = bytes.clone();
        changed[at] ^= change;
        if let Ok(artifact) = read(&*changed, &Bounds::default()) {
            let right = read(&*bytes, &Bounds::default()).unwrap();
            prop_assert_eq!(artifact.name, right.name);
            prop_assert_eq!(artifact.device_types, right.device_types);
            prop_assert_eq!(artifact.files, right.files);
            prop_assert_eq!(artifact.scripts, right.scripts);
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4_096)) {
        prop_assert!(read(&*bytes, &Bounds::default()).is_err());
    }
}
