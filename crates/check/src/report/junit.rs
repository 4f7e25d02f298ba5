//! The report for continuous integration: JUnit's XML, a test case a lane.

use std::io;

use outgate_manifest::view::LaneView;
use outgate_probe::Outcome;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::{LaneReport, Report};
use crate::firewall::CauseRules;

const MICROS_PER_SECOND: u64 = 1_000_000;

/// The report as JUnit's XML: one suite, a test case a lane. A lane that fails is a failure, one
/// that was not exercised or does not apply is skipped, a warning passes and says why.
///
/// # Errors
///
/// Never in practice: writing to memory does not fail.
pub fn junit(report: &Report) -> io::Result<String> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let counts = &report.counts;
    let suite = format!("{} {}", report.heading.product, report.heading.version);
    let numbers = [
        ("tests", report.lanes.len()),
        ("failures", counts.fail),
        ("errors", 0),
        ("skipped", counts.not_run + counts.not_applicable),
    ]
    .map(|(name, number)| (name, number.to_string()));
    let took = seconds(report.took_micros);
    xml.create_element("testsuites")
        .write_inner_content(|xml| {
            let mut element = xml
                .create_element("testsuite")
                .with_attribute(("name", visible(&suite).as_str()))
                .with_attribute(("time", took.as_str()));
            for (name, number) in &numbers {
                element = element.with_attribute((*name, number.as_str()));
            }
            element.write_inner_content(|xml| {
                report
                    .lanes
                    .iter()
                    .try_for_each(|lane| test_case(xml, report, lane))
            })?;
            Ok(())
        })?;
    Ok(String::from_utf8_lossy(&xml.into_inner()).into_owned() + "\n")
}

fn test_case(xml: &mut Writer<Vec<u8>>, report: &Report, lane: &LaneReport) -> io::Result<()> {
    let class = format!("{}.{}", report.heading.product, lane.lane.flow);
    let case = xml
        .create_element("testcase")
        .with_attribute(("classname", visible(&class).as_str()))
        .with_attribute(("name", visible(&name(&lane.lane)).as_str()))
        .with_attribute(("time", seconds(lane.took_micros).as_str()));
    let why = visible(&why(report, lane));
    match lane.outcome {
        Outcome::Pass => case.write_empty()?,
        Outcome::Warn => case.write_inner_content(|xml| {
            let out = xml.create_element("system-out");
            out.write_text_content(BytesText::new(&why)).map(drop)
        })?,
        Outcome::Fail => case.write_inner_content(|xml| {
            let failure = xml
                .create_element("failure")
                .with_attribute(("message", first_line(&why)));
            failure.write_text_content(BytesText::new(&why)).map(drop)
        })?,
        Outcome::NotApplicable | Outcome::NotRun => case.write_inner_content(|xml| {
            let skipped = xml
                .create_element("skipped")
                .with_attribute(("message", first_line(&why)));
            skipped.write_empty().map(drop)
        })?,
    };
    Ok(())
}

/// What sets a lane apart from its flow's others.
fn name(lane: &LaneView) -> String {
    format!("{} to {} {}", lane.from, lane.to.value, lane.carriage())
}

/// The causes of a lane, or else the reason for its outcome.
fn why(report: &Report, lane: &LaneReport) -> String {
    let causes = lane.causes.iter().filter_map(|at| report.causes.get(*at));
    let told: Vec<String> = causes
        .map(|cause| {
            let owner = report.heading.language.owner(cause.owner);
            let mut told = format!("{} ({owner}): {}", cause.what, cause.act);
            for line in cause.rules.iter().flat_map(CauseRules::lines) {
                told.push_str(&format!("\n{line}"));
            }
            told
        })
        .chain(lane.reason.clone())
        .collect();
    told.join("\n")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// XML has no way at all to write most control characters (XML 1.0, section 2.2).
fn visible(text: &str) -> String {
    let allowed = |letter: char| match letter {
        '\t' | '\n' => letter,
        letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => '\u{fffd}',
        letter => letter,
    };
    text.chars().map(allowed).collect()
}

fn seconds(micros: u64) -> String {
    format!(
        "{}.{:06}",
        micros / MICROS_PER_SECOND,
        micros % MICROS_PER_SECOND
    )
}
