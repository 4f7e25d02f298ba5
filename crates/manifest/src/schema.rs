//! The JSON Schema of manifests.

use serde_json::{Map, Value as Json};

use crate::decode::{Decode, Defs};
use crate::document::Document;

/// The JSON Schema (draft 2020-12) of manifests, made from the same declarations as the parser.
/// Everything that the parser accepts fits the schema; the parser refuses more, such as a party
/// that is not declared.
pub fn schema() -> Json {
    let mut defs = Defs::default();
    let root = Document::schema(&mut defs);
    let mut schema = Map::new();
    schema.insert(
        "$schema".into(),
        "https://json-schema.org/draft/2020-12/schema".into(),
    );
    schema.insert("title".into(), "Outgate manifest".into());
    if let Json::Object(root) = root {
        schema.extend(root);
    }
    schema.insert("$defs".into(), defs.into_json());
    Json::Object(schema)
}
