//! The echo: what arrived is sent back so that nobody on the way reads it as SIP.

use std::net::SocketAddr;

use super::head::{Head, Start, VERSION};

/// What an echo calls itself in its `Server` field.
pub const ECHO_SERVER: &str = "outgate-echo";

/// An echo's answer to a message that came from there: 200 to OPTIONS, 488 to INVITE. In its body
/// is as much of the message as fits, each byte's complement. The answer is never longer than the
/// message; what leaves no room for an answer, and what is no such request, gets none.
pub fn echo(message: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    let head = Head::read(message).ok()??;
    let Start::Request { method, .. } = &head.start else {
        return None;
    };
    // 488 sets nothing up that would have to be torn down again.
    let status = match method.as_str() {
        "OPTIONS" => "200 OK",
        "INVITE" => "488 Not Acceptable Here",
        _ => return None,
    };
    let mut answer = format!("{VERSION} {status}\r\n");
    let mut push = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            answer.push_str(part);
        }
    };
    let (ip, port) = (from.ip(), from.port());
    for (at, via) in head.all("Via").enumerate() {
        if at == 0 {
            // RFC 3581 §4: where it came from, in place of the flag that asks for it.
            let asked = via.split(';').filter(|part| part.trim() != "rport");
            let asked: Vec<&str> = asked.collect();
            push(
                "Via",
                &format!("{};received={ip};rport={port}", asked.join(";")),
            );
        } else {
            push("Via", via);
        }
    }
    push("From", head.field("From")?);
    push("To", &format!("{};tag=echo", head.field("To")?));
    push("Call-ID", head.field("Call-ID")?);
    push("CSeq", head.field("CSeq")?);
    push("Server", ECHO_SERVER);
    let without_body = format!("{answer}Content-Length: 0\r\n\r\n");
    let with_body = format!("{answer}Content-Type: application/octet-stream\r\nContent-Length: ");
    // Four digits hold any length that is read.
    let room = message
        .len()
        .checked_sub(with_body.len() + "0000\r\n\r\n".len());
    match room {
        Some(room @ 1..) => {
            let body = &message[..room.min(message.len())];
            let mut answer = format!("{with_body}{}\r\n\r\n", body.len()).into_bytes();
            answer.extend(body.iter().map(|byte| !byte));
            (answer.len() <= message.len()).then_some(answer)
        }
        Some(0) | None if without_body.len() <= message.len() => Some(without_body.into_bytes()),
        Some(0) | None => None,
    }
}

/// What an echo says that it received: the body of its answer, as it was before. `None` if the
/// answer is not an echo's.
pub fn echoed(answer: &Head, body: &[u8]) -> Option<Vec<u8>> {
    (answer.field("Server") == Some(ECHO_SERVER)).then(|| body.iter().map(|byte| !byte).collect())
}
