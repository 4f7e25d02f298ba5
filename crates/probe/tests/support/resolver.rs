//! A resolver that says what a test wants, over UDP and TCP, and remembers what it was asked.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata::CNAME},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    task::JoinHandle,
};

/// What to say to a question.
pub(crate) enum Say {
    /// These records.
    Records(Vec<RData>),
    /// An alias chain to one record.
    Chain(Vec<&'static str>, RData),
    /// This response code.
    Code(ResponseCode),
    /// These records to whoever wants no signatures looked at, and to all others that it failed.
    Unsigned(Vec<RData>),
    /// That the answer is too long for UDP.
    Truncated,
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
    /// Over UDP alone.
    pub(crate) async fn start(say: fn(&str, RecordType) -> Say) -> Self {
        Self::start_at("127.0.0.1:0", say).await
    }

    /// The same at this address.
    pub(crate) async fn start_at(address: &str, say: fn(&str, RecordType) -> Say) -> Self {
        let socket = UdpSocket::bind(address).await.unwrap();
        Self::serve(socket, None, say, say)
    }

    /// Over UDP and TCP.
    pub(crate) async fn start_both(
        over_udp: fn(&str, RecordType) -> Say,
        over_tcp: fn(&str, RecordType) -> Say,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let socket = UdpSocket::bind(address).await.unwrap();
        Self::serve(socket, Some(listener), over_udp, over_tcp)
    }

    fn serve(
        socket: UdpSocket,
        listener: Option<TcpListener>,
        over_udp: fn(&str, RecordType) -> Say,
        over_tcp: fn(&str, RecordType) -> Say,
    ) -> Self {
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = asked.clone();
        let task = tokio::spawn(async move {
            let udp = async {
                let mut buffer = [0; 1500];
                loop {
                    let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                    if let Some(answer) = respond(&buffer[..length], &notes, over_udp) {
                        socket.send_to(&answer, from).await.unwrap();
                    }
                }
            };
            let tcp = async {
                let Some(listener) = listener else {
                    return;
                };
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let mut question = vec![0; stream.read_u16().await.unwrap().into()];
                    stream.read_exact(&mut question).await.unwrap();
                    if let Some(answer) = respond(&question, &notes, over_tcp) {
                        let length = u16::try_from(answer.len()).unwrap();
                        stream.write_u16(length).await.unwrap();
                        stream.write_all(&answer).await.unwrap();
                    }
                }
            };
            tokio::join!(udp, tcp);
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

/// The answer to these bytes, noting what was asked for.
pub(crate) fn respond(
    bytes: &[u8],
    notes: &Mutex<Vec<(String, RecordType)>>,
    say: fn(&str, RecordType) -> Say,
) -> Option<Vec<u8>> {
    let question = Message::from_vec(bytes).unwrap();
    let query = question.queries[0].clone();
    let name = query.name().to_string().to_ascii_lowercase();
    let asked = (name.clone(), query.query_type());
    notes.lock().unwrap().push(asked);
    let say = match say(&name, query.query_type()) {
        Say::Unsigned(_) if !question.metadata.checking_disabled => {
            Say::Code(ResponseCode::ServFail)
        }
        Say::Unsigned(records) => Say::Records(records),
        other => other,
    };
    answer(question.metadata.id, &query, say)
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
        Say::Truncated => message.metadata.truncation = true,
        Say::Nothing | Say::Unsigned(_) => return None,
    }
    Some(message.to_vec().unwrap())
}
