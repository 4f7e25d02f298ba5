//! When a schedule comes, as an operator or a program of theirs has written it.

use outgate_wire::cron::{Cron, MAX_TEXT};

/// Reads the bytes as the five fields of a schedule.
///
/// # Panics
///
/// When a promise of the reader is broken: what was read is not what it shows, it has times that
/// are none of a day's or not in order, or it comes at no time.
pub fn cron(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(cron) = text.parse::<Cron>() else {
        return;
    };
    assert!(text.len() <= MAX_TEXT);
    assert_eq!(cron.to_string().parse(), Ok(cron.clone()));
    let times: Vec<_> = cron.times().collect();
    assert!(!times.is_empty() && times.is_sorted(), "{text}");
    assert!(
        times
            .iter()
            .all(|(hour, minute)| *hour < 24 && *minute < 60)
    );
    // Of some month at least it means a day by its number or by its weekday.
    let days = (1..=12).flat_map(|month| (1..=31).map(move |day| (month, day)));
    let mut all = days.flat_map(|(month, day)| (0..7).map(move |weekday| (month, day, weekday)));
    assert!(
        all.any(|(month, day, weekday)| cron.comes_on(month, day, weekday)),
        "{text}"
    );
}
