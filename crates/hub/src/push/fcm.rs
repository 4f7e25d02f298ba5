//! Messages as Firebase Cloud Messaging takes them (HTTP v1, `projects.messages.send`), and what its
//! answers mean.

use std::collections::BTreeMap;
use std::time::Duration;

use outgate_core::{Refusal, Timestamp};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The most bytes of what is pushed, titles, texts and data together.
pub const MAX_BYTES: usize = 4_096;

/// For how long a message may be worth delivering: 28 days.
pub const MAX_LASTS: Duration = Duration::from_secs(28 * 24 * 3_600);

/// The most bytes of the name under which later messages take the place of earlier ones (that of
/// APNs; those of the others are longer).
pub const MAX_COLLAPSE: usize = 64;

/// What the names of data may not begin with, because Google's own do.
const TAKEN: [&str; 2] = ["google", "gcm"];

/// What the names of data may not be, for the same reason.
const TAKEN_NAMES: [&str; 2] = ["from", "message_type"];

/// The most characters of what Google says that are told.
const MAX_WHY: usize = 200;

/// Something to push.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// What is shown: a title.
    pub title: Option<String>,
    /// What is shown below it.
    pub body: Option<String>,
    /// Named texts for the application.
    pub data: BTreeMap<String, String>,
    /// Whether a sleeping device is woken.
    pub urgent: bool,
    /// For how long it is worth delivering: at most [`MAX_LASTS`].
    pub lasts: Option<Duration>,
    /// A later message of the same name takes the place of this one.
    pub collapse: Option<String>,
}

impl Message {
    /// Whether it can be sent.
    ///
    /// # Errors
    /// [`Refusal::Invalid`], [`Refusal::TooLarge`].
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.title.is_none() && self.body.is_none() && self.data.is_empty() {
            return Err(Refusal::invalid(
                "data",
                "something to push: a title, a body or data",
            ));
        }
        let data = self.data.iter().map(|(name, text)| name.len() + text.len());
        let shown = [&self.title, &self.body]
            .into_iter()
            .flatten()
            .map(String::len);
        if data.chain(shown).sum::<usize>() > MAX_BYTES {
            return Err(Refusal::TooLarge {
                what: "bytes of what is pushed",
                limit: MAX_BYTES as u64,
            });
        }
        let taken = |name: &String| {
            name.is_empty()
                || TAKEN_NAMES.contains(&name.as_str())
                || TAKEN.iter().any(|taken| name.starts_with(taken))
        };
        if self.data.keys().any(taken) {
            let right = "names that are not empty, `from` or `message_type` and do not begin with `google` or `gcm`";
            return Err(Refusal::invalid("data", right));
        }
        if self.lasts.is_some_and(|lasts| lasts > MAX_LASTS) {
            return Err(Refusal::invalid(
                "lasts",
                "at most 2,419,200 seconds (28 days)",
            ));
        }
        let fits = |name: &String| (1..=MAX_COLLAPSE).contains(&name.len());
        if !self.collapse.iter().all(fits) {
            return Err(Refusal::invalid(
                "collapse",
                format!("1 to {MAX_COLLAPSE} bytes"),
            ));
        }
        Ok(())
    }

    /// The body of a request that sends it to who holds `token`, at `now`.
    pub(super) fn to(&self, token: &str, now: Timestamp) -> Value {
        let mut message = Map::new();
        message.insert("token".into(), token.into());
        if self.title.is_some() || self.body.is_some() {
            let mut shown = Map::new();
            put(&mut shown, "title", self.title.clone());
            put(&mut shown, "body", self.body.clone());
            message.insert("notification".into(), shown.into());
        }
        if !self.data.is_empty() {
            message.insert("data".into(), json!(self.data));
        }
        let lasts = self.lasts.map(|lasts| lasts.as_secs());
        let ends = self
            .lasts
            .map(|lasts| now.after(lasts).as_millis().div_euclid(1_000));
        let shows = message.contains_key("notification");
        let mut android = Map::new();
        android.insert(
            "priority".into(),
            if self.urgent { "HIGH" } else { "NORMAL" }.into(),
        );
        put(
            &mut android,
            "ttl",
            lasts.map(|seconds| format!("{seconds}s")),
        );
        put(&mut android, "collapse_key", self.collapse.clone());
        message.insert("android".into(), android.into());
        let mut apns = Map::new();
        // Apple takes only what shows something at once (10).
        let at_once = self.urgent && shows;
        apns.insert(
            "apns-priority".into(),
            if at_once { "10" } else { "5" }.into(),
        );
        put(
            &mut apns,
            "apns-expiration",
            ends.map(|ends| ends.to_string()),
        );
        put(&mut apns, "apns-collapse-id", self.collapse.clone());
        let mut to_apple = json!({"headers": apns});
        if !shows {
            to_apple["payload"] = json!({"aps": {"content-available": 1}});
        }
        message.insert("apns".into(), to_apple);
        let mut webpush = Map::new();
        webpush.insert(
            "Urgency".into(),
            if self.urgent { "high" } else { "normal" }.into(),
        );
        put(
            &mut webpush,
            "TTL",
            lasts.map(|seconds| seconds.to_string()),
        );
        message.insert("webpush".into(), json!({"headers": webpush}));
        json!({"message": message})
    }
}

fn put(into: &mut Map<String, Value>, name: &str, text: Option<String>) {
    if let Some(text) = text {
        into.insert(name.into(), text.into());
    }
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Google has it.
    Taken,
    /// Nobody holds that registration any more, or it is of another project.
    Gone,
    /// The token that proves who the hub is is not accepted.
    Unauthenticated,
    /// Not now.
    Later(String),
    /// Not at all.
    Refused(String),
}

#[derive(Deserialize)]
struct Answer {
    error: Failure,
}

/// An error as Google's services tell it (<https://cloud.google.com/apis/design/errors>).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Failure {
    status: String,
    message: String,
    details: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default, rename = "errorCode")]
    code: Option<String>,
}

/// Judges an answer by its status and body.
pub(super) fn judge(status: StatusCode, body: &[u8]) -> Verdict {
    if status.is_success() {
        return Verdict::Taken;
    }
    let failure = serde_json::from_slice::<Answer>(body);
    let failure = failure.map(|answer| answer.error).unwrap_or_default();
    let code = failure
        .details
        .iter()
        .find_map(|detail| detail.code.as_deref());
    let why = || {
        let code = code.unwrap_or(&failure.status);
        let said = format!("HTTP {} {code} {}", status.as_u16(), failure.message);
        said.trim().chars().take(MAX_WHY).collect::<String>()
    };
    match (status, code) {
        // Not by the status alone: an address that is wrong says 404 too, and would have every
        // registration forgotten.
        (_, Some("UNREGISTERED" | "SENDER_ID_MISMATCH")) => Verdict::Gone,
        // The key for Apple or for web push is wrong, not ours.
        (_, Some("THIRD_PARTY_AUTH_ERROR")) => Verdict::Refused(why()),
        (StatusCode::UNAUTHORIZED, _) => Verdict::Unauthenticated,
        (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS, _) => Verdict::Later(why()),
        (status, _) if status.is_server_error() => Verdict::Later(why()),
        _ => Verdict::Refused(why()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, text: &str, code: &str) -> Verdict {
        let details = json!([{"@type": "type.googleapis.com/google.rpc.BadRequest"},
            {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}]);
        let body =
            json!({"error": {"code": status, "message": "m", "status": text, "details": details}});
        judge(
            StatusCode::from_u16(status).unwrap(),
            body.to_string().as_bytes(),
        )
    }

    #[test]
    fn each_answer_means_what_googles_documentation_says() {
        let later = |why: &str| Verdict::Later(why.to_owned());
        let refused = |why: &str| Verdict::Refused(why.to_owned());
        for (status, text, code, verdict) in [
            (404, "NOT_FOUND", "UNREGISTERED", Verdict::Gone),
            (
                403,
                "PERMISSION_DENIED",
                "SENDER_ID_MISMATCH",
                Verdict::Gone,
            ),
            (
                400,
                "INVALID_ARGUMENT",
                "INVALID_ARGUMENT",
                refused("HTTP 400 INVALID_ARGUMENT m"),
            ),
            (
                401,
                "UNAUTHENTICATED",
                "THIRD_PARTY_AUTH_ERROR",
                refused("HTTP 401 THIRD_PARTY_AUTH_ERROR m"),
            ),
            (
                429,
                "RESOURCE_EXHAUSTED",
                "QUOTA_EXCEEDED",
                later("HTTP 429 QUOTA_EXCEEDED m"),
            ),
            (
                503,
                "UNAVAILABLE",
                "UNAVAILABLE",
                later("HTTP 503 UNAVAILABLE m"),
            ),
            (500, "INTERNAL", "INTERNAL", later("HTTP 500 INTERNAL m")),
        ] {
            assert_eq!(said(status, text, code), verdict, "{status} {code}");
        }
    }

    #[test]
    fn an_answer_that_is_not_googles_forgets_no_registration() {
        let not_found = judge(StatusCode::NOT_FOUND, b"<h1>Not Found</h1>");
        assert_eq!(not_found, Verdict::Refused("HTTP 404".to_owned()));
        let denied = br#"{"error": {"status": "PERMISSION_DENIED", "message": "x"}}"#;
        assert!(matches!(
            judge(StatusCode::FORBIDDEN, denied),
            Verdict::Refused(_)
        ));
        let body = br#"{"error": {"status": "UNAUTHENTICATED"}}"#;
        assert_eq!(
            judge(StatusCode::UNAUTHORIZED, body),
            Verdict::Unauthenticated
        );
        assert!(matches!(
            judge(StatusCode::BAD_GATEWAY, b""),
            Verdict::Later(_)
        ));
    }

    #[test]
    fn what_is_told_of_an_answer_is_bounded() {
        let body = json!({"error": {"message": "ö".repeat(9_999)}}).to_string();
        let Verdict::Refused(why) = judge(StatusCode::BAD_REQUEST, body.as_bytes()) else {
            panic!("it was refused");
        };
        assert_eq!(why.chars().count(), MAX_WHY);
    }

    #[test]
    fn what_google_would_not_take_is_refused() {
        let with = |name: &str, text: &str| Message {
            data: [(name.to_owned(), text.to_owned())].into(),
            ..Message::default()
        };
        assert!(with("a", &"b".repeat(MAX_BYTES - 1)).check().is_ok());
        assert!(with("a", &"b".repeat(MAX_BYTES)).check().is_err());
        for name in ["", "from", "message_type", "google.a", "gcm.a", "googlex"] {
            assert!(with(name, "b").check().is_err(), "{name}");
        }
        assert!(Message::default().check().is_err());
        let lasting = |lasts| Message {
            lasts: Some(lasts),
            ..with("a", "b")
        };
        assert!(lasting(MAX_LASTS).check().is_ok());
        assert!(lasting(MAX_LASTS + Duration::from_secs(1)).check().is_err());
        let of = |collapse: &str| Message {
            collapse: Some(collapse.to_owned()),
            ..with("a", "b")
        };
        assert!(of("").check().is_err());
        assert!(of(&"a".repeat(MAX_COLLAPSE + 1)).check().is_err());
    }

    #[test]
    fn a_message_says_the_same_to_android_apple_and_browsers() {
        let message = Message {
            title: Some("Order".to_owned()),
            urgent: true,
            lasts: Some(Duration::from_secs(60)),
            collapse: Some("orders".to_owned()),
            ..Message::default()
        };
        let body = message.to("t", Timestamp::from_millis(1_000));
        assert_eq!(
            body,
            json!({"message": {
                "token": "t",
                "notification": {"title": "Order"},
                "android": {"priority": "HIGH", "ttl": "60s", "collapse_key": "orders"},
                "apns": {"headers": {"apns-priority": "10", "apns-expiration": "61",
                    "apns-collapse-id": "orders"}},
                "webpush": {"headers": {"Urgency": "high", "TTL": "60"}},
            }})
        );
        let quiet = Message {
            data: [("a".to_owned(), "b".to_owned())].into(),
            ..Message::default()
        };
        let body = quiet.to("t", Timestamp::from_millis(0));
        assert_eq!(body["message"]["data"], json!({"a": "b"}));
        assert_eq!(
            body["message"]["apns"]["payload"]["aps"]["content-available"],
            1
        );
        assert_eq!(body["message"]["apns"]["headers"]["apns-priority"], "5");
        assert!(body["message"].get("notification").is_none());
    }
}
