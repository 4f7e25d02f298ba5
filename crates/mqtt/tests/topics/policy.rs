//! Whether a filter lies within another, against every topic of a small world.

use proptest::prelude::*;

use outgate_mqtt::policy::{Names, Policy, Template};
use outgate_mqtt::topics::TopicFilter;

use crate::made;

const NAMES: Names<'_> = Names {
    device: "a",
    site: "b",
};

/// Every topic of at most six levels whose levels are words of the filters, or one word (`z`)
/// that is in none of them and so stands for all others. A filter has at most five levels, so that
/// what holds for these holds for all.
fn world() -> Vec<String> {
    let words = ["", "a", "b", "z"];
    let mut topics: Vec<String> = ["", "a", "b", "a-", "a0", "$x", "z"]
        .map(str::to_owned)
        .into();
    let mut longest = topics.clone();
    for _ in 1..6 {
        longest = longest
            .iter()
            .flat_map(|topic| words.map(|word| format!("{topic}/{word}")))
            .collect();
        topics.extend(longest.iter().cloned());
    }
    topics.retain(|topic| !topic.is_empty());
    topics
}

/// Filters of few words, for the world to stay small.
fn small_filters() -> impl Strategy<Value = TopicFilter> {
    made::plain_filters().prop_filter("words of the world only", |filter| {
        filter
            .split('/')
            .enumerate()
            .all(|(depth, level)| depth == 0 || ["", "a", "b", "+", "#"].contains(&level))
    })
}

#[test]
fn a_filter_is_permitted_exactly_when_all_it_matches_is() {
    let world = world();
    let config = ProptestConfig {
        cases: 1500,
        ..ProptestConfig::default()
    };
    // Alike more often than chance would have it.
    let pairs = (small_filters(), small_filters(), any::<bool>());
    proptest!(config, |((outer, inner, widen) in pairs)| {
        let inner = if widen { narrowed(&outer) } else { inner };
        let template = Template::new(&outer).unwrap();
        let policy = Policy::new(vec![template.clone()], vec![template]).unwrap();
        let within = world.iter().filter(|topic| inner.matches(topic)).all(|topic| outer.matches(topic));
        prop_assert_eq!(policy.permits_subscribe(NAMES, &inner), within, "{} in {}", inner, outer);
        for topic in world.iter().step_by(97) {
            prop_assert_eq!(policy.permits_publish(NAMES, topic), outer.matches(topic), "{}", topic);
        }
    });
}

/// The filter with its first `+` narrowed to a word.
fn narrowed(filter: &TopicFilter) -> TopicFilter {
    TopicFilter::new(&filter.replacen('+', "a", 1)).unwrap()
}

#[test]
fn names_are_filled_in_as_words() {
    let template = |template| Template::new(template).unwrap();
    let policy = |text| Policy::new(vec![template(text)], vec![template(text)]).unwrap();
    let config = ProptestConfig {
        cases: 300,
        ..ProptestConfig::default()
    };
    proptest!(config, |(filter in made::filters())| {
        let named = policy("{device}/{site}/+/#").permits_subscribe(NAMES, &filter);
        prop_assert_eq!(named, policy("a/b/+/#").permits_subscribe(NAMES, &filter));
    });
}
