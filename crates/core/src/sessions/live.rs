//! The seats of all live connections, by what they are looked for.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use super::Selector;
use super::seat::Seat;
use crate::id::{CredentialId, DeviceId, SessionId};
use crate::identity::Principal;

/// How many departed seats there are at least before it is looked which are really gone.
const MIN_DEPARTED: usize = 64;

/// Who sits where, as of one moment.
#[derive(Debug, Default)]
pub(super) struct Live {
    by_id: HashMap<SessionId, Arc<Seat>>,
    by_device: HashMap<DeviceId, Vec<SessionId>>,
    /// Those of devices that are not present by them.
    aside: HashMap<DeviceId, Vec<SessionId>>,
    by_credential: HashMap<CredentialId, Vec<SessionId>>,
    /// Sessions whose connection has closed while something they sent was still under way: a
    /// revocation must reach that too.
    departed: Vec<Weak<Seat>>,
    /// At how many of those it is time to look which are really gone.
    prune_at: usize,
}

impl Live {
    /// Takes a seat in. Whether its device is present only now; false when it is not a device's.
    pub(super) fn enter(&mut self, seat: &Arc<Seat>) -> bool {
        let presence = &seat.presence;
        let mut is_first = false;
        if let Principal::Device { device, .. } = &presence.principal {
            let devices = match seat.is_aside {
                true => &mut self.aside,
                false => &mut self.by_device,
            };
            let of_device = devices.entry(device.clone()).or_default();
            of_device.push(presence.id.clone());
            is_first = of_device.len() == 1 && !seat.is_aside;
        }
        self.by_credential
            .entry(presence.credential.clone())
            .or_default()
            .push(presence.id.clone());
        self.by_id.insert(presence.id.clone(), Arc::clone(seat));
        is_first
    }

    /// Takes the seat of a closed connection out, and gives those by which its device is present yet.
    pub(super) fn leave(&mut self, seat: &Arc<Seat>) -> Vec<Arc<Seat>> {
        let presence = &seat.presence;
        self.by_id.remove(&presence.id);
        forget(&mut self.by_credential, &presence.credential, &presence.id);
        let mut others = Vec::new();
        if let Principal::Device { device, .. } = &presence.principal {
            forget(&mut self.by_device, device, &presence.id);
            forget(&mut self.aside, device, &presence.id);
            others = self.named(self.by_device.get(device));
        }
        self.depart(seat);
        others
    }

    /// Notes a seat that nothing but its dropping session or what is under way holds.
    pub(super) fn depart(&mut self, seat: &Arc<Seat>) {
        if Arc::strong_count(seat) == 1 {
            return;
        }
        if self.departed.len() >= self.prune_at {
            self.departed.retain(|seat| seat.strong_count() > 0);
            self.prune_at = 2 * self.departed.len() + MIN_DEPARTED;
        }
        self.departed.push(Arc::downgrade(seat));
    }

    pub(super) fn count(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn seat(&self, id: &SessionId) -> Option<&Arc<Seat>> {
        self.by_id.get(id)
    }

    pub(super) fn has(&self, device: &DeviceId) -> bool {
        self.by_device.contains_key(device)
    }

    /// The seats that `selector` means.
    pub(super) fn seats(&self, selector: &Selector) -> Vec<Arc<Seat>> {
        match selector {
            Selector::Credential(id) => self.named(self.by_credential.get(id)),
            Selector::Device(id) => {
                let mut seats = self.named(self.by_device.get(id));
                seats.extend(self.named(self.aside.get(id)));
                seats
            }
            Selector::Session(id) => self.by_id.get(id).cloned().into_iter().collect(),
            Selector::All => self.by_id.values().cloned().collect(),
            Selector::PartsOf(_)
            | Selector::Site(_)
            | Selector::Operator(_)
            | Selector::Service(_)
            | Selector::Via(_)
            | Selector::ViaAt(_, _) => self
                .by_id
                .values()
                .filter(|seat| selector.means(&seat.presence))
                .cloned()
                .collect(),
        }
    }

    /// The seats of closed connections that `selector` means and something under way still holds.
    pub(super) fn departed(&self, selector: &Selector) -> Vec<Arc<Seat>> {
        self.departed
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|seat| selector.means(&seat.presence))
            .collect()
    }

    fn named(&self, ids: Option<&Vec<SessionId>>) -> Vec<Arc<Seat>> {
        ids.into_iter()
            .flatten()
            .filter_map(|id| self.by_id.get(id).cloned())
            .collect()
    }
}

/// Takes `session` out of the list that `map` has for `key`, and the list with its last one.
fn forget<K: Hash + Eq>(map: &mut HashMap<K, Vec<SessionId>>, key: &K, session: &SessionId) {
    if let Some(ids) = map.get_mut(key) {
        ids.retain(|id| id != session);
        if ids.is_empty() {
            map.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::sessions::seat::Life;
    use crate::sessions::tests::device_presence;

    #[test]
    fn a_device_is_there_from_its_first_seat_to_its_last() {
        let mut live = Live::default();
        let [one, two] = [seat(), seat()];
        let device = one.device().unwrap().clone();
        assert!(live.enter(&one));
        assert!(!live.enter(&two));
        let others = live.leave(&one);
        assert_eq!(others.len(), 1);
        assert_eq!(others[0].presence.id, two.presence.id);
        assert!(live.has(&device));
        assert!(live.leave(&two).is_empty());
        assert!(!live.has(&device));
    }

    #[test]
    fn nothing_is_kept_of_who_has_left() {
        let mut live = Live::default();
        for _ in 0..3 {
            let seat = seat();
            live.enter(&seat);
            live.leave(&seat);
        }
        assert_eq!(live.count(), 0);
        assert!(live.by_device.is_empty() && live.by_credential.is_empty());
        assert!(live.departed.is_empty());
    }

    #[test]
    fn who_left_is_found_for_as_long_as_something_of_theirs_is_under_way() {
        let mut live = Live::default();
        let seat = seat();
        let pass = Arc::clone(&seat);
        live.enter(&seat);
        live.leave(&seat);
        drop(seat);
        let device = Selector::Device(pass.device().unwrap().clone());
        assert!(live.seats(&device).is_empty());
        assert_eq!(live.departed(&device).len(), 1);
        let another = Selector::Device("till-2".parse().unwrap());
        assert!(live.departed(&another).is_empty());
        drop(pass);
        assert!(live.departed(&device).is_empty());
    }

    #[test]
    fn the_list_of_who_left_does_not_grow_with_those_who_are_gone() {
        let mut live = Live::default();
        for _ in 0..10 * MIN_DEPARTED {
            let seat = seat();
            let _pass = Arc::clone(&seat);
            live.enter(&seat);
            live.leave(&seat);
            assert!(live.departed.len() <= MIN_DEPARTED);
        }
    }

    fn seat() -> Arc<Seat> {
        let presence = device_presence("till-1");
        Arc::new(Seat::new(presence, Clock::System, Life::Live))
    }
}
