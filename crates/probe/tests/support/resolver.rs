//! A resolver that says what a test wants, over UDP and TCP, and remembers what it was asked.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata::CNAME},
};
use tokio::{net::UdpSocket, task::JoinHandle};

/// What to say to a question.
pub(crate) enum Say {
    /// These records.
    Records(Vec<RData>),
    /// An alias chain to one record.
    Chain(Vec<&'static str>, RData),
    /// This response code.
    Code(ResponseCode),
    /// Nothing.
    Nothing,
}

/// A running resolver; stops when dropped.
pub(crate) struct Resolver {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<(String, RecordType)>>>,
    task: JoinHandle<()>,
}

impl Resolver {
    pub(crate) async fn start(say: fn(&str, RecordType) -> Say) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = asked.clone();
        let task = tokio::spawn(async move {
            let mut buffer = [0; 1500];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let question = Message::from_vec(&buffer[..length]).unwrap();
                let query = question.queries[0].clone();
                let name = query.name().to_string().to_ascii_lowercase();
                notes
                    .lock()
                    .unwrap()
                    .push((name.clone(), query.query_type()));
                if let Some(answer) =
                    answer(question.metadata.id, &query, say(&name, query.query_type()))
                {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        Self {
            address,
            asked,
            task,
        }
    }

    /// Every question so far.
    pub(crate) fn asked(&self) -> Vec<(String, RecordType)> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn answer(id: u16, query: &Query, say: Say) -> Option<Vec<u8>> {
    let mut message = Message::new(id, MessageType::Response, OpCode::Query);
    message.add_query(query.clone());
    message.metadata.recursion_available = true;
    let mut owner = query.name().clone();
    match say {
        Say::Records(records) => {
            for data in records {
                message.add_answer(Record::from_rdata(owner.clone(), 60, data));
            }
        }
        Say::Chain(aliases, data) => {
            for alias in aliases {
                let target = Name::from_ascii(alias).unwrap();
                let cname = RData::CNAME(CNAME(target.clone()));
                message.add_answer(Record::from_rdata(owner, 30, cname));
                owner = target;
            }
            message.add_answer(Record::from_rdata(owner, 60, data));
        }
        Say::Code(code) => message.metadata.response_code = code,
        Say::Nothing => return None,
    }
    Some(message.to_vec().unwrap())
}
