//! From the call that revokes a device to the end of everything that it has open, among ten
//! thousand live connections of others.

mod channels;
mod held;

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::json;

use crate::raw::Link;
use crate::report::percentile;
use crate::servers::{Programs, Stage};
use channels::{Bench, Channel, Doomed};
use held::Held;

/// Live connections of others.
const LIVE: usize = 10_000;

/// Devices that are revoked, one after the other.
const REVOKED: usize = 200;

/// Connections that are made at a time.
const AT_A_TIME: usize = 64;

/// How long one may take to end before something is wrong.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// How long something took, each time.
struct Times {
    what: &'static str,
    from_call: Vec<Duration>,
    /// How often it came after the revocation was answered.
    late: usize,
}

/// Measures, prints, and writes JSON to `json`.
pub(crate) async fn run(
    programs: &Programs,
    share: usize,
    json: Option<&Path>,
) -> anyhow::Result<()> {
    let stage = Stage::new()?;
    let held = Held::start().await?;
    let server = stage.hub_with(programs, &held.configured()).await?;
    let (live, revoked) = (LIVE / share, REVOKED / share);
    let _others: Vec<Link> = stream::iter(0..live)
        .map(|number| {
            let (target, login) = (&server.target, &server.login);
            async move { Link::open(target, &format!("bench/{number}"), login).await }
        })
        .buffer_unordered(AT_A_TIME)
        .try_collect()
        .await?;
    let mut bench = Bench::new(&server, held).await?;
    let mut all: Vec<Times> = Channel::ALL
        .iter()
        .map(|channel| channel.name())
        .chain([ENROLMENT, ANSWER])
        .map(Times::new)
        .collect();
    for number in 0..revoked {
        let doomed = bench.open(&format!("doomed-{number}")).await?;
        let times = revoke(&mut bench, doomed).await?;
        for (all, (took, late)) in all.iter_mut().zip(times) {
            all.from_call.push(took);
            all.late += usize::from(late);
        }
    }
    print(live, revoked, &mut all)?;
    json.map_or(Ok(()), |file| write_json(file, live, &mut all))
}

/// What else is timed beside channels.
const ENROLMENT: &str = "enrolment, refused";
const ANSWER: &str = "the revocation's answer";

/// Revokes a device. Returns for each that is timed how long it took from the call, and whether it
/// came after the answer.
async fn revoke(bench: &mut Bench, doomed: Doomed) -> anyhow::Result<Vec<(Duration, bool)>> {
    let Doomed {
        name,
        mut enrolling,
        open,
    } = doomed;
    let called = Instant::now();
    let revoked = bench.administration.revoke(&name).await?;
    bench.enrol(&mut enrolling, &name).await?;
    let refused = Instant::now();
    let mut times = Vec::new();
    let mut timed = |ended: Instant| {
        let late = ended > revoked.answered;
        times.push((ended.saturating_duration_since(called), late));
    };
    let count = u64::try_from(open.len())?;
    for (channel, ended) in open {
        let ended = tokio::time::timeout(ENDS_WITHIN, ended).await;
        let ended = ended.with_context(|| format!("{} does not end", channel.name()))?;
        timed(ended??);
    }
    timed(refused);
    timed(revoked.answered);
    // A download may be between the file and the same file again.
    let all_ended = (count.saturating_sub(1)..=count).contains(&revoked.ended);
    let told = (revoked.ended, revoked.lingering);
    ensure!(
        all_ended && revoked.lingering == 0,
        "{told:?} ended and lingering, of {count}"
    );
    bench.tidy(&name).await?;
    Ok(times)
}

impl Times {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            from_call: Vec::new(),
            late: 0,
        }
    }

    /// So many of a hundred are not above, in milliseconds.
    fn milliseconds(&mut self, percent: usize) -> f64 {
        percentile(&mut self.from_call, percent).as_secs_f64() * 1e3
    }
}

/// Which are told, by what they are called.
const TOLD: [(&str, usize); 3] = [("p50", 50), ("p99", 99), ("max", 100)];

fn print(live: usize, revoked: usize, all: &mut [Times]) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    let heads = ["what", "p50", "p99", "max", "after the answer"];
    table.set_header(heads);
    for times in all {
        let mut row = vec![times.what.to_owned()];
        row.extend(TOLD.map(|(_, percent)| format!("{:.2} ms", times.milliseconds(percent))));
        row.push(times.late.to_string());
        table.add_row(row);
    }
    writeln!(
        std::io::stdout().lock(),
        "{live} connections of others are live; {revoked} devices with all of these open are revoked,\n\
         one after the other; from the call to the end:\n{table}"
    )?;
    Ok(())
}

fn write_json(file: &Path, live: usize, all: &mut [Times]) -> anyhow::Result<()> {
    let rows = all.iter_mut().map(|times| {
        let mut row = json!({"what": times.what, "late": times.late});
        if let Some(row) = row.as_object_mut() {
            for (name, percent) in TOLD {
                let milliseconds = times.milliseconds(percent);
                row.insert(format!("{name}_milliseconds"), milliseconds.into());
            }
        }
        row
    });
    let all = json!({"schema": 1, "live": live, "rows": rows.collect::<Vec<_>>()});
    std::fs::write(file, serde_json::to_string_pretty(&all)? + "\n")
        .with_context(|| format!("failed to write {}", file.display()))
}
