//! Upload of files by IoT Hub: what a device asks before it puts one into Azure's storage, where it
//! is told to put it, and what it says once it has.
//!
//! Over HTTPS, at `/devices/{id}/files` and `/devices/{id}/files/notifications`; the latter has the
//! correlation in the body or, as from the SDK for Node, behind it in the path.

use serde::{Deserialize, Serialize};

/// The most bytes of what a device says: descriptions of a failure are answers of the storage's.
pub const BODY_MAX_BYTES: usize = 16 * 1024;

/// What a device asks for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    /// What it calls the file, without its own name before it.
    pub blob_name: String,
}

/// Where it is to put it: at `https://HOST/CONTAINER/BLOB` with the token behind it.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Target<'a> {
    /// What it names when it has.
    pub correlation_id: &'a str,
    /// The storage's host, with its port if that is not 443.
    pub host_name: &'a str,
    /// The container.
    pub container_name: &'a str,
    /// The blob, with the device's name before it; not encoded.
    pub blob_name: &'a str,
    /// The signature: a query with its question mark. Whoever has it may use it.
    pub sas_token: &'a str,
}

/// What has become of an upload, as the device says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Which it was, unless the path says so.
    pub correlation_id: Option<String>,
    /// Whether it is there.
    pub is_success: bool,
    /// What the storage answered; whatever the device says, also -1.
    pub status_code: Option<i64>,
    /// The same in words.
    pub status_description: Option<String>,
}

impl std::fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("correlation_id", &self.correlation_id)
            .field("blob_name", &self.blob_name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_sdks_say_is_understood() {
        let wanted: Wanted = serde_json::from_str("{\"blobName\": \"a b.bin\"}").unwrap();
        assert_eq!(wanted.blob_name, "a b.bin");
        let python = r#"{"correlationId": "c", "isSuccess": true, "statusCode": 200,
            "statusDescription": "OK"}"#;
        let outcome: Outcome = serde_json::from_str(python).unwrap();
        assert_eq!(outcome.correlation_id.as_deref(), Some("c"));
        assert!(outcome.is_success);
        let node = r#"{"isSuccess": false, "statusCode": -1, "statusDescription": null}"#;
        let outcome: Outcome = serde_json::from_str(node).unwrap();
        assert_eq!(outcome.correlation_id, None);
        assert_eq!(outcome.status_code, Some(-1));
        for wrong in ["{}", "[]", "{\"isSuccess\": \"yes\"}"] {
            assert!(serde_json::from_str::<Outcome>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_target_has_the_names_that_sdks_read_and_does_not_print_its_token() {
        let target = Target {
            correlation_id: "c",
            host_name: "hub.example",
            container_name: "files",
            blob_name: "till-1/a b.bin",
            sas_token: "?sig=secret",
        };
        let expected = serde_json::json!({
            "correlationId": "c", "hostName": "hub.example", "containerName": "files",
            "blobName": "till-1/a b.bin", "sasToken": "?sig=secret",
        });
        assert_eq!(serde_json::to_value(&target).unwrap(), expected);
        assert!(!format!("{target:?}").contains("secret"));
    }
}
