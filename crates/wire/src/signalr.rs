//! SignalR's first steps: the answer to a negotiation, and the JSON handshake
//! (`TransportProtocols.md` and `HubProtocol.md` of ASP.NET Core).

use serde::Deserialize;

/// What ends a record of text.
pub const RECORD_END: u8 = 0x1e;
/// The handshake of the JSON protocol, as a client sends it first on every transport.
pub const HANDSHAKE: &str = "{\"protocol\":\"json\",\"version\":1}\u{1e}";
/// Longest answer that is read, in bytes, to a negotiation or to a handshake.
pub const ANSWER_MAX: usize = 65_536;
/// Most transports that are looked at.
pub const TRANSPORTS_MAX: usize = 16;

/// What a server answers to `POST …/negotiate?negotiateVersion=1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Negotiated {
    /// It has made a connection.
    Connection {
        /// What names it in later requests. Secret: whoever has it can speak on the connection.
        id: String,
        /// The transports that the server offers, in its order.
        transports: Vec<Transport>,
    },
    /// It sends clients elsewhere.
    Redirection {
        /// Where to.
        url: String,
    },
    /// It refuses, in its own words.
    Refused {
        /// The words.
        error: String,
    },
}

/// A transport that takes text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// WebSocket.
    WebSockets,
    /// Server-Sent Events to the client, POST to the server.
    ServerSentEvents,
    /// A held GET to the client, POST to the server.
    LongPolling,
}

impl Transport {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebSockets => "WebSockets",
            Self::ServerSentEvents => "ServerSentEvents",
            Self::LongPolling => "LongPolling",
        }
    }

    fn of(name: &str) -> Option<Self> {
        [Self::WebSockets, Self::ServerSentEvents, Self::LongPolling]
            .into_iter()
            .find(|one| one.as_str() == name)
    }
}

/// Why an answer is none of SignalR's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignalRError {
    /// It is not JSON of the form that SignalR has.
    #[error("the answer is not SignalR's")]
    NotSignalR,
    /// More than [`ANSWER_MAX`] bytes.
    #[error("the answer is longer than {ANSWER_MAX} bytes")]
    TooLong,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    error: Option<String>,
    url: Option<String>,
    connection_id: Option<String>,
    connection_token: Option<String>,
    #[serde(default)]
    available_transports: Vec<Offer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Offer {
    transport: String,
    #[serde(default)]
    transfer_formats: Vec<String>,
}

/// Reads the answer to a negotiation. What it offers beyond text and the three transports is left
/// out.
///
/// # Errors
/// It is not SignalR's.
pub fn negotiated(bytes: &[u8]) -> Result<Negotiated, SignalRError> {
    if bytes.len() > ANSWER_MAX {
        return Err(SignalRError::TooLong);
    }
    let answer: Answer = serde_json::from_slice(bytes).map_err(|_| SignalRError::NotSignalR)?;
    if let Some(error) = answer.error {
        return Ok(Negotiated::Refused { error });
    }
    if let Some(url) = answer.url {
        return Ok(Negotiated::Redirection { url });
    }
    // Version 0 has no token: there the connection's id is what names it.
    let id = answer.connection_token.or(answer.connection_id);
    let mut transports = Vec::new();
    for offer in answer.available_transports.iter().take(TRANSPORTS_MAX) {
        let text = offer.transfer_formats.iter().any(|format| format == "Text");
        if let Some(transport) = Transport::of(&offer.transport)
            && text
            && !transports.contains(&transport)
        {
            transports.push(transport);
        }
    }
    let id = id.ok_or(SignalRError::NotSignalR)?;
    Ok(Negotiated::Connection { id, transports })
}

/// The answer to a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handshake {
    /// Welcome.
    Accepted,
    /// Not so, in the server's own words.
    Refused {
        /// The words.
        error: String,
    },
}

#[derive(Deserialize)]
struct HandshakeAnswer {
    error: Option<String>,
}

/// Reads the answer to a handshake from what has come so far; `None` when its record has not ended
/// yet. Messages may follow it at once.
///
/// # Errors
/// It is not SignalR's, or too long.
pub fn handshake(bytes: &[u8]) -> Result<Option<Handshake>, SignalRError> {
    let Some(end) = bytes.iter().position(|byte| *byte == RECORD_END) else {
        return if bytes.len() > ANSWER_MAX {
            Err(SignalRError::TooLong)
        } else {
            Ok(None)
        };
    };
    let record = bytes.get(..end).unwrap_or_default();
    let answer: HandshakeAnswer =
        serde_json::from_slice(record).map_err(|_| SignalRError::NotSignalR)?;
    Ok(Some(match answer.error {
        Some(error) => Handshake::Refused { error },
        None => Handshake::Accepted,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_of_version_1_gives_the_token_and_the_transports_in_their_order() {
        let answer = br#"{"negotiateVersion":1,"connectionId":"public","connectionToken":"secret",
            "availableTransports":[
                {"transport":"WebSockets","transferFormats":["Text","Binary"]},
                {"transport":"ServerSentEvents","transferFormats":["Text"]},
                {"transport":"Carrier pigeon","transferFormats":["Text"]},
                {"transport":"LongPolling","transferFormats":["Binary"]}]}"#;
        let expected = Negotiated::Connection {
            id: "secret".to_owned(),
            transports: vec![Transport::WebSockets, Transport::ServerSentEvents],
        };
        assert_eq!(negotiated(answer), Ok(expected));
    }

    #[test]
    fn an_answer_of_version_0_names_the_connection_by_its_id() {
        let answer = br#"{"connectionId":"one","availableTransports":[]}"#;
        let expected = Negotiated::Connection {
            id: "one".to_owned(),
            transports: Vec::new(),
        };
        assert_eq!(negotiated(answer), Ok(expected));
    }

    #[test]
    fn refusals_and_redirections_are_told_apart_from_what_is_not_signalr() {
        let error = "no".to_owned();
        assert_eq!(
            negotiated(br#"{"error":"no"}"#),
            Ok(Negotiated::Refused { error })
        );
        let url = "https://a.example/hub".to_owned();
        let redirection = br#"{"url":"https://a.example/hub","accessToken":"x"}"#;
        assert_eq!(negotiated(redirection), Ok(Negotiated::Redirection { url }));
        for other in [&b"<html>"[..], b"{}", b"[]", b"", b"{\"connectionId\":7}"] {
            assert_eq!(negotiated(other), Err(SignalRError::NotSignalR));
        }
        assert_eq!(
            negotiated(&vec![b' '; ANSWER_MAX + 1]),
            Err(SignalRError::TooLong)
        );
    }

    #[test]
    fn a_handshake_is_answered_by_its_first_record() {
        assert_eq!(handshake(b"{}"), Ok(None));
        assert_eq!(
            handshake(b"{}\x1e{\"type\":6}\x1e"),
            Ok(Some(Handshake::Accepted))
        );
        let error = "which protocol?".to_owned();
        let refused = b"{\"error\":\"which protocol?\"}\x1e";
        assert_eq!(handshake(refused), Ok(Some(Handshake::Refused { error })));
        assert_eq!(handshake(b"hello\x1e"), Err(SignalRError::NotSignalR));
        assert_eq!(
            handshake(&vec![b' '; ANSWER_MAX + 1]),
            Err(SignalRError::TooLong)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = negotiated(&bytes);
            let _ = handshake(&bytes);
        }
    }
}
