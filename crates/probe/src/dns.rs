//! Names for DNS response codes, as every DNS tool prints them.

use hickory_proto::op::ResponseCode;

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
