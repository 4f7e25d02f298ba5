//! Whether a filter lies within another.

/// Whether every topic that the filter `inner` matches is matched by the filter of the levels
/// `outer` too.
pub(crate) fn covers<'a>(outer: impl Iterator<Item = &'a str>, inner: &str) -> bool {
    let is_internal = inner.starts_with('$');
    let mut inner = written_out(inner).split('/');
    for (depth, wanted) in outer.enumerate() {
        // No wildcard in the first level matches a topic that begins with `$` [MQTT-4.7.2-1].
        let hidden = depth == 0 && is_internal;
        if wanted == "#" {
            // What is above counts as matched too: `a/#` matches `a`.
            return !hidden;
        }
        let covered = match inner.next() {
            None | Some("#") => false,
            Some("+") => wanted == "+",
            Some(name) => wanted == name || wanted == "+" && !hidden,
        };
        if !covered {
            return false;
        }
    }
    inner.next().is_none()
}

/// The same filter without a `#` that has nothing above it: no topic is empty, so every topic that
/// it matches has the level.
fn written_out(filter: &str) -> &str {
    match filter {
        "#" => "+/#",
        "/#" => "/+/#",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::topics::TopicFilter;

    #[test]
    fn a_filter_is_covered_only_with_all_that_it_means() {
        for (outer, inner, expected) in [
            ("devices/d/#", "devices/d/#", true),
            ("devices/d/#", "devices/d", true),
            ("devices/d/#", "devices/d/+/x", true),
            ("devices/d/#", "devices/+/x", false),
            ("devices/d/#", "devices/#", false),
            ("devices/d/#", "#", false),
            ("devices/d/#", "$share/g/devices/d/x", true),
            ("a/+", "a/+", true),
            ("a/+", "a/b", true),
            ("a/+", "a/#", false),
            ("a/+", "a", false),
            ("a/b", "a/+", false),
            ("#", "+/x", true),
            ("#", "$SYS/#", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
        ] {
            let filter = |text| TopicFilter::new(text).unwrap();
            assert_eq!(
                filter(outer).covers(&filter(inner)),
                expected,
                "{outer} {inner}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever a covered filter matches, the covering one matches too.
        #[test]
        fn nothing_gets_out_of_what_is_covered(
            outer in "([ab+]/){0,3}([ab+]|#)",
            inner in "([ab+]/){0,3}([ab+]|#)",
            topic in "([ab]/){0,4}[ab]",
        ) {
            let (Ok(wide), Ok(narrow)) = (TopicFilter::new(&outer), TopicFilter::new(&inner)) else {
                return Ok(());
            };
            if wide.covers(&narrow) && narrow.matches(&topic) {
                prop_assert!(wide.matches(&topic), "{outer} {inner} {topic}");
            }
        }
    }
}
