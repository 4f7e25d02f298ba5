//! What each component is, by the examples of RFC 9421, section 2.

use http::{HeaderMap, HeaderValue, StatusCode};

use super::fields;
use crate::{
    BaseError, Component, ComponentError, Message, Parameters, Request, Response, signature_base,
};

fn line(message: Message<'_>, component: &str) -> Result<String, BaseError> {
    let components = [component.parse().unwrap()];
    let base = signature_base(&message, &components, &Parameters::default())?;
    Ok(base.split_once('\n').unwrap().0.to_owned())
}

/// The request of section 2.2 with these fields.
fn request(fields: &HeaderMap) -> Request<'_> {
    Request {
        method: "POST",
        scheme: "HTTPS",
        authority: "WWW.Example.com:443",
        path: "/path",
        query: Some("param=value"),
        fields,
    }
}

#[test]
fn what_is_derived_of_a_request_is_as_in_the_examples() {
    let fields = HeaderMap::new();
    let request = request(&fields);
    for (component, expected) in [
        ("@method", "\"@method\": POST"),
        (
            "@target-uri",
            "\"@target-uri\": https://www.example.com/path?param=value",
        ),
        ("@authority", "\"@authority\": www.example.com"),
        ("@scheme", "\"@scheme\": https"),
        ("@request-target", "\"@request-target\": /path?param=value"),
        ("@path", "\"@path\": /path"),
        ("@query", "\"@query\": ?param=value"),
    ] {
        assert_eq!(
            line(Message::Request(request), component).unwrap(),
            expected
        );
    }
    let bare = Request {
        path: "",
        query: None,
        authority: "h:8080",
        scheme: "http",
        ..request
    };
    for (component, expected) in [
        ("@target-uri", "\"@target-uri\": http://h:8080/"),
        ("@path", "\"@path\": /"),
        ("@query", "\"@query\": ?"),
    ] {
        assert_eq!(line(Message::Request(bare), component).unwrap(), expected);
    }
    let status = line(Message::Request(request), "@status").unwrap_err();
    assert_eq!(status, BaseError::Missing("\"@status\"".to_owned()));
}

#[test]
fn a_parameter_of_the_query_is_as_in_the_examples() {
    let fields = HeaderMap::new();
    // Section 2.2.8.
    let query = "var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something&twice=1&twice=2";
    let request = Request {
        query: Some(query),
        ..request(&fields)
    };
    let value = |name: &str| {
        line(
            Message::Request(request),
            &format!("\"@query-param\";name=\"{name}\""),
        )
    };
    let expected = "\"@query-param\";name=\"var\": this%20is%20a%20big%0Amultiline%20value";
    assert_eq!(value("var").unwrap(), expected);
    let expected = "\"@query-param\";name=\"bar\": with%20plus%20whitespace";
    assert_eq!(value("bar").unwrap(), expected);
    let name = "fa%C3%A7ade%22%3A%20";
    assert_eq!(
        value(name).unwrap(),
        format!("\"@query-param\";name=\"{name}\": something")
    );
    assert!(matches!(value("twice"), Err(BaseError::Ambiguous(_))));
    assert!(matches!(value("none"), Err(BaseError::Missing(_))));
}

#[test]
fn the_values_of_a_field_are_as_in_the_examples() {
    // Sections 2.1, 2.1.2 and 2.1.3.
    let fields = fields(&[
        ("cache-control", "max-age=60"),
        ("cache-control", "   must-revalidate"),
        ("empty", ""),
        ("example-dict", " a=1,    b=2;x=1;y=2,   c=(a   b   c), d"),
        ("example-header", "value, with, lots"),
        ("example-header", "of, commas"),
        ("text", "\"a b\""),
    ]);
    let request = Message::Request(request(&fields));
    for (component, expected) in [
        (
            "cache-control",
            "\"cache-control\": max-age=60, must-revalidate",
        ),
        ("empty", "\"empty\": "),
        (
            "\"example-dict\";key=\"a\"",
            "\"example-dict\";key=\"a\": 1",
        ),
        (
            "\"example-dict\";key=\"d\"",
            "\"example-dict\";key=\"d\": ?1",
        ),
        (
            "\"example-dict\";key=\"b\"",
            "\"example-dict\";key=\"b\": 2;x=1;y=2",
        ),
        (
            "\"example-dict\";key=\"c\"",
            "\"example-dict\";key=\"c\": (a b c)",
        ),
        (
            "\"example-header\";bs",
            "\"example-header\";bs: :dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:",
        ),
    ] {
        assert_eq!(line(request, component).unwrap(), expected);
    }
    for (component, error) in [
        (
            "\"example-dict\";key=\"e\"",
            BaseError::Missing as fn(String) -> BaseError,
        ),
        ("\"cache-control\";key=\"Not a key\"", BaseError::Missing),
        ("\"text\";key=\"of\"", BaseError::NoDictionary),
        ("date", BaseError::Missing),
    ] {
        let shown = component.parse::<Component>().unwrap().to_string();
        assert_eq!(
            line(request, component).unwrap_err(),
            error(shown),
            "{component}"
        );
    }
}

#[test]
fn bytes_that_are_not_ascii_are_signed_only_wrapped() {
    let mut fields = HeaderMap::new();
    fields.insert("name", HeaderValue::from_bytes(b"caf\xe9").unwrap());
    fields.insert("utf8", HeaderValue::from_bytes("café".as_bytes()).unwrap());
    let request = Message::Request(request(&fields));
    for name in ["name", "utf8"] {
        assert!(
            matches!(line(request, name), Err(BaseError::NotAscii(_))),
            "{name}"
        );
    }
    assert_eq!(
        line(request, "\"name\";bs").unwrap(),
        "\"name\";bs: :Y2Fm6Q==:"
    );
}

#[test]
fn a_response_has_a_status_and_what_it_answers() {
    let (fields, asked) = (HeaderMap::new(), HeaderMap::new());
    let response = Response {
        status: StatusCode::SERVICE_UNAVAILABLE,
        fields: &fields,
        request: Some(request(&asked)),
    };
    let message = Message::Response(response);
    assert_eq!(line(message, "@status").unwrap(), "\"@status\": 503");
    let method = line(message, "\"@method\";req").unwrap();
    assert_eq!(method, "\"@method\";req: POST");
    for missing in ["@method", "\"date\";req", "\"@status\";req"] {
        assert!(
            matches!(line(message, missing), Err(BaseError::Missing(_))),
            "{missing}"
        );
    }
    let of_request = line(Message::Request(request(&asked)), "\"@method\";req");
    assert!(matches!(of_request, Err(BaseError::Missing(_))));
}

#[test]
fn what_is_not_understood_is_no_component() {
    for (text, expected) in [
        (
            "\"@quantum\"",
            ComponentError::UnknownDerived("@quantum".to_owned()),
        ),
        (
            "\"Date\"",
            ComponentError::Unreadable("\"Date\"".to_owned()),
        ),
        ("\"\"", ComponentError::Unreadable("\"\"".to_owned())),
        ("\"a b\"", ComponentError::Unreadable("\"a b\"".to_owned())),
    ] {
        assert_eq!(text.parse::<Component>().unwrap_err(), expected, "{text}");
    }
    for (name, parameter) in [
        ("date", "sf"),
        ("date", "tr"),
        ("date", "key"),
        ("date", "name=\"a\""),
        ("date", "req=?0"),
        ("@method", "bs"),
        ("@method", "key=\"a\""),
        ("date", "bs;key=\"a\""),
        ("@query-param", "name"),
    ] {
        let unknown = format!("\"{name}\";{parameter}").parse::<Component>();
        let unknown = unknown.unwrap_err();
        assert!(
            matches!(unknown, ComponentError::UnknownParameter { .. }),
            "{unknown:?}"
        );
    }
}
