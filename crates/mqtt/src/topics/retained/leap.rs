//! Where in a sorted list of topics a filter's next match may be.

/// What a topic is to a filter.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Matches,
    /// It does not, and nothing before this place will. The place is behind the topic.
    GoOnAt(String),
    NoMore,
}

/// Compares a topic with a filter, and says how far to leap when it does not match. Topics are in
/// the order of their bytes, in which all topics that begin alike stand together.
pub(super) fn compare(filter: &str, topic: &str) -> Verdict {
    if topic.starts_with('$') && filter.starts_with(['#', '+']) {
        // '%' follows '$'.
        return Verdict::GoOnAt("%".to_owned());
    }
    let mut rest = Some(topic);
    // Where the level begins that is being compared.
    let mut start = 0;
    let mut levels = filter.split('/').peekable();
    while let Some(wanted) = levels.next() {
        if wanted == "#" {
            return Verdict::Matches;
        }
        let Some(level) = rest else {
            // Names that go on with '-' or the like come before what is below.
            return Verdict::GoOnAt(format!("{topic}\0"));
        };
        let (name, below) = match level.split_once('/') {
            Some((name, below)) => (name, Some(below)),
            None => (level, None),
        };
        if wanted != "+" && wanted != name {
            let named = format!("{}{wanted}", &topic[..start]);
            return leap(topic, start, named, levels.peek().copied());
        }
        rest = below;
        if levels.peek().is_none() && below.is_some() {
            // Everything below this level is too deep.
            let end = start + name.len();
            return Verdict::GoOnAt(format!("{}0", &topic[..end]));
        }
        start += name.len() + 1;
    }
    Verdict::Matches
}

/// Where to go on when the level from `start` is not the one that is wanted: `named`, or what is
/// below it, or the next level above.
fn leap(topic: &str, start: usize, named: String, next: Option<&str>) -> Verdict {
    let below = format!("{named}/");
    if matches!(next, None | Some("#")) && *named > *topic {
        return Verdict::GoOnAt(named);
    }
    if next.is_some() && *below > *topic {
        return Verdict::GoOnAt(below);
    }
    match topic[..start].strip_suffix('/') {
        // '0' follows '/'.
        Some(above) => Verdict::GoOnAt(format!("{above}0")),
        None => Verdict::NoMore,
    }
}
