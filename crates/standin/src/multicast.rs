//! A responder of mDNS and LLMNR: it answers for one name, to whoever asks it.

use std::net::IpAddr;

use hickory_proto::{
    op::{Message, MessageType},
    rr::{Name, RData, Record, RecordType, rdata::PTR},
};
use tokio::net::UdpSocket;

use crate::listen;

/// The longest question that is read, in bytes.
const MAX_QUESTION: usize = 1500;
/// Seconds that an answer may be remembered (RFC 4795 §2.8).
const TTL: u32 = 30;
/// What everybody answers who offers anything (RFC 6763 §9).
const SERVICES: [&str; 4] = ["_services", "_dns-sd", "_udp", "local"];
/// What this one offers.
const SERVICE: [&str; 3] = ["_http", "_tcp", "local"];

/// Answers until dropped. The name is one label: it stands for itself, which LLMNR asks for, and
/// for the same below `local`, which mDNS asks for.
pub(crate) async fn serve(socket: UdpSocket, label: String, address: IpAddr) {
    let mut heard = [0; MAX_QUESTION];
    loop {
        let (length, peer) = listen::receive(&socket, &mut heard).await;
        // Who is not meant stays silent (RFC 6762 §6, RFC 4795 §2.3).
        if let Some(answer) = answer(&heard[..length], &label, address) {
            // A lost answer is the asker's to notice: UDP promises nothing.
            let _sent = socket.send_to(&answer, peer).await;
        }
    }
}

fn answer(bytes: &[u8], label: &str, address: IpAddr) -> Option<Vec<u8>> {
    let question = Message::from_vec(bytes).ok()?;
    let [query] = question.queries.as_slice() else {
        return None;
    };
    if question.metadata.message_type != MessageType::Query {
        return None;
    }
    let name = query.name();
    let own = [vec![label], vec![label, "local"]];
    let is = |labels: &[&str]| Name::from_labels(labels.iter().map(|it| it.as_bytes())).ok();
    let data = if own
        .iter()
        .any(|labels| is(labels).is_some_and(|it| it == *name))
    {
        match (address, query.query_type()) {
            (IpAddr::V4(v4), RecordType::A) => RData::A(v4.into()),
            (IpAddr::V6(v6), RecordType::AAAA) => RData::AAAA(v6.into()),
            _ => return None,
        }
    } else if is(&SERVICES)? == *name && query.query_type() == RecordType::PTR {
        RData::PTR(PTR(is(&SERVICE)?))
    } else {
        return None;
    };
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.add_query(query.clone());
    answer.add_answer(Record::from_rdata(name.clone(), TTL, data));
    answer.to_vec().ok()
}
