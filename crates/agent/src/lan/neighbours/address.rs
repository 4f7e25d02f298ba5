//! Where each member was last. An address is a guess: who is there shows by its signature.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use outgate_neighbours::{MemberId, Write};
use parking_lot::Mutex;

use super::disk::Kept;

/// Most addresses of one member, the one that worked last first.
const EACH_MAX: usize = 3;

const KEY: &[u8] = b"address/";

/// Where each member was last.
#[derive(Debug, Default)]
pub(super) struct Addresses(Mutex<BTreeMap<MemberId, Vec<SocketAddr>>>);

impl Addresses {
    /// As they were kept.
    pub(super) fn of(kept: &Kept) -> Self {
        let mut all: BTreeMap<MemberId, Vec<SocketAddr>> = BTreeMap::new();
        for (key, value) in kept {
            let id = key
                .strip_prefix(KEY)
                .and_then(|id| std::str::from_utf8(id).ok());
            let address = std::str::from_utf8(value).ok();
            let address = address.and_then(|address| address.parse().ok());
            if let (Some(Ok(id)), Some(address)) = (id.map(str::parse), address) {
                all.entry(id).or_default().push(address);
            }
        }
        Self(Mutex::new(all))
    }

    /// A member may be there, as somebody says.
    pub(super) fn guess(&self, member: &MemberId, address: SocketAddr) {
        let mut all = self.0.lock();
        let of_it = all.entry(member.clone()).or_default();
        if !of_it.contains(&address) {
            of_it.insert(of_it.len().min(1), address);
            of_it.truncate(EACH_MAX);
        }
    }

    /// A member answered there.
    pub(super) fn worked(&self, member: &MemberId, address: SocketAddr) {
        let mut all = self.0.lock();
        let of_it = all.entry(member.clone()).or_default();
        of_it.retain(|known| *known != address);
        of_it.insert(0, address);
        of_it.truncate(EACH_MAX);
    }

    /// What to keep of where a member is, if it is not kept already.
    pub(super) fn unkept(&self, member: &MemberId, kept: &mut Self) -> Option<Write> {
        let best = *self.0.lock().get(member)?.first()?;
        let kept = kept.0.get_mut().insert(member.clone(), vec![best]);
        (kept != Some(vec![best])).then(|| Write {
            key: [KEY, member.as_str().as_bytes()].concat(),
            value: Some(best.to_string().into_bytes()),
        })
    }

    /// Where to try, the best first.
    pub(super) fn of_member(&self, member: &MemberId) -> Vec<SocketAddr> {
        self.0.lock().get(member).cloned().unwrap_or_default()
    }
}
