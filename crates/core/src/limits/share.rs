//! Whose share of something bounded is used up.

use crate::id::SiteId;
use crate::identity::Scope;

/// Whose share of something that there is only so much of is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The operator or service, `operator/NAME` or `service/NAME`.
    pub whose: String,
    /// What they see.
    pub scope: Scope,
}

/// How much of something each may have. Who administers a site makes as many operators and
/// services as they like, so that sites are bounded too, and all of them together: something is
/// always left for those who see all sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The most for one operator or service.
    pub each: u64,
    /// The most for all of one site together.
    pub site: u64,
    /// The most for all that see one site only.
    pub sites: u64,
    /// The most in all.
    pub all: u64,
}

/// What is in use already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InUse {
    /// By the same operator or service.
    pub each: u64,
    /// By the same site.
    pub site: u64,
    /// By all that see one site only.
    pub sites: u64,
    /// In all.
    pub all: u64,
}

impl Share {
    /// Of an operator or service that sees `scope`.
    #[must_use]
    pub fn new(whose: impl Into<String>, scope: Scope) -> Self {
        Self {
            whose: whose.into(),
            scope,
        }
    }

    /// Of the hub's own doing.
    #[must_use]
    pub fn hub() -> Self {
        Self::new("hub", Scope::All)
    }

    /// The one site that they see, if it is one.
    #[must_use]
    pub fn site(&self) -> Option<&SiteId> {
        self.scope.site()
    }
}

impl Quota {
    /// The bound that one more of `share` would be beyond, if there is one.
    #[must_use]
    pub fn reached(&self, share: &Share, used: &InUse) -> Option<u64> {
        let of_a_site = share.site().is_some();
        [
            (true, used.each, self.each),
            (of_a_site, used.site, self.site),
            (of_a_site, used.sites, self.sites),
            (true, used.all, self.all),
        ]
        .into_iter()
        .find_map(|(asked, used, most)| (asked && used >= most).then_some(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_leave_something_for_those_who_see_all() {
        let quota = Quota {
            each: 2,
            site: 4,
            sites: 6,
            all: 8,
        };
        let used = |each, site, sites, all| InUse {
            each,
            site,
            sites,
            all,
        };
        let shop = Share::new("service/erp", Scope::Site("shop".parse().unwrap()));
        let all = Share::new("operator/ann", Scope::All);
        for (used, of_shop, of_all) in [
            (used(1, 3, 5, 7), None, None),
            (used(2, 3, 5, 7), Some(2), Some(2)),
            (used(1, 4, 5, 7), Some(4), None),
            (used(1, 3, 6, 7), Some(6), None),
            (used(1, 3, 5, 8), Some(8), Some(8)),
        ] {
            assert_eq!(quota.reached(&shop, &used), of_shop, "{used:?}");
            assert_eq!(quota.reached(&all, &used), of_all, "{used:?}");
        }
    }
}
