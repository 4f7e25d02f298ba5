//! A check's plan and report as tables for people.

use comfy_table::{Cell, Color};
use outgate_check::{LaneReport, PlanView, Report, Verdict};
use outgate_manifest::view::LaneView;
use outgate_probe::Outcome;

use crate::output::counted;
use crate::table::{cell, cells, harmless, shown, table};

/// What is done with a text before it is told.
pub(crate) type Telling<'a> = &'a mut dyn FnMut(&str) -> String;

/// What a plan would send.
pub(crate) fn plan_table(plan: &PlanView, told: Telling<'_>) -> String {
    let mut rows = table(&["lane", "asks", "sends to each address, at the most"]);
    for planned in &plan.lanes {
        let lane = describe(&planned.lane, false);
        if let Some(why) = &planned.not_run {
            rows.add_row(cells([&told(&lane), "nobody", &told(why)]));
        }
        for probe in &planned.probes {
            let port = probe
                .port
                .map_or_else(String::new, |port| format!(" {port}"));
            let sends: Vec<String> = probe
                .sends
                .iter()
                .map(|one| {
                    format!(
                        "{}× {} ({} bytes)",
                        one.times_at_most, one.what, one.bytes_at_most
                    )
                })
                .collect();
            let host = format!("{}{port}", probe.host);
            rows.add_row(cells([told(&lane), told(&host), told(&sends.join(", "))]));
        }
    }
    shown(&rows)
}

/// What a check found: every lane, the causes, and the verdict. Each text goes through `telling`
/// before it is laid out, since a table breaks long words into lines.
pub(crate) fn report_tables(report: &Report, telling: Telling<'_>) -> String {
    let mut rows = table(&["lane", "outcome", "time", "cause", "what to do"]);
    let mut told = vec![false; report.causes.len()];
    let all_parties = report
        .lanes
        .iter()
        .any(|lane| lane.lane.from != report.heading.from);
    for lane in &report.lanes {
        let (cause, act) = told_once(report, lane, &mut told);
        rows.add_row([
            cell(telling(&describe(&lane.lane, all_parties))),
            outcome(lane.outcome),
            cell(micros(lane.took_micros)),
            cell(telling(&cause)),
            cell(telling(&act)),
        ]);
    }
    let rest = rules(report) + &summary(report);
    format!("{}\n{}", shown(&rows), telling(&rest))
}

/// The rules for the firewall, cause by cause: nothing that is to be copied stands in a cell.
fn rules(report: &Report) -> String {
    let mut told = String::new();
    for (place, cause) in report.causes.iter().enumerate() {
        let Some(rules) = &cause.rules else { continue };
        told.push_str(&format!("[{}] for {}:\n", place + 1, rules.target));
        for line in rules.lines() {
            told.push_str(&format!("{line}\n"));
        }
        told.push('\n');
    }
    harmless(&told)
}

/// A cause is told in full on its first lane, and by its number on the others.
fn told_once(report: &Report, lane: &LaneReport, told: &mut [bool]) -> (String, String) {
    let mut causes: Vec<String> = Vec::new();
    let mut acts = Vec::new();
    for place in &lane.causes {
        let (Some(cause), Some(told)) = (report.causes.get(*place), told.get_mut(*place)) else {
            continue;
        };
        let number = place + 1;
        if *told {
            causes.push(format!("[{number}] as above"));
        } else {
            *told = true;
            causes.push(format!("[{number}] {} ({})", cause.what, cause.owner));
            acts.push(format!("[{number}] {}", cause.act));
        }
    }
    if causes.is_empty() {
        causes.extend(lane.reason.clone());
    } else if !lane.blocked_by.is_empty() {
        causes.push(format!(
            "needs {} first, which failed",
            lane.blocked_by.join(", ")
        ));
    }
    (causes.join("; "), acts.join("; "))
}

/// A lane in one line; with its party where a table has several.
fn describe(lane: &LaneView, with_party: bool) -> String {
    let rung = lane
        .ladder
        .as_ref()
        .map_or_else(String::new, |one| format!(" #{}", one.step));
    let from = if with_party {
        format!("{} > ", lane.from)
    } else {
        String::new()
    };
    format!(
        "{}{rung}: {from}{} {}",
        lane.flow,
        lane.to.value,
        lane.carriage()
    )
}

fn outcome(outcome: Outcome) -> Cell {
    let (word, colour) = match outcome {
        Outcome::Pass => ("pass", Color::Green),
        Outcome::Warn => ("warn", Color::Yellow),
        Outcome::Fail => ("FAIL", Color::Red),
        Outcome::NotApplicable => ("n/a", Color::Grey),
        Outcome::NotRun => ("not run", Color::Grey),
    };
    let cell = Cell::new(word);
    if crate::output::coloured() {
        cell.fg(colour)
    } else {
        cell
    }
}

/// How long something took, for people; nothing for no time at all.
pub(crate) fn micros(took: u64) -> String {
    match took {
        0 => String::new(),
        micros @ 1..10_000 => format!("{}.{} ms", micros / 1000, micros / 100 % 10),
        micros @ 10_000..10_000_000 => format!("{} ms", micros / 1000),
        micros => format!("{} s", micros / 1_000_000),
    }
}

fn summary(report: &Report) -> String {
    let counts = &report.counts;
    let verdict = match report.verdict {
        Verdict::Pass if counts.not_run + counts.fail > 0 => "pass: everything required works",
        Verdict::Pass => "pass: everything works",
        Verdict::Warn => "warn: everything required works, but not all is well",
        Verdict::Fail => "FAIL: something required does not work",
        Verdict::Incomplete => "incomplete: nothing required failed, but not all could be run",
    };
    let heading = &report.heading;
    let place = [
        ("in network namespace", &heading.netns),
        ("as user", &heading.user),
    ];
    let place = place.into_iter().filter_map(|(how, name)| {
        let name = name.as_deref()?;
        Some(format!(" {how} {name}"))
    });
    format!(
        "{} {} from {}{}: {verdict}\n{} pass, {} warn, {} fail, {} not run, {} not applicable; \
         {}; {:.1} s\n",
        heading.product,
        heading.version,
        heading.from,
        place.collect::<String>(),
        counts.pass,
        counts.warn,
        counts.fail,
        counts.not_run,
        counts.not_applicable,
        counted(report.causes.len(), "cause"),
        std::time::Duration::from_micros(report.took_micros).as_secs_f64(),
    )
}
