//! What anybody may send who says they are one of Azure's SDKs.

use outgate_azure::bag::Bag;
use outgate_azure::device::{Endpoint, Published, UserName};
use outgate_azure::provisioning::{
    NAME_MAX_BYTES, Registrant, Registration, Request, answer_topic,
};
use outgate_azure::sas::Token;
use outgate_azure::service::query::Query;
use outgate_azure::service::{MethodCall, TwinChange, Wanted};
use outgate_azure::storage::blocks::{MAX_BLOCKS, parse_list};
use outgate_azure::storage::condition::Conditions;
use outgate_azure::storage::operation::Operation;
use outgate_azure::storage::range::ByteRange;
use outgate_azure::storage::sas::{Resource, Sas};

/// Reads `data` as a shared access signature.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, or a signature that holds, which
/// nobody can have made for this key.
pub fn azure_sas(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    if let Ok(token) = Token::parse(text) {
        assert!(!token.is_signed_with(b"a key that nobody has"));
        let host = token.host().to_owned();
        assert!(!host.contains('/'));
        let _ = token.covers(&["devices", "till-1", "modules", "m"]);
    }
}

/// Reads `data` as a user name, a topic and a body of the device provisioning service.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, or a name that is longer than it may
/// be.
pub fn azure_provisioning(data: &[u8]) {
    if let Ok(body) = Registration::read(data) {
        let payload = body.payload.map_or("", |payload| payload.get());
        assert!(payload.len() <= data.len());
    }
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    if let Some(registrant) = Registrant::of_user_name(text) {
        assert!(registrant.scope.len() <= NAME_MAX_BYTES);
        let (scope, registration) = (&registrant.scope, &registrant.registration);
        let resource = Registrant::of_resource(&format!("{scope}/registrations/{registration}"));
        assert_eq!(resource, Some(registrant));
    }
    if let Some(request) = Request::of_topic(text) {
        assert!(request.rid.len() <= NAME_MAX_BYTES);
        assert!(!answer_topic(200, &request.rid, None).contains(['#', '+', '\0']));
    }
}

/// Reads `data` as what back ends send: queries, devices, twins, methods.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, or a thumbprint of bytes that are not
/// there.
pub fn azure_service(data: &[u8]) {
    if let Ok(wanted) = serde_json::from_slice::<Wanted>(data) {
        let _ = wanted.authentication_kind();
        let authentication = wanted.authentication.unwrap_or_default();
        let prints = authentication.x509_thumbprint.unwrap_or_default();
        assert!(prints.sha256().is_none_or(|prints| prints.len() <= 2));
        let keys = authentication.symmetric_key.unwrap_or_default();
        let _ = keys.primary_key.and_then(|key| key.bytes());
    }
    let _ = serde_json::from_slice::<TwinChange>(data);
    let _ = serde_json::from_slice::<MethodCall<'_>>(data);
    if let Ok(query) = str::from_utf8(data).map(Query::parse)
        && let Ok(query) = query
    {
        let _ = query.fits(&serde_json::json!({"deviceId": "till-1", "tags": {"a": 1}}));
    }
}

/// Reads the two lines of `data` as the user name of a device and a topic that it publishes to.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, a device without a name, or properties
/// that are read otherwise once they are written.
pub fn azure_device(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let (name, topic) = text.split_once('\n').unwrap_or((text, text));
    let till = Endpoint {
        device: "till-1",
        module: None,
    };
    let endpoint = UserName::parse(name).map_or(till, |name| name.endpoint);
    assert!(!endpoint.device.is_empty() && endpoint.module != Some(""));
    if let Ok(Some(Published::Message(bag))) = endpoint.published(topic) {
        assert_eq!(Bag::parse(&bag.to_string()), Ok(bag));
    }
}

/// Reads `data` as a request of Blob storage: a line each for the query and for a header, then the
/// body.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, a signature that holds, which nobody
/// can have made for this key, or a range beyond its blob.
pub fn azure_storage(data: &[u8]) {
    const SIZE: u64 = 1_000;
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let mut parts = text.splitn(3, '\n');
    let query = parts.next().unwrap_or_default();
    let header = parts.next().unwrap_or_default();
    if let Ok(sas) = Sas::parse(query) {
        let resource = Resource {
            account: "outgate",
            container: "files",
            blob: "till-1/logs.txt",
        };
        assert!(!sas.is_signed_with(b"a key that nobody has", resource));
        let _ = sas.is_for([127, 0, 0, 1].into());
    }
    for method in ["PUT", "GET", "DELETE"] {
        if let Ok(operation) = Operation::parse(method, query) {
            let _ = operation.needs();
        }
    }
    if let Some(range) = ByteRange::parse(header).and_then(|range| range.of(SIZE)) {
        assert!(range.start < range.end && range.end <= SIZE);
    }
    let _ = Conditions::parse(|_| Some(header)).on_reading(None);
    if let Ok(list) = parse_list(parts.next().unwrap_or_default()) {
        assert!(list.len() <= MAX_BLOCKS);
    }
}
