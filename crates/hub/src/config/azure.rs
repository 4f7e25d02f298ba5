//! What the hub is called by programs that were written for Azure IoT Hub.

use std::collections::{BTreeMap, BTreeSet};

use outgate_azure::service::Permission;
use outgate_core::id::{ServiceId, SiteId};
use serde::Deserialize;

use super::signalr::is_below;
use super::{ConfigError, value};

/// The most shared access policies.
const MAX_POLICIES: usize = 64;

/// The most scopes of the provisioning service, and the most places where devices are sent.
const MAX_SCOPES: usize = 64;

/// The most names.
const MAX_NAMES: usize = 64;

/// The first steps of paths at which back ends ask.
const BACK_ENDS: [&str; 4] = ["/devices", "/messages", "/statistics", "/twins"];

/// The most characters of a name (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 253;

/// How programs are served that were written for Azure IoT Hub.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Azure {
    /// The names of hubs that this one stands for, in lower case, beside those of its certificate.
    pub hub_names: BTreeSet<String>,
    /// Where devices stand that back ends make which see every site.
    pub site: Option<SiteId>,
    /// Shared access policies: services of these names, and what they may do by tokens that their
    /// access keys have signed.
    pub policies: BTreeMap<ServiceId, Vec<Permission>>,
    /// Where devices of a fleet are told which hub is theirs.
    pub provisioning: Provisioning,
}

/// The device provisioning service. It is not there without a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provisioning {
    /// The scopes that devices may name.
    pub scopes: BTreeSet<String>,
    /// The host name of the hub that devices belong to; the name by which they came, if none.
    pub hub: Option<String>,
    /// Devices that belong to another hub: patterns of their names, in which `*` stands for any
    /// number of characters, and its host name. The first that fits counts.
    pub elsewhere: Vec<(String, String)>,
    /// Where devices are taken up that show a certificate of an authority of that site: patterns of
    /// their names. The first that fits counts.
    pub by_certificate: Vec<(String, SiteId)>,
}

impl Azure {
    /// Whether realtime hubs, by the keys that say where, are at paths where no back end asks.
    pub(super) fn check_paths<'a>(
        &self,
        hubs: impl Iterator<Item = (&'static str, &'a str)>,
    ) -> Result<(), ConfigError> {
        if self.policies.is_empty() {
            return Ok(());
        }
        for (key, path) in hubs {
            if let Some(ours) = BACK_ENDS.iter().find(|ours| is_below(ours, path)) {
                let right = format!("one outside {ours}, where back ends of [azure.policies] ask");
                return value(key, right);
            }
        }
        Ok(())
    }
}

/// The same as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Written {
    hub_names: Vec<String>,
    site: Option<SiteId>,
    policies: BTreeMap<ServiceId, Vec<Permission>>,
    provisioning: WrittenProvisioning,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct WrittenProvisioning {
    scopes: BTreeSet<String>,
    hub: Option<String>,
    elsewhere: Vec<WrittenElsewhere>,
    by_certificate: Vec<WrittenGroup>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WrittenGroup {
    devices: String,
    site: SiteId,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WrittenElsewhere {
    devices: String,
    hub: String,
}

/// Whether a text may be the name of a host.
fn is_host(name: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_of_name)
}

impl WrittenProvisioning {
    fn checked(self) -> Result<Provisioning, ConfigError> {
        let is_scope = |scope: &String| {
            let is_of_scope = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            (1..=128).contains(&scope.len()) && scope.bytes().all(is_of_scope)
        };
        if self.scopes.len() > MAX_SCOPES || !self.scopes.iter().all(is_scope) {
            let right = format!("at most {MAX_SCOPES} scopes like 0ne00ABCDEF");
            return value("azure.provisioning.scopes", right);
        }
        if !self.hub.as_deref().is_none_or(is_host) {
            return value("azure.provisioning.hub", "a name like hub.example");
        }
        let right = |one: &WrittenElsewhere| is_host(&one.hub) && one.devices.len() <= 128;
        if self.elsewhere.len() > MAX_SCOPES || !self.elsewhere.iter().all(right) {
            let right = format!(
                "at most {MAX_SCOPES} like {{ devices = 'till-*', hub = 'other.example' }}"
            );
            return value("azure.provisioning.elsewhere", right);
        }
        let groups = &self.by_certificate;
        let is_pattern = |one: &WrittenGroup| (1..=128).contains(&one.devices.len());
        if groups.len() > MAX_SCOPES || !groups.iter().all(is_pattern) {
            let right =
                format!("at most {MAX_SCOPES} like {{ devices = 'till-*', site = 'lund' }}");
            return value("azure.provisioning.by-certificate", right);
        }
        let elsewhere = self.elsewhere.into_iter();
        let groups = self.by_certificate.into_iter();
        Ok(Provisioning {
            scopes: self.scopes,
            hub: self.hub,
            elsewhere: elsewhere.map(|one| (one.devices, one.hub)).collect(),
            by_certificate: groups.map(|one| (one.devices, one.site)).collect(),
        })
    }
}

impl Written {
    /// Checks the names.
    pub(super) fn checked(self) -> Result<Azure, ConfigError> {
        if self.policies.len() > MAX_POLICIES {
            return value("azure.policies", format!("at most {MAX_POLICIES}"));
        }
        if self.hub_names.len() > MAX_NAMES || !self.hub_names.iter().all(|name| is_host(name)) {
            let right = format!("at most {MAX_NAMES} names like vendor.azure-devices.net");
            return value("azure.hub-names", right);
        }
        let lower = self.hub_names.iter().map(|name| name.to_ascii_lowercase());
        Ok(Azure {
            hub_names: lower.collect(),
            site: self.site,
            policies: self.policies,
            provisioning: self.provisioning.checked()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Overrides};

    #[test]
    fn names_of_hubs_are_taken_in_whatever_letters_and_nothing_else_is() {
        let read = |names: &str| {
            let text = format!("[azure]\nhub-names = {names}");
            Config::new(&text, Overrides::default())
        };
        let names = read("['Vendor.Azure-Devices.net']")
            .unwrap()
            .azure
            .hub_names;
        assert!(names.contains("vendor.azure-devices.net"));
        for wrong in ["['']", "['a/b']", "['https://a']", "['a:443']", "'a'"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_realtime_hub_is_not_at_a_path_where_back_ends_ask() {
        let read = |path: &str, azure: &str| {
            let text = format!("[[signalr.hubs]]\nname = 'a'\npath = '{path}'\n[azure]\n{azure}");
            Config::new(&text, Overrides::default())
        };
        let policies = "policies.a = ['registry-read']";
        for path in [
            "/devices",
            "/devices/a",
            "/twins",
            "/messages",
            "/statistics",
        ] {
            let error = read(path, policies).unwrap_err();
            assert!(error.to_string().contains("signalr.hubs.path"), "{error}");
            read(path, "").unwrap();
        }
        read("/devices-of-ours", policies).unwrap();
        let echo = format!("[echo]\nsignalr = '/devices'\n[azure]\n{policies}");
        let error = Config::new(&echo, Overrides::default()).unwrap_err();
        assert!(error.to_string().contains("echo.signalr"), "{error}");
    }

    #[test]
    fn policies_and_scopes_are_taken_and_what_nobody_knows_is_refused() {
        let read = |text: &str| {
            let text = format!("[azure]\n{text}");
            Config::new(&text, Overrides::default())
        };
        let text = "site = 'store'\npolicies.iothubowner = ['registry-write', 'service-connect']
            provisioning = { scopes = ['0ne1'], hub = 'hub.example',
            elsewhere = [{ devices = 'till-*', hub = 'other.example' }] }";
        let azure = read(text).unwrap().azure;
        assert_eq!(azure.policies.len(), 1);
        assert_eq!(azure.provisioning.elsewhere[0].1, "other.example");
        for wrong in [
            "policies.a = ['everything']",
            "policies.'a b' = ['registry-read']",
            "site = ''",
            "provisioning.scopes = ['a/b']",
            "provisioning.hub = 'https://hub'",
            "provisioning.elsewhere = [{ devices = 'a', hub = '' }]",
            "provisioning.by-certificate = [{ devices = '', site = 's' }]",
            "provisioning.by-certificate = [{ devices = 'a' }]",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
