//! Topics and filters of few words, so that they often meet.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use outgate_mqtt::topics::{TopicFilter, TopicName};

/// A topic of at most four levels. `-` and `.` come before `/` in the order of bytes, `0` after.
pub(crate) fn topics() -> impl Strategy<Value = TopicName> {
    let level = prop::sample::select(vec!["", "a", "b", "a-", "a.", "a0", "$x"]);
    vec(level, 1..5).prop_filter_map("not empty", |levels| TopicName::new(&levels.join("/")).ok())
}

/// A filter of at most five levels, of a group at times.
pub(crate) fn filters() -> impl Strategy<Value = TopicFilter> {
    let group = option::weighted(0.25, prop::sample::select(vec!["g", "h"]));
    (plain_filters(), group).prop_map(|(filter, group)| match group {
        Some(group) => TopicFilter::new(&format!("$share/{group}/{filter}")).unwrap(),
        None => filter,
    })
}

pub(crate) fn plain_filters() -> impl Strategy<Value = TopicFilter> {
    let level = prop::sample::select(vec!["", "a", "b", "a-", "a0", "$x", "+", "+", "+"]);
    (vec(level, 0..5), any::<bool>()).prop_filter_map("not empty", |(mut levels, rest)| {
        if rest {
            levels.push("#");
        }
        TopicFilter::new(&levels.join("/")).ok()
    })
}
