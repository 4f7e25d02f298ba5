//! Every cause that a check can name is put in by some scenario, so that a new one cannot be forgotten.

use outgate_check::CauseKind;
use outgate_lab::scenarios;

/// Causes that no scenario puts in, and why.
const WITHOUT_SCENARIO: [(CauseKind, &str); 3] = [
    (
        CauseKind::NotPermitted,
        "it is about the rights of whoever runs the check, and no network",
    ),
    (
        CauseKind::ServiceNotOffered,
        "it is the vendor's own word, whatever the site: the probe's tests have servers that say so",
    ),
    (
        CauseKind::CertificatePrivate,
        "it takes a server that tells how it sees TLS, a whole hub: `both_ends` puts it in",
    ),
];

#[test]
fn every_cause_has_a_scenario_or_a_reason_why_not() {
    let scenarios = scenarios().expect("scenarios");
    let expected = |kind: &CauseKind| {
        let mut all = scenarios.iter().flat_map(|one| &one.expect);
        all.any(|one| one.cause == kind.to_string())
    };
    let missing: Vec<String> = CauseKind::ALL
        .iter()
        .filter(|kind| !expected(kind))
        .filter(|kind| !WITHOUT_SCENARIO.iter().any(|(known, _)| known == *kind))
        .map(ToString::to_string)
        .collect();
    assert!(missing.is_empty(), "no scenario expects {missing:?}");
    for (kind, why) in WITHOUT_SCENARIO {
        assert!(!expected(&kind), "{kind} has a scenario, although {why}");
    }
}

#[test]
fn no_scenario_expects_a_cause_that_does_not_exist() {
    for scenario in scenarios().expect("scenarios") {
        for one in scenario.expect {
            let known = CauseKind::ALL
                .iter()
                .any(|kind| kind.to_string() == one.cause);
            assert!(known, "{}: {}", scenario.name, one.cause);
        }
    }
}

#[test]
fn there_are_as_many_faults_and_pairs_as_the_page_is_to_be_judged_by() {
    let scenarios = scenarios().expect("scenarios");
    let of = |faults: fn(usize) -> bool| {
        let faulty = scenarios.iter().filter(|one| !one.expect.is_empty());
        faulty.filter(|one| faults(one.faults.len())).count()
    };
    assert!(of(|faults| faults == 1) >= 40);
    assert!(of(|faults| faults == 2) >= 20);
}
