//! The core's refusals in MQTT's words.

use outgate_core::refusal::Refusal;
use outgate_core::sessions::Ending;
use outgate_mqtt::packet::ReasonCode;

/// What a CONNACK says of a refusal.
pub(in crate::dialects) fn to_connect(refusal: &Refusal) -> ReasonCode {
    match refusal {
        Refusal::Unauthenticated | Refusal::NotFound { .. } => ReasonCode::BadUserNameOrPassword,
        Refusal::Forbidden { .. } | Refusal::Revoked | Refusal::AwaitsApproval => {
            ReasonCode::NotAuthorized
        }
        Refusal::Limited { .. } => ReasonCode::ServerBusy,
        Refusal::TooLarge { .. } | Refusal::TooMany { .. } => ReasonCode::QuotaExceeded,
        Refusal::Invalid { .. } => ReasonCode::ClientIdentifierNotValid,
        Refusal::Exists { .. }
        | Refusal::Conflict { .. }
        | Refusal::Offline { .. }
        | Refusal::TakesNoCalls { .. }
        | Refusal::DeadlineExceeded
        | Refusal::Expired { .. }
        | Refusal::Full
        | Refusal::Draining
        | Refusal::Randomness
        | Refusal::Store(_)
        | Refusal::Internal(_) => ReasonCode::ServerUnavailable,
    }
}

/// What a PUBACK or PUBREC says of a refusal.
pub(super) fn to_publish(refusal: &Refusal) -> ReasonCode {
    match refusal {
        Refusal::Forbidden { .. } | Refusal::Revoked | Refusal::AwaitsApproval => {
            ReasonCode::NotAuthorized
        }
        Refusal::Invalid { field, .. } if field == "name" => ReasonCode::TopicNameInvalid,
        Refusal::Invalid { .. } => ReasonCode::PayloadFormatInvalid,
        Refusal::TooLarge { .. }
        | Refusal::TooMany { .. }
        | Refusal::Limited { .. }
        | Refusal::Full => ReasonCode::QuotaExceeded,
        Refusal::NotFound { .. }
        | Refusal::Exists { .. }
        | Refusal::Conflict { .. }
        | Refusal::Offline { .. }
        | Refusal::TakesNoCalls { .. }
        | Refusal::DeadlineExceeded
        | Refusal::Expired { .. } => ReasonCode::ImplementationSpecificError,
        Refusal::Unauthenticated
        | Refusal::Draining
        | Refusal::Randomness
        | Refusal::Store(_)
        | Refusal::Internal(_) => ReasonCode::UnspecifiedError,
    }
}

/// The status of HTTP that a result in JSON has for a refusal.
pub(in crate::dialects) fn to_status(refusal: &Refusal) -> u16 {
    match refusal {
        Refusal::Forbidden { .. } | Refusal::Revoked | Refusal::AwaitsApproval => 403,
        Refusal::Invalid { .. } => 400,
        Refusal::TooLarge { .. } => 413,
        Refusal::Limited { .. } => 429,
        Refusal::NotFound { .. } => 404,
        Refusal::Exists { .. } | Refusal::Conflict { .. } | Refusal::TooMany { .. } => 409,
        Refusal::Full => 507,
        Refusal::TakesNoCalls { .. } => 409,
        Refusal::Draining | Refusal::Offline { .. } => 503,
        Refusal::DeadlineExceeded => 504,
        Refusal::Expired { .. } => 410,
        Refusal::Unauthenticated => 401,
        Refusal::Randomness | Refusal::Store(_) | Refusal::Internal(_) => 500,
    }
}

/// What a DISCONNECT says of a session's end.
pub(super) fn to_disconnect(ending: Ending) -> ReasonCode {
    match ending {
        Ending::Revoked | Ending::Dismissed => ReasonCode::AdministrativeAction,
        Ending::Expired => ReasonCode::MaximumConnectTime,
        Ending::Replaced => ReasonCode::SessionTakenOver,
        Ending::Draining => ReasonCode::ServerShuttingDown,
    }
}
