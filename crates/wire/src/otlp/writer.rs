//! Protobuf as it is kept, answered and sent on.

use super::value::{Record, Resource, Scope, Value};

/// A message under construction.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

/// Records of one resource and one scope, to be sent on: `ExportLogsServiceRequest`.
#[derive(Debug, Default)]
pub struct Batch(Vec<u8>);

impl Batch {
    /// Adds records, as [`Record::to_bytes`] gave them, that `resource` and `scope` wrote.
    pub fn add<'a>(
        &mut self,
        resource: &Resource,
        scope: &Scope,
        records: impl IntoIterator<Item = &'a [u8]>,
    ) {
        let mut of_scope = Message(self::scope(scope));
        for record in records {
            of_scope.bytes(2, record);
        }
        let mut of_resource = Message(self::resource(resource));
        of_resource.bytes(2, &of_scope.0);
        let mut whole = Message(std::mem::take(&mut self.0));
        whole.bytes(1, &of_resource.0);
        self.0 = whole.0;
    }

    /// The request.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// `ResourceLogs` without scopes.
pub(super) fn resource(resource: &Resource) -> Vec<u8> {
    let mut inner = Message::default();
    inner.members(1, &resource.attributes);
    inner.number(2, resource.dropped.into());
    let mut whole = Message::default();
    whole.bytes_if_any(1, &inner.0);
    whole.bytes_if_any(3, resource.schema.as_bytes());
    whole.0
}

/// `ScopeLogs` without records.
pub(super) fn scope(scope: &Scope) -> Vec<u8> {
    let mut inner = Message::default();
    inner.bytes_if_any(1, scope.name.as_bytes());
    inner.bytes_if_any(2, scope.version.as_bytes());
    inner.members(3, &scope.attributes);
    inner.number(4, scope.dropped.into());
    let mut whole = Message::default();
    whole.bytes_if_any(1, &inner.0);
    whole.bytes_if_any(3, scope.schema.as_bytes());
    whole.0
}

/// `LogRecord`.
pub(super) fn record(record: &Record) -> Vec<u8> {
    let mut whole = Message::default();
    whole.fixed64(1, record.time);
    whole.number(2, record.severity.into());
    whole.bytes_if_any(3, record.severity_text.as_bytes());
    if record.body != Value::Empty {
        whole.bytes(5, &value(&record.body));
    }
    whole.members(6, &record.attributes);
    whole.number(7, record.dropped.into());
    whole.fixed32(8, record.flags);
    whole.bytes_if_any(9, record.trace.as_ref().map_or(&[], |id| &id[..]));
    whole.bytes_if_any(10, record.span.as_ref().map_or(&[], |id| &id[..]));
    whole.fixed64(11, record.observed);
    whole.bytes_if_any(12, record.event.as_bytes());
    whole.0
}

/// `AnyValue`. Which kind it is is told also where it holds nothing.
fn value(held: &Value) -> Vec<u8> {
    let mut whole = Message::default();
    match held {
        Value::Empty => {}
        Value::Text(text) => whole.bytes(1, text.as_bytes()),
        Value::Bool(yes) => whole.varint_field(2, u64::from(*yes)),
        Value::Int(number) => whole.varint_field(3, number.cast_unsigned()),
        Value::Double(number) => {
            whole.key(4, 1);
            whole.0.extend_from_slice(&number.to_le_bytes());
        }
        Value::List(items) => {
            let mut inner = Message::default();
            for item in items {
                inner.bytes(1, &value(item));
            }
            whole.bytes(5, &inner.0);
        }
        Value::Map(members) => {
            let mut inner = Message::default();
            inner.members(1, members);
            whole.bytes(6, &inner.0);
        }
        Value::Bytes(bytes) => whole.bytes(7, bytes),
    }
    whole.0
}

impl Message {
    /// Fields of `KeyValue`.
    fn members(&mut self, number: u64, members: &[(String, Value)]) {
        for (name, held) in members {
            let mut inner = Self::default();
            inner.bytes_if_any(1, name.as_bytes());
            if *held != Value::Empty {
                inner.bytes(2, &value(held));
            }
            self.bytes(number, &inner.0);
        }
    }

    /// A number, unless it is 0.
    pub(super) fn number(&mut self, number: u64, held: u64) {
        if held != 0 {
            self.varint_field(number, held);
        }
    }

    /// Bytes, text or a message, unless it is empty.
    pub(super) fn bytes_if_any(&mut self, number: u64, held: &[u8]) {
        if !held.is_empty() {
            self.bytes(number, held);
        }
    }

    pub(super) fn bytes(&mut self, number: u64, held: &[u8]) {
        self.key(number, 2);
        self.varint(u64::try_from(held.len()).unwrap_or(u64::MAX));
        self.0.extend_from_slice(held);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint_field(&mut self, number: u64, held: u64) {
        self.key(number, 0);
        self.varint(held);
    }

    fn fixed64(&mut self, number: u64, held: u64) {
        if held != 0 {
            self.key(number, 1);
            self.0.extend_from_slice(&held.to_le_bytes());
        }
    }

    fn fixed32(&mut self, number: u64, held: u32) {
        if held != 0 {
            self.key(number, 5);
            self.0.extend_from_slice(&held.to_le_bytes());
        }
    }

    fn key(&mut self, number: u64, wire_type: u64) {
        self.varint(number << 3 | wire_type);
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}
