//! The examples of RFC 9421, appendix B, and of RFC 9530.

use super::fields;
use crate::signature::read_one;
use crate::{Message, Request, Response, Signer, check_content, content_digest, signature_base};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode};
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PSS_2048_8192_SHA512, UnparsedPublicKey};

const CONTENT: &[u8] = b"{\"hello\": \"world\"}";

/// `test-request` of section 2 and appendix B.2, its signature left out.
fn request_fields() -> HeaderMap {
    fields(&[
        ("Host", "example.com"),
        ("Date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("Content-Type", "application/json"),
        (
            "Content-Digest",
            "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
        ),
        ("Content-Length", "18"),
    ])
}

fn request(fields: &HeaderMap) -> Request<'_> {
    Request {
        method: "POST",
        scheme: "https",
        authority: "example.com",
        path: "/foo",
        query: Some("param=Value&Pet=dog"),
        fields,
    }
}

fn response_fields() -> HeaderMap {
    fields(&[
        ("Date", "Tue, 20 Apr 2021 02:07:56 GMT"),
        ("Content-Type", "application/json"),
        (
            "Content-Digest",
            "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:",
        ),
        ("Content-Length", "23"),
    ])
}

fn base(message: &Message<'_>, input: &str) -> String {
    let (components, parameters) = read_one(input).unwrap();
    signature_base(message, &components, &parameters).unwrap()
}

fn bytes(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

/// The key `test-key-rsa-pss` of appendix B.1.2 as PKCS #1 has it.
fn rsa_pss() -> UnparsedPublicKey<Vec<u8>> {
    let spki = bytes(concat!(
        "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2",
        "+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+",
        "oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq",
        "gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W",
        "Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4",
        "aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI",
        "2wIDAQAB",
    ));
    // The 24 bytes before it say that it is an RSA key (RFC 3279 section 2.3.1).
    UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA512, spki[24..].to_vec())
}

/// The key `test-key-ecc-p256` of appendix B.1.3, a point behind 26 bytes that say so.
fn p256() -> UnparsedPublicKey<Vec<u8>> {
    let spki = bytes(
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lfw0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==",
    );
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, spki[26..].to_vec())
}

fn ed25519() -> Signer {
    let seed = "n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU";
    Signer::from_seed("test-key-ed25519", &URL_SAFE_NO_PAD.decode(seed).unwrap()).unwrap()
}

#[test]
fn what_is_signed_of_requests_is_what_the_examples_signed_with_rsa() {
    let examples = [
        (
            "();created=1618884473;keyid=\"test-key-rsa-pss\";nonce=\"b3k2pp5k7z-50gnwp.yemd\"",
            concat!(
                "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++",
                "wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cO",
                "GdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6U",
                "nCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO",
                "5Nyt8C8ssinQ98Xw9Q==",
            ),
        ),
        (
            "(\"@authority\" \"content-digest\" \"@query-param\";name=\"Pet\");created=1618884473;keyid=\"test-key-rsa-pss\";tag=\"header-example\"",
            concat!(
                "LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfK",
                "tjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQ",
                "zRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4",
                "je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQ",
                "l3/XaVe4bXTugEjHSw==",
            ),
        ),
        (
            "(\"date\" \"@method\" \"@path\" \"@query\" \"@authority\" \"content-type\" \"content-digest\" \"content-length\");created=1618884473;keyid=\"test-key-rsa-pss\"",
            concat!(
                "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt",
                "683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPV",
                "iV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9b",
                "pG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FU",
                "o5fTIztsDZKEgM4cUA==",
            ),
        ),
    ];
    let fields = request_fields();
    for (input, signature) in examples {
        let base = base(&Message::Request(request(&fields)), input);
        let verified = rsa_pss().verify(base.as_bytes(), &bytes(signature));
        assert!(verified.is_ok(), "{base}");
    }
}

#[test]
fn what_is_signed_of_a_response_is_what_the_example_signed_with_ecdsa() {
    let fields = response_fields();
    let response = Message::Response(Response {
        status: StatusCode::OK,
        fields: &fields,
        request: None,
    });
    let input = "(\"@status\" \"content-type\" \"content-digest\" \"content-length\");created=1618884473;keyid=\"test-key-ecc-p256\"";
    let base = base(&response, input);
    let signature =
        "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==";
    assert!(
        p256().verify(base.as_bytes(), &bytes(signature)).is_ok(),
        "{base}"
    );
}

#[test]
fn what_is_signed_of_a_request_is_what_the_example_signed_with_a_secret() {
    let fields = request_fields();
    let input = "(\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\"";
    let base = base(&Message::Request(request(&fields)), input);
    let secret =
        "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &bytes(secret));
    let expected = bytes("pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=");
    assert!(
        ring::hmac::verify(&key, base.as_bytes(), &expected).is_ok(),
        "{base}"
    );
}

#[test]
fn the_example_signed_with_ed25519_is_what_the_key_signs() {
    let fields = request_fields();
    let input = "(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"";
    let base = base(&Message::Request(request(&fields)), input);
    let signature =
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
    assert_eq!(
        STANDARD.encode(ed25519().signature_of(base.as_bytes())),
        signature
    );
}

#[test]
fn the_contents_of_the_examples_are_those_of_their_digests() {
    assert_eq!(check_content(&request_fields(), CONTENT), Ok(()));
    let answer = b"{\"message\": \"good dog\"}";
    assert_eq!(check_content(&response_fields(), answer), Ok(()));
    assert!(check_content(&response_fields(), CONTENT).is_err());
    // RFC 9530, appendix B.1.
    assert_eq!(
        content_digest(b"{\"hello\": \"world\"}\n"),
        "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
    );
}
