//! Where a webhook may be told to send. Where its name leads is asked when it is sent to.

use crate::refusal::Refusal;

/// The most bytes of a webhook's URL.
const MAX_URL: usize = 2_048;

/// Checks the form of a webhook's URL (RFC 3986): `https` or `http`, a host, no user or password,
/// which would end up in lists, and no fragment, which would not be sent.
pub(super) fn check(url: &str) -> Result<(), Refusal> {
    let refuse = |why: &str| Err(Refusal::invalid("url", why));
    if url.len() > MAX_URL {
        return Err(Refusal::TooLarge {
            what: "bytes of the URL",
            limit: MAX_URL as u64,
        });
    }
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) || url.contains(['\\', '"', '<', '>']) {
        return refuse("printable ASCII without spaces, the rest percent-encoded");
    }
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let Some(rest) = rest else {
        return refuse("https://…, or http://… where the network is trusted");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || authority.starts_with(':') {
        return refuse("a host after the scheme");
    }
    if authority.contains('@') {
        return refuse("no user or password: the signature says who sends");
    }
    if url.contains('#') {
        return refuse("no fragment: it would not be sent");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_sent_to_and_shown_is_taken() {
        for url in [
            "https://hooks.example/outgate?tenant=1",
            "http://127.0.0.1:8080",
            "https://[::1]:8443/x",
        ] {
            assert!(check(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "ftp://hooks.example",
            "HTTPS//x",
            "https://",
            "https:///path",
            "https://:443/",
            "https://user:secret@hooks.example/",
            "https://hooks.example/#part",
            "https://hooks.example/a b",
            "https://hooks.example/\r\nX: y",
            "https://evil.example\\@hooks.example/",
            &format!("https://{}", "a".repeat(2_048)),
        ] {
            assert!(check(url).is_err(), "{url}");
        }
    }
}
