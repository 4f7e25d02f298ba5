//! Hashes and queries as the code of npm's `firebase` 12.19.0 itself has them (`golden/make.cjs`).

#![cfg(test)]

use outgate_firebase::hash::hash;
use outgate_firebase::{Draft, Node, Query};
use serde_json::Value;

fn said_by_the_sdk() -> Value {
    serde_json::from_str(include_str!("golden/sdk.json")).unwrap()
}

fn node(value: &Value) -> Node {
    Draft::read(value, 0).unwrap().resolve(Node::nothing(), 0)
}

#[test]
fn values_have_the_hashes_that_the_client_computes() {
    let said = said_by_the_sdk();
    let vectors = said["hashes"].as_array().unwrap();
    assert!(vectors.len() > 25);
    for vector in vectors {
        let value = &vector["value"];
        assert_eq!(Value::from(hash(&node(value))), vector["hash"], "{value}");
    }
}

#[test]
fn queries_select_what_the_client_selects_in_its_order() {
    let said = said_by_the_sdk();
    let children = node(&said["children"]);
    let vectors = said["queries"].as_array().unwrap();
    assert!(vectors.len() > 500);
    for vector in vectors {
        let query = Query::read(&vector["query"]).unwrap();
        let found = query.select(&children);
        let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(vector["keys"], keys.join(" "), "{}", vector["query"]);
    }
}
