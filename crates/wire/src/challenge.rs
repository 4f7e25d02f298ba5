//! What `WWW-Authenticate` and `Proxy-Authenticate` ask for (RFC 9110 §11.6.1): the names of the
//! schemes, nothing of their parameters.

/// Most schemes that are kept of all headers of an answer.
pub const SCHEMES_MAX: usize = 16;
/// Longest name of a scheme that is kept, in characters; the longest that is registered has 21.
pub const SCHEME_MAX: usize = 32;

/// The schemes of these header values, as they are written, in their order, each once: at most
/// [`SCHEMES_MAX`]. What is no challenge is left out.
pub fn schemes<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for value in values {
        for element in elements(value) {
            let Some(scheme) = scheme(element) else {
                continue;
            };
            let known = found.iter().any(|one| one.eq_ignore_ascii_case(scheme));
            if !known && found.len() < SCHEMES_MAX {
                found.push(scheme.to_owned());
            }
        }
    }
    found
}

/// The parts between commas that stand in no quoted string (RFC 9110 §5.6.1, §5.6.4).
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    value.split(move |byte| {
        let ends = !quoted && *byte == b',';
        if escaped {
            escaped = false;
        } else if quoted && *byte == b'\\' {
            escaped = true;
        } else if *byte == b'"' {
            quoted = !quoted;
        }
        ends
    })
}

/// The scheme that an element begins with; `None` if it only goes on with parameters.
fn scheme(element: &[u8]) -> Option<&str> {
    let element = element.trim_ascii();
    let end = element.iter().position(|byte| !is_token(*byte));
    let (name, rest) = element.split_at(end.unwrap_or(element.len()));
    let fits = (1..=SCHEME_MAX).contains(&name.len());
    // A parameter has an equals sign after its name; a scheme ends, or a space follows it.
    let is_scheme = match rest.first() {
        None => true,
        Some(b' ' | b'\t') => rest.trim_ascii_start().first() != Some(&b'='),
        Some(_) => false,
    };
    (fits && is_scheme)
        .then(|| std::str::from_utf8(name).ok())
        .flatten()
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(values: &[&str]) -> Vec<String> {
        schemes(values.iter().map(|value| value.as_bytes()))
    }

    #[test]
    fn each_header_names_its_scheme() {
        let found = read(&["Negotiate", "NTLM", "Basic realm=\"proxy\""]);
        assert_eq!(found, ["Negotiate", "NTLM", "Basic"]);
    }

    #[test]
    fn several_challenges_share_a_header() {
        let found = read(&[
            "Digest realm=\"a, Basic b\", nonce=\"x\\\",y\", qop=\"auth\", Basic realm=c, NTLM",
        ]);
        assert_eq!(found, ["Digest", "Basic", "NTLM"]);
    }

    #[test]
    fn a_token_may_follow_in_place_of_parameters() {
        assert_eq!(read(&["Negotiate oXcwdaADCgEB=="]), ["Negotiate"]);
    }

    #[test]
    fn parameters_alone_name_no_scheme_and_none_is_told_twice() {
        assert_eq!(read(&["realm=x", "realm = x", "", ",,"]), [""; 0]);
        assert_eq!(read(&["Basic", "basic realm=x"]), ["Basic"]);
    }

    proptest! {
        #[test]
        fn any_bytes_give_few_short_names(value in prop::collection::vec(any::<u8>(), 0..400)) {
            let found = schemes([value.as_slice(), b"Basic"]);
            prop_assert!(found.len() <= SCHEMES_MAX);
            prop_assert!(found.iter().all(|one| (1..=SCHEME_MAX).contains(&one.len())));
        }

        #[test]
        fn what_was_written_is_read(names in prop::collection::vec("[A-Za-z][A-Za-z0-9-]{0,20}", 1..9)) {
            let value = names.iter().map(|name| format!("{name} realm=\"{name}, x\"")).collect::<Vec<_>>().join(", ");
            let mut expected: Vec<String> = Vec::new();
            for name in names {
                if !expected.iter().any(|one| one.eq_ignore_ascii_case(&name)) {
                    expected.push(name);
                }
            }
            prop_assert_eq!(read(&[&value]), expected);
        }
    }
}
