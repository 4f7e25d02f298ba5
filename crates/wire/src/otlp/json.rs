//! Requests in JSON (OTLP specification, section "JSON Protobuf Encoding"): names in lower camel
//! case, trace and span ids in hexadecimal, 64-bit integers as numbers or texts, enums as numbers.
//!
//! Each level is read as slices of the text and gone through one at a time, so nothing of it is
//! built before it is counted.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserializer as _;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::value::{MAX_SEVERITY, Record, Resource, Scope, Value};
use super::{Budget, Malformed, Taking, Waiting, check_context, deeper};

/// Padding may be there or not (the JSON of protobuf).
const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);

/// `ExportLogsServiceRequest`.
pub(super) fn request(body: &[u8], taking: &mut Taking<'_>) -> Result<(), Malformed> {
    let text = str::from_utf8(body).map_err(|_| broken("it is not UTF-8"))?;
    members(text, &mut |name, held| match name {
        "resourceLogs" => items(held, &mut |one| of_resource(one, taking)),
        _ => Ok(()),
    })
}

/// `ResourceLogs`. What it is about may stand behind its records.
fn of_resource(text: &str, taking: &mut Taking<'_>) -> Result<(), Malformed> {
    let mut waiting = Waiting {
        resource: Some(resource(text)?),
        scope: None,
    };
    members(text, &mut |name, held| match name {
        "scopeLogs" => items(held, &mut |one| {
            waiting.scope = Some(scope(one)?);
            of_scope(one, &mut waiting, taking)
        }),
        _ => Ok(()),
    })
}

/// The records of `ScopeLogs`.
fn of_scope(text: &str, waiting: &mut Waiting, taking: &mut Taking<'_>) -> Result<(), Malformed> {
    members(text, &mut |name, held| match name {
        "logRecords" => items(held, &mut |one| {
            taking.record(waiting, one.len(), || record(one))
        }),
        _ => Ok(()),
    })
}

/// `ResourceLogs` but for its scopes.
fn resource(text: &str) -> Result<Resource, Malformed> {
    let (mut resource, mut budget) = (Resource::default(), Budget::new());
    members(text, &mut |name, held| {
        match name {
            "resource" => {
                check_context(held.len())?;
                members(held, &mut |name, held| {
                    match name {
                        "attributes" => resource.attributes = attributes(held, 0, &mut budget)?,
                        "droppedAttributesCount" => resource.dropped = small(held)?,
                        _ => {}
                    }
                    Ok(())
                })?;
            }
            "schemaUrl" => resource.schema = context_text(held)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(resource)
}

/// `ScopeLogs` but for its records.
fn scope(text: &str) -> Result<Scope, Malformed> {
    let (mut scope, mut budget) = (Scope::default(), Budget::new());
    members(text, &mut |name, held| {
        match name {
            "scope" => {
                check_context(held.len())?;
                members(held, &mut |name, held| {
                    match name {
                        "name" => scope.name = string(held)?,
                        "version" => scope.version = string(held)?,
                        "attributes" => scope.attributes = attributes(held, 0, &mut budget)?,
                        "droppedAttributesCount" => scope.dropped = small(held)?,
                        _ => {}
                    }
                    Ok(())
                })?;
            }
            "schemaUrl" => scope.schema = context_text(held)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(scope)
}

/// `LogRecord`.
fn record(text: &str) -> Result<Record, Malformed> {
    let (mut record, mut budget) = (Record::default(), Budget::new());
    members(text, &mut |name, held| {
        match name {
            "timeUnixNano" => record.time = unsigned(held)?,
            "observedTimeUnixNano" => record.observed = unsigned(held)?,
            "severityNumber" => record.severity = severity(held)?,
            "severityText" => record.severity_text = string(held)?,
            "body" => record.body = value(held, 0, &mut budget)?,
            "attributes" => record.attributes = attributes(held, 0, &mut budget)?,
            "droppedAttributesCount" => record.dropped = small(held)?,
            "flags" => record.flags = small(held)?,
            "traceId" => record.trace = hexadecimal(held)?,
            "spanId" => record.span = hexadecimal(held)?,
            "eventName" => record.event = string(held)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(record)
}

/// A list of `KeyValue`.
fn attributes(
    text: &str,
    depth: usize,
    budget: &mut Budget,
) -> Result<Vec<(String, Value)>, Malformed> {
    let mut all = Vec::new();
    items(text, &mut |one| {
        budget.one()?;
        let (mut key, mut found) = (String::new(), Value::Empty);
        members(one, &mut |name, held| {
            match name {
                "key" => key = string(held)?,
                "value" => found = value(held, depth, budget)?,
                _ => {}
            }
            Ok(())
        })?;
        all.push((key, found));
        Ok(())
    })?;
    Ok(all)
}

/// `AnyValue`; of several values the last.
fn value(text: &str, depth: usize, budget: &mut Budget) -> Result<Value, Malformed> {
    let mut found = Value::Empty;
    members(text, &mut |name, held| {
        found = match name {
            "stringValue" => Value::Text(string(held)?),
            "boolValue" => Value::Bool(read(held, "a boolValue is true or false")?),
            "intValue" => Value::Int(signed(held)?),
            "doubleValue" => Value::Double(double(held)?),
            "arrayValue" => Value::List(list(held, deeper(depth)?, budget)?),
            "kvlistValue" => Value::Map(map(held, deeper(depth)?, budget)?),
            "bytesValue" => Value::Bytes(base64(held)?),
            _ => return Ok(()),
        };
        Ok(())
    })?;
    Ok(found)
}

/// `ArrayValue`.
fn list(text: &str, depth: usize, budget: &mut Budget) -> Result<Vec<Value>, Malformed> {
    let mut all = Vec::new();
    members(text, &mut |name, held| match name {
        "values" => items(held, &mut |one| {
            budget.one()?;
            all.push(value(one, depth, budget)?);
            Ok(())
        }),
        _ => Ok(()),
    })?;
    Ok(all)
}

/// `KeyValueList`.
fn map(text: &str, depth: usize, budget: &mut Budget) -> Result<Vec<(String, Value)>, Malformed> {
    let mut all = Vec::new();
    members(text, &mut |name, held| {
        if name == "values" {
            all.extend(attributes(held, depth, budget)?);
        }
        Ok(())
    })?;
    Ok(all)
}

fn context_text(text: &str) -> Result<String, Malformed> {
    check_context(text.len())?;
    string(text)
}

fn string(text: &str) -> Result<String, Malformed> {
    read(text, "a text was expected")
}

/// A number below 2^32.
fn small(text: &str) -> Result<u32, Malformed> {
    u32::try_from(unsigned(text)?).map_err(|_| broken("a number is too large"))
}

/// One beyond those that there are is not said.
fn severity(text: &str) -> Result<u8, Malformed> {
    let number: i64 = read(text, "a severityNumber is a number")?;
    let severity = u8::try_from(number).unwrap_or(0);
    Ok(if severity > MAX_SEVERITY { 0 } else { severity })
}

fn unsigned(text: &str) -> Result<u64, Malformed> {
    let wide = whole(text)?;
    u64::try_from(wide).map_err(|_| broken("a number is out of range"))
}

fn signed(text: &str) -> Result<i64, Malformed> {
    let wide = whole(text)?;
    i64::try_from(wide).map_err(|_| broken("a number is out of range"))
}

/// A whole number, as a number or as text; one in the form of a fraction is taken too.
fn whole(text: &str) -> Result<i128, Malformed> {
    let digits = unquoted(text)?;
    if let Ok(number) = digits.parse() {
        return Ok(number);
    }
    let number: f64 = digits
        .parse()
        .map_err(|_| broken("a whole number was expected"))?;
    if number.fract() == 0.0 && number.abs() < 18_446_744_073_709_551_616.0 {
        // Exact: it is whole and within range.
        Ok(number as i128)
    } else {
        Err(broken("a whole number was expected"))
    }
}

fn double(text: &str) -> Result<f64, Malformed> {
    let number = unquoted(text)?;
    match &*number {
        "NaN" => Ok(f64::NAN),
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        // serde_json is not exact to the last bit.
        number => number
            .parse()
            .map_err(|_| broken("a doubleValue is a number")),
    }
}

/// What stands between quotation marks, if there are some.
fn unquoted(text: &str) -> Result<Cow<'_, str>, Malformed> {
    if text.starts_with('"') {
        string(text).map(Cow::Owned)
    } else {
        Ok(Cow::Borrowed(text))
    }
}

fn base64(text: &str) -> Result<Vec<u8>, Malformed> {
    let text = string(text)?;
    let plain = STANDARD.decode(&text);
    plain
        .or_else(|_| URL_SAFE.decode(&text))
        .map_err(|_| broken("a bytesValue is in base 64"))
}

/// An id; one of another length is none (`logs.proto`).
fn hexadecimal<const N: usize>(text: &str) -> Result<Option<[u8; N]>, Malformed> {
    let text = string(text)?;
    if text.len() != 2 * N {
        return Ok(None);
    }
    let mut id = [0; N];
    for (byte, pair) in id.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digit = |at: usize| pair.get(at).and_then(|it| char::from(*it).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err(broken("a traceId and a spanId are in hexadecimal"));
        };
        *byte = u8::try_from(high << 4 | low).unwrap_or_default();
    }
    Ok(Some(id))
}

fn read<'de, T: serde::Deserialize<'de>>(
    text: &'de str,
    why: &'static str,
) -> Result<T, Malformed> {
    serde_json::from_str(text).map_err(|_| broken(why))
}

/// What is done with each member of an object: its name, and its value as it is written.
type OnMember<'a> = &'a mut dyn FnMut(&str, &str) -> Result<(), Malformed>;

/// What is done with each item of a list, as it is written.
type OnItem<'a> = &'a mut dyn FnMut(&str) -> Result<(), Malformed>;

/// Goes through the members of an object. `null` is as good as not there.
fn members(text: &str, on: OnMember<'_>) -> Result<(), Malformed> {
    let mut stopped = None;
    let walk = Walk {
        on: Either::Member(on),
        stopped: &mut stopped,
    };
    let mut from = serde_json::Deserializer::from_str(text);
    let walked = from.deserialize_map(walk).and_then(|()| from.end());
    over(walked, stopped)
}

/// Goes through the items of a list.
fn items(text: &str, on: OnItem<'_>) -> Result<(), Malformed> {
    let mut stopped = None;
    let walk = Walk {
        on: Either::Item(on),
        stopped: &mut stopped,
    };
    let mut from = serde_json::Deserializer::from_str(text);
    let walked = from.deserialize_seq(walk).and_then(|()| from.end());
    over(walked, stopped)
}

fn over(
    walked: Result<(), serde_json::Error>,
    stopped: Option<Malformed>,
) -> Result<(), Malformed> {
    match (walked, stopped) {
        (_, Some(malformed)) => Err(malformed),
        (Ok(()), None) => Ok(()),
        (Err(error), None) => Err(broken(&error.to_string())),
    }
}

struct Walk<'a, 'f> {
    on: Either<'f>,
    /// Why it did not go on, if that was not for the text's sake.
    stopped: &'a mut Option<Malformed>,
}

enum Either<'f> {
    Member(OnMember<'f>),
    Item(OnItem<'f>),
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.on {
            Either::Member(_) => "an object",
            Either::Item(_) => "a list",
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Either::Member(on) = self.on else {
            return Err(A::Error::custom("a list was expected, not an object"));
        };
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let held: &'de RawValue = map.next_value()?;
            if held.get() == "null" {
                continue;
            }
            if let Err(malformed) = on(&name, held.get()) {
                *self.stopped = Some(malformed);
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Either::Item(on) = self.on else {
            return Err(A::Error::custom("an object was expected, not a list"));
        };
        while let Some(held) = seq.next_element::<&'de RawValue>()? {
            if let Err(malformed) = on(held.get()) {
                *self.stopped = Some(malformed);
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

fn broken(why: &str) -> Malformed {
    Malformed::syntax(format!("not JSON of OTLP: {why}"))
}
