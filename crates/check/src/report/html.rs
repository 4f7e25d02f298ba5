//! The report as one HTML file to be sent to support: no script, nothing from elsewhere.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use outgate_manifest::document::product::Need;
use outgate_manifest::view::{LaneView, NEWEST};
use outgate_probe::Outcome;
use serde_json::Value as Json;

use super::{CauseView, LaneReport, Report, Verdict};
use crate::firewall::CauseRules;
use crate::words::{Words, filled};

/// The style sheet. Its colours keep a contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3).
const STYLE: &str = include_str!("html/style.css");

/// Nothing is loaded and nothing runs, whatever a peer has said.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// How deep evidence is shown; it is never deeper.
const MAX_DEPTH: usize = 8;

/// The report as one HTML file: the verdict, the causes with who mends each and how, every lane,
/// and the evidence. `product` is the product's name; `masked` says on the page that addresses
/// have been masked, which [`Mask::text`](super::Mask::text) does to what this returns.
pub fn html(report: &Report, product: &str, masked: bool) -> String {
    let words = report.heading.language.words();
    let title = filled(words.title, |blank| (blank == "product").then_some(product));
    let page = html! {
        (DOCTYPE)
        html lang=(report.heading.language.tag()) {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    (lead(report, words, masked))
                }
                main {
                    (causes(report, words))
                    (lanes(report, words))
                    (evidence(report, words))
                }
            }
        }
    };
    visible(&page.into_string())
}

fn lead(report: &Report, words: &Words, masked: bool) -> Markup {
    let class = match report.verdict {
        Verdict::Pass => "good",
        Verdict::Warn => "doubt",
        Verdict::Incomplete => "open",
        Verdict::Fail => "bad",
    };
    let verdict = report.heading.language.verdict(report.verdict);
    let heading = &report.heading;
    let version = filled(words.version, |blank| match blank {
        "version" if heading.version == NEWEST => Some(words.newest),
        "version" => Some(&heading.version),
        "party" => Some(&heading.from),
        _ => None,
    });
    let places = [(words.netns, &heading.netns), (words.user, &heading.user)];
    let places = places.into_iter().filter_map(|(text, name)| {
        let name = name.as_deref()?;
        Some(filled(text, |blank| (blank == "name").then_some(name)))
    });
    let version = places.fold(version, |version, place| version + &place);
    let when = super::rfc3339(report.started);
    let seconds = format!(
        "{}.{}",
        report.took_micros / 1_000_000,
        report.took_micros / 100_000 % 10
    );
    let started = filled(words.started, |blank| match blank {
        "when" => Some(&when),
        "seconds" => Some(&seconds),
        _ => None,
    });
    let counts = [
        (Outcome::Pass, report.counts.pass),
        (Outcome::Warn, report.counts.warn),
        (Outcome::Fail, report.counts.fail),
        (Outcome::NotApplicable, report.counts.not_applicable),
        (Outcome::NotRun, report.counts.not_run),
    ];
    html! {
        p class={ "verdict " (class) } { strong { (verdict) } }
        p { (version) ". " (started) "." }
        ul.counts {
            @for (outcome, count) in counts {
                @if count > 0 { li { (mark(outcome, words)) " " (count) } }
            }
        }
        @if masked { p { (words.masked) } }
    }
}

fn causes(report: &Report, words: &Words) -> Markup {
    html! {
        section aria-labelledby="causes" {
            h2 id="causes" { (words.causes) }
            @if report.causes.is_empty() { p { (words.no_causes) } }
            @for (place, cause) in report.causes.iter().enumerate() {
                (one_cause(report, cause, place + 1, words))
            }
        }
    }
}

fn one_cause(report: &Report, cause: &CauseView, number: usize, words: &Words) -> Markup {
    let lanes = cause
        .lanes
        .iter()
        .filter_map(|at| Some((at, report.lanes.get(*at)?)));
    html! {
        article id={ "cause-" (number) } {
            h3 { (number) ". " (cause.what) }
            dl {
                div { dt { (words.owner) } dd { (report.heading.language.owner(cause.owner)) } }
                div { dt { (words.act) } dd { (cause.act) } }
                @if let Some(rules) = &cause.rules { (rules_of(rules, words)) }
                div {
                    dt { (words.lanes_down) }
                    dd {
                        ul {
                            @for (at, lane) in lanes {
                                li { a href={ "#lane-" (at + 1) } { (describe(&lane.lane)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn rules_of(rules: &CauseRules, words: &Words) -> Markup {
    let label = filled(words.rules, |blank| {
        (blank == "target").then_some(rules.target.as_str())
    });
    html! {
        div {
            dt { (label) }
            dd {
                @let text: Vec<&str> = rules.text.lines().collect();
                @if !text.is_empty() { pre { (text.join("\n")) } }
                @for remark in rules.remarks() { p { (remark) } }
            }
        }
    }
}

fn lanes(report: &Report, words: &Words) -> Markup {
    html! {
        section aria-labelledby="lanes" {
            h2 id="lanes" { (words.lanes) }
            div.table tabindex="0" role="region" aria-labelledby="lanes" {
                table {
                    thead {
                        tr {
                            th scope="col" { (words.lane) }
                            th scope="col" { (words.need) }
                            th scope="col" { (words.outcome) }
                            th scope="col" { (words.cause) }
                            th scope="col" { (words.detail) }
                        }
                    }
                    tbody {
                        @for (at, lane) in report.lanes.iter().enumerate() {
                            tr id={ "lane-" (at + 1) } {
                                th scope="row" { (describe(&lane.lane)) }
                                td { (need(lane.lane.need, words)) }
                                td { (mark(lane.outcome, words)) }
                                td {
                                    @for cause in &lane.causes {
                                        a href={ "#cause-" (cause + 1) } { (cause + 1) } " "
                                    }
                                }
                                td { (lane.reason.as_deref().unwrap_or_default()) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn evidence(report: &Report, words: &Words) -> Markup {
    html! {
        section aria-labelledby="evidence" {
            h2 id="evidence" { (words.evidence) }
            @for lane in report.lanes.iter().filter(|lane| !lane.probes.is_empty()) {
                (of_lane(lane, words))
            }
        }
    }
}

fn of_lane(lane: &LaneReport, words: &Words) -> Markup {
    html! {
        details {
            summary { (mark(lane.outcome, words)) " " (describe(&lane.lane)) }
            @for probe in &lane.probes {
                @match serde_json::to_value(probe) {
                    Ok(value) => (shown(&value, MAX_DEPTH)),
                    Err(error) => p { (error) },
                }
            }
        }
    }
}

/// Evidence of whatever kind, so that a new probe needs nothing here.
fn shown(value: &Json, depth: usize) -> Markup {
    match value {
        _ if depth == 0 => html! { "…" },
        Json::Null => html! {},
        Json::Bool(flag) => html! { (flag) },
        Json::Number(number) => html! { (number) },
        Json::String(text) => html! { (text) },
        Json::Array(items) => html! {
            ol { @for item in items { li { (shown(item, depth - 1)) } } }
        },
        Json::Object(fields) => html! {
            dl {
                @for (name, field) in fields.iter().filter(|(_, field)| !is_empty(field)) {
                    div { dt { (name) } dd { (shown(field, depth - 1)) } }
                }
            }
        },
    }
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(items) => items.is_empty(),
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_) => false,
    }
}

/// Control characters and those that turn the direction of writing are a peer's way to deceive.
fn visible(text: &str) -> String {
    let letter = |letter: char| match letter {
        '\n' => '\n',
        letter if letter.is_control() => '\u{fffd}',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        letter => letter,
    };
    text.chars().map(letter).collect()
}

fn describe(lane: &LaneView) -> String {
    format!("{}: {} {}", lane.flow, lane.to.value, lane.carriage())
}

fn need(need: Need, words: &Words) -> &'static str {
    match need {
        Need::Required => words.need_required,
        Need::Optional => words.need_optional,
        Need::Diagnostic => words.need_diagnostic,
    }
}

fn mark(outcome: Outcome, words: &Words) -> Markup {
    let (class, word) = match outcome {
        Outcome::Pass => ("good", words.outcome_pass),
        Outcome::Warn => ("doubt", words.outcome_warn),
        Outcome::Fail => ("bad", words.outcome_fail),
        Outcome::NotApplicable => ("open", words.outcome_not_applicable),
        Outcome::NotRun => ("open", words.outcome_not_run),
    };
    html! { span class={ "mark " (class) } { (word) } }
}
