//! Which certificate a client gets for the name it asks for.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::TlsError;
use crate::{Authority, AuthorityError, Identity, Validity};

/// A certificate for each DNS name, one for all addresses.
#[derive(Debug)]
pub(crate) struct Names {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
    /// For clients that ask for no name, as they do when they go to an address.
    unnamed: Option<Arc<CertifiedKey>>,
    /// For everything else.
    other: Option<Arc<CertifiedKey>>,
}

impl Names {
    /// A certificate with its chain for each of the names.
    pub(crate) fn issue(
        authority: &Authority,
        names: &[String],
        validity: Validity,
    ) -> Result<Self, TlsError> {
        Self::issue_with(authority, names, validity, |identity| identity)
    }

    /// The same with the intermediate certificate left out.
    pub(crate) fn issue_leaf_only(
        authority: &Authority,
        names: &[String],
        validity: Validity,
    ) -> Result<Self, TlsError> {
        Self::issue_with(authority, names, validity, Identity::leaf_only)
    }

    /// One certificate, for a name that nobody has (RFC 2606), whatever is asked for.
    pub(crate) fn wrong(authority: &Authority, validity: Validity) -> Result<Self, TlsError> {
        let wrong = certified(authority, &["wrong-name.invalid".into()], validity, |it| it)?;
        Ok(Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            unnamed: Some(wrong.clone()),
            other: Some(wrong),
        })
    }

    /// One certificate, which is for clients, whatever is asked for.
    pub(crate) fn issue_for_clients(
        authority: &Authority,
        names: &[String],
        validity: Validity,
    ) -> Result<Self, TlsError> {
        let name = names.first().cloned().unwrap_or_default();
        let issued = authority.issue_client(&name, validity);
        let key = issued
            .and_then(|identity| identity.certified())
            .map_err(|source| TlsError::Certificate { name, source })?;
        Ok(Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            unnamed: Some(key.clone()),
            other: Some(key),
        })
    }

    fn issue_with(
        authority: &Authority,
        names: &[String],
        validity: Validity,
        change: impl Fn(Identity) -> Identity,
    ) -> Result<Self, TlsError> {
        let (addresses, names): (Vec<_>, Vec<_>) = names
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .partition(|name| name.parse::<IpAddr>().is_ok());
        let unnamed = match &addresses[..] {
            [] => None,
            some => Some(certified(authority, some, validity, &change)?),
        };
        let mut exact = HashMap::new();
        let mut wildcard = HashMap::new();
        for name in names {
            let key = certified(authority, std::slice::from_ref(&name), validity, &change)?;
            match name.strip_prefix("*.") {
                Some(suffix) => wildcard.insert(suffix.to_owned(), key),
                None => exact.insert(name, key),
            };
        }
        Ok(Self {
            exact,
            wildcard,
            unnamed,
            other: None,
        })
    }

    /// `*` stands for one label (RFC 6125 §6.4.3), and an exact name goes before it.
    pub(crate) fn find(&self, asked: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let Some(asked) = asked else {
            return self.unnamed.clone();
        };
        let asked = asked.to_ascii_lowercase();
        let suffix = asked.split_once('.').map(|(_, suffix)| suffix);
        self.exact
            .get(&asked)
            .or_else(|| self.wildcard.get(suffix?))
            .or(self.other.as_ref())
            .cloned()
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name())
    }
}

fn certified(
    authority: &Authority,
    names: &[String],
    validity: Validity,
    change: impl Fn(Identity) -> Identity,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let issue =
        || -> Result<_, AuthorityError> { change(authority.issue(names, validity)?).certified() };
    issue().map_err(|source| TlsError::Certificate {
        name: names.join(", "),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn names(names: &[&str]) -> Names {
        let now = SystemTime::now();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Names::issue(&Authority::new(now).unwrap(), &names, Validity::around(now)).unwrap()
    }

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let names = names(&["*.Example.com", "www.example.com"]);
        assert!(names.find(Some("a.example.com")).is_some());
        assert!(names.find(Some("a.b.example.com")).is_none());
        assert!(names.find(Some("example.com")).is_none());
        let exact = names.find(Some("WWW.example.com")).unwrap();
        let by_wildcard = names.find(Some("a.example.com")).unwrap();
        assert!(!Arc::ptr_eq(&exact, &by_wildcard));
    }

    #[test]
    fn no_name_is_served_only_where_addresses_are() {
        assert!(names(&["a.example"]).find(None).is_none());
        let names = names(&["192.0.2.1", "2001:db8::1", "a.example"]);
        assert!(names.find(None).is_some());
        assert!(names.find(Some("b.example")).is_none());
    }
}
