//! Which crate may need which.

use crate::workspace::Package;

/// What each package of the workspace may need of the others. The arrows only point up.
const ALLOWED: [(&str, &[&str]); 30] = [
    ("outgate-manifest", &[]),
    ("outgate-render", &["outgate-manifest"]),
    ("outgate-wire", &[]),
    ("outgate-aws", &[]),
    ("outgate-azure", &[]),
    ("outgate-jwt", &[]),
    ("outgate-mender", &[]),
    ("outgate-mqtt", &[]),
    ("outgate-pac", &[]),
    ("outgate-signalr", &[]),
    ("outgate-signed-http", &[]),
    ("outgate-neighbours", &["outgate-signed-http"]),
    ("outgate-signalr-client", &["outgate-signalr"]),
    ("outgate-signalr-server", &["outgate-signalr"]),
    (
        "outgate-probe",
        &[
            "outgate-mqtt",
            "outgate-pac",
            "outgate-signalr",
            "outgate-wire",
        ],
    ),
    (
        "outgate-check",
        &["outgate-manifest", "outgate-render", "outgate-probe"],
    ),
    (
        "outgate-standin",
        &["outgate-mqtt", "outgate-signalr", "outgate-wire"],
    ),
    ("outgate-lab", &["outgate-manifest", "outgate-standin"]),
    ("outgate-testbed", &[]),
    ("outgate-store", &[]),
    (
        "outgate-core",
        &[
            "outgate-neighbours",
            "outgate-signed-http",
            "outgate-store",
            "outgate-wire",
        ],
    ),
    ("outgate-door", &[]),
    ("outgate-firebase", &[]),
    (
        "outgate-hub",
        &[
            "outgate-aws",
            "outgate-azure",
            "outgate-core",
            "outgate-door",
            "outgate-firebase",
            "outgate-jwt",
            "outgate-mender",
            "outgate-mqtt",
            "outgate-signalr-server",
            "outgate-wire",
        ],
    ),
    (
        "outgate-agent",
        &[
            "outgate-check",
            "outgate-manifest",
            "outgate-neighbours",
            "outgate-probe",
            "outgate-signalr",
            "outgate-signalr-client",
            "outgate-signed-http",
            "outgate-store",
            "outgate-wire",
        ],
    ),
    ("outgate-client", &[]),
    (
        "outgate",
        &[
            "outgate-manifest",
            "outgate-render",
            "outgate-probe",
            "outgate-check",
            "outgate-standin",
            "outgate-lab",
            "outgate-azure",
            "outgate-mqtt",
            "outgate-hub",
            "outgate-agent",
            "outgate-client",
            "outgate-signalr-client",
            "outgate-wire",
        ],
    ),
    (
        "outgate-fuzz",
        &[
            "outgate-aws",
            "outgate-azure",
            "outgate-door",
            "outgate-firebase",
            "outgate-jwt",
            "outgate-manifest",
            "outgate-mender",
            "outgate-mqtt",
            "outgate-neighbours",
            "outgate-pac",
            "outgate-signalr",
            "outgate-signed-http",
            "outgate-wire",
        ],
    ),
    (
        "outgate-bench",
        &[
            "outgate-agent",
            "outgate-aws",
            "outgate-azure",
            "outgate-signalr-server",
        ],
    ),
    ("xtask", &[]),
];

/// The packages that compute and never talk to anybody.
pub(super) const WITHOUT_INPUT_OR_OUTPUT: [&str; 13] = [
    "outgate-aws",
    "outgate-azure",
    "outgate-firebase",
    "outgate-jwt",
    "outgate-manifest",
    "outgate-mender",
    "outgate-mqtt",
    "outgate-neighbours",
    "outgate-pac",
    "outgate-render",
    "outgate-signalr",
    "outgate-signed-http",
    "outgate-wire",
];

/// What they must not need, however far down: runtimes, sockets and what stands on them.
const RUNTIMES: [&str; 8] = [
    "async-std",
    "hyper",
    "mio",
    "quinn",
    "rustls",
    "smol",
    "socket2",
    "tokio",
];

/// What a build of the agent alone must not have, however far down.
const NOT_FOR_DEVICES: [&str; 8] = [
    "outgate-client",
    "outgate-core",
    "outgate-door",
    "outgate-hub",
    "outgate-lab",
    "outgate-signalr-server",
    "outgate-standin",
    "outgate-testbed",
];

/// The arrows between packages that are not allowed.
pub(super) fn check(packages: &[Package]) -> Vec<String> {
    let mut findings = Vec::new();
    for package in packages {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package.name) else {
            findings.push(format!(
                "{} has no line in xtask/src/architecture/arrows.rs",
                package.name
            ));
            continue;
        };
        for need in package
            .needs
            .iter()
            .filter(|need| !allowed.contains(&need.as_str()))
        {
            findings.push(format!("{} may not need {need}", package.name));
        }
    }
    findings
}

/// The runtimes in what `cargo tree --prefix none` says of `package`.
pub(super) fn check_tree(package: &str, tree: &str) -> Vec<String> {
    found(package, tree, &RUNTIMES)
}

/// What devices have no use for in what `cargo tree --prefix none` says of the agent alone.
pub(super) fn check_agent(tree: &str) -> Vec<String> {
    found("an agent alone", tree, &NOT_FOR_DEVICES)
}

fn found(whose: &str, tree: &str, refused: &[&str]) -> Vec<String> {
    let names = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let mut found: Vec<&str> = names.filter(|name| refused.contains(name)).collect();
    found.sort_unstable();
    found.dedup();
    found
        .iter()
        .map(|name| format!("{whose} may not need {name}, not even indirectly"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn an_arrow_that_points_down_is_found() {
        let packages = [package("outgate-wire", &["outgate-probe"])];
        assert_eq!(
            check(&packages),
            ["outgate-wire may not need outgate-probe"]
        );
    }

    #[test]
    fn an_arrow_that_points_up_is_not() {
        let packages = [package(
            "outgate-check",
            &["outgate-manifest", "outgate-probe"],
        )];
        assert!(check(&packages).is_empty());
    }

    #[test]
    fn a_new_package_must_say_where_it_stands() {
        let findings = check(&[package("outgate-utils", &[])]);
        assert!(
            findings[0].contains("outgate-utils has no line"),
            "{findings:?}"
        );
    }

    #[test]
    fn a_runtime_is_found_however_far_down_and_named_once() {
        let tree = "outgate-wire v0.1.0 (/w)\nthiserror v2.0.0\ntokio v1.50.0\ntokio v1.50.0 (*)\n";
        assert_eq!(
            check_tree("outgate-wire", tree),
            ["outgate-wire may not need tokio, not even indirectly"]
        );
    }

    #[test]
    fn an_agent_that_brings_the_lab_along_is_found() {
        let tree = "outgate v0.1.0 (/w)\noutgate-agent v0.1.0 (/w)\noutgate-lab v0.1.0 (/w)\n";
        assert_eq!(
            check_agent(tree),
            ["an agent alone may not need outgate-lab, not even indirectly"]
        );
    }

    #[test]
    fn a_package_whose_name_only_begins_like_a_runtime_is_none() {
        assert!(check_tree("outgate-wire", "tokio-like v1.0.0\n").is_empty());
    }

    fn package(name: &str, needs: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            features: Vec::new(),
            manifest: PathBuf::new(),
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        }
    }
}
