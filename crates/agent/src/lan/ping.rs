//! A bound on how many pings the device answers: a table of its own in the machine's packet filter
//! (nftables), which is there as long as the agent runs.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use outgate_manifest::document::flow::{Period, Rate};
use outgate_manifest::{Lane, Target};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::chain::chain;
use crate::config;
use crate::status::{self, Board, Limit};

/// The table that is the agent's own; all others are left alone.
pub const TABLE: &str = "inet outgate_agent";

/// What shows in the agent's folder that there is a table, when the agent was killed.
const MARK: &str = "ping-limit";

/// What pings are in a manifest.
const ECHO: &str = "icmp-echo";

/// Where the packet filter's program is where the path does not lead to it.
const PROGRAMS: [&str; 3] = ["nft", "/usr/sbin/nft", "/sbin/nft"];

/// How long the program may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes that are read of what it complains of.
const COMPLAINT_MAX: u64 = 4096;

/// How often it is looked whether the table is still there: who loads other rules, flushes all.
const LOOK: Duration = Duration::from_secs(60);

/// What to do where it is not allowed.
const ALLOW: &str = "give the agent CAP_NET_ADMIN (with systemd: AmbientCapabilities=CAP_NET_ADMIN \
in a drop-in of its unit), or bound pings in the machine's own rules and set ping.limit = false";
/// What to do where there is no such program.
const INSTALL: &str = "install nftables";

/// How many pings in what time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    times: u16,
    per: &'static str,
}

impl Default for Bound {
    /// One a second.
    fn default() -> Self {
        Self {
            times: 1,
            per: "second",
        }
    }
}

impl From<&Rate> for Bound {
    fn from(rate: &Rate) -> Self {
        let per = match rate.per {
            Period::Second => "second",
            Period::Minute => "minute",
            Period::Hour => "hour",
        };
        let times = rate.at_most.0;
        Self { times, per }
    }
}

impl Bound {
    /// What the lanes of a product say of pings to the device, which is the party of this name; of
    /// several the first.
    #[must_use]
    pub fn of(lanes: &[Lane], device: &str) -> Option<Self> {
        let pings = lanes.iter().filter(|lane| {
            let to_device = matches!(&lane.to, Target::Party(party) if party.as_str() == device);
            to_device && lane.protocol.as_str() == ECHO
        });
        pings
            .filter_map(|lane| lane.rate.as_ref())
            .next()
            .map(Self::from)
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.times, self.per)
    }
}

/// Why there is no bound.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("there is no program nft: {INSTALL}")]
    Missing,
    #[error("nft cannot be run")]
    Run(#[source] io::Error),
    #[error("nft does not end")]
    Late,
    #[error("nft says: {said}; {ALLOW}")]
    NotAllowed { said: String },
    #[error("nft says: {said}")]
    Said { said: String },
}

/// A bound, kept until it is stopped.
#[derive(Debug)]
pub struct Ping {
    end: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Ping {
    /// Has the machine answer at most so many pings, of both families together, where the
    /// configuration says so; else takes away what an agent that was killed has left, which it
    /// knows by a file in its folder `data`. What is not allowed is told on the board.
    #[must_use]
    pub fn start(config: config::Ping, bound: Bound, data: &Path, board: &Board) -> Self {
        let (end, ended) = watch::channel(false);
        let keeper = Keeper {
            bound,
            mark: data.join(MARK),
            board: board.clone(),
        };
        let task = tokio::spawn(async move {
            if config.limit {
                keeper.keep(ended).await;
            } else if keeper.mark.exists() {
                keeper.take_away().await;
            }
        });
        Self { end, task }
    }

    /// Takes the bound away, within seconds.
    pub async fn stop(self) {
        let _ = self.end.send(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the bound on pings has ended by itself");
        }
    }
}

struct Keeper {
    bound: Bound,
    mark: PathBuf,
    board: Board,
}

impl Keeper {
    async fn keep(&self, mut end: watch::Receiver<bool>) {
        loop {
            self.look().await;
            tokio::select! {
                // Nobody is there any more who could say so.
                _ = end.wait_for(|end| *end) => break,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        if self.mark.exists() {
            self.take_away().await;
        }
    }

    /// Makes the table where there is none, and shows what came of it.
    async fn look(&self) {
        let table = table(self.bound);
        // One of an agent that was killed may have another rate.
        let is_mine = std::fs::read_to_string(&self.mark).is_ok_and(|made| made == table);
        let is_there = is_mine && nft(&format!("list table {TABLE}\n")).await.is_ok();
        if is_there {
            return self.show(Limit::On, None);
        }
        // Before the table is there, so that it is never there without the mark.
        if let Err(error) = std::fs::write(&self.mark, &table) {
            let text = format!("the agent's folder cannot be written: {}", chain(&error));
            return self.show(Limit::Failed, Some(text));
        }
        match nft(&table).await {
            Ok(()) => self.show(Limit::On, None),
            Err(refused) => {
                let _ = std::fs::remove_file(&self.mark);
                self.show(Limit::Failed, Some(chain(&refused)));
            }
        }
    }

    async fn take_away(&self) {
        match nft(&gone()).await {
            Ok(()) => drop(std::fs::remove_file(&self.mark)),
            Err(refused) => {
                let why = chain(&refused);
                self.tell(format!("the bound on pings cannot be taken away: {why}"));
            }
        }
        self.board
            .write(|status| status.network.ping = status::Ping::default());
    }

    fn show(&self, limit: Limit, reason: Option<String>) {
        let ping = status::Ping {
            limit,
            rate: Some(self.bound.to_string()),
            reason: reason.clone(),
        };
        if self.board.status().network.ping == ping {
            return;
        }
        self.board.write(|status| status.network.ping = ping);
        if let Some(reason) = reason {
            self.tell(format!("there is no bound on pings: {reason}"));
        }
    }

    fn tell(&self, text: String) {
        tracing::warn!("{text}");
        self.board.note("ping", text);
    }
}

/// The table, in place of one that may be there, in one step. What comes beyond the bound goes to
/// nobody; the machine's own pings to itself are no part of it.
fn table(bound: Bound) -> String {
    let gone = gone();
    format!(
        "{gone}table {TABLE} {{
    limit pings {{ rate {bound} burst 1 packets; }}
    chain input {{
        type filter hook input priority filter; policy accept;
        iif \"lo\" accept
        icmp type echo-request limit name \"pings\" accept
        icmp type echo-request drop
        icmpv6 type echo-request limit name \"pings\" accept
        icmpv6 type echo-request drop
    }}
}}
"
    )
}

/// No table, whether there was one or not.
fn gone() -> String {
    format!("add table {TABLE}\ndelete table {TABLE}\n")
}

/// Has the packet filter do this: all of it or nothing.
async fn nft(script: &str) -> Result<(), Refused> {
    let done = timeout(PATIENCE, run(script)).await;
    done.unwrap_or(Err(Refused::Late))
}

async fn run(script: &str) -> Result<(), Refused> {
    let mut child = spawn()?;
    let (input, errors) = (child.stdin.take(), child.stderr.take());
    if let Some(mut input) = input {
        // If it ends before it has read all, it says why.
        let _ = input.write_all(script.as_bytes()).await;
    }
    let mut said = Vec::new();
    if let Some(errors) = errors {
        let read = errors.take(COMPLAINT_MAX).read_to_end(&mut said).await;
        read.map_err(Refused::Run)?;
    }
    let status = child.wait().await.map_err(Refused::Run)?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    let said = said.lines().next().unwrap_or("nothing").trim().to_owned();
    // As the kernel answers, in whatever language the rest is.
    if said.contains("Operation not permitted") {
        return Err(Refused::NotAllowed { said });
    }
    Err(Refused::Said { said })
}

fn spawn() -> Result<tokio::process::Child, Refused> {
    for program in PROGRAMS {
        let spawned = Command::new(program)
            .args(["-f", "-"])
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        match spawned {
            Ok(child) => return Ok(child),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Refused::Run(error)),
        }
    }
    Err(Refused::Missing)
}

#[cfg(test)]
mod tests {
    use outgate_manifest::{Empty, Selection, parse};

    use super::*;

    #[test]
    fn the_bound_is_that_of_the_manifest() {
        let profile = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../profiles/homag-cube.yaml"
        );
        let text = std::fs::read_to_string(profile).unwrap();
        let bound = |text: &str| {
            let manifest = parse("homag-cube.yaml", text, &Empty).unwrap();
            let lanes = manifest.lanes(&Selection::default()).unwrap();
            Bound::of(&lanes, "device").map(|bound| bound.to_string())
        };
        assert_eq!(bound(&text).as_deref(), Some("1/second"));
        let rate = "rate: { at-most: 1, per: second }";
        assert!(text.contains(rate));
        let other = text.replace(rate, "rate: { at-most: 30, per: minute }");
        assert_eq!(bound(&other).as_deref(), Some("30/minute"));
        assert_eq!(bound(&text.replace(rate, "")), None);
    }

    #[test]
    fn the_table_is_replaced_in_one_step_and_has_both_families() {
        let script = table(Bound {
            times: 30,
            per: "minute",
        });
        assert!(
            script.starts_with("add table inet outgate_agent\ndelete table inet outgate_agent\n")
        );
        assert!(script.contains("limit pings { rate 30/minute burst 1 packets; }"));
        for family in ["icmp", "icmpv6"] {
            let rules = format!(
                "{family} type echo-request limit name \"pings\" accept\n        \
                 {family} type echo-request drop"
            );
            assert!(script.contains(&rules), "{script}");
        }
    }
}
