//! The language of a page: that of a link, else the one chosen before, else what the browser prefers.

use http::{HeaderMap, header};
use outgate_check::Language;

use super::cookie;

/// Where a choice is kept.
const COOKIE: &str = "outgate-language";
/// For how long: a year, in seconds.
const KEPT: u32 = 365 * 24 * 3_600;
/// The most preferences of a browser that are read.
const MAX_PREFERENCES: usize = 32;

/// The language of an answer, and whether it was chosen just now.
pub(super) fn of(chosen: Option<&str>, headers: &HeaderMap) -> (Language, bool) {
    if let Some(language) = chosen.and_then(|tag| tag.parse().ok()) {
        return (language, true);
    }
    let kept = cookie(headers, COOKIE).and_then(|tag| tag.parse().ok());
    let preferred = || {
        let accepted = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
        preferred(accepted)
    };
    (kept.or_else(preferred).unwrap_or_default(), false)
}

/// What keeps a choice.
pub(super) fn kept(language: Language) -> String {
    format!("{COOKIE}={language}; Path=/; Max-Age={KEPT}; HttpOnly; SameSite=Strict")
}

/// The first of our languages among those that a browser prefers (RFC 9110, section 12.5.4).
fn preferred(accepted: &str) -> Option<Language> {
    let mut best: Option<(u16, Language)> = None;
    for part in accepted.split(',').take(MAX_PREFERENCES) {
        let (range, parameters) = part.split_once(';').unwrap_or((part, ""));
        let weight = weight(parameters);
        let Some(language) = spoken(range.trim()).filter(|_| weight > 0) else {
            continue;
        };
        // The first of those that are liked as much.
        if best.is_none_or(|(most, _)| weight > most) {
            best = Some((weight, language));
        }
    }
    best.map(|(_, language)| language)
}

fn spoken(range: &str) -> Option<Language> {
    let primary = range.split('-').next().unwrap_or(range);
    let primary = primary.to_ascii_lowercase();
    match primary.as_str() {
        // Who reads one of the other two reads this as well.
        "no" | "nn" => Some(Language::Nb),
        tag => tag.parse().ok(),
    }
}

/// A weight in thousandths; one that cannot be read is none.
fn weight(parameters: &str) -> u16 {
    let Some(text) = parameters.trim().strip_prefix("q=") else {
        return if parameters.trim().is_empty() {
            1_000
        } else {
            0
        };
    };
    let weight = text.trim().parse::<f32>().unwrap_or(0.0);
    if !(0.0..=1.0).contains(&weight) {
        return 0;
    }
    // Between 0 and 1000, by what stands above.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 0 and 1000"
    )]
    let thousandths = (weight * 1_000.0) as u16;
    thousandths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_is_liked_most_is_shown() {
        for (accepted, language) in [
            ("sv-SE,sv;q=0.9,en;q=0.8", Some(Language::Sv)),
            ("fr-FR, de;q=0.5, en;q=0.4", Some(Language::De)),
            ("en;q=0.4, NN", Some(Language::Nb)),
            ("no", Some(Language::Nb)),
            ("de;q=0, en;q=0.1", Some(Language::En)),
            ("fr, *", None),
            ("de;q=2", None),
            ("de;q=NaN", None),
            ("", None),
        ] {
            assert_eq!(preferred(accepted), language, "{accepted}");
        }
    }

    #[test]
    fn a_link_counts_before_what_was_chosen_and_that_before_the_browser() {
        let mut headers = HeaderMap::new();
        assert_eq!(of(None, &headers), (Language::En, false));
        headers.insert("accept-language", "de".parse().unwrap());
        assert_eq!(of(None, &headers), (Language::De, false));
        headers.insert("cookie", "a=b; outgate-language=sv".parse().unwrap());
        assert_eq!(of(None, &headers), (Language::Sv, false));
        assert_eq!(of(Some("nb"), &headers), (Language::Nb, true));
        assert_eq!(of(Some("xx"), &headers), (Language::Sv, false));
    }
}
