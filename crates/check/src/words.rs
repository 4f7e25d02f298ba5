//! What a cause is called, whose it is, and what to do about it, in the reader's language: one file
//! a language, and one line here. A word that a language lacks does not compile.
//!
//! Raw reasons (`{seen}`) are technical terms and stay in English in every language, so that a
//! vendor's support reads the same words that the customer read out.

mod de;
mod en;
mod nb;
mod sv;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use outgate_probe::Trouble;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cause::{Cause, CauseKind, Owner, Troubled};
use crate::inspection::{Inspection, maker};
use crate::report::Verdict;

/// The most names that a sentence lists.
const MAX_LISTED: usize = 4;

/// The language of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// German.
    De,
    /// English.
    #[default]
    En,
    /// Norwegian, bokmål.
    Nb,
    /// Swedish.
    Sv,
}

impl Language {
    /// Every language, in alphabetical order of their tags.
    pub const ALL: [Self; 4] = [Self::De, Self::En, Self::Nb, Self::Sv];

    /// Its tag (RFC 5646).
    pub const fn tag(self) -> &'static str {
        match self {
            Self::De => "de",
            Self::En => "en",
            Self::Nb => "nb",
            Self::Sv => "sv",
        }
    }

    pub(crate) const fn words(self) -> &'static Words {
        match self {
            Self::De => &de::WORDS,
            Self::En => &en::WORDS,
            Self::Nb => &nb::WORDS,
            Self::Sv => &sv::WORDS,
        }
    }

    /// What a verdict says, as a reader of this language says it.
    pub fn verdict(self, verdict: Verdict) -> &'static str {
        let words = self.words();
        match verdict {
            Verdict::Pass => words.verdict_pass,
            Verdict::Warn => words.verdict_warn,
            Verdict::Incomplete => words.verdict_incomplete,
            Verdict::Fail => words.verdict_fail,
        }
    }

    /// Whose something is, as a reader of this language says it.
    pub fn owner(self, owner: Owner) -> &'static str {
        (self.words().owners)(owner)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(tag: &str) -> Result<Self, UnknownLanguage> {
        let known = Self::ALL.into_iter().find(|one| one.tag() == tag);
        known.ok_or(UnknownLanguage)
    }
}

/// There are no words in that language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected sv, nb, de or en")]
pub struct UnknownLanguage;

/// What is said of a kind of cause. `{hosts}` are the destinations, `{subject}` what the cause is
/// about, `{seen}` what the first of its probes met, `{clock}` how far the clocks are apart.
pub(crate) struct Said {
    what: &'static str,
    act: &'static str,
}

/// Everything that a report says by itself. Names in braces are gaps; every language has the same.
pub(crate) struct Words {
    kinds: fn(CauseKind) -> Said,
    owners: fn(Owner) -> &'static str,
    /// A clock that is late; {time}.
    behind: &'static str,
    /// A clock that is early; {time}.
    ahead: &'static str,
    /// One day.
    day: &'static str,
    /// Several days; {n}.
    days: &'static str,
    /// Some names, and how many more; {names}, {n}.
    listed: &'static str,
    /// Names that are not inspected, as an addition to a sentence; {names}.
    exempt: &'static str,
    /// What SignalR goes over meanwhile, as an addition to a sentence; {works}.
    partly: &'static str,
    /// That SignalR's clients never come to what would work, likewise; {fails}, {works}.
    stranded: &'static str,
    /// Title of a report; {product}.
    pub(crate) title: &'static str,
    /// Under the title; {version}, {party}.
    pub(crate) version: &'static str,
    /// After that, if it was run in a network namespace of its own; {name}.
    pub(crate) netns: &'static str,
    /// After that, if it was run as another user; {name}.
    pub(crate) user: &'static str,
    /// In place of a version.
    pub(crate) newest: &'static str,
    /// A verdict, in words.
    pub(crate) verdict_pass: &'static str,
    /// A verdict, in words.
    pub(crate) verdict_warn: &'static str,
    /// A verdict, in words.
    pub(crate) verdict_incomplete: &'static str,
    /// A verdict, in words.
    pub(crate) verdict_fail: &'static str,
    /// Heading.
    pub(crate) causes: &'static str,
    /// In place of causes.
    pub(crate) no_causes: &'static str,
    /// Label.
    pub(crate) cause: &'static str,
    /// Label.
    pub(crate) owner: &'static str,
    /// Label.
    pub(crate) act: &'static str,
    /// Label: rules that mend a cause; {target}.
    pub(crate) rules: &'static str,
    /// Label: the connections that a cause takes down.
    pub(crate) lanes_down: &'static str,
    /// Heading.
    pub(crate) lanes: &'static str,
    /// Label.
    pub(crate) lane: &'static str,
    /// Label.
    pub(crate) need: &'static str,
    /// Label.
    pub(crate) need_required: &'static str,
    /// Label.
    pub(crate) need_optional: &'static str,
    /// Label.
    pub(crate) need_diagnostic: &'static str,
    /// Label.
    pub(crate) outcome: &'static str,
    /// Label.
    pub(crate) outcome_pass: &'static str,
    /// Label.
    pub(crate) outcome_warn: &'static str,
    /// Label.
    pub(crate) outcome_fail: &'static str,
    /// Label.
    pub(crate) outcome_not_applicable: &'static str,
    /// Label.
    pub(crate) outcome_not_run: &'static str,
    /// Label.
    pub(crate) detail: &'static str,
    /// Heading.
    pub(crate) evidence: &'static str,
    /// When, and how long; {when}, {seconds}.
    pub(crate) started: &'static str,
    /// Said where addresses are masked.
    pub(crate) masked: &'static str,
}

/// Words the cause of what these probes met.
pub(crate) fn cause(
    kind: CauseKind,
    subject: String,
    probes: &[Troubled<'_>],
    inspection: &Inspection,
    language: Language,
) -> Cause {
    let words = language.words();
    let mut seen = Seen::of(probes, words);
    if let Some(maker) = maker(&subject) {
        seen.maker = format!(" ({maker})");
    }
    if !inspection.exempt().is_empty() {
        let names = listed(inspection.exempt(), words);
        let exempt = |blank: &str| (blank == "names").then_some(names.as_str());
        seen.exempt = filled(words.exempt, exempt);
    }
    let said = (words.kinds)(kind);
    let what = seen.fill(said.what, &subject) + &besides(probes, words);
    let act = seen.fill(said.act, &subject);
    let mut lanes: Vec<usize> = probes.iter().map(|probe| probe.lane).collect();
    lanes.dedup();
    Cause {
        kind,
        subject,
        owner: kind.owner(),
        what,
        act,
        lanes,
    }
}

/// What works although a part of SignalR does not, as an addition to a sentence.
fn besides(probes: &[Troubled<'_>], words: &Words) -> String {
    let partly = probes.iter().find_map(|probe| {
        let Trouble::SignalRPartly {
            fails,
            works,
            stranded,
            because: _,
        } = probe.trouble
        else {
            return None;
        };
        Some((*fails, works.join(", "), *stranded))
    });
    let Some((fails, works, stranded)) = partly else {
        return String::new();
    };
    let template = if stranded {
        words.stranded
    } else {
        words.partly
    };
    filled(template, |blank| match blank {
        "fails" => Some(fails),
        "works" => Some(&works),
        _ => None,
    })
}

/// What was seen by the probes of one cause, in words.
struct Seen {
    hosts: String,
    first: String,
    clock: String,
    /// Who made what inspects TLS, in parentheses.
    maker: String,
    /// Names that are not inspected, as an addition to a sentence.
    exempt: String,
}

impl Seen {
    fn of(probes: &[Troubled<'_>], words: &Words) -> Self {
        let hosts: BTreeSet<String> = probes
            .iter()
            .map(|probe| probe.ask.host.to_string())
            .collect();
        let offset = probes.iter().find_map(|probe| {
            let Trouble::ClockOff { offset_millis } = probe.trouble else {
                return None;
            };
            Some(*offset_millis)
        });
        Self {
            hosts: listed(&hosts, words),
            first: probes
                .first()
                .map_or_else(String::new, |probe| probe.trouble.underlying().to_string()),
            clock: offset.map_or_else(String::new, |offset| apart(offset, words)),
            maker: String::new(),
            exempt: String::new(),
        }
    }

    /// Fills the blanks in one pass, so that what a peer said is never taken for a blank.
    fn fill(&self, template: &str, subject: &str) -> String {
        filled(template, |blank| match blank {
            "hosts" => Some(&self.hosts),
            "subject" => Some(subject),
            "seen" => Some(&self.first),
            "clock" => Some(&self.clock),
            "maker" => Some(&self.maker),
            "exempt" => Some(&self.exempt),
            _ => None,
        })
    }
}

/// Fills the blanks of a template in one pass. A blank that nobody knows stays as its name.
pub(crate) fn filled<'a>(template: &'a str, value: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut parts = template.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (blank, rest) = part.split_once('}').unwrap_or(("", part));
        filled.push_str(value(blank).unwrap_or(blank));
        filled.push_str(rest);
    }
    filled
}

fn listed(hosts: &BTreeSet<String>, words: &Words) -> String {
    let shown: Vec<&str> = hosts.iter().take(MAX_LISTED).map(String::as_str).collect();
    match hosts.len().saturating_sub(MAX_LISTED) {
        0 => shown.join(", "),
        more => {
            let (names, more) = (shown.join(", "), more.to_string());
            filled(words.listed, |blank| match blank {
                "names" => Some(&names),
                "n" => Some(&more),
                _ => None,
            })
        }
    }
}

/// An offset in words: `1 day 0 h behind`.
fn apart(offset_millis: i64, words: &Words) -> String {
    let seconds = offset_millis.unsigned_abs() / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let time = match (days, hours) {
        (0, 0) => format!("{minutes} min {} s", seconds % 60),
        (0, _) => format!("{hours} h {minutes} min"),
        (1, _) => format!("{} {hours} h", words.day),
        _ => {
            let count = days.to_string();
            let days = filled(words.days, |blank| (blank == "n").then_some(count.as_str()));
            format!("{days} {hours} h")
        }
    };
    let side = if offset_millis > 0 {
        words.behind
    } else {
        words.ahead
    };
    filled(side, |blank| (blank == "time").then_some(time.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blanks of a template, in order of the alphabet.
    fn blanks(template: &str) -> BTreeSet<&str> {
        let parts = template.split('{').skip(1);
        parts
            .filter_map(|part| Some(part.split_once('}')?.0))
            .collect()
    }

    #[test]
    fn every_language_leaves_the_same_blanks() {
        for kind in CauseKind::ALL {
            let english = (en::WORDS.kinds)(*kind);
            for language in Language::ALL {
                let said = (language.words().kinds)(*kind);
                assert_eq!(blanks(said.what), blanks(english.what), "{kind} {language}");
                let (own, known) = (blanks(said.act), blanks(english.act));
                assert!(own.is_subset(&known), "{kind} {language}: {own:?}");
            }
        }
    }

    #[test]
    fn every_language_says_what_of_signalr_works() {
        for language in Language::ALL {
            let words = language.words();
            assert_eq!(blanks(words.partly), BTreeSet::from(["works"]));
            assert_eq!(blanks(words.stranded), BTreeSet::from(["fails", "works"]));
        }
    }

    #[test]
    fn a_language_is_found_by_its_tag_alone() {
        for language in Language::ALL {
            assert_eq!(language.tag().parse(), Ok(language));
        }
        assert_eq!("fr".parse::<Language>(), Err(UnknownLanguage));
    }

    #[test]
    fn what_a_peer_says_is_never_filled_in_again() {
        let seen = Seen {
            hosts: "a".into(),
            first: "{hosts} }{".into(),
            clock: String::new(),
            maker: String::new(),
            exempt: String::new(),
        };
        assert_eq!(
            seen.fill("{hosts}: {seen} {subject}", "{clock}"),
            "a: {hosts} }{ {clock}"
        );
    }

    #[test]
    fn an_offset_is_told_in_the_units_that_matter() {
        let english = |offset| apart(offset, &en::WORDS);
        assert_eq!(english(86_400_000), "1 day 0 h behind");
        assert_eq!(english(-90_061_000), "1 day 1 h ahead");
        assert_eq!(english(-3_720_000), "1 h 2 min ahead");
        assert_eq!(english(61_500), "1 min 1 s behind");
        assert_eq!(apart(172_800_000, &de::WORDS), "2 Tage 0 h nach");
    }
}
