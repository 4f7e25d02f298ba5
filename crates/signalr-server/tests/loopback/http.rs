//! A client for HTTP/1.1 that does what it is told and nothing else.

use std::net::SocketAddr;

use tokio::io::AsyncBufReadExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::hub::PATIENCE;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value)
    }
}

/// A request whose answer has not been read to its end.
pub(crate) struct Open {
    pub(crate) stream: BufReader<TcpStream>,
    pub(crate) answer: Answer,
}

/// Sends a request and reads the head of its answer.
pub(crate) async fn begin(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &str,
    body: &str,
) -> Open {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} /hub{target} HTTP/1.1\r\nhost: a.example\r\n{headers}content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut stream = BufReader::new(stream);
    let answer = tokio::time::timeout(PATIENCE, head(&mut stream));
    let answer = answer.await.expect("the server answers");
    Open { stream, answer }
}

async fn head(stream: &mut BufReader<TcpStream>) -> Answer {
    let mut first = String::new();
    stream.read_line(&mut first).await.unwrap();
    let status = first.split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    Answer {
        status,
        headers,
        body: String::new(),
    }
}

impl Open {
    /// Reads the body of an answer that says how long it is.
    pub(crate) async fn whole(mut self) -> Answer {
        let length = self.answer.header("content-length");
        let length = length.map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        let read = tokio::time::timeout(PATIENCE, self.stream.read_exact(&mut body));
        read.await.expect("the body comes").unwrap();
        self.answer.body = String::from_utf8(body).unwrap();
        self.answer
    }

    /// Reads until a text has come, and gives everything up to there.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        let mut all = Vec::new();
        let read = async {
            while !String::from_utf8_lossy(&all).contains(text) {
                all.push(self.stream.read_u8().await.unwrap());
            }
        };
        let read = tokio::time::timeout(PATIENCE, read).await;
        let all = String::from_utf8(all).unwrap();
        assert!(read.is_ok(), "{text} in {all}");
        all
    }

    /// Whether nothing more comes.
    pub(crate) async fn is_over(&mut self) -> bool {
        let mut rest = Vec::new();
        let read = self.stream.read_to_end(&mut rest);
        tokio::time::timeout(PATIENCE, read).await.is_ok()
    }
}

pub(crate) async fn request(address: SocketAddr, method: &str, target: &str, body: &str) -> Answer {
    begin(address, method, target, "", body).await.whole().await
}

impl crate::hub::Stage {
    /// The token of a connection that was negotiated.
    pub(crate) async fn negotiated(&self) -> String {
        let target = "/negotiate?negotiateVersion=1";
        let answer = request(self.address, "POST", target, "").await;
        let found: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        found["connectionToken"].as_str().unwrap().to_owned()
    }
}
