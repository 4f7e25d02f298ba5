//! The manifest as it is written: one type a part of the YAML file.

pub mod destination;
pub mod expect;
pub mod flow;
pub mod import;
pub mod product;
pub mod speaks;

use self::flow::Flow;
use self::import::Import;
use self::product::{Feature, Party, Product, Setting, Source};
use crate::catalogue::Catalogue;
use crate::decode::record;

record! {
    /// An Outgate manifest: every flow that a product needs in the network it stands in.
    kept struct Document = "a manifest" {
        /// Version of the manifest format. This is version 1.
        format: Format = required "manifest",
        /// The product that is described.
        product: Product = required "product",
        /// The document that the manifest says the same as.
        source: Source = required "source",
        /// Who talks; one of them is `device`, the product itself.
        parties: Catalogue<Party> = required "parties",
        /// What a site uses or does not use.
        features: Catalogue<Feature> = optional "features",
        /// What the customer may change.
        settings: Catalogue<Setting> = optional "settings",
        /// Flows taken over from the manifests of other products.
        imports: Catalogue<Import> = optional "imports",
        /// The needs, by identifier.
        flows: Catalogue<Flow> = required "flows",
    }
}

/// The version of the manifest format; there is only one so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format;

impl Format {
    /// The number that a manifest states.
    pub const NUMBER: i64 = 1;
}

impl crate::decode::Decode for Format {
    fn decode(
        node: &crate::yaml::Node,
        out: &mut crate::diagnostic::Diagnostics<'_>,
    ) -> Option<Self> {
        if node.value == crate::yaml::Value::Integer(Self::NUMBER) {
            return Some(Self);
        }
        let complaint =
            crate::diagnostic::Complaint::error("wrong-format", "not a format known here");
        out.push(node.span, complaint.expected(format!("`{}`", Self::NUMBER)));
        None
    }

    fn stand_in() -> Option<Self> {
        Some(Self)
    }

    fn schema(_: &mut crate::decode::Defs) -> serde_json::Value {
        serde_json::json!({ "type": "integer", "const": Self::NUMBER })
    }
}
