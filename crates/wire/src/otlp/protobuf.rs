//! Requests in protobuf, and what is kept of them.
//!
//! Read by hand: generated types turn a whole request into values before anything can be counted,
//! and two bytes of it may become some hundred in memory.

use super::value::{MAX_SEVERITY, Record, Resource, Scope, Value};
use super::{Budget, Malformed, Taking, Waiting, check_context, deeper};

/// What a field holds, by its wire type.
enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

/// The fields of a message that have not been read.
struct Fields<'a>(&'a [u8]);

/// `ExportLogsServiceRequest`.
pub(super) fn request(body: &[u8], taking: &mut Taking<'_>) -> Result<(), Malformed> {
    let mut fields = Fields(body);
    while let Some((number, field)) = fields.next()? {
        if number == 1 {
            of_resource(field.bytes()?, taking)?;
        }
    }
    Ok(())
}

/// `ResourceLogs`. What it is about may stand behind its records.
fn of_resource(bytes: &[u8], taking: &mut Taking<'_>) -> Result<(), Malformed> {
    let mut waiting = Waiting {
        resource: Some(resource(bytes)?),
        scope: None,
    };
    let mut fields = Fields(bytes);
    while let Some((number, field)) = fields.next()? {
        if number == 2 {
            let bytes = field.bytes()?;
            waiting.scope = Some(scope(bytes)?);
            of_scope(bytes, &mut waiting, taking)?;
        }
    }
    Ok(())
}

/// The records of `ScopeLogs`.
fn of_scope(bytes: &[u8], waiting: &mut Waiting, taking: &mut Taking<'_>) -> Result<(), Malformed> {
    let mut fields = Fields(bytes);
    while let Some((number, field)) = fields.next()? {
        if number == 2 {
            let bytes = field.bytes()?;
            taking.record(waiting, bytes.len(), || record(bytes))?;
        }
    }
    Ok(())
}

/// `ResourceLogs` but for its scopes.
pub(super) fn resource(bytes: &[u8]) -> Result<Resource, Malformed> {
    let (mut resource, mut budget) = (Resource::default(), Budget::new());
    // A message that stands there several times is one.
    let mut whole = 0;
    let mut fields = Fields(bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => {
                let bytes = field.bytes()?;
                whole += bytes.len();
                check_context(whole)?;
                let mut fields = Fields(bytes);
                while let Some((number, field)) = fields.next()? {
                    match number {
                        1 => resource.attributes.push(member(&field, 0, &mut budget)?),
                        2 => resource.dropped = field.small()?,
                        _ => {}
                    }
                }
            }
            3 => resource.schema = context_text(&field)?,
            _ => {}
        }
    }
    Ok(resource)
}

/// `ScopeLogs` but for its records.
pub(super) fn scope(bytes: &[u8]) -> Result<Scope, Malformed> {
    let (mut scope, mut budget) = (Scope::default(), Budget::new());
    let mut whole = 0;
    let mut fields = Fields(bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => {
                let bytes = field.bytes()?;
                whole += bytes.len();
                check_context(whole)?;
                let mut fields = Fields(bytes);
                while let Some((number, field)) = fields.next()? {
                    match number {
                        1 => scope.name = field.text()?,
                        2 => scope.version = field.text()?,
                        3 => scope.attributes.push(member(&field, 0, &mut budget)?),
                        4 => scope.dropped = field.small()?,
                        _ => {}
                    }
                }
            }
            3 => scope.schema = context_text(&field)?,
            _ => {}
        }
    }
    Ok(scope)
}

/// `LogRecord`.
pub(super) fn record(bytes: &[u8]) -> Result<Record, Malformed> {
    let (mut record, mut budget) = (Record::default(), Budget::new());
    let mut fields = Fields(bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => record.time = field.fixed64()?,
            2 => record.severity = severity(field.varint()?),
            3 => record.severity_text = field.text()?,
            5 => record.body = value(field.bytes()?, 0, &mut budget)?,
            6 => record.attributes.push(member(&field, 0, &mut budget)?),
            7 => record.dropped = field.small()?,
            8 => record.flags = field.fixed32()?,
            // One of another length is none (`logs.proto`).
            9 => record.trace = field.bytes()?.try_into().ok(),
            10 => record.span = field.bytes()?.try_into().ok(),
            11 => record.observed = field.fixed64()?,
            12 => record.event = field.text()?,
            _ => {}
        }
    }
    Ok(record)
}

/// One beyond those that there are is not said.
fn severity(number: u64) -> u8 {
    let severity = u8::try_from(number).unwrap_or(0);
    if severity > MAX_SEVERITY { 0 } else { severity }
}

/// `KeyValue`.
fn member(
    field: &Field<'_>,
    depth: usize,
    budget: &mut Budget,
) -> Result<(String, Value), Malformed> {
    budget.one()?;
    let (mut name, mut held) = (String::new(), Value::Empty);
    let mut fields = Fields(field.bytes()?);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => name = field.text()?,
            2 => held = value(field.bytes()?, depth, budget)?,
            _ => {}
        }
    }
    Ok((name, held))
}

/// `AnyValue`; of several values the last.
fn value(bytes: &[u8], depth: usize, budget: &mut Budget) -> Result<Value, Malformed> {
    let mut held = Value::Empty;
    let mut fields = Fields(bytes);
    while let Some((number, field)) = fields.next()? {
        held = match number {
            1 => Value::Text(field.text()?),
            2 => Value::Bool(field.varint()? != 0),
            3 => Value::Int(field.varint()?.cast_signed()),
            4 => Value::Double(f64::from_bits(field.fixed64()?)),
            5 => list(field.bytes()?, deeper(depth)?, budget)?,
            6 => map(field.bytes()?, deeper(depth)?, budget)?,
            7 => Value::Bytes(field.bytes()?.to_vec()),
            _ => continue,
        };
    }
    Ok(held)
}

/// `ArrayValue`.
fn list(bytes: &[u8], depth: usize, budget: &mut Budget) -> Result<Value, Malformed> {
    let mut items = Vec::new();
    let mut fields = Fields(bytes);
    while let Some((number, field)) = fields.next()? {
        if number == 1 {
            budget.one()?;
            items.push(value(field.bytes()?, depth, budget)?);
        }
    }
    Ok(Value::List(items))
}

/// `KeyValueList`.
fn map(bytes: &[u8], depth: usize, budget: &mut Budget) -> Result<Value, Malformed> {
    let mut members = Vec::new();
    let mut fields = Fields(bytes);
    while let Some((number, field)) = fields.next()? {
        if number == 1 {
            members.push(member(&field, depth, budget)?);
        }
    }
    Ok(Value::Map(members))
}

fn context_text(field: &Field<'_>) -> Result<String, Malformed> {
    check_context(field.bytes()?.len())?;
    field.text()
}

impl<'a> Fields<'a> {
    /// The next field and its number.
    fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = key >> 3;
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.fixed()?)),
            2 => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Fixed32(u32::from_le_bytes(self.fixed()?)),
            _ => return Err(broken("a field of a type that is not used")),
        };
        if number == 0 || number >= 1 << 29 {
            return Err(broken("a field number out of range"));
        }
        Ok(Some((number, field)))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.fixed()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(broken("a number of more than 64 bits"))
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| broken("it breaks off"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let split = self.0.split_at_checked(length);
        let (taken, rest) = split.ok_or_else(|| broken("it breaks off"))?;
        self.0 = rest;
        Ok(taken)
    }
}

impl<'a> Field<'a> {
    fn bytes(&self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed64(_) | Self::Fixed32(_) => Err(other_type()),
        }
    }

    fn text(&self) -> Result<String, Malformed> {
        let text = str::from_utf8(self.bytes()?);
        Ok(text.map_err(|_| broken("a text is not UTF-8"))?.to_owned())
    }

    fn varint(&self) -> Result<u64, Malformed> {
        match self {
            Self::Varint(number) => Ok(*number),
            Self::Bytes(_) | Self::Fixed64(_) | Self::Fixed32(_) => Err(other_type()),
        }
    }

    /// A `uint32`, of which protobuf keeps the low bits.
    fn small(&self) -> Result<u32, Malformed> {
        let low = self.varint()? & u64::from(u32::MAX);
        Ok(u32::try_from(low).unwrap_or(u32::MAX))
    }

    fn fixed64(&self) -> Result<u64, Malformed> {
        match self {
            Self::Fixed64(number) => Ok(*number),
            Self::Bytes(_) | Self::Varint(_) | Self::Fixed32(_) => Err(other_type()),
        }
    }

    fn fixed32(&self) -> Result<u32, Malformed> {
        match self {
            Self::Fixed32(number) => Ok(*number),
            Self::Bytes(_) | Self::Varint(_) | Self::Fixed64(_) => Err(other_type()),
        }
    }
}

/// The fields of the message for the part beside, which reads answers.
pub(super) fn text_and_number(
    bytes: &[u8],
    number_at: u64,
    text_at: u64,
) -> Result<(u64, String), Malformed> {
    let (mut number, mut text) = (0, String::new());
    let mut fields = Fields(bytes);
    while let Some((at, field)) = fields.next()? {
        if at == number_at {
            number = field.varint()?;
        } else if at == text_at {
            text = field.text()?;
        }
    }
    Ok((number, text))
}

/// The last field of that number that holds bytes.
pub(super) fn message_at(bytes: &[u8], wanted: u64) -> Result<Option<&[u8]>, Malformed> {
    let (mut found, mut fields) = (None, Fields(bytes));
    while let Some((number, field)) = fields.next()? {
        if number == wanted {
            found = Some(field.bytes()?);
        }
    }
    Ok(found)
}

fn other_type() -> Malformed {
    broken("a field of another type than it has in OTLP")
}

fn broken(why: &str) -> Malformed {
    Malformed::syntax(format!("not protobuf of OTLP: {why}"))
}
