//! The questions by which a way is tried.

use std::{fmt::Write, net::SocketAddr};

use super::{QUESTION_MAX, head::VERSION};

/// What a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// What the other side can do (RFC 3261 §11): any server answers, and nothing rings.
    Options,
    /// A call, with a description of the speech in it, and padding so that all of it fits into an
    /// echo's answer. Only for an [`echo`](super::echo): at others it could ring.
    Invite,
}

impl Method {
    /// Its name in SIP.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Options => "OPTIONS",
            Self::Invite => "INVITE",
        }
    }
}

/// What carries SIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// Datagrams.
    Udp,
    /// A connection.
    Tcp,
    /// A connection with TLS.
    Tls,
}

impl Carrier {
    fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }
}

/// A question to a SIP server. It names the asker's address wherever a telephone would, so that
/// whoever rewrites any of it is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// What is asked for.
    pub method: Method,
    /// Whom it goes to: a host, with a port if one is needed.
    pub to: &'a str,
    /// What carries it.
    pub carrier: Carrier,
    /// Where it leaves from.
    pub local: SocketAddr,
    /// What tells it from others; of digits and letters, drawn at random by the caller.
    pub token: &'a str,
}

impl Question<'_> {
    /// The branch of its Via (RFC 3261 §8.1.1.7).
    pub fn branch(&self) -> String {
        format!("z9hG4bK{}", self.token)
    }

    /// Its Call-ID.
    pub fn call_id(&self) -> String {
        format!("{}@{}", self.token, self.local.ip())
    }

    /// Its From.
    pub fn from(&self) -> String {
        format!("<sip:outgate@{}>;tag={}", host(self.local), self.token)
    }

    /// Its Via.
    pub fn via(&self) -> String {
        let (carrier, local, branch) = (self.carrier.as_str(), self.local, self.branch());
        format!("{VERSION}/{carrier} {local};branch={branch};rport")
    }

    /// Its CSeq.
    pub fn sequence(&self) -> String {
        format!("1 {}", self.method.as_str())
    }

    /// The message; with [`Method::Invite`] of [`QUESTION_MAX`] bytes, or more where names are so
    /// long that nothing is left for padding.
    pub fn encode(&self) -> Vec<u8> {
        let body = match self.method {
            Method::Options => String::new(),
            Method::Invite => self.description(),
        };
        let padded = |filler: usize| {
            let filler = "-".repeat(filler);
            self.with_body(&format!("{body}{PADDING}{filler}\r\n"))
        };
        match self.method {
            Method::Options => self.with_body(&body),
            Method::Invite => {
                // More padding may make the Content-Length longer by a digit.
                let first = QUESTION_MAX.saturating_sub(padded(0).len());
                let beyond = padded(first).len().saturating_sub(QUESTION_MAX);
                padded(first.saturating_sub(beyond))
            }
        }
        .into_bytes()
    }

    fn with_body(&self, body: &str) -> String {
        let method = self.method.as_str();
        let (to, local) = (self.to, self.local);
        let mut message = format!("{method} sip:{to} {VERSION}\r\n");
        let contact = format!("<sip:outgate@{local}>");
        let mut push = |name: &str, value: &str| {
            // Writing to a string never fails.
            let _ = write!(message, "{name}: {value}\r\n");
        };
        push("Via", &self.via());
        push("Max-Forwards", "70");
        push("From", &self.from());
        push("To", &format!("<sip:{to}>"));
        push("Call-ID", &self.call_id());
        push("CSeq", &self.sequence());
        push("Contact", &contact);
        match self.method {
            Method::Options => {
                push("Accept", "application/sdp");
                push("User-Agent", "outgate (network check)");
            }
            // An echo needs the room.
            Method::Invite => push("Content-Type", "application/sdp"),
        }
        push("Content-Length", &body.len().to_string());
        message.push_str("\r\n");
        message.push_str(body);
        message
    }

    /// What a telephone says of the speech it wants to hear (RFC 8866), and where.
    fn description(&self) -> String {
        let family = if self.local.is_ipv4() { "IP4" } else { "IP6" };
        let address = self.local.ip();
        let port = self.local.port();
        format!(
            "v=0\r\no=outgate 1 1 IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\n\
             t=0 0\r\nm=audio {port} RTP/AVP 8\r\n"
        )
    }
}

/// The last line of a padded question, which an echo may leave out.
pub(super) const PADDING: &str = "a=padding:";

/// An address without its port, as it stands in a URI.
fn host(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}
