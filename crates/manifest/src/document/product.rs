//! The product, who talks, and what a site may choose.

use serde_json::{Value as Json, json};

use crate::decode::{Decode, Defs, FromText, keyword, record, wrong_type};
use crate::diagnostic::{Complaint, Diagnostics, Spanned, quote};
use crate::name::Id;
use crate::text::{Language, Text};
use crate::version::MAX_PARTS;
use crate::yaml::{Node, Value};

record! {
    /// What a manifest describes.
    kept struct Product = "`product`" {
        /// Identifier of the product, also the name of its profile.
        id: Id = required "id",
        /// Name of the product as its users know it.
        name: String = required "name",
        /// Who makes it.
        vendor: String = required "vendor",
        /// How its versions are numbered; absent when the document names no versions.
        versions: Option<VersionScheme> = optional "versions",
    }
}

record! {
    /// How versions are numbered: numbers with dots between them.
    kept struct VersionScheme = "`versions`" {
        /// How many numbers a version has, 1 to 8.
        parts: PartCount = required "parts",
    }
}

/// How many numbers a version has, 1 to 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartCount(pub usize);

impl PartCount {
    /// Stands for a number that could not be read; in no sound manifest.
    pub(crate) const UNREAD: Self = Self(0);
}

impl Decode for PartCount {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        let expected = format!("a number from 1 to {MAX_PARTS}");
        let Value::Integer(number) = node.value else {
            wrong_type(node, &expected, out);
            return None;
        };
        let parts = usize::try_from(number)
            .ok()
            .filter(|n| (1..=MAX_PARTS).contains(n));
        if parts.is_none() {
            let message = format!("{number} parts are not possible");
            out.push(
                node.span,
                Complaint::error("wrong-value", message).expected(expected),
            );
        }
        parts.map(Self)
    }

    fn stand_in() -> Option<Self> {
        Some(Self::UNREAD)
    }

    fn schema(_: &mut Defs) -> Json {
        json!({ "type": "integer", "minimum": 1, "maximum": MAX_PARTS })
    }
}

record! {
    /// The document that the manifest says the same as.
    kept struct Source = "`source`" {
        /// Name or address of the document.
        document: String = required "document",
        /// The language it is written in.
        language: Language = required "language",
        /// What should be known of the document as a whole.
        note: Option<Text> = optional "note",
    }
}

keyword! {
    /// Which side of the customer's border something is on.
    pub enum Reach {
        /// In the customer's own network.
        Site = "site",
        /// Beyond it.
        Internet = "internet",
    }
}

record! {
    /// Someone who talks.
    kept struct Party = "a party" {
        /// Whether it stands in the customer's network or on the internet.
        at: Reach = required "at",
        /// What people call it.
        name: Text = required "name",
        /// The setting that holds its name or address, for what differs from site to site.
        setting: Option<Spanned<Id>> = optional "setting",
        /// What should be known of it.
        note: Option<Text> = optional "note",
    }
}

record! {
    /// Something that a site uses or not; its flows follow.
    pub struct Feature = "a feature" {
        /// What people call it.
        name: Text = required "name",
        /// Whether it counts as used when nobody says otherwise; used, when absent.
        default: Used = optional "default",
        /// What should be known of it.
        note: Option<Text> = optional "note",
    }
}

/// Whether a feature counts as used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used(pub bool);

impl Default for Used {
    fn default() -> Self {
        Self(true)
    }
}

impl Decode for Used {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        bool::decode(node, out).map(Self)
    }

    fn schema(defs: &mut Defs) -> Json {
        bool::schema(defs)
    }
}

keyword! {
    /// What a setting holds.
    pub enum SettingKind {
        /// A port, 1 to 65535.
        Port = "port",
        /// A domain name or an address.
        Host = "host",
    }
}

record! {
    /// A value that the customer may change.
    pub struct Setting = "a setting" {
        /// What it holds.
        kind: SettingKind = required "kind",
        /// The value it has until it is changed; a port setting must have one.
        default: Option<Spanned<SettingValue>> = optional "default",
        /// What people call it.
        name: Text = required "name",
    }
}

/// A setting's value as written: a number or text, judged by the setting's kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingValue(pub String);

impl Decode for SettingValue {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        match &node.value {
            Value::Integer(number) => Some(Self(number.to_string())),
            Value::String(text) => Some(Self(text.clone())),
            Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => {
                wrong_type(node, "a port, a name or an address", out);
                None
            }
        }
    }

    fn schema(_: &mut Defs) -> Json {
        json!({ "type": ["integer", "string"] })
    }
}

keyword! {
    /// How badly a flow is needed.
    pub enum Need {
        /// The product does not work without it, where its feature is used.
        Required = "required",
        /// Without it something is lost, but the product works.
        Optional = "optional",
        /// Only support needs it.
        Diagnostic = "diagnostic",
    }
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

impl TlsVersion {
    /// Its number: `1.2` or `1.3`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
        }
    }
}

impl FromText for TlsVersion {
    const EXPECTED: &'static str = "\"1.2\" or \"1.3\"";
    const PATTERN: &'static str = "^1\\.[23]$";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "1.2" => Ok(Self::V1_2),
            "1.3" => Ok(Self::V1_3),
            "1.0" | "1.1" => Err(format!("TLS {text} is forbidden (RFC 8996)")),
            _ => Err(format!("{} is not a version of TLS", quote(text))),
        }
    }
}
