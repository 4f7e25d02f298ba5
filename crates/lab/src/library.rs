//! The scenarios and products that are built in.

use crate::scenario::{BadScenarios, Scenario, read};

/// The lab's own products: small manifests in which every kind of lane has a server here.
pub const PRODUCTS: &[(&str, &str)] = &[
    ("lab-box", include_str!("../products/lab-box.yaml")),
    ("lab-gateway", include_str!("../products/lab-gateway.yaml")),
    ("lab-phone", include_str!("../products/lab-phone.yaml")),
];

/// The files of scenarios, one a subject.
const FILES: &[&str] = &[
    include_str!("../scenarios/well.toml"),
    include_str!("../scenarios/firewall.toml"),
    include_str!("../scenarios/dns.toml"),
    include_str!("../scenarios/tls.toml"),
    include_str!("../scenarios/proxy.toml"),
    include_str!("../scenarios/path.toml"),
    include_str!("../scenarios/time.toml"),
    include_str!("../scenarios/dhcp.toml"),
    include_str!("../scenarios/server.toml"),
    include_str!("../scenarios/phone.toml"),
    include_str!("../scenarios/products.toml"),
    include_str!("../scenarios/pairs.toml"),
];

/// All scenarios that are built in.
///
/// # Errors
/// A file of them is broken, which the tests rule out.
pub fn scenarios() -> Result<Vec<Scenario>, BadScenarios> {
    let mut all: Vec<Scenario> = Vec::new();
    for text in FILES {
        for scenario in read(text)? {
            if all.iter().any(|known| known.name == scenario.name) {
                return Err(BadScenarios::Name {
                    name: scenario.name,
                });
            }
            all.push(scenario);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_can_be_read_and_says_what_it_is_about() {
        let all = scenarios().unwrap();
        for scenario in all {
            assert!(scenario.title.ends_with('.'), "{}", scenario.name);
            let well = scenario.faults.is_empty();
            assert!(!well || scenario.expect.is_empty(), "{}", scenario.name);
        }
    }
}
