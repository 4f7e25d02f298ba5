//! Looks for members that are nowhere: at the addresses that are configured, and now and then at all
//! addresses of a network, where nothing on it carries multicast.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::serve::Site;
use super::{KNOWN_MAX, SEARCHED_MAX, Settings, View, call};

/// How often the configured addresses are asked while somebody is missing.
const EVERY: Duration = Duration::from_secs(1);
/// Every so many times the networks are searched, the first time included.
const NETWORKS_EVERY: usize = 20;
/// So many addresses are asked at a time.
const AT_ONCE: usize = 16;
/// So long an address has to answer.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// Searches until dropped.
pub(super) async fn search(settings: Settings, site: Arc<Site>, view: watch::Receiver<View>) {
    let networks = settings.search.iter().take(SEARCHED_MAX);
    let networks: Vec<SocketAddr> = networks
        .flat_map(|address| neighbours_of(*address))
        .map(|address| SocketAddr::new(address, site.own.port()))
        .collect();
    let known: Vec<SocketAddr> = settings.known.iter().take(KNOWN_MAX).copied().collect();
    for round in 0_usize.. {
        if is_missing_somebody(&settings, &site, &view) {
            let networks = round.is_multiple_of(NETWORKS_EVERY).then_some(&networks);
            let all: BTreeSet<SocketAddr> = known
                .iter()
                .chain(networks.into_iter().flatten())
                .copied()
                .collect();
            ask_all(
                all.into_iter().filter(|address| *address != site.own),
                &site,
            )
            .await;
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn is_missing_somebody(settings: &Settings, site: &Site, view: &watch::Receiver<View>) -> bool {
    let there = &view.borrow().there;
    let roster = site.envelope.roster();
    let members = roster.members.iter().map(|member| &member.id);
    members
        .filter(|id| **id != settings.id)
        .any(|id| !there.contains(id))
}

async fn ask_all(addresses: impl Iterator<Item = SocketAddr>, site: &Arc<Site>) {
    let mut asked = JoinSet::new();
    for address in addresses {
        if asked.len() >= AT_ONCE {
            asked.join_next().await;
        }
        let site = Arc::clone(site);
        asked.spawn(async move {
            let who = tokio::time::timeout(ANSWER_MAX, call::who(address, site.own.ip())).await;
            let (of, me) = site.envelope.names();
            if let Ok(Ok((said, member))) = who
                && said == of
                && me != member.as_str()
                && site.envelope.roster().author(&member).is_some()
            {
                site.addresses.guess(&member, address);
            }
        });
    }
    while asked.join_next().await.is_some() {}
}

/// The addresses that differ from this one in the last number only; none of IPv6, whose networks
/// cannot be searched.
fn neighbours_of(address: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V4(address) = address else {
        return Vec::new();
    };
    let [first, second, third, own] = address.octets();
    let others = (1..=254).filter(|last| *last != own);
    others
        .map(|last| IpAddr::V4(Ipv4Addr::new(first, second, third, last)))
        .collect()
}
