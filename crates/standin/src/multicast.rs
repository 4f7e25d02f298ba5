//! A responder of mDNS and LLMNR: it answers for one name, to whoever asks it.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use hickory_proto::{
    op::{Message, MessageType},
    rr::{Name, RData, Record, RecordType, rdata::PTR},
};
use tokio::net::UdpSocket;

use crate::{
    Place, Stage, StageError, listen,
    stage::{bind, spare},
};

/// The longest question that is read, in bytes.
const MAX_QUESTION: usize = 1500;
/// Seconds that an answer may be remembered (RFC 4795 §2.8).
const TTL: u32 = 30;
/// What everybody answers who offers anything (RFC 6763 §9).
const SERVICES: [&str; 4] = ["_services", "_dns-sd", "_udp", "local"];
/// What this one offers.
const SERVICE: [&str; 3] = ["_http", "_tcp", "local"];

impl Stage {
    /// Starts a responder as [`Stage::responder`] does, of a machine at `own`, that hears a group on
    /// its network. Of IPv6 the group says with its scope which network that is.
    ///
    /// # Errors
    /// The place is taken, the group cannot be joined, or `own` is of loopback, where no groups are.
    pub async fn neighbour(
        &mut self,
        own: Place,
        group: SocketAddr,
        label: &str,
    ) -> Result<(), StageError> {
        let place = own.beside(group).ok_or_else(|| spare(group))?;
        let own = own.address().ip();
        // Bound to the group it hears nothing else, and answers from the machine's own address.
        let (socket, address) = bind(place).await?;
        let joined = match (group, own) {
            (SocketAddr::V4(group), IpAddr::V4(own)) => socket.join_multicast_v4(*group.ip(), own),
            (SocketAddr::V6(group), IpAddr::V6(_)) => {
                socket.join_multicast_v6(group.ip(), group.scope_id())
            }
            (SocketAddr::V4(_) | SocketAddr::V6(_), IpAddr::V4(_) | IpAddr::V6(_)) => {
                Err(io::ErrorKind::AddrNotAvailable.into())
            }
        };
        joined.map_err(|source| StageError::Listen { address, source })?;
        self.servers.spawn(serve(socket, label.to_owned(), own));
        Ok(())
    }
}

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
