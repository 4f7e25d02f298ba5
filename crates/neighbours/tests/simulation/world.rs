#![cfg(test)]
//! A site in virtual time: members with disks, a network that loses, doubles, delays and cuts, and
//! power that goes away between any two outputs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::{Duration, Instant};

use outgate_neighbours::{
    Fence, Identity, Listed, Member, MemberId, Message, Moment, Name, Number, Output, Roster,
    SiteId, Unsaved,
};
use outgate_signed_http::Signer;

/// One step of the clock's.
pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);
/// So few entries are kept that who was away is given a snapshot at times.
const KEPT: usize = 120;
/// Of a thousand messages so many are lost, and so many come twice.
const LOST: u64 = 20;
const TWICE: u64 = 20;
/// The longest way of a message, in milliseconds.
const LATE: u64 = 40;

/// Numbers that look random and are the same for the same seed (SplitMix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }
}

struct Till {
    disk: BTreeMap<Vec<u8>, Vec<u8>>,
    /// None while it is without power.
    member: Option<Member>,
    /// Which part of the site it is in.
    part: usize,
    /// Its clock on the wall, in milliseconds beside the right one.
    off: i64,
    /// The power goes after so many more outputs.
    outputs_left: Option<u64>,
    /// When it wants to be called.
    timeout: Option<Duration>,
}

struct Letter {
    from: usize,
    to: usize,
    bytes: Vec<u8>,
}

pub(crate) struct World {
    pub(crate) chance: Chance,
    begin: Instant,
    pub(crate) now: Duration,
    tills: Vec<Till>,
    letters: BTreeMap<u64, Letter>,
    due: BinaryHeap<Reverse<(Duration, u64)>>,
    posted: u64,
    /// Every number that anybody was ever given.
    pub(crate) numbers: BTreeSet<Number>,
    /// The sales that were acknowledged, by their receipts.
    pub(crate) sold: BTreeSet<Number>,
}

impl World {
    pub(crate) fn new(seed: u64, tills: usize) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "a place to begin at; from there on time is virtual"
        )]
        let begin = Instant::now();
        let mut world = Self {
            chance: Chance(seed),
            begin,
            now: Duration::ZERO,
            tills: Vec::new(),
            letters: BTreeMap::new(),
            due: BinaryHeap::new(),
            posted: 0,
            numbers: BTreeSet::new(),
            sold: BTreeSet::new(),
        };
        for number in 0..tills {
            let off = match number {
                3 => -1_800_000_000_000,
                5 => 31_536_000_000,
                _ => i64::try_from(world.chance.below(4000)).unwrap() - 2000,
            };
            world.tills.push(Till {
                disk: BTreeMap::new(),
                member: None,
                part: 0,
                off,
                outputs_left: None,
                timeout: None,
            });
        }
        (0..tills).for_each(|number| world.power_on(number));
        world
    }

    pub(crate) fn messages(&self) -> u64 {
        self.posted
    }

    pub(crate) fn is_on(&self, till: usize) -> bool {
        self.tills[till].member.is_some()
    }

    pub(crate) fn power_on(&mut self, till: usize) {
        if self.is_on(till) {
            return;
        }
        let now = self.moment(till);
        let identity = Identity {
            site: site(),
            site_key: site_key().verifying_key(),
            id: id(till),
            signer: signer(till),
        };
        let roster = roster(self.tills.len());
        let begun = Member::begin(identity, &roster, &self.tills[till].disk, now);
        self.tills[till].member = Some(begun.unwrap().keeping(KEPT));
        self.tills[till].outputs_left = None;
        self.drain(till);
    }

    pub(crate) fn power_off(&mut self, till: usize) {
        self.tills[till].member = None;
        self.tills[till].timeout = None;
    }

    /// The power goes in the middle of what the till does next.
    pub(crate) fn power_off_soon(&mut self, till: usize) {
        self.tills[till].outputs_left = Some(self.chance.below(40));
    }

    /// Losses of power that [`Self::power_off_soon`] planned come at once.
    pub(crate) fn power_off_as_planned(&mut self) {
        for till in 0..self.tills.len() {
            if self.tills[till].outputs_left.is_some() {
                self.power_off(till);
            }
        }
    }

    /// Cuts the site into as many parts, and whole again with one.
    pub(crate) fn cut(&mut self, parts: usize) {
        for till in 0..self.tills.len() {
            self.tills[till].part = self.chance.index(parts);
        }
    }

    /// Sells something: an item with a receipt and a ticket, and at times a change of an open order.
    pub(crate) fn sell(&mut self, till: usize) {
        let now = self.moment(till);
        let order: Name = format!("order/{}", self.chance.below(5)).parse().unwrap();
        let (what, dies) = (self.chance.below(4), self.chance.below(30) == 0);
        let Some(member) = self.tills[till].member.as_mut() else {
            return;
        };
        let sales: Name = "sales".parse().unwrap();
        let sold = member.add_with_receipt(&sales, |it| it.to_string().into_bytes(), now);
        let sold = sold.unwrap();
        let ticket = member.ticket(now);
        let order_changed = match what {
            0 => Some(member.add(&order, vec![1; 20], now)),
            1 => {
                let table = "table".parse().unwrap();
                Some(member.set(&order, &table, vec![2; 4], now))
            }
            2 => {
                let dots = member.shared().items(&order).map(|(dot, _)| dot.clone());
                let dots: Vec<_> = dots.take(100).collect();
                Some(member.take_away(dots, now))
            }
            _ => None,
        };
        if dies {
            // Nothing of it came to the disk, so nobody was told a number.
            self.power_off(till);
            return;
        }
        let (receipt, _) = self.save(till, sold);
        assert!(self.numbers.insert(receipt.clone()), "{receipt} twice");
        self.sold.insert(receipt);
        let ticket = self.save(till, ticket);
        assert!(self.numbers.insert(ticket.clone()), "{ticket} twice");
        if let Some(changed) = order_changed {
            self.save(till, changed.unwrap());
        }
        self.drain(till);
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.next().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.deliver();
            for till in 0..self.tills.len() {
                let now = self.moment(till);
                let due = self.tills[till].timeout.is_some_and(|due| due <= self.now);
                if let Some(member) = self.tills[till].member.as_mut().filter(|_| due) {
                    member.handle_timeout(now);
                    self.drain(till);
                }
            }
        }
        self.now = end;
    }

    fn next(&self) -> Option<Duration> {
        let letter = self.due.peek().map(|Reverse((due, _))| *due);
        let timers = self.tills.iter().filter_map(|till| till.timeout);
        timers.chain(letter).min()
    }

    fn deliver(&mut self) {
        while let Some(Reverse((due, number))) = self.due.peek().copied() {
            if due > self.now {
                break;
            }
            self.due.pop();
            let Some(Letter { from, to, bytes }) = self.letters.remove(&number) else {
                continue;
            };
            let now = self.moment(to);
            let connected = self.tills[from].part == self.tills[to].part;
            let Some(member) = self.tills[to].member.as_mut().filter(|_| connected) else {
                continue;
            };
            member.handle_message(&id(from), Message::from_bytes(&bytes).unwrap(), now);
            self.drain(to);
        }
    }

    fn drain(&mut self, till: usize) {
        loop {
            if self.tills[till].outputs_left == Some(0) {
                self.power_off(till);
            }
            let Some(member) = self.tills[till].member.as_mut() else {
                return;
            };
            let Some(output) = member.poll_output() else {
                let timeout = member.poll_timeout().duration_since(self.begin);
                self.tills[till].timeout = Some(timeout);
                return;
            };
            if let Some(left) = self.tills[till].outputs_left.as_mut() {
                *left -= 1;
            }
            match output {
                Output::Write(writes) => write(&mut self.tills[till].disk, &writes),
                Output::Send { to, message } => self.post(till, number_of(&to), &message),
            }
        }
    }

    fn post(&mut self, from: usize, to: usize, message: &Message) {
        let copies = match self.chance.below(1000) {
            it if it < LOST => 0,
            it if it < LOST + TWICE => 2,
            _ => 1,
        };
        for _ in 0..copies {
            self.posted += 1;
            let late = Duration::from_millis(1 + self.chance.below(LATE));
            self.due.push(Reverse((self.now + late, self.posted)));
            let bytes = message.to_bytes();
            self.letters.insert(self.posted, Letter { from, to, bytes });
        }
    }

    fn save<T>(&mut self, till: usize, unsaved: Unsaved<T>) -> T {
        write(&mut self.tills[till].disk, unsaved.writes());
        unsaved.once_saved()
    }

    fn moment(&self, till: usize) -> Moment {
        let right = 1_800_000_000_000 + i64::try_from(self.now.as_millis()).unwrap();
        Moment {
            instant: self.begin + self.now,
            wall: u64::try_from(right + self.tills[till].off).unwrap(),
        }
    }

    /// Who all who are there say coordinates, if they agree, it is one of them, and it knows.
    pub(crate) fn coordinator(&self) -> Option<usize> {
        let mut fences = BTreeSet::new();
        for till in 0..self.tills.len() {
            if let Some(member) = &self.tills[till].member {
                fences.insert(member.coordinator(self.moment(till))?.clone());
            }
        }
        let fence: Fence = fences.pop_first().filter(|_| fences.is_empty())?;
        Some(number_of(&fence.holder)).filter(|holder| self.is_on(*holder))
    }

    /// Whether all know the same, and say the same of it.
    pub(crate) fn is_converged(&self) -> bool {
        let mut members = self.tills.iter().map(|till| till.member.as_ref());
        let Some(Some(first)) = members.next() else {
            return false;
        };
        let known = first.shared().vector();
        members.all(|member| {
            member.is_some_and(|member| {
                member.shared().vector() == known && member.shared().all().eq(first.shared().all())
            })
        })
    }

    /// The receipts of the sales that a till knows.
    pub(crate) fn sales(&self, till: usize) -> BTreeSet<String> {
        let member = self.tills[till].member.as_ref().unwrap();
        let sales = "sales".parse().unwrap();
        let sales = member.shared().items(&sales);
        sales
            .map(|(_, value)| String::from_utf8(value.to_vec()).unwrap())
            .collect()
    }

    pub(crate) fn forked(&self) -> usize {
        let members = self.tills.iter().filter_map(|till| till.member.as_ref());
        members.map(|member| member.forked().count()).sum()
    }
}

fn write(disk: &mut BTreeMap<Vec<u8>, Vec<u8>>, writes: &[outgate_neighbours::Write]) {
    for write in writes {
        match &write.value {
            Some(value) => disk.insert(write.key.clone(), value.clone()),
            None => disk.remove(&write.key),
        };
    }
}

fn site() -> SiteId {
    "shop-1".parse().unwrap()
}

fn site_key() -> Signer {
    Signer::from_seed("site", &[255; 32]).unwrap()
}

fn id(till: usize) -> MemberId {
    format!("till-{till:02}").parse().unwrap()
}

fn number_of(id: &MemberId) -> usize {
    id.as_str()[5..].parse().unwrap()
}

fn signer(till: usize) -> Signer {
    Signer::from_seed(id(till).as_str(), &[u8::try_from(till).unwrap() + 1; 32]).unwrap()
}

fn roster(tills: usize) -> Vec<u8> {
    let listed = |till: usize| Listed {
        id: id(till),
        key: signer(till).verifying_key(),
        roles: Vec::new(),
        priority: if till % 4 == 2 { 1 } else { 2 },
        not_after: u64::MAX,
    };
    let roster = Roster {
        site: site(),
        epoch: 1,
        members: (0..tills).map(listed).collect(),
        revoked: Vec::new(),
    };
    roster.signed(&site_key()).unwrap()
}
