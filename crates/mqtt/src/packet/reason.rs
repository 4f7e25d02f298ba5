//! Reason codes (MQTT 5.0, section 2.4), and what 3.1.1 has in their place.

use std::fmt;

/// Declares the codes once: their name, number and the packets that may carry them.
macro_rules! reason_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal in $places:expr;)*) => {
        /// Why something was done or refused. 0x80 and more say that it failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ReasonCode {
            $($(#[$doc])* $name = $code,)*
        }

        impl ReasonCode {
            /// Every code, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code with this number.
            #[must_use]
            pub fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The code's number on the wire.
            #[must_use]
            pub fn number(self) -> u8 {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// The packets that may carry the code: bits of [`Places`].
            fn places(self) -> u16 {
                match self {
                    $(Self::$name => $places,)*
                }
            }
        }
    };
}

/// Which packets carry a reason code, as bits: the table of section 2.4 has a code in several.
pub(super) struct Places;

impl Places {
    pub(super) const CONNACK: u16 = 1;
    pub(super) const PUBACK: u16 = 1 << 1;
    pub(super) const PUBREC: u16 = 1 << 2;
    pub(super) const PUBREL: u16 = 1 << 3;
    pub(super) const PUBCOMP: u16 = 1 << 4;
    pub(super) const SUBACK: u16 = 1 << 5;
    pub(super) const UNSUBACK: u16 = 1 << 6;
    pub(super) const DISCONNECT: u16 = 1 << 7;
    pub(super) const AUTH: u16 = 1 << 8;
    /// PUBACK and PUBREC.
    const RECEIVED: u16 = Self::PUBACK | Self::PUBREC;
    /// PUBREL and PUBCOMP.
    const RELEASED: u16 = Self::PUBREL | Self::PUBCOMP;
    /// SUBACK and UNSUBACK.
    const FILTERS: u16 = Self::SUBACK | Self::UNSUBACK;
    /// CONNACK and DISCONNECT.
    const BOTH_ENDS: u16 = Self::CONNACK | Self::DISCONNECT;
}

reason_codes! {
    /// It was done; in a DISCONNECT: a normal end, without the will; in a SUBACK: granted QoS 0.
    Success = 0x00 in Places::CONNACK | Places::RECEIVED | Places::RELEASED | Places::FILTERS
        | Places::DISCONNECT | Places::AUTH;
    /// Granted QoS 1.
    GrantedQos1 = 0x01 in Places::SUBACK;
    /// Granted QoS 2.
    GrantedQos2 = 0x02 in Places::SUBACK;
    /// The client ends the connection and wants its will published.
    DisconnectWithWill = 0x04 in Places::DISCONNECT;
    /// Nobody subscribes to the message's topic.
    NoMatchingSubscribers = 0x10 in Places::RECEIVED;
    /// There was no such subscription.
    NoSubscriptionExisted = 0x11 in Places::UNSUBACK;
    /// The authentication goes on.
    ContinueAuthentication = 0x18 in Places::AUTH;
    /// The client starts an authentication anew.
    ReAuthenticate = 0x19 in Places::AUTH;
    /// No reason is given, or none of the others applies.
    UnspecifiedError = 0x80 in Places::BOTH_ENDS | Places::RECEIVED | Places::FILTERS;
    /// The packet does not read as MQTT.
    MalformedPacket = 0x81 in Places::BOTH_ENDS;
    /// The packet was unexpected or against the protocol.
    ProtocolError = 0x82 in Places::BOTH_ENDS;
    /// Valid, but not accepted by this implementation.
    ImplementationSpecificError = 0x83 in Places::BOTH_ENDS | Places::RECEIVED | Places::FILTERS;
    /// The server does not speak this version of MQTT.
    UnsupportedProtocolVersion = 0x84 in Places::CONNACK;
    /// The client identifier is valid, but not allowed.
    ClientIdentifierNotValid = 0x85 in Places::CONNACK;
    /// User name or password are wrong.
    BadUserNameOrPassword = 0x86 in Places::CONNACK;
    /// The client may not do this.
    NotAuthorized = 0x87 in Places::BOTH_ENDS | Places::RECEIVED | Places::FILTERS;
    /// The server is not available.
    ServerUnavailable = 0x88 in Places::CONNACK;
    /// The server is busy; try again later.
    ServerBusy = 0x89 in Places::BOTH_ENDS;
    /// The client is banned by an administrator.
    Banned = 0x8A in Places::CONNACK;
    /// The server is shutting down.
    ServerShuttingDown = 0x8B in Places::DISCONNECT;
    /// The authentication method is not supported, or not the one in use.
    BadAuthenticationMethod = 0x8C in Places::BOTH_ENDS;
    /// Nothing was received for one and a half times the keep-alive time.
    KeepAliveTimeout = 0x8D in Places::DISCONNECT;
    /// Another connection took the session.
    SessionTakenOver = 0x8E in Places::DISCONNECT;
    /// The topic filter is well formed, but not accepted.
    TopicFilterInvalid = 0x8F in Places::FILTERS | Places::DISCONNECT;
    /// The topic name is well formed, but not accepted.
    TopicNameInvalid = 0x90 in Places::BOTH_ENDS | Places::RECEIVED;
    /// The packet identifier is already in use.
    PacketIdentifierInUse = 0x91 in Places::RECEIVED | Places::FILTERS;
    /// The packet identifier is not known.
    PacketIdentifierNotFound = 0x92 in Places::RELEASED;
    /// More messages than the receive maximum are unacknowledged.
    ReceiveMaximumExceeded = 0x93 in Places::DISCONNECT;
    /// A topic alias is 0 or above the maximum.
    TopicAliasInvalid = 0x94 in Places::DISCONNECT;
    /// The packet is larger than its receiver accepts.
    PacketTooLarge = 0x95 in Places::BOTH_ENDS;
    /// Messages come too fast.
    MessageRateTooHigh = 0x96 in Places::DISCONNECT;
    /// A limit that an administrator set was reached.
    QuotaExceeded = 0x97 in Places::BOTH_ENDS | Places::RECEIVED | Places::SUBACK;
    /// An administrator ended it.
    AdministrativeAction = 0x98 in Places::DISCONNECT;
    /// The payload is not of the format it says.
    PayloadFormatInvalid = 0x99 in Places::BOTH_ENDS | Places::RECEIVED;
    /// The server retains no messages.
    RetainNotSupported = 0x9A in Places::BOTH_ENDS;
    /// The quality of service is above what the server said it supports.
    QosNotSupported = 0x9B in Places::BOTH_ENDS;
    /// Use another server for now.
    UseAnotherServer = 0x9C in Places::BOTH_ENDS;
    /// Use another server from now on.
    ServerMoved = 0x9D in Places::BOTH_ENDS;
    /// The server has no shared subscriptions.
    SharedSubscriptionsNotSupported = 0x9E in Places::SUBACK | Places::DISCONNECT;
    /// Connections come too fast.
    ConnectionRateExceeded = 0x9F in Places::BOTH_ENDS;
    /// The longest time a connection may last is over.
    MaximumConnectTime = 0xA0 in Places::DISCONNECT;
    /// The server has no subscription identifiers.
    SubscriptionIdentifiersNotSupported = 0xA1 in Places::SUBACK | Places::DISCONNECT;
    /// The server has no wildcards in subscriptions.
    WildcardSubscriptionsNotSupported = 0xA2 in Places::SUBACK | Places::DISCONNECT;
}

impl ReasonCode {
    /// Whether it says that something failed.
    #[must_use]
    pub fn is_failure(self) -> bool {
        self.number() >= 0x80
    }

    /// Whether the packets in `places` (bits of [`Places`]) may carry the code.
    pub(super) fn is_allowed_in(self, places: u16) -> bool {
        self.places() & places != 0
    }

    /// The return code of a CONNACK of 3.1.1 (its table 3.1) that comes nearest.
    pub(super) fn to_return_code(self) -> u8 {
        match self.number() {
            0..0x80 => 0,
            0x84 => 1,
            0x85 => 2,
            0x88 | 0x89 | 0x97 | 0x9C | 0x9D | 0x9F => 3,
            0x86 | 0x8C => 4,
            _ => 5,
        }
    }

    /// The reason code for a return code of a CONNACK of 3.1.1; `None` when it is reserved.
    pub(super) fn from_return_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Success),
            1 => Some(Self::UnsupportedProtocolVersion),
            2 => Some(Self::ClientIdentifierNotValid),
            3 => Some(Self::ServerUnavailable),
            4 => Some(Self::BadUserNameOrPassword),
            5 => Some(Self::NotAuthorized),
            _ => None,
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?} (0x{:02X})", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_by_its_number() {
        assert_eq!(ReasonCode::ALL.len(), 43);
        for code in ReasonCode::ALL {
            assert_eq!(ReasonCode::from_number(code.number()), Some(*code));
        }
        assert_eq!(ReasonCode::from_number(0x03), None);
    }

    /// How many codes section 3 lists for each packet, and 0x8C, which section 2.4 alone gives to
    /// DISCONNECT.
    #[test]
    fn each_packet_has_as_many_codes_as_the_standard_lists() {
        let count = |place| {
            ReasonCode::ALL
                .iter()
                .filter(|code| code.is_allowed_in(place))
                .count()
        };
        assert_eq!(count(Places::CONNACK), 22);
        assert_eq!(count(Places::PUBACK), 9);
        assert_eq!(count(Places::PUBREC), 9);
        assert_eq!(count(Places::PUBREL), 2);
        assert_eq!(count(Places::PUBCOMP), 2);
        assert_eq!(count(Places::SUBACK), 12);
        assert_eq!(count(Places::UNSUBACK), 7);
        assert_eq!(count(Places::DISCONNECT), 29 + 1);
        assert_eq!(count(Places::AUTH), 3);
    }
}
