//! What a receiver of logs answers.

use serde_json::json;

use super::writer::Message;
use super::{Encoding, Malformed, protobuf};

/// The most bytes of what an answer says for people that are looked at.
const MAX_MESSAGE: usize = 4_096;

/// The answer to a request that was taken, perhaps in part: `ExportLogsServiceResponse`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// How many of its records were not taken.
    pub rejected: u64,
    /// Why not; empty when all were taken.
    pub why: String,
}

/// Why a request was not taken, in the numbers of gRPC (`google.rpc.Code`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// It cannot be read.
    InvalidArgument = 3,
    /// There is no such thing.
    NotFound = 5,
    /// It may not.
    PermissionDenied = 7,
    /// Too much, or too often.
    ResourceExhausted = 8,
    /// That method is not served.
    Unimplemented = 12,
    /// Something of the receiver's is wrong.
    Internal = 13,
    /// Later, perhaps.
    Unavailable = 14,
    /// Nobody was made out.
    Unauthenticated = 16,
}

impl Reply {
    /// The body of the answer in `encoding`.
    #[must_use]
    pub fn to_bytes(&self, encoding: Encoding) -> Vec<u8> {
        let partial = self.rejected > 0 || !self.why.is_empty();
        match encoding {
            Encoding::Protobuf => {
                let (mut inner, mut whole) = (Message::default(), Message::default());
                inner.number(1, self.rejected);
                inner.bytes_if_any(2, self.why.as_bytes());
                whole.bytes_if_any(1, &inner.into_bytes());
                whole.into_bytes()
            }
            Encoding::Json if partial => json!({
                // 64-bit integers are texts in the JSON of protobuf.
                "partialSuccess": {
                    "rejectedLogRecords": self.rejected.to_string(),
                    "errorMessage": self.why,
                }
            })
            .to_string()
            .into_bytes(),
            Encoding::Json => b"{}".to_vec(),
        }
    }
}

/// The answer in protobuf of whoever logs were sent on to.
///
/// # Errors
/// [`Malformed`].
pub fn read_reply(body: &[u8]) -> Result<Reply, Malformed> {
    let Some(partial) = protobuf::message_at(body, 1)? else {
        return Ok(Reply::default());
    };
    let (rejected, why) = protobuf::text_and_number(partial, 1, 2)?;
    Ok(Reply {
        rejected,
        why: why.chars().take(MAX_MESSAGE).collect(),
    })
}

/// The body of an answer that nothing was taken: `google.rpc.Status`.
#[must_use]
pub fn status(encoding: Encoding, code: Code, message: &str) -> Vec<u8> {
    let number = code as u8;
    match encoding {
        Encoding::Protobuf => {
            let mut whole = Message::default();
            whole.number(1, number.into());
            whole.bytes_if_any(2, message.as_bytes());
            whole.into_bytes()
        }
        Encoding::Json => json!({ "code": number, "message": message })
            .to_string()
            .into_bytes(),
    }
}
