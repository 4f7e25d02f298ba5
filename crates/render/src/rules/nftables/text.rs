//! Words and texts as nftables takes them. Manifests may be written by anybody: nothing of them
//! reaches the file but through here.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::visible::visible;

/// The longest comment of a rule, in bytes (`NFTNL_UDATA_COMMENT_MAXLEN` of libnftnl).
pub(super) const MAX_COMMENT: usize = 128;

/// A network as it stands in a rule: an address without its prefix length when it is a single one.
pub(super) fn network(network: IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}

/// A comment in quotes, at most [`MAX_COMMENT`] bytes. Inside quotes nftables knows no escapes, so
/// what could end them is replaced.
pub(super) fn quoted(text: &str) -> String {
    format!(
        "\"{}\"",
        shortened(&plain(text).replace('"', "'"), MAX_COMMENT)
    )
}

/// A text that stays on its line, with nothing in it that cannot be seen. A backslash at the end of
/// a line would join the next one.
pub(super) fn plain(text: &str) -> String {
    let safe = |c: char| match c {
        '\\' => '/',
        c => visible(c),
    };
    text.chars().map(safe).collect()
}

/// The text itself, or its beginning and a number that stands for the whole.
fn shortened(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let mut end = bytes.saturating_sub(17);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let start = text.get(..end).unwrap_or_default();
    format!("{start}~{:016x}", fingerprint(text))
}

/// FNV-1a, 64 bit: tells long names apart that start alike.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A name for a set or limit, different from all `taken`: the kind, an underscore, and the label
/// in lower-case letters, digits and underscores. The kind keeps it from being a keyword.
pub(super) fn identifier(
    kind: &str,
    label: &str,
    bytes: usize,
    taken: &mut BTreeSet<String>,
) -> String {
    let mut base = format!("{kind}_");
    for c in label.trim_start_matches("*.").chars() {
        base.push(if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '_'
        });
    }
    let base = shortened(&base, bytes).replace('~', "_");
    let numbered = (2..).map(|number: u32| format!("{base}_{number}"));
    let mut candidates = std::iter::once(base.clone()).chain(numbered);
    let free = candidates
        .find(|name| !taken.contains(name))
        .unwrap_or(base);
    taken.insert(free.clone());
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_newlines_cannot_end_a_comment() {
        assert_eq!(quoted("a\"\n} flush ruleset\\"), "\"a' } flush ruleset/\"");
        assert_eq!(plain("a\r\u{2028}\u{202E}b"), "a  \u{FFFD}b");
    }

    #[test]
    fn long_comments_keep_to_their_bound_and_stay_different() {
        let (a, b) = (
            format!("{}a", "ö".repeat(200)),
            format!("{}b", "ö".repeat(200)),
        );
        assert!(quoted(&a).len() <= MAX_COMMENT + 2);
        assert_ne!(quoted(&a), quoted(&b));
    }

    #[test]
    fn names_that_look_alike_get_numbers() {
        let mut taken = BTreeSet::new();
        let mut name = |label| identifier("name", label, 40, &mut taken);
        assert_eq!(name("a-b.example"), "name_a_b_example");
        assert_eq!(name("a.b.example"), "name_a_b_example_2");
        assert_eq!(name(&"a".repeat(300)).len(), 40);
    }
}
