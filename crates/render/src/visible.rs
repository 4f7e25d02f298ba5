//! Characters that a reader sees. Manifests may be written by anybody, and what cannot be seen can
//! steer a terminal, end a line or show a text in another order than the machine reads it.

/// The character that may stand in a file for this one: white space that ends a line or moves the
/// next word becomes a space; controls, marks and overrides of the direction of writing, tags and
/// code points that stand for no character become U+FFFD, so that it is seen that one was there.
pub(crate) fn visible(c: char) -> char {
    match c {
        '\t' | '\n' | '\u{B}' | '\u{C}' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
        c if c.is_control() || turns(c) || is_noncharacter(c) => char::REPLACEMENT_CHARACTER,
        // The byte order mark, annotations between lines, and tags (Unicode, section 23.8 and 23.9).
        '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}' => {
            char::REPLACEMENT_CHARACTER
        }
        c => c,
    }
}

/// Whether a character turns the direction of writing (UAX #9, section 2).
fn turns(c: char) -> bool {
    matches!(
        c,
        '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
    )
}

/// Code points that stand for no character (Unicode, section 23.7), which HTML forbids too.
fn is_noncharacter(c: char) -> bool {
    let code = u32::from(c);
    (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_replaced_and_the_rest_stays() {
        let shown: String = "a\t\r\n\u{2028}b\u{0}\u{1B}\u{9B}\u{202E}\u{2066}\u{61C}\u{FFFE}"
            .chars()
            .map(visible)
            .collect();
        assert_eq!(shown, format!("a    b{}", "\u{FFFD}".repeat(7)));
        let plain = "Größe – “å” \u{AD}日本";
        assert_eq!(plain.chars().map(visible).collect::<String>(), plain);
    }
}
