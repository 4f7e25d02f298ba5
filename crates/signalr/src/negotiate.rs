//! Negotiation: `POST …/negotiate` and its answer (`TransportProtocols.md`).

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Expected, ProtocolError};

/// Longest answer that is read, in bytes.
pub const ANSWER_MAX: usize = 65_536;
/// Most transports of an answer that are looked at.
pub const TRANSPORTS_MAX: usize = 16;
/// Most redirections that a client follows, one after the other: what Microsoft's clients do.
pub const REDIRECTIONS_MAX: u32 = 100;

/// What a client asks for in the query of its POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Request {
    /// The version that it would like: 0 where it says nothing. A server answers with the lesser of
    /// this and its own.
    pub version: u32,
    /// Whether it would like a connection that outlives its transport.
    pub stateful: bool,
}

impl Request {
    /// Reads a query, without its question mark. Names are read in any case, and what else stands
    /// in it is the application's.
    ///
    /// # Errors
    /// The version is no number.
    pub fn read(query: &str) -> Result<Self, ProtocolError> {
        let mut request = Self::default();
        for field in query.split('&') {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            if name.eq_ignore_ascii_case("negotiateVersion") {
                let version = value.parse();
                request.version = version.map_err(|_| ProtocolError::Part("negotiateVersion"))?;
            } else if name.eq_ignore_ascii_case("useStatefulReconnect") {
                request.stateful = value.eq_ignore_ascii_case("true");
            }
        }
        Ok(request)
    }
}

/// What whoever has it can speak on a connection with. It does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// From its text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Its text, for a request or a comparison; not for a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// How records get from one end to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Transport {
    /// WebSocket.
    WebSockets,
    /// Server-Sent Events to the client, POST to the server.
    ServerSentEvents,
    /// A held GET to the client, POST to the server.
    LongPolling,
}

impl Transport {
    /// Every transport, in the order in which clients prefer them.
    pub const ALL: [Self; 3] = [Self::WebSockets, Self::ServerSentEvents, Self::LongPolling];

    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebSockets => "WebSockets",
            Self::ServerSentEvents => "ServerSentEvents",
            Self::LongPolling => "LongPolling",
        }
    }

    /// Whether it carries any bytes, and not text alone.
    #[must_use]
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::WebSockets | Self::LongPolling)
    }
}

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has made a connection.
    Connection(Connection),
    /// It sends clients elsewhere.
    Redirection {
        /// Where to.
        url: String,
        /// What they show there.
        access_token: Option<Token>,
    },
    /// It refuses, in its own words.
    Refused {
        /// The words.
        error: String,
    },
}

/// A connection that was negotiated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The version of the answer, 0 or 1.
    pub version: u32,
    /// What the connection is called in public. In version 0 it is the token too.
    pub connection_id: String,
    /// What names it in later requests, as the query's `id`.
    pub token: Token,
    /// The transports that the server offers, in its order.
    pub transports: Vec<Offer>,
    /// Whether it outlives its transport. Clients refuse it where they did not ask.
    pub stateful: bool,
}

/// A transport that a server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Which one.
    pub transport: Transport,
    /// Whether it carries text.
    pub text: bool,
    /// Whether it carries bytes.
    pub binary: bool,
}

impl Offer {
    /// A transport with all that it can carry.
    #[must_use]
    pub const fn all_of(transport: Transport) -> Self {
        Self {
            transport,
            text: true,
            binary: transport.is_binary(),
        }
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    negotiate_version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    available_transports: Option<Vec<BodyOffer>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    use_stateful_reconnect: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BodyOffer {
    transport: String,
    #[serde(default)]
    transfer_formats: Vec<String>,
}

impl Answer {
    /// Reads the body of an answer. Transports and formats that are not known are left out, and so
    /// is a transport's second mention.
    ///
    /// # Errors
    /// It is none.
    pub fn read(body: &[u8]) -> Result<Self, ProtocolError> {
        let none = ProtocolError::Not(Expected::Negotiation);
        if body.len() > ANSWER_MAX {
            return Err(ProtocolError::TooLong { max: ANSWER_MAX });
        }
        // Arrays would do for structs otherwise.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(none);
        }
        let body: Body = serde_json::from_slice(body).map_err(|_| none)?;
        if let Some(error) = body.error {
            return Ok(Self::Refused { error });
        }
        if let Some(url) = body.url {
            let access_token = body.access_token.map(Token::new);
            return Ok(Self::Redirection { url, access_token });
        }
        let connection_id = body.connection_id;
        // Version 0 has no token.
        let token = body.connection_token.or_else(|| connection_id.clone());
        Ok(Self::Connection(Connection {
            version: body.negotiate_version.unwrap_or(0),
            connection_id: connection_id.unwrap_or_default(),
            token: Token::new(token.ok_or(none)?),
            transports: offers(&body.available_transports.unwrap_or_default()),
            stateful: body.use_stateful_reconnect.unwrap_or(false),
        }))
    }

    /// The body that says it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let body = match self {
            Self::Connection(connection) => connection.body(),
            Self::Redirection { url, access_token } => Body {
                url: Some(url.clone()),
                access_token: access_token.as_ref().map(|token| token.expose().to_owned()),
                ..Body::default()
            },
            Self::Refused { error } => Body {
                error: Some(error.clone()),
                ..Body::default()
            },
        };
        // Strings, numbers and lists of them always have a form in JSON.
        serde_json::to_string(&body).unwrap_or_default()
    }
}

impl Connection {
    fn body(&self) -> Body {
        let token = self.token.expose().to_owned();
        let (connection_id, connection_token) = match self.version {
            // There the token is what names the connection, and clients know no other.
            0 => (token, None),
            _ => (self.connection_id.clone(), Some(token)),
        };
        Body {
            negotiate_version: Some(self.version),
            connection_id: Some(connection_id),
            connection_token,
            available_transports: Some(self.transports.iter().map(body_offer).collect()),
            use_stateful_reconnect: self.stateful.then_some(true),
            ..Body::default()
        }
    }
}

fn body_offer(offer: &Offer) -> BodyOffer {
    let formats = [("Text", offer.text), ("Binary", offer.binary)];
    let offered = formats.into_iter().filter(|(_, offered)| *offered);
    BodyOffer {
        transport: offer.transport.as_str().to_owned(),
        transfer_formats: offered.map(|(name, _)| name.to_owned()).collect(),
    }
}

fn offers(written: &[BodyOffer]) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    for offer in written.iter().take(TRANSPORTS_MAX) {
        let transport = Transport::ALL
            .into_iter()
            .find(|transport| transport.as_str() == offer.transport);
        let has = |format: &str| offer.transfer_formats.iter().any(|one| one == format);
        if let Some(transport) = transport
            && offers.iter().all(|known| known.transport != transport)
        {
            offers.push(Offer {
                transport,
                text: has("Text"),
                binary: has("Binary"),
            });
        }
    }
    offers
}

#[cfg(test)]
mod tests;
