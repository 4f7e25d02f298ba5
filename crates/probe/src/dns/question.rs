//! One question to a name server, and how its answer is known (RFC 1035 §4, §7.3).

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RecordType},
};

use crate::evidence::Trouble;

/// Longest question: header, name, type and class (RFC 1035 §4.1), and what EDNS adds (RFC 6891
/// §6.1.2).
pub(crate) const QUESTION_MAX: usize = 12 + 255 + 4 + 11;

/// Longest answer over UDP that is asked for with EDNS: it fits through every network (DNS flag
/// day 2020).
const ANSWER_MAX: u16 = 1232;

/// What a question says beside what it asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Offers to take longer answers over UDP than 512 bytes (EDNS, RFC 6891).
    pub(crate) edns: bool,
    /// Wants the answer even where its signatures do not hold (RFC 4035 §3.2.2).
    pub(crate) unchecked: bool,
}

/// What is asked, and how the answer is known.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    id: u16,
    pub(crate) query: Query,
    pub(crate) bytes: Vec<u8>,
}

impl Question {
    /// A question to a resolver. `id` is to be hard to guess.
    pub(crate) fn new(
        id: u16,
        name: Name,
        record_type: RecordType,
        manner: Manner,
    ) -> Result<Self, Trouble> {
        let query = Query::query(name, record_type);
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.metadata.checking_disabled = manner.unchecked;
        message.add_query(query.clone());
        if manner.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(ANSWER_MAX);
            message.set_edns(edns);
        }
        let bytes = message.to_vec().map_err(|error| Trouble::BadAsk {
            what: error.to_string(),
        })?;
        Ok(Self { id, query, bytes })
    }

    /// Reads an answer; an error says why it is none to this question.
    pub(crate) fn read(&self, bytes: &[u8]) -> Result<Message, Trouble> {
        let malformed = |what: String| Trouble::Malformed { what };
        let message = Message::from_vec(bytes).map_err(|error| malformed(error.to_string()))?;
        if message.metadata.message_type != MessageType::Response {
            return Err(malformed("a question, not an answer".to_owned()));
        }
        if message.metadata.id != self.id {
            return Err(malformed("an answer to another question".to_owned()));
        }
        let repeats = match message.queries.as_slice() {
            // Some resolvers leave the question out when they refuse.
            [] => !matches!(
                message.metadata.response_code,
                ResponseCode::NoError | ResponseCode::NXDomain
            ),
            [query] => *query == self.query,
            _ => false,
        };
        if repeats {
            Ok(message)
        } else {
            Err(malformed("another question".to_owned()))
        }
    }
}
