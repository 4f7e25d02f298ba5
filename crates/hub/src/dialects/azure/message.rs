//! What is said of a message over HTTPS: headers for what property bags say over MQTT.

use std::collections::BTreeMap;

use http::HeaderMap;
use outgate_azure::bag::MESSAGE_ID;
use outgate_core::commands::Command;

use super::http::{Failure, put, text};

/// What begins the name of a property that is the sender's own.
const OWN: &str = "iothub-app-";

/// The type of what a message holds.
const CONTENT_TYPE: &str = "iothub-contenttype";

/// The system's properties: their header and their name in bags.
const SYSTEM: [(&str, &str); 6] = [
    ("iothub-messageid", MESSAGE_ID),
    ("iothub-correlationid", "$.cid"),
    ("iothub-userid", "$.uid"),
    ("iothub-contentencoding", "$.ce"),
    ("iothub-creationtimeutc", "$.ctime"),
    ("iothub-ack", "iothub-ack"),
];

/// The properties of a message that is sent.
pub(super) fn properties(headers: &HeaderMap) -> Result<BTreeMap<String, String>, Failure> {
    let mut properties = BTreeMap::new();
    for (header, name) in SYSTEM {
        if let Some(value) = text(headers, header)? {
            properties.insert(name.to_owned(), value.to_owned());
        }
    }
    for name in headers.keys() {
        if let Some(own) = name.as_str().strip_prefix(OWN)
            && let Some(value) = text(headers, name.as_str())?
        {
            properties.insert(own.to_owned(), value.to_owned());
        }
    }
    Ok(properties)
}

/// The same of a message that says it in pairs: what it holds, and its other properties.
pub(super) fn of_pairs(pairs: BTreeMap<String, String>) -> (String, BTreeMap<String, String>) {
    let (mut content_type, mut properties) = (String::new(), BTreeMap::new());
    for (name, value) in pairs {
        let header = name.to_ascii_lowercase();
        if header == CONTENT_TYPE {
            content_type = value;
        } else if let Some((_, its)) = SYSTEM.iter().find(|(system, _)| *system == header) {
            properties.insert((*its).to_owned(), value);
        } else {
            let own = header.starts_with(OWN).then(|| name.get(OWN.len()..));
            let own = own.flatten().map_or(name.clone(), str::to_owned);
            properties.insert(own, value);
        }
    }
    (content_type, properties)
}

/// What a message that is sent holds. `Content-Type` alone says how the request is written.
pub(super) fn content_type(headers: &HeaderMap) -> Result<String, Failure> {
    Ok(text(headers, CONTENT_TYPE)?.unwrap_or_default().to_owned())
}

/// Says of a message that is taken what there is to be said.
pub(super) fn describe(command: &Command, headers: &mut HeaderMap) {
    put(headers, "etag", &format!("\"{}\"", command.id));
    put(headers, "iothub-messageid", command.id.as_str());
    put(headers, "iothub-sequencenumber", &command.seq.to_string());
    put(headers, "iothub-enqueuedtime", &command.created.to_string());
    put(headers, "iothub-expiry", &command.expires.to_string());
    put(
        headers,
        "iothub-deliverycount",
        &command.deliveries.to_string(),
    );
    let to = format!("/devices/{}/messages/deviceBound", command.device);
    put(headers, "iothub-to", &to);
    if !command.content_type.is_empty() {
        put(headers, CONTENT_TYPE, &command.content_type);
    }
    for (name, value) in &command.properties {
        match SYSTEM.iter().find(|(_, its)| its == name) {
            Some((header, _)) => put(headers, header, value),
            None => put(headers, &format!("{OWN}{name}"), value),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn properties_have_the_same_names_by_headers_in_pairs_and_in_bags() {
        let said = [
            ("iothub-messageid", "m 1"),
            ("iothub-app-door", "front"),
            ("iothub-contenttype", "text/plain"),
        ];
        let header = |name| HeaderName::from_static(name);
        let headers: HeaderMap = said
            .iter()
            .map(|(name, value)| (header(name), HeaderValue::from_static(value)))
            .collect();
        let of_headers = (
            content_type(&headers).unwrap(),
            properties(&headers).unwrap(),
        );
        let pairs = said.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(of_headers, of_pairs(pairs.into()));
        let (content_type, properties) = of_headers;
        assert_eq!(content_type, "text/plain");
        assert_eq!(properties[MESSAGE_ID], "m 1");
        assert_eq!(properties["door"], "front");
        assert_eq!(properties.len(), 2);
    }
}
