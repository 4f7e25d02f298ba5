//! What was handed out, and what the rest of a path takes from it.

use std::net::IpAddr;

use crate::{
    evidence::{DhcpEvidence, DhcpServer, DhcpSettings, Outcome, Trouble},
    http::without_secrets,
    run::Stop,
};

/// The most names of time servers that are looked up.
const NAMES_MAX: usize = 4;

/// What everybody together hands out.
#[derive(Debug, Clone, Default)]
pub(crate) struct HandedOut {
    pub(crate) evidence: DhcpEvidence,
    /// Why there is nothing, or not all of it.
    pub(crate) stop: Option<Stop>,
}

impl HandedOut {
    /// The servers that answered, or why there are none.
    fn servers(&self) -> Result<&[DhcpServer], Stop> {
        let servers = self.evidence.servers.as_slice();
        match &self.stop {
            Some(stop) if servers.is_empty() => Err(match stop.outcome {
                // There is no network to ask on, and so nothing to be had.
                Outcome::NotApplicable => stop.trouble.clone().into(),
                Outcome::Pass | Outcome::Warn | Outcome::Fail | Outcome::NotRun => stop.clone(),
            }),
            Some(_) | None => Ok(servers),
        }
    }

    fn addresses(&self) -> Vec<String> {
        let servers = self.evidence.servers.iter();
        servers.map(|one| one.server.to_string()).collect()
    }
}

/// Where time servers are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TimeServers {
    pub(crate) addresses: Vec<IpAddr>,
    /// At most [`NAMES_MAX`].
    pub(crate) names: Vec<String>,
}

/// The time servers that are handed out over IPv4 and over IPv6, each once. What can be no server's
/// address is none.
pub(crate) fn time_servers(both: [&HandedOut; 2]) -> Result<TimeServers, Stop> {
    let mut all = TimeServers::default();
    for server in both.iter().flat_map(|one| &one.evidence.servers) {
        for address in &server.settings.time_servers {
            let nobody = address.is_unspecified() || address.is_multicast();
            if !nobody && !all.addresses.contains(address) {
                all.addresses.push(*address);
            }
        }
        for name in &server.settings.time_server_names {
            if all.names.len() < NAMES_MAX && !all.names.contains(name) {
                all.names.push(name.clone());
            }
        }
    }
    if all != TimeServers::default() {
        return Ok(all);
    }
    // What could not be asked may have some.
    let unasked = both.iter().filter_map(|one| one.stop.as_ref());
    let mut unasked = unasked.filter(|stop| stop.outcome == Outcome::NotRun);
    if let Some(stop) = unasked.next() {
        return Err(stop.clone());
    }
    let servers: Vec<String> = both.iter().flat_map(|one| one.addresses()).collect();
    if servers.is_empty() {
        let [v4, _] = both;
        v4.servers()?;
    }
    Err(Trouble::NoTimeServer { servers }.into())
}

/// Where the proxy script is. Servers that name different ones name none: which of them is meant
/// must not be left to chance.
pub(crate) fn proxy_script(handed_out: &HandedOut) -> Result<String, String> {
    let servers = handed_out
        .servers()
        .map_err(|stop| format!("DHCP names none: {}", stop.trouble))?;
    let named = |settings: &DhcpSettings| {
        // Some clients want it to end in a space, and so some servers are set up that way.
        let named = settings.proxy_script.as_deref().unwrap_or_default();
        let named = named.trim().to_owned();
        (!named.is_empty()).then_some(named)
    };
    let mut all: Vec<String> = servers
        .iter()
        .filter_map(|it| named(&it.settings))
        .collect();
    all.dedup();
    match all.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(format!(
            "DHCP ({}) names none (option 252)",
            handed_out.addresses().join(", ")
        )),
        several => {
            let shown = several.iter().map(|url| without_secrets(url));
            let shown: Vec<String> = shown.collect();
            Err(format!("DHCP names several: {}", shown.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Servers that hand out this, in the order of their addresses from 10.77.0.1.
    fn handed_out(all: &[DhcpSettings]) -> HandedOut {
        let servers = (1..).zip(all).map(|(last, settings)| DhcpServer {
            server: [10, 77, 0, last].into(),
            interface: None,
            offers: true,
            informs: true,
            settings: settings.clone(),
        });
        HandedOut {
            evidence: DhcpEvidence {
                servers: servers.collect(),
                ..DhcpEvidence::default()
            },
            stop: None,
        }
    }

    fn time(all: &[[u8; 4]]) -> DhcpSettings {
        DhcpSettings {
            time_servers: all.iter().map(|octets| (*octets).into()).collect(),
            ..DhcpSettings::default()
        }
    }

    fn script(url: &str) -> DhcpSettings {
        DhcpSettings {
            proxy_script: Some(url.to_owned()),
            ..DhcpSettings::default()
        }
    }

    #[test]
    fn time_servers_of_all_are_taken_once_and_nobodys_address_is_none() {
        let both = handed_out(&[
            time(&[[10, 0, 0, 1], [0; 4]]),
            time(&[[10, 0, 0, 2], [10, 0, 0, 1]]),
        ]);
        let expected: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
        let nothing = HandedOut::default();
        let found = time_servers([&both, &nothing]).unwrap();
        assert_eq!(found.addresses, expected);
        let none_at_all = HandedOut::default();
        let none = handed_out(&[time(&[[0; 4], [224, 0, 1, 1]])]);
        let servers = vec!["10.77.0.1".to_owned()];
        assert_eq!(
            time_servers([&none, &none_at_all]),
            Err(Trouble::NoTimeServer { servers }.into())
        );
    }

    #[test]
    fn one_proxy_script_is_taken_and_of_two_neither() {
        let (one, other) = ("http://w.test/a ", "http://w.test/b");
        assert_eq!(
            proxy_script(&handed_out(&[script(one), script(one)])),
            Ok(one.trim().to_owned())
        );
        let several = proxy_script(&handed_out(&[script(one), script(other)])).unwrap_err();
        assert_eq!(
            several,
            "DHCP names several: http://w.test/a, http://w.test/b"
        );
        let none = proxy_script(&handed_out(&[script(" ")])).unwrap_err();
        assert_eq!(none, "DHCP (10.77.0.1) names none (option 252)");
    }

    #[test]
    fn where_dhcp_could_not_be_asked_the_reason_is_passed_on() {
        let what = || "port 68".to_owned();
        let mut nothing = handed_out(&[]);
        nothing.stop = Some(Stop::not_run(Trouble::NotPermitted { what: what() }));
        // The other family's servers, which have none, do not say that there is none.
        let unasked = time_servers([&nothing, &handed_out(&[time(&[])])]);
        assert_eq!(unasked.unwrap_err().outcome, Outcome::NotRun);
        assert!(
            proxy_script(&nothing)
                .unwrap_err()
                .contains("not permitted: port 68")
        );
        nothing.stop = Some(Stop {
            outcome: Outcome::NotApplicable,
            trouble: Trouble::NetworkUnreachable,
        });
        assert_eq!(
            time_servers([&nothing, &nothing]),
            Err(Trouble::NetworkUnreachable.into())
        );
    }
}
