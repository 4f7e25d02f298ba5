//! What a site has: a product version, features in use, settings changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use crate::decode::FromText;
use crate::diagnostic::nearest;
use crate::document::product::SettingKind;
use crate::manifest::Manifest;
use crate::name::{DomainName, Id};
use crate::port::PortRange;
use crate::version::Version;

/// What a site has. The default means the newest version, the features that are in use unless
/// somebody says otherwise, and all settings as they come.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The product version; none means the newest.
    pub version: Option<Version>,
    /// Features that are in use.
    pub with: BTreeSet<String>,
    /// Features that are not in use.
    pub without: BTreeSet<String>,
    /// Settings that were changed, with their values.
    pub set: BTreeMap<String, String>,
    /// Only lanes that this party starts.
    pub from: Option<String>,
}

/// Why a selection does not fit a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// A word that the manifest does not declare.
    #[error("{product} has no {kind} `{word}`{hint}")]
    Unknown {
        /// The product.
        product: Id,
        /// What was looked for: feature, setting or party.
        kind: &'static str,
        /// The word.
        word: String,
        /// What there is, and the nearest.
        hint: Hint,
    },
    /// A feature both in use and not.
    #[error("feature `{0}` is given both with --with and with --without")]
    Contradiction(String),
    /// A value that does not fit its setting.
    #[error("`{value}` does not fit setting `{setting}`: expected {expected}")]
    WrongValue {
        /// The setting.
        setting: String,
        /// The value.
        value: String,
        /// What would fit.
        expected: &'static str,
    },
    /// A version that is not one of the product's.
    #[error(
        "`{version}` is no version of {product}: its versions have {parts} numbers, as in {example}"
    )]
    WrongVersion {
        /// The version.
        version: String,
        /// The product.
        product: Id,
        /// How many numbers a version has.
        parts: usize,
        /// A version that would do.
        example: String,
    },
}

/// What there is, and which of it was perhaps meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// All that is declared.
    pub known: Vec<String>,
    /// The nearest.
    pub nearest: Option<String>,
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nearest) = &self.nearest {
            return write!(f, "; did you mean `{nearest}`?");
        }
        match self.known.as_slice() {
            [] => f.write_str("; it has none"),
            known => write!(f, "; it has {}", known.join(", ")),
        }
    }
}

/// A setting's value, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingValue {
    /// A port.
    Port(PortRange),
    /// A domain name.
    Name(DomainName),
    /// An address.
    Address(IpAddr),
}

impl SettingValue {
    /// Reads a value for a setting of this kind; the error says what would fit.
    pub(crate) fn read(kind: SettingKind, text: &str) -> Result<Self, &'static str> {
        match kind {
            SettingKind::Port => text
                .parse::<u16>()
                .ok()
                .and_then(PortRange::single)
                .map(Self::Port)
                .ok_or("a port from 1 to 65535"),
            SettingKind::Host => match text.parse::<IpAddr>() {
                Ok(address) => Ok(Self::Address(address)),
                Err(_) => DomainName::from_text(text)
                    .map(Self::Name)
                    .map_err(|_| "a domain name or an address"),
            },
        }
    }
}

/// A selection that was held against its manifest.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) version: Option<Version>,
    pub(crate) features: BTreeSet<String>,
    pub(crate) settings: BTreeMap<String, SettingValue>,
    pub(crate) from: Option<String>,
}

impl Selection {
    /// Holds the selection against a manifest.
    pub(crate) fn resolve(&self, manifest: &Manifest) -> Result<Site, SelectionError> {
        self.check_version(manifest)?;
        let features = self.features(manifest)?;
        let settings = self.settings(manifest)?;
        if let Some(party) = &self.from
            && manifest.parties().find(party).is_none()
        {
            return Err(unknown(manifest, "party", party, manifest.parties().ids()));
        }
        Ok(Site {
            version: self.version.clone(),
            features,
            settings,
            from: self.from.clone(),
        })
    }

    fn check_version(&self, manifest: &Manifest) -> Result<(), SelectionError> {
        let Some(version) = &self.version else {
            return Ok(());
        };
        let Some(scheme) = &manifest.product().versions else {
            return Ok(());
        };
        let parts = scheme.parts.0;
        if version.parts() == parts {
            return Ok(());
        }
        let named = manifest
            .flows()
            .iter()
            .filter_map(|(_, d)| d.flow.versions.as_ref());
        let example = named
            .flat_map(|range| range.value.bounds())
            .max()
            .map_or_else(|| vec!["1"; parts].join("."), ToString::to_string);
        let product = manifest.product().id.clone();
        Err(SelectionError::WrongVersion {
            version: version.to_string(),
            product,
            parts,
            example,
        })
    }

    fn features(&self, manifest: &Manifest) -> Result<BTreeSet<String>, SelectionError> {
        for feature in self.with.iter().chain(&self.without) {
            if manifest.features().find(feature).is_none() {
                return Err(unknown(
                    manifest,
                    "feature",
                    feature,
                    manifest.features().ids(),
                ));
            }
        }
        if let Some(both) = self.with.intersection(&self.without).next() {
            return Err(SelectionError::Contradiction(both.clone()));
        }
        let used = manifest.features().iter().filter(|(id, feature)| {
            let word = id.as_str();
            self.with.contains(word) || (feature.default.0 && !self.without.contains(word))
        });
        Ok(used.map(|(id, _)| id.to_string()).collect())
    }

    fn settings(
        &self,
        manifest: &Manifest,
    ) -> Result<BTreeMap<String, SettingValue>, SelectionError> {
        for setting in self.set.keys() {
            if manifest.settings().find(setting).is_none() {
                return Err(unknown(
                    manifest,
                    "setting",
                    setting,
                    manifest.settings().ids(),
                ));
            }
        }
        let mut values = BTreeMap::new();
        for (id, setting) in manifest.settings().iter() {
            let changed = self.set.get(id.as_str()).map(String::as_str);
            let default = setting
                .default
                .as_ref()
                .map(|default| default.value.0.as_str());
            let Some(text) = changed.or(default) else {
                continue;
            };
            let value = SettingValue::read(setting.kind, text).map_err(|expected| {
                let (setting, value) = (id.to_string(), text.to_owned());
                SelectionError::WrongValue {
                    setting,
                    value,
                    expected,
                }
            })?;
            values.insert(id.to_string(), value);
        }
        Ok(values)
    }
}

fn unknown<'a>(
    manifest: &Manifest,
    kind: &'static str,
    word: &str,
    known: impl Iterator<Item = &'a str>,
) -> SelectionError {
    let known: Vec<String> = known.map(str::to_owned).collect();
    let nearest = nearest(word, known.iter().map(String::as_str));
    SelectionError::Unknown {
        product: manifest.product().id.clone(),
        kind,
        word: word.to_owned(),
        hint: Hint { known, nearest },
    }
}
