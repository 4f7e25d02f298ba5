#![cfg(test)]

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource as SdkResource;
use prop::collection::vec;
use prop::option;
use proptest::prelude::*;
use prost::Message as _;
use serde_json::json;

use super::*;

/// All parts of a request, and what was rejected.
fn read(encoding: Encoding, body: &[u8]) -> Result<(Vec<Part>, Rejected), Malformed> {
    let mut parts = Vec::new();
    let rejected = encoding.read(body, &mut |part| parts.push(part))?;
    Ok((parts, rejected))
}

/// The records of a request in JSON of one scope.
fn records(all: &serde_json::Value) -> (Vec<Record>, Rejected) {
    let request = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": all}]}]});
    let (parts, rejected) = read(Encoding::Json, request.to_string().as_bytes()).unwrap();
    let records = parts.into_iter().filter_map(|part| match part {
        Part::Record(record) => Some(record),
        Part::Resource(_) | Part::Scope(_) => None,
    });
    (records.collect(), rejected)
}

fn record(one: serde_json::Value) -> Record {
    let (mut records, rejected) = records(&json!([one]));
    assert_eq!(rejected, Rejected::default());
    records.pop().unwrap()
}

/// What the parts are when they are written as a request again, a group a scope.
fn written(parts: &[Part]) -> Vec<u8> {
    let mut resource = Resource::default();
    let mut batch = Batch::default();
    let mut groups = Vec::new();
    for part in parts {
        match part {
            Part::Resource(one) => resource = one.clone(),
            Part::Scope(one) => {
                groups.push((resource.clone(), one.clone(), Vec::new()));
            }
            Part::Record(one) => {
                let bytes = one.to_bytes();
                assert_eq!(Record::from_bytes(&bytes).as_ref(), Ok(one));
                if let Some((_, _, records)) = groups.last_mut() {
                    records.push(bytes);
                }
            }
        }
    }
    for (resource, scope, records) in &groups {
        assert_eq!(
            Resource::from_bytes(&resource.to_bytes()).as_ref(),
            Ok(resource)
        );
        assert_eq!(Scope::from_bytes(&scope.to_bytes()).as_ref(), Ok(scope));
        batch.add(resource, scope, records.iter().map(Vec::as_slice));
    }
    batch.into_bytes()
}

/// A request as it is when each scope stands in a group of its own.
fn a_group_a_scope(request: &ExportLogsServiceRequest) -> ExportLogsServiceRequest {
    let groups = request.resource_logs.iter().flat_map(|of_resource| {
        of_resource.scope_logs.iter().map(|of_scope| ResourceLogs {
            scope_logs: vec![of_scope.clone()],
            ..of_resource.clone()
        })
    });
    ExportLogsServiceRequest {
        resource_logs: groups.collect(),
    }
}

fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        any::<String>().prop_map(any_value::Value::StringValue),
        any::<bool>().prop_map(any_value::Value::BoolValue),
        any::<i64>().prop_map(any_value::Value::IntValue),
        (-1e9..1e9_f64).prop_map(any_value::Value::DoubleValue),
        vec(any::<u8>(), 0..8).prop_map(any_value::Value::BytesValue),
    ];
    let leaf = leaf.prop_map(|held| AnyValue { value: Some(held) });
    leaf.prop_recursive(3, 16, 4, |inner| {
        let list = vec(inner.clone(), 0..4)
            .prop_map(|values| any_value::Value::ArrayValue(ArrayValue { values }));
        let map = vec((".{0,8}", inner), 0..4).prop_map(|members| {
            let values = members.into_iter().map(|(key, held)| member(key, held));
            let values = values.collect();
            any_value::Value::KvlistValue(KeyValueList { values })
        });
        prop_oneof![list, map].prop_map(|held| AnyValue { value: Some(held) })
    })
}

fn member(key: String, held: AnyValue) -> KeyValue {
    KeyValue {
        key,
        value: Some(held),
        ..KeyValue::default()
    }
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec((".{1,8}", value()), 0..4).prop_map(|members| {
        let members = members.into_iter();
        members.map(|(key, held)| member(key, held)).collect()
    })
}

fn log_record() -> impl Strategy<Value = LogRecord> {
    let ids = (option::of(any::<[u8; 16]>()), option::of(any::<[u8; 8]>()));
    let times = (any::<u64>(), any::<u64>());
    let said = (0..=24_i32, ".{0,8}", option::of(value()), attributes());
    (times, said, any::<u32>(), any::<u32>(), ids, ".{0,8}").prop_map(
        |(times, said, dropped, flags, (trace, span), event_name)| LogRecord {
            time_unix_nano: times.0,
            observed_time_unix_nano: times.1,
            severity_number: said.0,
            severity_text: said.1,
            body: said.2,
            attributes: said.3,
            dropped_attributes_count: dropped,
            flags,
            trace_id: trace.map(Vec::from).unwrap_or_default(),
            span_id: span.map(Vec::from).unwrap_or_default(),
            event_name,
        },
    )
}

fn request() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let of_scope = (".{0,8}", ".{0,8}", attributes(), vec(log_record(), 1..4));
    let of_scope = of_scope.prop_map(|(name, version, attributes, log_records)| ScopeLogs {
        scope: Some(InstrumentationScope {
            // One that says nothing is as good as none.
            name: format!("s{name}"),
            version,
            attributes,
            dropped_attributes_count: 0,
        }),
        log_records,
        schema_url: "https://opentelemetry.io/schemas/1.30.0".to_owned(),
    });
    let of_resource = (attributes(), any::<u32>(), vec(of_scope, 1..3));
    let of_resource = of_resource.prop_map(|(attributes, dropped, scope_logs)| ResourceLogs {
        resource: Some(SdkResource {
            attributes,
            dropped_attributes_count: dropped.max(1),
            entity_refs: Vec::new(),
        }),
        scope_logs,
        schema_url: String::new(),
    });
    vec(of_resource, 0..3).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}

proptest! {
    #[test]
    fn what_opentelemetrys_own_types_write_is_read_alike_from_both_encodings(request in request()) {
        let (parts, rejected) = read(Encoding::Protobuf, &request.encode_to_vec()).unwrap();
        prop_assert_eq!(rejected, Rejected::default());
        let json = serde_json::to_vec(&request).unwrap();
        prop_assert_eq!(&read(Encoding::Json, &json).unwrap().0, &parts);
        let written = ExportLogsServiceRequest::decode(&*written(&parts)).unwrap();
        prop_assert_eq!(written, a_group_a_scope(&request));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..256)) {
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            if let Ok((parts, _)) = read(encoding, &bytes) {
                ExportLogsServiceRequest::decode(&*written(&parts)).unwrap();
            }
        }
    }

    #[test]
    fn a_request_that_is_cut_off_or_changed_is_read_or_refused(
        request in request(), at in any::<prop::sample::Index>(), to in any::<u8>(),
    ) {
        let json = serde_json::to_vec(&request).unwrap();
        for (encoding, mut bytes) in [(Encoding::Protobuf, request.encode_to_vec()), (Encoding::Json, json)] {
            if bytes.is_empty() {
                continue;
            }
            let at = at.index(bytes.len());
            let _ = read(encoding, &bytes[..at]);
            bytes[at] = to;
            let _ = read(encoding, &bytes);
        }
    }
}

#[test]
fn json_may_write_numbers_as_text_and_say_more_than_is_known() {
    let read = record(json!({
        "timeUnixNano": "1544712660300000000", "observedTimeUnixNano": 1_544_712_660_300_000_001_u64,
        "severityNumber": 10, "severityText": "Information", "unheardOf": {"a": [1, 2]},
        "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "eee19b7ec3c1b174",
        "flags": 1, "droppedAttributesCount": 2, "eventName": "door", "body": {"stringValue": "said"},
        "attributes": [
            {"key": "text", "value": {"stringValue": "1"}}, {"key": "int", "value": {"intValue": "-7"}},
            {"key": "plain", "value": {"intValue": 7}}, {"key": "whole", "value": {"intValue": 1e3}},
            {"key": "double", "value": {"doubleValue": 0.5}}, {"key": "nan", "value": {"doubleValue": "NaN"}},
            {"key": "bytes", "value": {"bytesValue": "aGk"}}, {"key": "nothing", "value": null},
            {"key": "list", "value": {"arrayValue": {"values": [{"boolValue": true}, {}]}}},
            {"key": "map", "value": {"kvlistValue": {"values": [{"key": "a", "value": {"intValue": 1}}]}}},
        ],
    }));
    assert_eq!(
        (read.time, read.observed),
        (1_544_712_660_300_000_000, 1_544_712_660_300_000_001)
    );
    assert_eq!(read.trace.unwrap()[..2], [0x5b, 0x8e]);
    assert_eq!(
        read.span.unwrap(),
        [0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74]
    );
    assert_eq!((read.severity, read.flags, read.dropped), (10, 1, 2));
    assert_eq!(
        serde_json::Value::Object(read.attributes_json()),
        json!({"text": "1", "int": -7, "plain": 7, "whole": 1000, "double": 0.5, "nan": "NaN",
            "bytes": "aGk=", "nothing": null, "list": [true, null], "map": {"a": 1}})
    );
}

#[test]
fn what_json_may_not_hold_is_refused() {
    for wrong in [
        json!([]),
        json!({"resourceLogs": {}}),
        json!({"resourceLogs": [[]]}),
        json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"severityNumber": "INFO"}]}]}]}),
        json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": -1}]}]}]}),
        json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "1.5"}]}]}]}),
        json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"spanId": "zzzzzzzzzzzzzzzz"}]}]}]}),
        json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": "plain"}]}]}]}),
    ] {
        let refused = read(Encoding::Json, wrong.to_string().as_bytes());
        assert!(
            matches!(refused, Err(Malformed::Syntax(_))),
            "{wrong}: {refused:?}"
        );
    }
    let behind = read(Encoding::Json, b"{} {}");
    assert!(matches!(behind, Err(Malformed::Syntax(_))), "{behind:?}");
}

#[test]
fn what_the_records_belong_to_may_stand_behind_them() {
    let text = r#"{"resourceLogs": [{
        "scopeLogs": [{"logRecords": [{"severityNumber": 9}], "scope": {"name": "printing"}}],
        "resource": {"attributes": [{"key": "a", "value": {"intValue": "1"}}]}
    }]}"#;
    let (parts, _) = read(Encoding::Json, text.as_bytes()).unwrap();
    let [
        Part::Resource(resource),
        Part::Scope(scope),
        Part::Record(_),
    ] = &parts[..]
    else {
        panic!("{parts:?}");
    };
    assert_eq!((resource.attributes.len(), &*scope.name), (1, "printing"));
    // The same in protobuf: the fields of `ResourceLogs` and `ScopeLogs` in the other order.
    let record = [0x12, 2, 0x10, 9];
    let name = [0x0a, 3, 0x0a, 1, b'p'];
    let of_scope = [&record[..], &name].concat();
    let resource = [0x0a, 4, 0x0a, 2, 0x0a, 0];
    let of_resource = [&[0x12, of_scope.len() as u8], &of_scope[..], &resource].concat();
    let request = [&[0x0a, of_resource.len() as u8], &of_resource[..]].concat();
    let (parts, _) = read(Encoding::Protobuf, &request).unwrap();
    let [
        Part::Resource(resource),
        Part::Scope(scope),
        Part::Record(record),
    ] = &parts[..]
    else {
        panic!("{parts:?}");
    };
    assert_eq!(
        (resource.attributes.len(), &*scope.name, record.severity),
        (1, "p", 9)
    );
}

#[test]
fn an_id_of_another_length_is_none() {
    let read = record(json!({"traceId": "", "spanId": "00"}));
    assert_eq!((read.trace, read.span), (None, None));
    // LogRecord with a trace id of two bytes.
    let read = Record::from_bytes(&[0x4a, 2, 1, 2]).unwrap();
    assert_eq!(read.trace, None);
}

#[test]
fn a_record_beyond_a_bound_is_rejected_and_the_others_are_taken() {
    let deep = |depth| {
        (0..depth).fold(
            json!({"intValue": 1}),
            |inner, _| json!({"arrayValue": {"values": [inner]}}),
        )
    };
    let many = |number| {
        let values = (0..number).map(|_| json!({"key": "k", "value": {}}));
        json!({"attributes": values.collect::<Vec<_>>()})
    };
    let long = |bytes| json!({"severityText": "x".repeat(bytes)});
    let fits = [
        many(MAX_VALUES),
        json!({"body": deep(MAX_DEPTH)}),
        long(MAX_RECORD - 19),
    ];
    let (taken, rejected) = records(&fits.clone().into_iter().collect());
    assert_eq!((taken.len(), rejected.records), (3, 0), "{rejected:?}");
    let protobuf: Vec<usize> = taken.iter().map(|one| one.to_bytes().len()).collect();
    for wrong in [
        many(MAX_VALUES + 1),
        json!({"body": deep(MAX_DEPTH + 1)}),
        long(MAX_RECORD - 18),
    ] {
        let (taken, rejected) = records(&json!([{"flags": 1}, wrong, {"flags": 2}]));
        assert_eq!(
            taken.iter().map(|one| one.flags).collect::<Vec<_>>(),
            [1, 2]
        );
        assert_eq!(rejected.records, 1);
        assert!(rejected.why.unwrap().contains("at most"), "{rejected:?}");
    }
    assert!(protobuf.iter().all(|bytes| *bytes <= MAX_RECORD));
}

#[test]
fn the_bounds_hold_in_protobuf_too() {
    let of = |attributes: Vec<KeyValue>, records: usize| {
        let log = LogRecord {
            attributes,
            ..LogRecord::default()
        };
        let of_scope = ScopeLogs {
            log_records: vec![log; records],
            ..ScopeLogs::default()
        };
        let of_resource = ResourceLogs {
            scope_logs: vec![of_scope],
            ..ResourceLogs::default()
        };
        let request = ExportLogsServiceRequest {
            resource_logs: vec![of_resource],
        };
        read(Encoding::Protobuf, &request.encode_to_vec())
            .unwrap()
            .1
            .records
    };
    let attribute = |held: AnyValue| member("k".to_owned(), held);
    let nested = |depth| {
        (0..depth).fold(AnyValue::default(), |inner, _| {
            let values = vec![inner];
            AnyValue {
                value: Some(any_value::Value::ArrayValue(ArrayValue { values })),
            }
        })
    };
    let text = |bytes| AnyValue {
        value: Some(any_value::Value::StringValue("x".repeat(bytes))),
    };
    let one = AnyValue::default;
    assert_eq!(of(vec![attribute(one()); MAX_VALUES], 1), 0);
    assert_eq!(of(vec![attribute(one()); MAX_VALUES + 1], 2), 2);
    assert_eq!(of(vec![attribute(nested(MAX_DEPTH))], 1), 0);
    assert_eq!(of(vec![attribute(nested(MAX_DEPTH + 1))], 1), 1);
    assert_eq!(of(vec![attribute(text(MAX_RECORD - 20))], 1), 0);
    assert_eq!(of(vec![attribute(text(MAX_RECORD))], 1), 1);
    assert_eq!(of(Vec::new(), MAX_RECORDS + 3), 3);
    let far = [
        0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
    ];
    assert!(matches!(
        read(Encoding::Protobuf, &far),
        Err(Malformed::Syntax(_))
    ));
}

#[test]
fn answers_are_those_of_the_specification() {
    let some = Reply {
        rejected: 3,
        why: "too large".to_owned(),
    };
    for reply in [Reply::default(), some.clone()] {
        assert_eq!(
            read_reply(&reply.to_bytes(Encoding::Protobuf)).as_ref(),
            Ok(&reply)
        );
    }
    assert_eq!(Reply::default().to_bytes(Encoding::Protobuf), b"");
    assert_eq!(Reply::default().to_bytes(Encoding::Json), b"{}");
    assert_eq!(
        some.to_bytes(Encoding::Json),
        br#"{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"too large"}}"#
    );
    assert_eq!(
        status(Encoding::Json, Code::InvalidArgument, "no"),
        br#"{"code":3,"message":"no"}"#
    );
    assert_eq!(
        status(Encoding::Protobuf, Code::InvalidArgument, "no"),
        [8, 3, 0x12, 2, b'n', b'o']
    );
    let of = |name| Encoding::of(name);
    assert_eq!(of("application/json; charset=utf-8"), Some(Encoding::Json));
    assert_eq!(of("Application/X-Protobuf"), Some(Encoding::Protobuf));
    assert_eq!(of("application/grpc"), None);
}
