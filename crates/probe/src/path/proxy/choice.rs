//! Which proxy an ask goes through: none, a given one, or what the environment says.

use std::collections::BTreeMap;

use super::{no_proxy::NoProxy, url::Proxy, url::ProxyError};
use crate::{
    ask::{Ask, Host, Transport},
    path::{ProxyScript, normalised},
};

/// Protocols that no product speaks through a proxy: resolvers are part of the network at hand.
const NEVER_PROXIED: [&str; 1] = ["dns"];

/// How connections find their proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ProxyChoice {
    /// None: every connection goes direct.
    #[default]
    None,
    /// This one for every TCP connection.
    Always(Proxy),
    /// As curl finds it: by the variable of the ask's protocol, then `ALL_PROXY`.
    Environment,
    /// As a script says; the ways that it names are tried in turn.
    Script(ProxyScript),
}

/// The choice, and what is known beside it.
#[derive(Debug, Clone, Default)]
pub struct Proxying {
    /// How connections find their proxy.
    pub choice: ProxyChoice,
    /// The proxies of the environment. Under another choice they still tell of a proxy that would
    /// have helped.
    pub environment: ProxyEnvironment,
    /// Hosts that are reached without a proxy, whatever the choice.
    pub no_proxy: NoProxy,
}

impl Proxying {
    /// The proxy that an ask goes through.
    pub(crate) fn of(&self, ask: &Ask) -> Option<&Proxy> {
        if !may_be_proxied(ask) || self.no_proxy.covers(&ask.host) {
            return None;
        }
        match &self.choice {
            ProxyChoice::None | ProxyChoice::Script(_) => None,
            ProxyChoice::Always(proxy) => Some(proxy),
            ProxyChoice::Environment => self.environment.of(&ask.protocol),
        }
    }

    /// All proxies that are known, used or not.
    pub(crate) fn proxies(&self) -> impl Iterator<Item = &Proxy> {
        let always = match &self.choice {
            ProxyChoice::Always(proxy) => Some(proxy),
            ProxyChoice::None | ProxyChoice::Environment | ProxyChoice::Script(_) => None,
        };
        always
            .into_iter()
            .chain(self.environment.by_variable.values())
    }

    /// The script that decides about an ask.
    pub(crate) fn script(&self, ask: &Ask) -> Option<&ProxyScript> {
        match &self.choice {
            ProxyChoice::Script(script)
                if may_be_proxied(ask) && !self.no_proxy.covers(&ask.host) =>
            {
                Some(script)
            }
            ProxyChoice::None
            | ProxyChoice::Always(_)
            | ProxyChoice::Environment
            | ProxyChoice::Script(_) => None,
        }
    }

    /// A proxy that an ask which goes direct could have gone through.
    pub(crate) fn spare(&self, ask: &Ask) -> Option<&Proxy> {
        let is_local = match &ask.host {
            Host::Address(address) => address.is_loopback(),
            Host::Name(name) => normalised(name) == "localhost",
            Host::SystemResolvers | Host::TimeServers | Host::Role(_) => true,
        };
        if !may_be_proxied(ask) || is_local || self.of(ask).is_some() {
            return None;
        }
        match &self.choice {
            ProxyChoice::Script(_) => None,
            ProxyChoice::Always(proxy) => Some(proxy),
            ProxyChoice::None | ProxyChoice::Environment => self
                .environment
                .of(&ask.protocol)
                .or_else(|| self.environment.of("https")),
        }
    }
}

fn may_be_proxied(ask: &Ask) -> bool {
    ask.transport == Transport::Tcp
        && !NEVER_PROXIED.contains(&ask.protocol.as_str())
        && ask.host != Host::SystemResolvers
}

/// The proxies that the environment names, by protocol.
#[derive(Debug, Clone, Default)]
pub struct ProxyEnvironment {
    by_variable: BTreeMap<&'static str, Proxy>,
}

/// The protocols of asks whose variables are looked at, and the protocols whose variable counts
/// where their own is not set. curl has no other protocols in common with the probes; to it,
/// HTTP that streams or polls is HTTP.
const PROTOCOLS: [(&str, &[&str]); 9] = [
    ("http", &["http"]),
    ("https", &["https"]),
    ("long-polling", &["https"]),
    ("server-sent-events", &["https"]),
    ("signalr", &["https"]),
    ("ws", &["ws", "http"]),
    ("wss", &["wss", "https"]),
    ("mqtt", &["mqtt"]),
    ("ldap", &["ldap"]),
];

/// The variables, lower case first; upper-case `HTTP_PROXY` is left out as curl leaves it out,
/// because a server hands a client's `Proxy` header to CGI programs under this name.
const VARIABLES: [(&str, &[&str]); 7] = [
    ("http", &["http_proxy"]),
    ("https", &["https_proxy", "HTTPS_PROXY"]),
    ("ws", &["ws_proxy", "WS_PROXY"]),
    ("wss", &["wss_proxy", "WSS_PROXY"]),
    ("mqtt", &["mqtt_proxy", "MQTT_PROXY"]),
    ("ldap", &["ldap_proxy", "LDAP_PROXY"]),
    (ALL, &["all_proxy", "ALL_PROXY"]),
];

/// What stands for every protocol.
const ALL: &str = "all";

/// The variables with the hosts that are reached without a proxy.
const NO_PROXY: [&str; 2] = ["no_proxy", "NO_PROXY"];

impl ProxyEnvironment {
    /// Reads the variables; one that is empty is as good as none. An error names the variable.
    pub fn read(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(Self, NoProxy), (&'static str, ProxyError)> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let mut by_variable = BTreeMap::new();
        for (protocol, names) in VARIABLES {
            let found = names.iter().find_map(|name| Some((*name, set(name)?)));
            if let Some((name, value)) = found {
                by_variable.insert(protocol, value.parse().map_err(|error| (name, error))?);
            }
        }
        let no_proxy = NO_PROXY.into_iter().find_map(set);
        let no_proxy = NoProxy::new(&no_proxy.unwrap_or_default());
        Ok((Self { by_variable }, no_proxy))
    }

    /// The proxy for a protocol.
    fn of(&self, protocol: &str) -> Option<&Proxy> {
        let known = PROTOCOLS.iter().find(|(name, _)| *name == protocol);
        let own = known.map_or(&[][..], |(_, variables)| variables);
        own.iter()
            .chain([&ALL])
            .find_map(|variable| self.by_variable.get(variable))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(set: &[(&str, &str)]) -> Proxying {
        let variable = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let (environment, no_proxy) = ProxyEnvironment::read(variable).unwrap();
        Proxying {
            choice: ProxyChoice::Environment,
            environment,
            no_proxy,
        }
    }

    fn ask(protocol: &str, host: &str) -> Ask {
        Ask::new(
            protocol,
            Host::Name(host.to_owned()),
            Some(1),
            Transport::Tcp,
        )
    }

    fn through(proxying: &Proxying, protocol: &str) -> Option<String> {
        let found = proxying.of(&ask(protocol, "a.example"));
        found.map(|proxy| proxy.host().to_string())
    }

    #[test]
    fn each_protocol_has_its_variable_and_all_stand_behind_it() {
        let proxying = environment(&[("https_proxy", "s"), ("ALL_PROXY", "a"), ("no_proxy", "x")]);
        for (protocol, expected) in [("https", "s"), ("wss", "s"), ("http", "a"), ("ssh", "a")] {
            assert_eq!(through(&proxying, protocol).as_deref(), Some(expected));
        }
    }

    #[test]
    fn http_that_streams_or_polls_is_http() {
        let proxying = environment(&[("https_proxy", "s"), ("wss_proxy", "w"), ("ALL_PROXY", "a")]);
        for protocol in ["long-polling", "server-sent-events", "signalr"] {
            assert_eq!(through(&proxying, protocol).as_deref(), Some("s"));
        }
        let excepted = environment(&[("https_proxy", "s"), ("no_proxy", "a.example")]);
        assert_eq!(through(&excepted, "signalr"), None);
    }

    #[test]
    fn upper_case_http_proxy_is_not_looked_at() {
        let proxying = environment(&[("HTTP_PROXY", "p"), ("HTTPS_PROXY", "s")]);
        assert_eq!(through(&proxying, "http"), None);
        assert_eq!(through(&proxying, "https").as_deref(), Some("s"));
        let lower = environment(&[("http_proxy", "p")]);
        assert_eq!(through(&lower, "ws").as_deref(), Some("p"));
    }

    #[test]
    fn lower_case_comes_first_and_empty_is_not_set() {
        let both = environment(&[("https_proxy", "lower"), ("HTTPS_PROXY", "upper")]);
        assert_eq!(through(&both, "https").as_deref(), Some("lower"));
        let empty = environment(&[("https_proxy", ""), ("HTTPS_PROXY", "upper")]);
        assert_eq!(through(&empty, "https").as_deref(), Some("upper"));
    }

    #[test]
    fn a_proxy_that_is_not_used_is_known_all_the_same() {
        let none = Proxying {
            choice: ProxyChoice::None,
            ..environment(&[("https_proxy", "s")])
        };
        let spare = |proxying: &Proxying, ask: &Ask| {
            proxying.spare(ask).map(|proxy| proxy.host().to_string())
        };
        assert_eq!(through(&none, "https"), None);
        assert_eq!(
            spare(&none, &ask("https", "a.example")).as_deref(),
            Some("s")
        );
        assert_eq!(
            spare(&none, &ask("mqtt", "a.example")).as_deref(),
            Some("s")
        );
        assert_eq!(spare(&none, &ask("https", "localhost")), None);
        let excepted = environment(&[("https_proxy", "s"), ("NO_PROXY", "a.example")]);
        assert_eq!(through(&excepted, "https"), None);
        assert_eq!(
            spare(&excepted, &ask("https", "a.example")).as_deref(),
            Some("s")
        );
        assert_eq!(spare(&excepted, &ask("https", "b.example")), None);
    }

    #[test]
    fn datagrams_and_resolvers_go_direct() {
        let proxying = environment(&[("all_proxy", "a")]);
        let udp = Ask::new(
            "ntp",
            Host::Name("a.example".to_owned()),
            None,
            Transport::Udp,
        );
        let resolver = Ask::new("tcp", Host::SystemResolvers, Some(53), Transport::Tcp);
        for ask in [udp, resolver, ask("dns", "a.example")] {
            assert_eq!(proxying.of(&ask), None);
            assert_eq!(proxying.spare(&ask), None);
        }
    }

    #[test]
    fn a_variable_that_cannot_be_read_is_named() {
        let variable = |name: &str| (name == "ALL_PROXY").then(|| "ftp://x".to_owned());
        let error = ProxyEnvironment::read(variable).unwrap_err();
        assert_eq!(error.0, "ALL_PROXY");
    }
}
