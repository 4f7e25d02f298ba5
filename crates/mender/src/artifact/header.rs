//! The header: what an artifact is, for whom, and which scripts come with it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tar::Archive;

use super::ArtifactError;
use super::members::{Members, only_zeros};

/// The most bytes of a part in JSON.
const MAX_JSON: u64 = 1024 * 1024;

/// The most state scripts.
const MAX_SCRIPTS: usize = 1_024;

/// The most bytes of an artifact's name, of a group and of a device type.
const MAX_WORD: usize = 256;

/// The most device types, names and groups that an artifact depends on.
const MAX_WORDS: usize = 256;

/// Where the only payload's part of the header stands.
const TYPE_INFO: &str = "headers/0000/type-info";

/// What the payload's own installer is told. May be anything in JSON, or nothing at all.
const META_DATA: &str = "headers/0000/meta-data";

/// Below this stand state scripts.
const SCRIPTS: &str = "scripts/";

#[derive(Deserialize)]
struct Version {
    format: String,
    version: u32,
}

/// All that the header says.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) info: Info,
    pub(super) type_info: TypeInfo,
    pub(super) scripts: Vec<String>,
}

/// `header-info`.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    payloads: Vec<PayloadKind>,
    pub(super) artifact_provides: Provides,
    pub(super) artifact_depends: Depends,
}

#[derive(Debug, Deserialize)]
struct PayloadKind {
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Provides {
    pub(super) artifact_name: String,
    #[serde(default)]
    pub(super) artifact_group: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Depends {
    pub(super) device_type: Vec<String>,
    #[serde(default)]
    pub(super) artifact_name: Vec<String>,
    #[serde(default)]
    pub(super) artifact_group: Vec<String>,
}

impl Info {
    /// The type of the only payload.
    pub(super) fn payload_type(&self) -> Option<String> {
        self.payloads.first()?.kind.clone()
    }
}

/// What a payload says of itself: `type-info` in its part of the header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeInfo {
    /// Its type, if it is named again.
    #[serde(rename = "type", default, skip_serializing)]
    kind: Option<String>,
    /// What a device is afterwards, beside its artifact's name: checksums, versions.
    #[serde(default)]
    pub artifact_provides: BTreeMap<String, String>,
    /// What it must be beforehand.
    #[serde(default)]
    pub artifact_depends: BTreeMap<String, OneOrMore>,
    /// What it is no more: patterns with `*` at their ends.
    #[serde(default)]
    pub clears_artifact_provides: Vec<String>,
}

/// A text, or several of which one is enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMore {
    /// This.
    One(String),
    /// One of these.
    More(Vec<String>),
}

/// That `text` is what an artifact of version 3 begins with.
pub(super) fn check_version(text: &[u8]) -> Result<(), ArtifactError> {
    let version: Version = serde_json::from_slice(text).map_err(|_| ArtifactError::Version)?;
    if version.format == "mender" && version.version == 3 {
        Ok(())
    } else {
        Err(ArtifactError::Version)
    }
}

/// Reads a header to its end.
pub(super) fn read(source: impl Read) -> Result<Header, ArtifactError> {
    let mut archive = Archive::new(source);
    let mut members = Members::of(&mut archive)?;
    let first = members.next()?;
    let first = first.ok_or(ArtifactError::Missing("header-info"))?;
    if first.name != "header-info" {
        return Err(ArtifactError::Order {
            found: first.name,
            expected: "header-info",
        });
    }
    let info: Info = json("header-info", &first.small(MAX_JSON)?)?;
    let (mut type_info, mut met) = (None, BTreeSet::new());
    let mut scripts = Vec::new();
    while let Some(member) = members.next()? {
        if !met.insert(member.name.clone()) {
            return Err(ArtifactError::Senseless("a part stands there twice"));
        }
        match member.name.as_str() {
            TYPE_INFO => type_info = Some(json(TYPE_INFO, &member.small(MAX_JSON)?)?),
            META_DATA => whatever(&member.small(MAX_JSON)?)?,
            name => match name.strip_prefix(SCRIPTS) {
                Some(script) if scripts.len() < MAX_SCRIPTS => scripts.push(script.to_owned()),
                Some(_) => return Err(ArtifactError::Senseless("too many state scripts")),
                None => {
                    return Err(ArtifactError::Order {
                        found: name.to_owned(),
                        expected: "a part of the header",
                    });
                }
            },
        }
    }
    only_zeros(archive)?;
    let type_info = type_info.ok_or(ArtifactError::Missing(TYPE_INFO))?;
    check(&info, &type_info)?;
    Ok(Header {
        info,
        type_info,
        scripts,
    })
}

/// That `text` is JSON, or empty as the tool leaves it when there is nothing to say.
fn whatever(text: &[u8]) -> Result<(), ArtifactError> {
    if text.is_empty() {
        return Ok(());
    }
    json::<serde::de::IgnoredAny>(META_DATA, text).map(drop)
}

fn json<T: DeserializeOwned>(part: &str, text: &[u8]) -> Result<T, ArtifactError> {
    serde_json::from_slice(text).map_err(|why| ArtifactError::Header {
        part: part.to_owned(),
        why,
    })
}

fn check(info: &Info, type_info: &TypeInfo) -> Result<(), ArtifactError> {
    let [payload] = info.payloads.as_slice() else {
        return Err(ArtifactError::Senseless("it has not exactly one payload"));
    };
    // For a root file system the tool leaves it empty here.
    let named_again = type_info.kind.as_ref().filter(|kind| !kind.is_empty());
    if named_again.is_some() && named_again != payload.kind.as_ref() {
        return Err(ArtifactError::Senseless("its payload is of two types"));
    }
    if info.artifact_depends.device_type.is_empty() {
        return Err(ArtifactError::Senseless("it is for no type of device"));
    }
    let lists = [
        &info.artifact_depends.device_type,
        &info.artifact_depends.artifact_name,
        &info.artifact_depends.artifact_group,
    ];
    if lists.iter().any(|list| list.len() > MAX_WORDS) {
        return Err(ArtifactError::Senseless("it depends on too much"));
    }
    let provides = &info.artifact_provides;
    let mut words = lists
        .into_iter()
        .flatten()
        .chain([&provides.artifact_name])
        .chain(&provides.artifact_group)
        .chain(&payload.kind);
    if words.all(|word| is_word(word)) {
        Ok(())
    } else {
        Err(ArtifactError::Senseless(
            "a name, a group or a type in it is empty, too long, or cannot be shown",
        ))
    }
}

fn is_word(word: &str) -> bool {
    (1..=MAX_WORD).contains(&word.len()) && !word.chars().any(char::is_control)
}
