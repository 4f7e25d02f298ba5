//! From the first packet to the answer to it.

use std::num::NonZeroU16;
use std::num::NonZeroU32;
use std::time::Instant;

use crate::connection::open::{Open, Terms};
use crate::connection::{Connection, ConnectionError, Event, State};
use crate::packet::{
    Auth, Authentication, ConnAck, Connect, DecodeError, Packet, ReasonCode, Version, encode,
};
use crate::session::Session;
use crate::text::Text;

/// The longest client identifier of 3.1, in characters (its section on CONNECT).
const CLIENT_ID_MAX_3_1: usize = 23;

/// What a CONNECT has asked for, kept until it is answered.
#[derive(Debug)]
pub(super) struct Login {
    terms: Terms,
}

impl Connection {
    /// Connects the client with `session`, which is new or was resumed: `answer.session_present`
    /// says which. The connection's limits are put into the answer. Of a client without an
    /// identifier the answer tells the one that was assigned. When the client is no longer there,
    /// [`Self::take_session`] gives the session back.
    pub fn accept(&mut self, session: Session, mut answer: ConnAck, now: Instant) {
        let ended = std::mem::replace(&mut self.state, State::Closed { session: None });
        let (State::Deciding { login, .. } | State::Challenged { login, .. }) = ended else {
            if let State::Closed { .. } = ended {
                self.state = State::Closed {
                    session: Some(Box::new(session)),
                };
            } else {
                self.state = ended;
            }
            return;
        };
        let mut terms = login.terms;
        self.state_limits(&mut answer, &mut terms);
        let mut session = session;
        session.rewind();
        let _ = encode(
            &Packet::ConnAck(Box::new(answer)),
            self.version,
            &mut self.output,
        );
        self.state = State::Open(Box::new(Open::new(terms, session, now)));
        self.pump(now);
    }

    /// Turns the client away, and ends the connection.
    pub fn refuse(&mut self, answer: ConnAck) {
        if let State::Deciding { .. } | State::Challenged { .. } = &self.state {
            let answer = ConnAck {
                session_present: false,
                ..answer
            };
            let _ = encode(
                &Packet::ConnAck(Box::new(answer)),
                self.version,
                &mut self.output,
            );
        }
        self.close();
    }

    /// Asks the client for a further step of enhanced authentication before its login is decided.
    pub fn challenge(&mut self, data: Option<bytes::Bytes>) {
        let ended = std::mem::replace(&mut self.state, State::Closed { session: None });
        let State::Deciding { until, login } = ended else {
            self.state = ended;
            return;
        };
        let Some(method) = login.terms.method.clone() else {
            self.state = State::Deciding { until, login };
            return;
        };
        let auth = Auth {
            reason: ReasonCode::ContinueAuthentication,
            authentication: Some(Authentication { method, data }),
            reason_string: None,
            user_properties: Vec::new(),
        };
        let _ = encode(
            &Packet::Auth(Box::new(auth)),
            self.version,
            &mut self.output,
        );
        self.state = State::Challenged { until, login };
    }

    pub(super) fn handle_login_packet(&mut self, packet: Packet) -> Result<Event, ConnectionError> {
        let ended = std::mem::replace(&mut self.state, State::Closed { session: None });
        match (ended, packet) {
            (State::AwaitingConnect { until }, Packet::Connect(connect)) => {
                self.version = connect.version;
                let login = Box::new(Login {
                    terms: Terms::asked_for(&connect),
                });
                self.state = State::Deciding { until, login };
                check_client_id(&connect)?;
                Ok(Event::Connect(connect))
            }
            (State::Challenged { until, login }, Packet::Auth(auth)) => {
                let goes_on = auth.reason == ReasonCode::ContinueAuthentication
                    && login.terms.is_method_of(&auth);
                self.state = State::Deciding { until, login };
                if !goes_on {
                    return Err(ConnectionError::Unexpected(
                        "AUTH does not go on with the login",
                    ));
                }
                Ok(Event::Auth(auth))
            }
            (State::Challenged { .. }, Packet::Disconnect(disconnect)) => {
                Ok(Event::Disconnect(Box::new(disconnect)))
            }
            (ended, _) => {
                self.state = ended;
                Err(ConnectionError::Unexpected(
                    "the first packet is not CONNECT, or not AUTH",
                ))
            }
        }
    }

    /// Answers a CONNECT that cannot be taken as far as its sender can be expected to understand.
    pub(super) fn answer_bad_login(&mut self, error: ConnectionError) {
        let version = match error {
            ConnectionError::Decode(DecodeError::Version { level }) if level < 5 => Version::V3_1_1,
            ConnectionError::Decode(DecodeError::Version { .. }) => Version::V5,
            ConnectionError::ClientId => self.version,
            // Anything else may not be MQTT at all, and needs no answer [MQTT-3.1.4-1].
            ConnectionError::Decode(_)
            | ConnectionError::Unexpected(_)
            | ConnectionError::LoginTimeout
            | ConnectionError::KeepAlive
            | ConnectionError::ReceiveMaximum
            | ConnectionError::TopicAlias
            | ConnectionError::QoS
            | ConnectionError::Retain => return,
        };
        let answer = Packet::ConnAck(Box::new(ConnAck::new(error.reason())));
        let _ = encode(&answer, version, &mut self.output);
    }

    /// States in `answer` what holds for this connection, and notes it in `terms`.
    fn state_limits(&self, answer: &mut ConnAck, terms: &mut Terms) {
        let limits = &self.limits;
        answer.receive_maximum = NonZeroU16::new(limits.incoming).unwrap_or(NonZeroU16::MIN);
        answer.maximum_packet_size = NonZeroU32::new(limits.packet_size);
        answer.topic_alias_maximum = limits.incoming_aliases;
        if self.version == Version::V5 {
            let keep_alive = answer.server_keep_alive.unwrap_or(terms.keep_alive);
            if limits.keep_alive != 0 && (keep_alive == 0 || keep_alive > limits.keep_alive) {
                answer.server_keep_alive = Some(limits.keep_alive);
            }
            terms.keep_alive = answer.server_keep_alive.unwrap_or(terms.keep_alive);
            terms.maximum_qos = answer.maximum_qos;
            terms.retain_available = answer.retain_available;
            terms.session_expiry = answer.session_expiry.unwrap_or(terms.session_expiry);
        }
        terms.window = terms.window.min(limits.outgoing).max(1);
        terms.aliases = terms.aliases.min(limits.outgoing_aliases);
    }
}

fn check_client_id(connect: &Connect) -> Result<(), ConnectionError> {
    let valid = match connect.version {
        Version::V3_1 => (1..=CLIENT_ID_MAX_3_1).contains(&connect.client_id.chars().count()),
        Version::V3_1_1 => connect.clean_start || !connect.client_id.is_empty(),
        Version::V5 => true,
    };
    if valid {
        Ok(())
    } else {
        Err(ConnectionError::ClientId)
    }
}

impl Terms {
    fn is_method_of(&self, auth: &Auth) -> bool {
        let method = auth
            .authentication
            .as_ref()
            .map(|authentication| &authentication.method);
        method.is_some() && method == self.method.as_ref()
    }

    /// The method that the connection was authenticated with, when it was.
    pub(super) fn check_method(&self, auth: &Auth) -> Result<(), ConnectionError> {
        // [MQTT-4.12.0-6], [MQTT-4.12.1-1]
        if self.is_method_of(auth) {
            Ok(())
        } else {
            Err(ConnectionError::Unexpected(
                "AUTH with another method than the login's",
            ))
        }
    }

    fn asked_for(connect: &Connect) -> Self {
        let method: Option<Text> = connect
            .authentication
            .as_ref()
            .map(|authentication| authentication.method.clone());
        Self {
            keep_alive: connect.keep_alive,
            window: connect.receive_maximum.get(),
            packet_size: connect
                .maximum_packet_size
                .map_or(u32::MAX, NonZeroU32::get),
            aliases: connect.topic_alias_maximum,
            problem_information: connect.request_problem_information,
            session_expiry: connect.session_expiry,
            maximum_qos: crate::packet::QoS::ExactlyOnce,
            retain_available: true,
            method,
        }
    }
}
