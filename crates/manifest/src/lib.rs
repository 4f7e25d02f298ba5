//! Outgate's manifests: every flow that a product needs, declared once.
//!
//! [`parse`] reads a manifest and names every mistake with its place; [`Manifest::lanes`] expands
//! its flows for one site; [`Manifest::lint`] says what could be better. The crate does no I/O:
//! it works on the text it is given and on what a [`Library`] hands out for imports.

mod catalogue;
mod decode;
mod diagnostic;
pub mod document;
mod expand;
mod imports;
mod lane;
mod lint;
mod manifest;
mod name;
mod port;
mod protocol;
mod reach;
mod schema;
mod selection;
mod text;
mod validate;
mod version;
pub mod view;
mod yaml;

pub use self::catalogue::Catalogue;
pub use self::diagnostic::{Diagnostic, MAX_DIAGNOSTICS, Severity, Span, Spanned, nearest};
pub use self::imports::{Empty, Library};
pub use self::lane::{Direction, Lane, Rung, Target};
pub use self::manifest::{Declared, Manifest, Provenance, parse};
pub use self::name::{DomainName, Id, Place, Wildcard};
pub use self::port::{PortRange, PortSpec, Ports, PortsByTransport, SettingRef, Transport};
pub use self::protocol::Protocol;
pub use self::schema::schema;
pub use self::selection::{Hint, Selection, SelectionError, SettingValue};
pub use self::text::{Language, Text};
pub use self::version::{MAX_PARTS, Version, VersionRange};
pub use self::yaml::MAX_BYTES;
