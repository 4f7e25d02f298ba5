//! MessagePack's values in JSON, as SignalR's clients write them there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmpv::Value;
use serde_json::value::Value as Json;

use crate::native::{TIMESTAMP, Timestamp};

/// The value in JSON: bytes as base 64, points of time as RFC 3339 has them, keys of maps as
/// texts, what is no number in JSON as null. Values are as deep as they were read.
pub(crate) fn to_json(value: &Value) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Boolean(truth) => Json::Bool(*truth),
        Value::Integer(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => Json::Null,
        },
        Value::F32(number) => f64::from(*number).into(),
        Value::F64(number) => (*number).into(),
        Value::String(text) => String::from_utf8_lossy(text.as_bytes()).into(),
        Value::Binary(bytes) => STANDARD.encode(bytes).into(),
        Value::Array(items) => items.iter().map(to_json).collect(),
        Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(name, value)| (key(name), to_json(value)));
            Json::Object(entries.collect())
        }
        Value::Ext(TIMESTAMP, bytes) => Timestamp::of_packed(bytes)
            .and_then(Timestamp::to_text)
            .map_or(Json::Null, Json::String),
        Value::Ext(_, bytes) => STANDARD.encode(bytes).into(),
    }
}

fn key(name: &Value) -> String {
    let name = to_json(name);
    let text = name.as_str().map(str::to_owned);
    text.unwrap_or_else(|| name.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_what_other_clients_write_in_json() {
        let map = vec![
            (Value::from("bytes"), Value::Binary(vec![0, 255])),
            (Value::from(7), Value::Array(vec![Value::Nil, (-1).into()])),
            (Value::from("much"), u64::MAX.into()),
            (Value::from("nan"), Value::F64(f64::NAN)),
        ];
        let expected = json!({"bytes": "AP8=", "7": [null, -1], "much": u64::MAX, "nan": null});
        assert_eq!(to_json(&Value::Map(map)), expected);
    }

    #[test]
    fn points_of_time_are_told_as_by_people_and_wrong_ones_are_nothing() {
        let at = |bytes: &[u8]| to_json(&Value::Ext(TIMESTAMP, bytes.to_vec()));
        assert_eq!(at(&0_u32.to_be_bytes()), "1970-01-01T00:00:00Z");
        let leap = 1_709_164_800_u64 | (123_000_000 << 34);
        assert_eq!(at(&leap.to_be_bytes()), "2024-02-29T00:00:00.123Z");
        let before: Vec<u8> = [&[0; 4][..], &(-1_i64).to_be_bytes()].concat();
        assert_eq!(at(&before), "1969-12-31T23:59:59Z");
        let never: Vec<u8> = [&[0; 4][..], &i64::MAX.to_be_bytes()].concat();
        for wrong in [&[1, 2][..], &[0xff; 12], &[0xff; 8], &never] {
            assert_eq!(at(wrong), Json::Null, "{wrong:?}");
        }
    }
}
