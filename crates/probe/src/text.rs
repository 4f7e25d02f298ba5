//! A peer's words, made safe to keep and to show.

/// The beginning of a text, with a sign in place of each character that would steer a terminal or
/// a page instead of showing something: control characters (C0 and C1), line separators, and marks
/// that turn the direction of writing. `max` counts characters.
pub(crate) fn cut(text: &str, max: usize) -> String {
    let shown = text.chars().map(|c| {
        if steers(c) {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    });
    shown.take(max).collect()
}

fn steers(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{061C}'
                | '\u{200E}'
                | '\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2066}'..='\u{2069}'
                | '\u{FEFF}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_is_replaced_and_the_rest_kept() {
        let bad = "\u{0}\n\u{1b}\u{7f}\u{85}\u{9b}\u{061C}\u{200E}\u{2028}\u{202E}\u{2067}\u{FEFF}";
        assert!(cut(bad, 100).chars().all(|c| c == '\u{fffd}'));
        assert_eq!(cut("Åäö ж 日本 👍", 100), "Åäö ж 日本 👍");
        assert_eq!(cut("日本語", 2), "日本");
    }
}
