//! How long something lasts, as people write it.

/// Seconds: `90s`, `15m`, `12h`, `30d`, or a bare number of them.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((place, 's')) => (&text[..place], 1),
        Some((place, 'm')) => (&text[..place], 60),
        Some((place, 'h')) => (&text[..place], 3_600),
        Some((place, 'd')) => (&text[..place], 86_400),
        _ => (text, 1),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "a number and s, m, h or d, as in 12h".to_owned())?;
    number
        .checked_mul(unit)
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| "longer than nothing, and shorter than for ever".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit_are_so_many_seconds() {
        for (text, right) in [
            ("90", Some(90)),
            ("90s", Some(90)),
            ("15m", Some(900)),
            ("12h", Some(43_200)),
            ("30d", Some(2_592_000)),
            ("0s", None),
            ("", None),
            ("s", None),
            ("1w", None),
            ("-1d", None),
            ("1 d", None),
            ("9999999999999999999d", None),
            ("å", None),
        ] {
            assert_eq!(seconds(text).ok(), right, "{text}");
        }
    }
}
