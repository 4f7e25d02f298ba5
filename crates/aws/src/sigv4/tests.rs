#![cfg(test)]

use proptest::prelude::*;

use super::*;

/// AWS's own example ("Create a signed AWS API request", IAM `ListUsers`), as its documents have it.
const EXAMPLE_SECRET: &[u8] = b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const EXAMPLE_SIGNATURE: &str = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
const EXAMPLE_HEADERS: [(&str, &str); 3] = [
    ("Host", "iam.amazonaws.com"),
    (
        "Content-Type",
        "application/x-www-form-urlencoded; charset=utf-8",
    ),
    ("X-Amz-Date", "20150830T123600Z"),
];

/// 30 August 2015, 12:36.
const EXAMPLE_TIME: u64 = 1_440_938_160;

fn authorization(signature: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, Signature={signature}"
    )
}

fn request<'a>(headers: &'a [(&'a str, &'a str)], query: &'a str) -> Request<'a> {
    Request {
        method: "GET",
        path: "/",
        query,
        headers,
        body_sha256: no_body(),
    }
}

fn example(change: impl FnOnce(&mut Vec<(String, String)>)) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = EXAMPLE_HEADERS
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    headers.push(("Authorization".to_owned(), authorization(EXAMPLE_SIGNATURE)));
    change(&mut headers);
    headers
}

fn holds(headers: &[(String, String)], query: &str, secret: &[u8]) -> Result<bool, SignatureError> {
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let request = request(&headers, query);
    Ok(Signed::of(&request)?.is_signed_with(secret, &request))
}

const QUERY: &str = "Action=ListUsers&Version=2010-05-08";

#[test]
fn the_example_of_aws_holds_and_says_what_it_is_for() {
    let headers = example(|_| {});
    assert_eq!(holds(&headers, QUERY, EXAMPLE_SECRET), Ok(true));
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let signed = Signed::of(&request(&headers, QUERY)).unwrap();
    assert_eq!(signed.access_key(), "AKIDEXAMPLE");
    assert_eq!((signed.region(), signed.service()), ("us-east-1", "iam"));
    assert_eq!(signed.in_time(EXAMPLE_TIME), Ok(()));
    let printed = format!("{signed:?}");
    assert!(!printed.contains(&EXAMPLE_SIGNATURE[..16]), "{printed}");
}

#[test]
fn whatever_was_signed_and_is_changed_breaks_the_signature() {
    let right = example(|_| {});
    let not = |headers: &[(String, String)], query: &str| {
        assert_eq!(holds(headers, query, EXAMPLE_SECRET), Ok(false));
    };
    assert_eq!(holds(&right, QUERY, b"another secret"), Ok(false));
    not(&right, "Action=ListUsers&Version=2010-05-09");
    not(&right, "Action=ListUsers&Version=2010-05-08&More=1");
    not(&right, "");
    not(
        &example(|all| all[0].1 = "iam.example.com".to_owned()),
        QUERY,
    );
    not(
        &example(|all| all[2].1 = "20150830T123601Z".to_owned()),
        QUERY,
    );
    not(&example(|all| drop(all.remove(1))), QUERY);
    not(
        &example(|all| all.push(("host".to_owned(), "b".to_owned()))),
        QUERY,
    );
}

#[test]
fn white_space_and_order_that_do_not_count_are_not_signed() {
    let query = "Version=2010-05-08&Action=%4cistUsers";
    let headers = example(|all| {
        all[1].1 = "  application/x-www-form-urlencoded;   charset=utf-8 ".to_owned();
        all.push(("User-Agent".to_owned(), "x".to_owned()));
    });
    assert_eq!(holds(&headers, query, EXAMPLE_SECRET), Ok(true));
}

#[test]
fn a_signature_that_is_not_one_is_told_from_none() {
    let with = |text: &str| {
        let headers = example(|all| all[3].1 = text.to_owned());
        holds(&headers, QUERY, EXAMPLE_SECRET).unwrap_err()
    };
    assert_eq!(with("Bearer abc"), SignatureError::Unsigned);
    assert_eq!(with("AWS4-HMAC-SHA512 x=y"), SignatureError::Algorithm);
    let right = authorization(EXAMPLE_SIGNATURE);
    for (from, to, why) in [
        (
            "aws4_request",
            "aws5_request",
            SignatureError::Part("Credential"),
        ),
        (
            "/20150830/",
            "/20150831/",
            SignatureError::Part("Credential"),
        ),
        ("/20150830/", "/2015/", SignatureError::Part("Credential")),
        ("AKIDEXAMPLE/", "/", SignatureError::Part("Credential")),
        (
            "Signature=5d",
            "Signature=",
            SignatureError::Part("Signature"),
        ),
        (
            "Signature=5d",
            "Signature=xy",
            SignatureError::Part("Signature"),
        ),
        (
            "content-type;host;",
            "content-type;",
            SignatureError::SignedHeaders,
        ),
        (
            "content-type;host;",
            "host;content-type;",
            SignatureError::SignedHeaders,
        ),
        (
            "content-type;host;",
            "Content-Type;host;",
            SignatureError::SignedHeaders,
        ),
        (
            "Credential=",
            "Credential=x, Credential=",
            SignatureError::Part("Credential"),
        ),
    ] {
        assert_eq!(with(&right.replacen(from, to, 1)), why, "{from} -> {to}");
    }
    let nothing = holds(&[], "a=b", EXAMPLE_SECRET);
    assert_eq!(nothing, Err(SignatureError::Unsigned));
    let twice = example(|all| all.push(("X-Amz-Date".to_owned(), "20150830T123600Z".to_owned())));
    assert_eq!(
        holds(&twice, QUERY, EXAMPLE_SECRET),
        Err(SignatureError::Part("x-amz-date"))
    );
}

#[test]
fn a_signature_in_both_places_is_none() {
    let query = format!("{QUERY}&X-Amz-Signature={EXAMPLE_SIGNATURE}");
    let both = holds(&example(|_| {}), &query, EXAMPLE_SECRET);
    assert_eq!(both, Err(SignatureError::Unsigned));
}

#[test]
fn times_are_read_as_they_are_and_nothing_else_is_one() {
    assert_eq!(moment::seconds("20150830T123600Z"), Some(EXAMPLE_TIME));
    assert_eq!(moment::seconds("19700101T000000Z"), Some(0));
    for wrong in [
        "20150830T123600",
        "20150830 123600Z",
        "20150230T123600Z",
        "20150830T246000Z",
        "2015083T123600Z",
        "19691231T235959Z",
        "+2015083T123600Z",
        "",
    ] {
        assert_eq!(moment::seconds(wrong), None, "{wrong}");
    }
    assert_eq!(moment::expires("604800"), Some(MAX_EXPIRES));
    for wrong in ["0", "604801", "-1", "+5", "", "99999999999"] {
        assert_eq!(moment::expires(wrong), None, "{wrong}");
    }
}

#[test]
fn a_signature_is_good_for_its_time_and_no_longer() {
    let at = EXAMPLE_TIME;
    let judge = |expires, now| moment::in_time(at, expires, now);
    assert_eq!(judge(None, at), Ok(()));
    assert_eq!(judge(None, at + WINDOW - 1), Ok(()));
    assert_eq!(judge(None, at + WINDOW), Err(NotNow::Late));
    assert_eq!(judge(None, at - WINDOW), Ok(()));
    assert_eq!(judge(None, at - WINDOW - 1), Err(NotNow::Early));
    assert_eq!(judge(Some(3_600), at + 3_599), Ok(()));
    assert_eq!(judge(Some(3_600), at + 3_600), Err(NotNow::Late));
    assert_eq!(judge(Some(1), at + 1), Err(NotNow::Late));
}

#[test]
fn a_path_that_means_another_is_signed_by_nobody() {
    let headers = [("host", "a")];
    for (path, sound) in [
        ("/mqtt", true),
        ("/topics/a%2Fb", true),
        ("/a/", true),
        ("/", true),
        ("mqtt", false),
        ("/a//b", false),
        ("/a/../mqtt", false),
        ("/./mqtt", false),
    ] {
        let request = Request {
            path,
            ..request(&headers, "")
        };
        let canonical = Canonical {
            request: &request,
            signed_headers: &["host".to_owned()],
            in_query: true,
            with_token: true,
        };
        assert_eq!(canonical.text().is_some(), sound, "{path}");
    }
}

proptest! {
    #[test]
    fn any_request_is_read_without_a_panic(query in ".{0,200}", header in ".{0,200}") {
        let headers = [("authorization", header.as_str()), ("host", "a")];
        let signed = request(&headers, &query);
        if let Ok(read) = Signed::of(&signed) {
            prop_assert!(!read.is_signed_with(b"a secret that nobody has", &signed));
        }
    }

    #[test]
    fn another_signature_never_holds(at in 0_usize..64, digit in 0_u8..16) {
        let mut other = EXAMPLE_SIGNATURE.to_owned();
        other.replace_range(at..=at, &format!("{digit:x}"));
        let headers = example(|all| all[3].1 = authorization(&other));
        let same = other == EXAMPLE_SIGNATURE;
        prop_assert_eq!(holds(&headers, QUERY, EXAMPLE_SECRET), Ok(same));
    }
}
