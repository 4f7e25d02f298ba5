//! Questions to name servers, and names for response codes and records as every DNS tool prints
//! them.

pub(crate) mod answer;
mod exchange;
mod question;

use hickory_proto::{op::ResponseCode, rr::Record};

pub(crate) use exchange::{Asking, Heard, on_stream};
pub(crate) use question::{Manner, QUESTION_MAX, Question};

use crate::{evidence::DnsRecord, text::cut};

/// Longest text of a record that is kept, in characters.
const TEXT_MAX: usize = 256;

/// The first of these records, as text.
pub(crate) fn records(records: &[Record], max: usize) -> Vec<DnsRecord> {
    let kept = records.iter().take(max).map(|record| DnsRecord {
        name: cut(&record.name.to_string(), TEXT_MAX),
        record_type: record.record_type().to_string(),
        ttl_seconds: record.ttl,
        data: cut(&record.data.to_string(), TEXT_MAX),
    });
    kept.collect()
}

/// The mnemonic of RFC 6895 §2.3, or the number.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest are numbers to a reader, too"
)]
pub(crate) fn rcode_name(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".to_owned(),
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::NXDomain => "NXDOMAIN".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        other => format!("RCODE{}", u16::from(other)),
    }
}
