//! What is said to the hub beside events and polls: requests, one after the other, so that records
//! arrive in order.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method};
use outgate_signalr::Protocol;

use super::Opening;
use crate::error::Cause;
use crate::http::{Ask, Line, read_whole, status};

const POST: &str = "a message";
const DELETE: &str = "the end of polling";
const ANY: HeaderValue = HeaderValue::from_static("*/*");

pub(crate) struct Posts {
    line: Line,
    target: String,
    kind: HeaderValue,
    limit: Duration,
    /// Whether the server is to be told when nobody polls any more.
    polling: bool,
}

impl Posts {
    pub(super) fn new(opening: &Opening<'_>, polling: bool) -> Self {
        Self {
            line: Line::new(opening.server.clone()),
            target: opening.target.clone(),
            kind: HeaderValue::from_static(match opening.protocol {
                Protocol::Json => "text/plain;charset=UTF-8",
                Protocol::MessagePack => "application/octet-stream",
            }),
            limit: opening.server.way.request_limit,
            polling,
        }
    }

    pub(super) async fn send(&mut self, records: &[Bytes]) -> Result<(), Cause> {
        let mut body = BytesMut::new();
        for record in records {
            body.extend_from_slice(record);
        }
        let ask = Ask {
            what: POST,
            method: Method::POST,
            target: &self.target,
            accept: ANY,
            body: Some((self.kind.clone(), body.freeze())),
            limit: self.limit,
        };
        let answer = self.line.ask(&ask).await?;
        if !answer.status().is_success() {
            return Err(status(POST, &answer));
        }
        read_whole(POST, answer.into_body(), self.limit).await?;
        Ok(())
    }

    pub(super) async fn close(&mut self) {
        if !self.polling {
            return;
        }
        let ask = Ask {
            what: DELETE,
            method: Method::DELETE,
            target: &self.target,
            accept: ANY,
            body: None,
            limit: self.limit,
        };
        // If the server does not hear it, it finds out by itself.
        let _ = self.line.ask(&ask).await;
    }
}
