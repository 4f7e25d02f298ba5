//! What tells two values apart: by it a client says which value it changed, and which it has.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::node::{Content, Leaf, Node};

/// The hash of a value, as Firebase's clients make it: 28 characters, or none for nothing.
///
/// It says who is out of date, not who is honest: SHA-1 is what the protocol has.
#[must_use]
pub fn hash(node: &Node) -> String {
    let mut text = String::new();
    if let Some(priority) = &node.priority {
        text.push_str("priority:");
        push_leaf(&mut text, priority);
        text.push(':');
    }
    match &node.content {
        Content::Nothing => return String::new(),
        Content::Leaf(leaf) => push_leaf(&mut text, leaf),
        Content::Children(children) => {
            let mut children: Vec<_> = children.iter().collect();
            // They stand by their keys, which decide among equals.
            children
                .sort_by(|(_, a), (_, b)| Leaf::order(a.priority.as_ref(), b.priority.as_ref()));
            for (key, child) in children {
                // Writing to a string cannot fail.
                let _ = write!(text, ":{}:{}", key.as_str(), hash(child));
            }
        }
    }
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    BASE64_STANDARD.encode(digest)
}

fn push_leaf(text: &mut String, leaf: &Leaf) {
    match leaf {
        Leaf::Boolean(value) => {
            let _ = write!(text, "boolean:{value}");
        }
        Leaf::Number(number) => {
            let _ = write!(text, "number:{:016x}", number.as_f64().to_bits());
        }
        Leaf::Text(value) => {
            text.push_str("string:");
            text.push_str(value);
        }
    }
}
