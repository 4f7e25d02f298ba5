//! Figures side by side, and their ratios.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;

/// One figure of one server.
pub(crate) enum Figure {
    /// Things a second, and microseconds of the processor for each.
    Rate {
        per_second: f64,
        processor_micros: f64,
    },
    /// Bytes for each.
    Bytes(u64),
    /// How long it took.
    Time(Duration),
    /// What was done, which has no number.
    Words(String),
}

impl Figure {
    pub(crate) fn rate(things: usize, took: Duration, processor_seconds: f64) -> Self {
        let things = f64::from(u32::try_from(things).unwrap_or(u32::MAX));
        Self::Rate {
            per_second: things / took.as_secs_f64(),
            processor_micros: processor_seconds * 1e6 / things,
        }
    }

    pub(crate) fn bytes(bytes: u64) -> Self {
        Self::Bytes(bytes)
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Rate { per_second, .. } => Some(*per_second),
            Self::Bytes(bytes) => Some(f64::from(u32::try_from(*bytes).unwrap_or(u32::MAX))),
            Self::Time(time) => Some(time.as_secs_f64()),
            Self::Words(_) => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Rate { per_second, .. } => format!("{per_second:.0}/s"),
            Self::Bytes(bytes) => format!("{bytes} B"),
            Self::Time(time) => format!("{:.0} ms", time.as_secs_f64() * 1e3),
            Self::Words(words) => words.clone(),
        }
    }

    /// Where it was measured.
    fn processor_micros(&self) -> Option<f64> {
        match self {
            Self::Rate {
                processor_micros, ..
            } => Some(*processor_micros).filter(|micros| *micros > 0.0),
            Self::Bytes(_) | Self::Time(_) | Self::Words(_) => None,
        }
    }

    fn processor(&self) -> String {
        let micros = self.processor_micros();
        micros.map_or_else(String::new, |micros| format!("{micros:.1} µs"))
    }
}

/// All figures of a run.
pub(crate) struct Report {
    against: &'static str,
    rows: Vec<(String, &'static str, Figure)>,
}

impl Report {
    /// A report whose ratios are to `against`.
    pub(crate) fn new(against: &'static str) -> Self {
        Self {
            against,
            rows: Vec::new(),
        }
    }

    /// Takes a figure, and says it at once: a run takes minutes.
    pub(crate) fn add(&mut self, what: &str, server: &'static str, figure: Figure) {
        let (text, processor) = (figure.text(), figure.processor());
        // Nobody may be listening any more; the table comes all the same.
        let _ = writeln!(
            std::io::stderr().lock(),
            "{server}: {what}: {text} {processor}"
        );
        self.rows.push((what.to_owned(), server, figure));
    }

    /// Prints a table, the figures of one thing together.
    pub(crate) fn print(&self) -> anyhow::Result<()> {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header(["what", "server", "figure", "ratio", "processor for each"]);
        let mut seen: Vec<&str> = Vec::new();
        for (what, ..) in &self.rows {
            if seen.contains(&what.as_str()) {
                continue;
            }
            seen.push(what);
            let of_this = || self.rows.iter().filter(|(other, ..)| other == what);
            for (what, server, figure) in of_this() {
                let ratio = self.ratio(what, figure);
                let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
                table.add_row([what, *server, &figure.text(), &ratio, &figure.processor()]);
            }
        }
        writeln!(std::io::stdout().lock(), "{table}")?;
        Ok(())
    }

    /// A figure beside that of the server that the ratios are to, or else beside the last one.
    fn ratio(&self, what: &str, figure: &Figure) -> Option<f64> {
        let mut of_this = self.rows.iter().filter(|(other, ..)| other == what);
        let base = of_this
            .clone()
            .find(|(_, server, _)| *server == self.against);
        let (.., base) = base.or_else(|| of_this.next_back())?;
        Some(figure.number()? / base.number()?)
    }

    /// Says by which command all of it is measured again.
    pub(crate) fn say_how_to_repeat(
        &self,
        what: &str,
        share: usize,
        only: &str,
    ) -> anyhow::Result<()> {
        let short = if share == 1 { "" } else { " --short" };
        let only = if only.is_empty() {
            String::new()
        } else {
            format!(" --only '{only}'")
        };
        let against = self.against;
        writeln!(
            std::io::stdout().lock(),
            "ratios are to {against}; again: cargo xtask bench {what}{short}{only}"
        )?;
        Ok(())
    }

    /// Writes [`Report::json`] to a file.
    pub(crate) fn write_json(&self, file: &Path) -> anyhow::Result<()> {
        std::fs::write(file, serde_json::to_string_pretty(&self.json())? + "\n")
            .with_context(|| format!("failed to write {}", file.display()))
    }

    /// All figures for programs: times in seconds.
    pub(crate) fn json(&self) -> serde_json::Value {
        let rows = self.rows.iter().map(|(what, server, figure)| {
            serde_json::json!({
                "what": what,
                "server": server,
                "figure": figure.text(),
                "number": figure.number(),
                "processor_micros": figure.processor_micros(),
                "ratio": self.ratio(what, figure),
            })
        });
        serde_json::json!({ "schema": 1, "rows": rows.collect::<Vec<_>>() })
    }
}

/// The figure in the middle, of one that was measured several times; of words the last.
pub(crate) fn median(mut figures: Vec<Figure>) -> anyhow::Result<Figure> {
    let number = |figure: &Figure| figure.number().unwrap_or_default();
    figures.sort_by(|one, other| number(one).total_cmp(&number(other)));
    let middle = figures.len().saturating_sub(1) / 2;
    ensure!(middle < figures.len(), "nothing was measured");
    Ok(figures.swap_remove(middle))
}

/// The time that so many of a hundred are not above.
pub(crate) fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let at = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_figure_in_the_middle() {
        let of = |bytes: &[u64]| median(bytes.iter().copied().map(Figure::bytes).collect());
        assert_eq!(of(&[9, 1, 5]).unwrap().number(), Some(5.0));
        assert_eq!(of(&[2, 1]).unwrap().number(), Some(1.0));
        assert!(of(&[]).is_err());
    }

    #[test]
    fn ratios_are_to_the_server_that_was_named() {
        let mut report = Report::new("base");
        report.add("memory", "ours", Figure::bytes(50));
        report.add("memory", "base", Figure::bytes(200));
        let json = report.json();
        assert_eq!(json["rows"][0]["ratio"], 0.25);
        assert_eq!(json["rows"][1]["ratio"], 1.0);
        let rate = Figure::rate(100, Duration::from_secs(2), 0.001);
        report.add("calls", "ours", rate);
        let json = report.json();
        assert_eq!(json["rows"][2]["number"], 50.0);
        assert_eq!(json["rows"][2]["processor_micros"], 10.0);
    }

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let mut times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut times, 50), Duration::from_millis(100));
        assert_eq!(percentile(&mut times, 99), Duration::from_millis(198));
    }
}
