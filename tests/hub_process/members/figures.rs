//! How long something took, and whether that is to be held against the agents.

use std::collections::HashMap;
use std::time::Duration;
use std::{fmt, fs};

/// How often it is measured at least, and how many rounds on a quiet machine are held against the
/// agents.
const ROUNDS: usize = 3;
/// How often it is measured at most.
const ROUNDS_MAX: usize = 6;
/// The share of the processors that others may have on a quiet machine. With a sixth of them gone to
/// tests beside it, sixteen agents of a build without optimization took 2.7 s at the worst.
const OTHERS_MAX: f64 = 0.05;

/// How long each round took. The best one counts, for what comes in between makes it longer only. If
/// others have so much of the processors that there are too few quiet rounds, none counts.
pub(super) struct Figures {
    bound: Duration,
    rounds: Vec<Round>,
}

struct Round {
    took: Duration,
    /// The share of the processors that others had meanwhile.
    others: f64,
}

impl Figures {
    /// None yet; the best one is to be shorter than this.
    pub(super) fn within(bound: Duration) -> Self {
        Self {
            bound,
            rounds: Vec::new(),
        }
    }

    /// Takes down a round, which says how long it took.
    pub(super) async fn measure(&mut self, round: impl Future<Output = Duration>) {
        let before = Used::now();
        let took = round.await;
        let others = before.by_others();
        self.rounds.push(Round { took, others });
    }

    /// Whether it is to be measured again.
    pub(super) fn want_more(&self) -> bool {
        let enough = self.is_kept() || self.count();
        self.rounds.len() < ROUNDS || (!enough && self.rounds.len() < ROUNDS_MAX)
    }

    /// Fails if the bound is not kept to on a machine that is quiet enough.
    pub(super) fn judge(&self) {
        if !self.is_kept() && !self.count() {
            println!("the machine is too busy: how long it took does not count");
            return;
        }
        assert!(self.is_kept(), "{self}, never within {:?}", self.bound);
    }

    fn is_kept(&self) -> bool {
        self.rounds.iter().any(|round| round.took < self.bound)
    }

    fn count(&self) -> bool {
        let quiet = |round: &&Round| round.others <= OTHERS_MAX;
        self.rounds.iter().filter(quiet).count() >= ROUNDS
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, Round { took, others }) in self.rounds.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            let percent = others * 100.0;
            write!(f, "{comma}{took:.1?} (others had {percent:.0} %)")?;
        }
        Ok(())
    }
}

/// What was used of the processors until now, in the kernel's ticks.
struct Used {
    /// What there was, used or not.
    all: u64,
    /// What anybody used.
    used: u64,
    /// What each process of this test used: they are alone in their namespace.
    own: HashMap<u32, u64>,
}

impl Used {
    fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap();
        let cpu = stat.lines().next().unwrap().split_whitespace().skip(1);
        let cpu: Vec<u64> = cpu.map(|number| number.parse().unwrap()).collect();
        let processes = fs::read_dir("/proc").unwrap().map(Result::unwrap);
        let numbers = processes.filter_map(|it| it.file_name().to_str()?.parse().ok());
        Self {
            // Without guests, which are users, too (proc(5)).
            all: cpu.iter().take(8).sum(),
            // User, nice, system, and what other virtual machines have stolen.
            used: [0, 1, 2, 7].iter().map(|place| cpu[*place]).sum(),
            own: numbers
                .filter_map(|it| Some((it, of_process(it)?)))
                .collect(),
        }
    }

    /// The share of the processors that others have had since.
    fn by_others(&self) -> f64 {
        let now = Self::now();
        let own = now.own.iter().map(|(process, ticks)| {
            let before = self.own.get(process).copied().unwrap_or_default();
            ticks.saturating_sub(before)
        });
        let others = (now.used - self.used).saturating_sub(own.sum());
        others as f64 / (now.all - self.all).max(1) as f64
    }
}

/// What a process has used; none if it is gone.
fn of_process(number: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    // Its name may have spaces in it.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields = fields.split_whitespace().skip(11).take(2);
    Some(fields.map(|ticks| ticks.parse::<u64>().unwrap()).sum())
}
