//! Numbers that look random and are the same for the same seed.

/// SplitMix64.
pub(super) struct Chance(u64);

impl Chance {
    /// Of the seed that `MEMBERS_SEED` says, or of one of its own, which it prints.
    pub(super) fn new() -> Self {
        let said = std::env::var("MEMBERS_SEED").ok();
        let own = || u64::from(std::process::id()) ^ since_1970();
        let seed = said.map_or_else(own, |seed| seed.parse().unwrap());
        println!("MEMBERS_SEED={seed}");
        Self(seed)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }
}

fn since_1970() -> u64 {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_secs()
}
