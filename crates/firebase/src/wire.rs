//! Requests, answers and pushes of the WebSocket protocol, version 5.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::database::Told;
use crate::node::write_text;

/// The version of the protocol.
pub const VERSION: &str = "5";

/// A message of a client.
#[derive(Debug, PartialEq)]
pub enum Message {
    /// It wants something, and an answer under this number.
    Request(u64, Request),
    /// It wants to know whether the server is there.
    Ping,
    /// Anything else that needs no answer.
    Other,
}

/// What a client wants.
#[derive(Debug, PartialEq)]
pub enum Request {
    /// To be told of what stands at a path.
    Listen {
        /// Where.
        path: String,
        /// Which children; null for all.
        query: Value,
        /// How the client calls it, if not all children are asked for.
        tag: Option<u64>,
        /// The hash of what it has.
        hash: String,
    },
    /// To be told no more.
    Unlisten {
        /// Where.
        path: String,
        /// How the client called it.
        tag: Option<u64>,
    },
    /// What stands at a path, once.
    Get {
        /// Where.
        path: String,
        /// Which children; null for all.
        query: Value,
    },
    /// To write.
    Put {
        /// Where.
        path: String,
        /// What.
        data: Value,
        /// The hash of what has to stand there.
        hash: Option<String>,
    },
    /// To write several values below a path.
    Merge {
        /// Where.
        path: String,
        /// Paths below, and what.
        data: Value,
        /// The hash of what has to stand there.
        hash: Option<String>,
    },
    /// To have something written when the connection is over.
    OnDisconnect {
        /// Where.
        path: String,
        /// What.
        what: OnDisconnect,
    },
    /// To be somebody.
    LogIn(Proof, Credential),
    /// To be nobody any more.
    LogOut(Proof),
    /// To tell how often it did what.
    Statistics,
    /// Something that is not known.
    Unknown,
}

/// What is to be done when a connection is over.
#[derive(Debug, PartialEq)]
pub enum OnDisconnect {
    /// To write.
    Put(Value),
    /// To write several values below the path.
    Merge(Value),
    /// Nothing any more, at the path and below.
    Cancel,
}

/// By which of two ways a client proves who it is; it may use both at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// `auth` and `gauth`.
    Auth,
    /// `appcheck`.
    AppCheck,
}

/// What a client proves by who it is. Does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(Zeroizing<String>);

impl Credential {
    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

/// Why a message is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It is not in the protocol at all.
    #[error("not a message of Firebase's protocol")]
    Message,
    /// A request lacks what it needs, or has it in another type.
    #[error("a request has no proper {0}")]
    Part(&'static str),
}

#[derive(Deserialize)]
struct Envelope {
    t: String,
    #[serde(default)]
    d: Value,
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// [`MessageError`]. The connection is of no further use then.
    pub fn read(text: &str) -> Result<Self, MessageError> {
        let envelope: Envelope = serde_json::from_str(text).map_err(|_| MessageError::Message)?;
        let Envelope { t, d: mut data } = envelope;
        match &t[..] {
            "d" => {
                let number = data.get("r").and_then(Value::as_u64);
                let number = number.ok_or(MessageError::Part("r"))?;
                let body = data.get_mut("b").map(Value::take).unwrap_or_default();
                let action = data.get("a").and_then(Value::as_str);
                let action = action.ok_or(MessageError::Part("a"))?;
                Ok(Self::Request(number, Request::read(action, body)?))
            }
            "c" if data.get("t").is_some_and(|kind| kind == "p") => Ok(Self::Ping),
            "c" => Ok(Self::Other),
            _ => Err(MessageError::Message),
        }
    }
}

impl Request {
    fn read(action: &str, mut body: Value) -> Result<Self, MessageError> {
        let on_disconnect = |what, body: &Value| {
            let path = text(body, "p")?;
            Ok(Self::OnDisconnect { path, what })
        };
        Ok(match action {
            "q" => Self::Listen {
                path: text(&body, "p")?,
                tag: tag(&body),
                hash: text(&body, "h").unwrap_or_default(),
                query: take(&mut body, "q"),
            },
            "n" => Self::Unlisten {
                path: text(&body, "p")?,
                tag: tag(&body),
            },
            "g" => Self::Get {
                path: text(&body, "p")?,
                query: take(&mut body, "q"),
            },
            "p" => Self::Put {
                path: text(&body, "p")?,
                hash: text(&body, "h").ok(),
                data: take(&mut body, "d"),
            },
            "m" => Self::Merge {
                path: text(&body, "p")?,
                hash: text(&body, "h").ok(),
                data: take(&mut body, "d"),
            },
            "o" => on_disconnect(OnDisconnect::Put(take(&mut body, "d")), &body)?,
            "om" => on_disconnect(OnDisconnect::Merge(take(&mut body, "d")), &body)?,
            "oc" => on_disconnect(OnDisconnect::Cancel, &body)?,
            "auth" | "gauth" => Self::log_in(Proof::Auth, &body, "cred")?,
            "appcheck" => Self::log_in(Proof::AppCheck, &body, "token")?,
            "unauth" => Self::LogOut(Proof::Auth),
            // As the clients spell it.
            "unappeck" | "unappcheck" => Self::LogOut(Proof::AppCheck),
            "s" => Self::Statistics,
            _ => Self::Unknown,
        })
    }

    fn log_in(proof: Proof, body: &Value, part: &'static str) -> Result<Self, MessageError> {
        let credential = Credential(Zeroizing::new(text(body, part)?));
        Ok(Self::LogIn(proof, credential))
    }
}

fn text(body: &Value, part: &'static str) -> Result<String, MessageError> {
    let text = body.get(part).and_then(Value::as_str);
    text.map(str::to_owned).ok_or(MessageError::Part(part))
}

fn take(body: &mut Value, part: &str) -> Value {
    body.get_mut(part).map(Value::take).unwrap_or_default()
}

fn tag(body: &Value) -> Option<u64> {
    body.get("t").and_then(Value::as_u64)
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is done.
    Done,
    /// Something else stands there than was expected.
    Stale,
    /// Whoever asks may not.
    Denied,
    /// What they prove who they are by does not hold.
    InvalidToken,
    /// It is not a proper request, or not of proper data.
    Invalid,
    /// There is no room, or the hub goes down.
    Unavailable,
    /// More than is taken.
    TooBig,
}

impl Status {
    /// The word of the protocol.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Stale => "datastale",
            Self::Denied => "permission_denied",
            Self::InvalidToken => "invalid_token",
            Self::Invalid => "invalid_data",
            Self::Unavailable => "unavailable",
            Self::TooBig => "too_big",
        }
    }
}

/// The first message of a server: its time in milliseconds since 1970, under which host it is to be
/// found, and a name for the session.
#[must_use]
pub fn hello(now: i64, host: &str, session: &str) -> String {
    let mut text = format!(
        "{{\"t\":\"c\",\"d\":{{\"t\":\"h\",\"d\":{{\"ts\":{now},\"v\":\"{VERSION}\",\"h\":"
    );
    write_text(host, &mut text);
    text.push_str(",\"s\":");
    write_text(session, &mut text);
    text.push_str("}}}");
    text
}

/// The answer to a ping.
#[must_use]
pub fn pong() -> &'static str {
    "{\"t\":\"c\",\"d\":{\"t\":\"o\",\"d\":{}}}"
}

/// An answer; `data` is JSON.
#[must_use]
pub fn answer(number: u64, status: Status, data: &str) -> String {
    let status = status.word();
    format!("{{\"t\":\"d\",\"d\":{{\"r\":{number},\"b\":{{\"s\":\"{status}\",\"d\":{data}}}}}}}")
}

/// An answer with a sentence for people.
#[must_use]
pub fn answer_with(number: u64, status: Status, sentence: &str) -> String {
    let mut data = String::new();
    write_text(sentence, &mut data);
    answer(number, status, &data)
}

/// What a listener is told of a change.
#[must_use]
pub fn push(told: &Told) -> String {
    let action = if told.is_merge { 'm' } else { 'd' };
    let mut text = format!("{{\"t\":\"d\",\"d\":{{\"a\":\"{action}\",\"b\":{{\"p\":");
    write_text(&told.path.to_string(), &mut text);
    if let Some(tag) = told.tag {
        text.push_str(&format!(",\"t\":{tag}"));
    }
    text.push_str(",\"d\":");
    text.push_str(&told.data);
    text.push_str("}}}");
    text
}

/// That somebody may listen no more; `query` as they asked, null for all children.
#[must_use]
pub fn revoked(path: &str, query: &Value) -> String {
    let mut text = String::from("{\"t\":\"d\",\"d\":{\"a\":\"c\",\"b\":{\"p\":");
    write_text(path, &mut text);
    if !query.is_null() {
        text.push_str(&format!(",\"q\":[{query}]"));
    }
    text.push_str("}}}");
    text
}
