//! How right the check is: every scenario of the lab through the real command, and the table of
//! what was found (`docs/check-accuracy.md`), beside what another program says.

mod exporter;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use outgate_lab::{Expected, Scenario, scenarios};
use serde_json::{Value as Json, json};

use crate::support::{json as read_json, outgate, stderr, text};

/// How many labs run at once; most of their time they wait for what is dropped.
const AT_ONCE: usize = 6;
/// How long the check waits for one address, in seconds.
const TIMEOUT: &str = "6";

/// What must be reached, in percent. They only ever go up.
const SINGLE_FLOOR: usize = 95;
const PAIR_FLOOR: usize = 90;

/// A scenario and what the check said.
struct Result {
    scenario: Scenario,
    verdict: String,
    /// Kind, owner and subject of each cause.
    found: Vec<[String; 3]>,
    /// What is said of each.
    said: Vec<String>,
    /// How many probes of `prometheus-blackbox-exporter` failed, of how many; none where it was
    /// not tried.
    exporter: Option<(usize, usize)>,
    /// The lanes that failed, with their evidence, when the check was wrong: what went wrong once may
    /// not do so again for whoever looks for it.
    evidence: Vec<Json>,
}

impl Result {
    fn of(scenario: Scenario) -> Self {
        let ran = outgate(["lab", "run", &scenario.name, "--json", "--timeout", TIMEOUT]);
        assert!(
            matches!(ran.status.code(), Some(0 | 3 | 4 | 5)),
            "{}: {}",
            scenario.name,
            stderr(&ran)
        );
        let report = read_json(&ran);
        let causes = || report["causes"].as_array().expect("causes").iter();
        let found = causes().map(|one| ["kind", "owner", "subject"].map(|part| text(&one[part])));
        let mut result = Self {
            verdict: text(&report["verdict"]),
            found: found.collect(),
            said: causes().map(|one| text(&one["what"])).collect(),
            exporter: exporter::run(&scenario),
            evidence: Vec::new(),
            scenario,
        };
        if !result.right() {
            let lanes = report["lanes"].as_array().into_iter().flatten();
            let failed = lanes.filter(|lane| lane["outcome"] == "fail");
            result.evidence = failed.cloned().collect();
        }
        result
    }

    fn single(&self) -> bool {
        self.scenario.faults.len() == 1
    }

    /// The first cause is one of those that were put in.
    fn first_right(&self) -> bool {
        match self.found.first() {
            None => self.scenario.expect.is_empty(),
            Some(first) => self.scenario.expect.iter().any(|one| fits(one, first)),
        }
    }

    /// Causes that nobody put in.
    fn invented(&self) -> usize {
        let expected =
            |found: &&[String; 3]| !self.scenario.expect.iter().any(|one| fits(one, found));
        self.found.iter().filter(expected).count()
    }

    /// Causes that were put in and not named.
    fn missed(&self) -> usize {
        let named = |one: &&Expected| !self.found.iter().any(|found| fits(one, found));
        self.scenario.expect.iter().filter(named).count()
    }

    /// Something is wrong with what the device does, as it does it.
    fn faulty(&self) -> bool {
        !self.scenario.expect.is_empty()
    }

    fn falsely_well(&self) -> bool {
        self.faulty() && self.verdict == "pass"
    }

    fn right(&self) -> bool {
        self.first_right() && self.invented() == 0 && self.missed() == 0 && !self.falsely_well()
    }
}

fn fits(expected: &Expected, [kind, owner, subject]: &[String; 3]) -> bool {
    *kind == expected.cause
        && expected.owner.as_ref().is_none_or(|one| one == owner)
        && expected
            .subject
            .as_ref()
            .is_none_or(|one| subject.contains(one))
}

/// All of them, a few at a time, in the order of the files.
fn run_all() -> Vec<Result> {
    let all = scenarios().expect("scenarios");
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(scenario) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = Result::of(scenario.clone());
                    done.lock().expect("results").push(result);
                }
            });
        }
    });
    let mut results = done.into_inner().expect("results");
    let place = |one: &Result| all.iter().position(|other| other.name == one.scenario.name);
    results.sort_by_key(place);
    results
}

fn percent(part: usize, whole: usize) -> usize {
    part * 100 / whole.max(1)
}

struct Figures {
    singles: usize,
    singles_right: usize,
    pairs: usize,
    pairs_right: usize,
    falsely_well: usize,
    invented: usize,
    exporter_tried: usize,
    exporter_well: usize,
}

impl Figures {
    fn of(results: &[Result]) -> Self {
        let count = |test: &dyn Fn(&&Result) -> bool| results.iter().filter(test).count();
        let faulty = |one: &&Result| one.faulty();
        let tried = |one: &&Result| one.faulty() && one.exporter.is_some();
        Self {
            singles: count(&|one| faulty(one) && one.single()),
            singles_right: count(&|one| faulty(one) && one.single() && one.first_right()),
            pairs: count(&|one| faulty(one) && !one.single()),
            pairs_right: count(&|one| {
                faulty(one) && !one.single() && one.first_right() && one.missed() == 0
            }),
            falsely_well: count(&|one| one.falsely_well()),
            invented: results.iter().map(Result::invented).sum(),
            exporter_tried: count(&tried),
            exporter_well: count(&|one| tried(one) && matches!(one.exporter, Some((0, _)))),
        }
    }
}

fn table(results: &[Result]) -> String {
    let figures = Figures::of(results);
    let mut page = format!(
        "# How right the check is\n\n\
         Written by the tests (`tests/lab/accuracy.rs`), which play every scenario of `outgate lab \
         list` in network namespaces, run `outgate check` in the device's place, and compare the \
         causes that it names with those that were put in.\n\n\
         | | |\n|---|---|\n\
         | single faults whose first cause is right | {} of {} ({} %) |\n\
         | pairs of faults of which both are named, a right one first | {} of {} ({} %) |\n\
         | faults that the check reported as pass | {} |\n\
         | causes named that nobody had put in | {} |\n\n\
         For comparison, `prometheus-blackbox-exporter` probes the same names of `lab-box` in the \
         same place (HTTPS, TLS, HTTP, TCP, DNS, ICMP; it has no NTP and no WebSocket). It says \
         which probes fail, and no cause. Of {} sites with something wrong it found all in order in \
         {}.\n\n\
         | scenario | what is wrong | expected | found | verdict | | exporter |\n\
         |---|---|---|---|---|---|---|\n",
        figures.singles_right,
        figures.singles,
        percent(figures.singles_right, figures.singles),
        figures.pairs_right,
        figures.pairs,
        percent(figures.pairs_right, figures.pairs),
        figures.falsely_well,
        figures.invented,
        figures.exporter_tried,
        figures.exporter_well,
    );
    for one in results {
        let expected = one.scenario.expect.iter().map(|expected| {
            let subject = expected.subject.as_ref();
            subject.map_or_else(
                || expected.cause.clone(),
                |subject| format!("{} ({subject})", expected.cause),
            )
        });
        let found = one.found.iter().map(|[kind, _, subject]| {
            if subject.is_empty() {
                kind.clone()
            } else {
                format!("{kind} ({subject})")
            }
        });
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} |",
            one.scenario.name,
            one.scenario.title,
            expected.collect::<Vec<_>>().join(", "),
            found.collect::<Vec<_>>().join(", "),
            one.verdict,
            if one.right() { "right" } else { "**wrong**" },
            one.exporter
                .map_or_else(String::new, |(failed, of)| format!("{failed} of {of} fail")),
        );
    }
    page
}

fn report(results: &[Result]) -> Json {
    let rows = results.iter().map(|one| {
        json!({
            "scenario": one.scenario,
            "verdict": one.verdict,
            "found": one.found.iter().zip(&one.said).map(|([kind, owner, subject], what)| {
                json!({ "kind": kind, "owner": owner, "subject": subject, "what": what })
            }).collect::<Vec<_>>(),
            "right": one.right(),
            "exporter": one.exporter.map(|(failed, of)| json!({ "failed": failed, "probes": of })),
        })
    });
    json!({ "schema": 1, "scenarios": rows.collect::<Vec<_>>() })
}

/// A page, without what the exporter said where it is not installed.
fn comparable(page: &str, compared: bool) -> Vec<&str> {
    let lines = page.lines();
    if compared {
        return lines.collect();
    }
    lines
        .filter(|line| !line.starts_with("For comparison"))
        .map(|line| match line.trim_end_matches('|').rsplit_once('|') {
            Some((kept, _)) if line.starts_with('|') => kept,
            Some(_) | None => line,
        })
        .collect()
}

/// `target/lab`, wherever the target is.
fn folder() -> PathBuf {
    let own = Path::new(env!("CARGO_BIN_EXE_outgate"));
    let target = own.ancestors().nth(2).expect("a target folder");
    let folder = target.join("lab");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[test]
fn the_check_names_what_is_wrong_in_as_many_scenarios_as_the_page_says() {
    let results = run_all();
    let folder = folder();
    let page = table(&results);
    let written = serde_json::to_string_pretty(&report(&results)).expect("JSON");
    std::fs::write(folder.join("report.json"), written).expect("a report");
    std::fs::write(folder.join("check-accuracy.md"), &page).expect("a page");

    let figures = Figures::of(&results);
    assert!(
        percent(figures.singles_right, figures.singles) >= SINGLE_FLOOR,
        "{page}"
    );
    assert!(
        percent(figures.pairs_right, figures.pairs) >= PAIR_FLOOR,
        "{page}"
    );
    let evidence: Vec<_> = results.iter().flat_map(|one| &one.evidence).collect();
    let evidence = json!(evidence);
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/check-accuracy.md");
    let committed = std::fs::read_to_string(committed).unwrap_or_default();
    let compared = results.iter().any(|one| one.exporter.is_some());
    assert!(
        comparable(&committed, compared) == comparable(&page, compared),
        "docs/check-accuracy.md is not what was found; look at the difference, and if it is for \
         the better: cp {}/check-accuracy.md docs/\n{page}\n{evidence}",
        folder.display()
    );
}
