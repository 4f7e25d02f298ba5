//! Payloads, as far as they are shown in a line.

/// The most characters that are shown of a payload.
const MAX_SHOWN: usize = 300;

/// The beginning of a payload that is text, or how many bytes it has.
pub(super) fn preview(payload: &[u8]) -> String {
    // A character has at most four bytes; one cut in two at the end does not matter.
    let head = &payload[..payload.len().min(MAX_SHOWN * 4)];
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && head.len() < payload.len() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return counted(payload.len()),
    };
    if text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        return counted(payload.len());
    }
    let shown: String = text.chars().take(MAX_SHOWN).collect();
    if shown.len() < payload.len() {
        format!("{shown}… ({})", counted(payload.len()))
    } else {
        shown
    }
}

fn counted(bytes: usize) -> String {
    match bytes {
        1 => "1 byte".to_owned(),
        bytes => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_and_bytes_are_counted() {
        assert_eq!(preview(b"{\"a\":1}"), "{\"a\":1}");
        assert_eq!(preview(b""), "");
        assert_eq!(preview(&[0xff]), "1 byte");
        assert_eq!(preview(b"a\x1b[31m"), "6 bytes");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let long = "å".repeat(5_000);
        let shown = preview(long.as_bytes());
        assert!(shown.starts_with("åå"), "{shown}");
        assert!(shown.ends_with("å… (10000 bytes)"), "{shown}");
        let odd = format!("a{}", "€".repeat(5_000));
        assert!(preview(odd.as_bytes()).ends_with("€… (15001 bytes)"));
    }
}
