//! Devices may send anything as their logs.

use outgate_wire::otlp::{
    Batch, Encoding, MAX_RECORDS, MAX_VALUES, Part, Record, Resource, Scope, Value,
};

/// Reads `data` as logs in protobuf.
///
/// # Panics
///
/// As [`otlp_json`].
pub fn otlp_protobuf(data: &[u8]) {
    logs(Encoding::Protobuf, data);
}

/// Reads `data` as logs in JSON.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, more than its bounds allow, or parts
/// that are others when they have been written and are read again.
pub fn otlp_json(data: &[u8]) {
    logs(Encoding::Json, data);
}

fn logs(encoding: Encoding, data: &[u8]) {
    let mut parts = Vec::new();
    if encoding.read(data, &mut |part| parts.push(part)).is_err() {
        return;
    }
    let (mut batch, mut count) = (Batch::default(), 0);
    let (mut resource, mut scope) = (Resource::default(), Scope::default());
    for part in parts {
        match part {
            Part::Resource(held) => resource = held,
            Part::Scope(held) => scope = held,
            Part::Record(held) => {
                count += 1;
                assert!(values(&held.attributes) + nested(&held.body) <= MAX_VALUES);
                // As bytes: numbers that are none do not equal themselves.
                let bytes = held.to_bytes();
                let again = Record::from_bytes(&bytes).map(|again| again.to_bytes());
                assert_eq!(again.as_deref(), Ok(&bytes[..]));
                batch.add(&resource, &scope, [&bytes[..]]);
            }
        }
    }
    assert!(count <= MAX_RECORDS);
    let mut read = 0;
    let again = Encoding::Protobuf.read(&batch.into_bytes(), &mut |part| {
        read += usize::from(matches!(part, Part::Record(_)));
    });
    assert!(again.is_ok() && read == count, "{again:?}");
}

/// How many values there are, with those in lists and maps.
fn values(members: &[(String, Value)]) -> usize {
    let members = members.iter();
    members.map(|(_, held)| 1 + nested(held)).sum()
}

fn nested(held: &Value) -> usize {
    match held {
        Value::List(items) => items.iter().map(|item| 1 + nested(item)).sum(),
        Value::Map(members) => values(members),
        Value::Empty
        | Value::Text(_)
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Double(_)
        | Value::Bytes(_) => 0,
    }
}
