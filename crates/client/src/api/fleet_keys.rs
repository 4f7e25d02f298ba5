//! Keys with which new devices enrol, and enrolling.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::Stream;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::credentials::Issued;
use crate::error::Error;
use crate::pages;
use crate::random;
use crate::token::Token;
use crate::transport::{Ask, Client};

/// A key with which new devices enrol, as it may be told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FleetKey {
    /// Its name.
    pub id: String,
    /// Where its devices will stand.
    pub site: String,
    /// Which names they may have: `*` stands for any number of characters.
    pub ids: String,
    /// How many may enrol with it.
    pub uses: u32,
    /// How many have.
    pub used: u32,
    /// Until when.
    pub expires: String,
    /// From where; everywhere when empty.
    pub from: Vec<String>,
    /// When it was revoked, if it was.
    pub revoked: Option<String>,
    /// Since when.
    pub created: String,
}

/// What a fleet key is to be good for.
#[derive(Clone, Debug)]
pub struct NewFleetKey {
    /// Where its devices will stand.
    pub site: String,
    /// Which names they may have.
    pub ids: String,
    /// How many may enrol with it.
    pub uses: u32,
    /// For how many seconds.
    pub lasts: u64,
    /// From where; everywhere when empty.
    pub from: Vec<String>,
    /// The key itself, in base 64, when devices know it already; else one is made.
    pub key: Option<Token>,
}

/// A fleet key just made, with the key itself, told only now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MadeFleetKey {
    /// What is kept.
    pub fleet_key: FleetKey,
    /// The key, in base 64.
    pub key: Token,
}

/// A device that asks to be taken up.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// With which fleet key.
    pub fleet_key: String,
    /// The fleet key itself, in base 64.
    pub key: Token,
    /// Who it wants to be.
    pub device: String,
    /// A certificate request in PEM, when it wants a certificate rather than a key.
    pub request: Option<String>,
}

/// What came of an enrolment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Enrolled {
    /// `welcome`, or `awaits-approval` when the name is known already.
    pub enrolment: String,
    /// The device's own credential; of one that waits it works once an operator has approved.
    #[serde(flatten)]
    pub issued: Issued,
}

impl Client {
    /// All fleet keys that the asker sees.
    pub fn fleet_keys(&self) -> impl Stream<Item = Result<FleetKey, Error>> + use<> {
        pages::items(self, Ask::get(["api", "fleet-keys"]))
    }

    /// Makes a fleet key.
    ///
    /// # Errors
    /// As any request.
    pub async fn create_fleet_key(&self, new: &NewFleetKey) -> Result<MadeFleetKey, Error> {
        let mut body = json!({
            "site": new.site,
            "ids": new.ids,
            "uses": new.uses,
            "lasts": new.lasts,
            "from": new.from,
        });
        if let Some(key) = &new.key {
            body["key"] = json!(key.expose());
        }
        let ask = Ask::create(["api", "fleet-keys"])?.json(&body);
        self.send(&ask).await?.json()
    }

    /// Revokes a fleet key. Devices that enrolled with it stay.
    ///
    /// # Errors
    /// As any request.
    pub async fn revoke_fleet_key(&self, id: &str) -> Result<FleetKey, Error> {
        let ask = Ask::post(["api", "fleet-keys", id, "revoke"]);
        self.send(&ask).await?.json()
    }

    /// Proves a fleet key for a device and gets the device's own credential. Needs no token.
    ///
    /// # Errors
    /// As any request.
    pub async fn enrol(&self, enrolment: &Enrolment) -> Result<Enrolled, Error> {
        let now = OffsetDateTime::now_utc();
        let body = proof(enrolment, now, &random::nonce()?)?;
        // The nonce makes the hub refuse it a second time, so it is not sent a second time.
        let ask = Ask::post_once(["api", "enrol"]).json(&body);
        self.send(&ask).await?.json()
    }
}

/// What proves the fleet key: HMAC-SHA256 over each part followed by a line feed.
fn proof(
    enrolment: &Enrolment,
    now: OffsetDateTime,
    nonce: &str,
) -> Result<serde_json::Value, Error> {
    let bytes = STANDARD
        .decode(enrolment.key.expose())
        .map_err(|_| Error::FleetKey)?;
    // Whole seconds have only one way to be written, which the hub writes anew from what it read.
    let now = now.replace_nanosecond(0).ok();
    let at = now.and_then(|now| now.format(&Rfc3339).ok());
    let at = at.ok_or(Error::Clock)?;
    let text = format!(
        "outgate-enrol-1\n{}\n{at}\n{nonce}\n{}\n",
        enrolment.device,
        enrolment.request.as_deref().unwrap_or_default()
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &bytes);
    let proof = STANDARD.encode(ring::hmac::sign(&key, text.as_bytes()));
    Ok(json!({
        "fleet_key": enrolment.fleet_key,
        "device": enrolment.device,
        "at": at,
        "nonce": nonce,
        "proof": proof,
        "request": enrolment.request,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_the_one_that_openssl_makes() {
        let enrolment = Enrolment {
            fleet_key: "fk-1".into(),
            key: Token::new("AAECAwQFBgcICQoLDA0ODw==").unwrap(),
            device: "till-1".into(),
            request: None,
        };
        let now = OffsetDateTime::from_unix_timestamp_nanos(1_700_000_000_250_999_999).unwrap();
        let body = proof(&enrolment, now, "nonce-of-16-chars").unwrap();
        assert_eq!(body["at"], "2023-11-14T22:13:20Z");
        // printf 'outgate-enrol-1\ntill-1\n2023-11-14T22:13:20Z\nnonce-of-16-chars\n\n' |
        //   openssl dgst -sha256 -mac HMAC -macopt hexkey:000102030405060708090a0b0c0d0e0f -binary | base64
        assert_eq!(
            body["proof"],
            "dzwYX6m3jUZ2jjoDjEpN+WBaIMFKd6fHYP4LTORZlUg="
        );
    }
}
