//! `outgate logs`.

use std::ops::ControlFlow;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use outgate_client::{Client, LogFilter, LogRecord, Tailed};
use outgate_wire::otlp::{SEVERITIES, severity_name};
use serde_json::Value;

use crate::output::{Failure, print_more, say};
use crate::remote::lasting::moment;
use crate::remote::{Remote, versioned, wait};
use crate::table::harmless;

/// How many records are asked for at a time.
const AT_A_TIME: u32 = 500;

/// `outgate logs`: what a device logs.
#[derive(Args)]
#[command(
    after_help = "Times are those at which the hub took a record; --json tells the device's own \
as well, with an object a line. The expression of --grep is one of Rust's regex crate; it is \
looked for in the body and in each attribute, as `name=value`. With --follow a broken connection \
is taken up again where it broke off, without loss.

Examples:
  outgate logs till-7 --since 2h --severity warn
  outgate logs till-7 --follow --grep 'timeout|refused'
  outgate logs till-7 --since 2026-11-22 --until 2026-11-23 --json | jq -r .log.body"
)]
pub(crate) struct LogsArgs {
    /// The device
    device: String,
    /// Only those since so long ago, or since this moment: 2h, 2026-11-22, 2026-11-22T09:30:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<String>,
    /// Only those before this moment, in the same words
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<String>,
    /// Only those at least so bad
    #[arg(long, value_enum)]
    severity: Option<Severity>,
    /// Only those in which this regular expression is found
    #[arg(long, value_name = "EXPRESSION")]
    grep: Option<String>,
    /// Wait for those that come, until Ctrl-C
    #[arg(long, short, conflicts_with = "until")]
    follow: bool,
    #[command(flatten)]
    remote: Remote,
}

/// How bad something is, in OpenTelemetry's words.
#[derive(Clone, Copy, ValueEnum)]
enum Severity {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Severity {
    /// The lowest number that means it.
    fn number(self) -> u8 {
        SEVERITIES[self as usize].0
    }
}

impl LogsArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.show_all())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn show_all(self) -> Result<(), Failure> {
        let client = self.remote.client()?;
        let filter = LogFilter {
            since: self.since.clone(),
            until: self.until.clone(),
            severity: self.severity.map(Severity::number),
            grep: self.grep.clone(),
        };
        // With --follow alone those that come; with --since those before them too.
        let place = if self.follow && self.since.is_none() {
            None
        } else {
            let Some(place) = self.kept(&client, &filter).await? else {
                return Ok(());
            };
            Some(place)
        };
        if self.follow {
            self.follow(&client, &filter, place).await?;
        }
        Ok(())
    }

    /// Shows those that are kept, and gives the place up to which there was something to look at;
    /// none when nobody reads on.
    async fn kept(&self, client: &Client, filter: &LogFilter) -> Result<Option<u64>, Failure> {
        let (mut place, mut newest) = (0, None);
        loop {
            let part = client.logs(&self.device, filter, place, AT_A_TIME).await?;
            // What comes meanwhile is left to the next time, or this would never end.
            let newest = *newest.get_or_insert(part.newest);
            for log in part.items.iter().filter(|log| log.place <= newest) {
                if self.show(log)?.is_break() {
                    return Ok(None);
                }
            }
            if part.next >= newest || part.next <= place {
                return Ok(Some(newest));
            }
            place = part.next;
        }
    }

    async fn follow(
        &self,
        client: &Client,
        filter: &LogFilter,
        place: Option<u64>,
    ) -> Result<(), Failure> {
        let mut tail = client.follow_logs(&self.device, filter, place);
        loop {
            match tail.next().await? {
                Tailed::Item(log) => {
                    if self.show(&log)?.is_break() {
                        return Ok(());
                    }
                }
                Tailed::Broken { why, wait } => {
                    let wait = wait.as_secs_f32();
                    say(&format!("{why}; trying again in {wait:.1} s"));
                }
            }
        }
    }

    fn show(&self, log: &LogRecord) -> Result<ControlFlow<()>, Failure> {
        if self.remote.json() {
            return print_more(&format!("{}\n", versioned("log", log)?));
        }
        print_more(&format!("{}\n", line(log)))
    }
}

/// A record in one line for people.
fn line(log: &LogRecord) -> String {
    let severity = log.severity.and_then(severity_name);
    let severity = severity.unwrap_or(&log.severity_text);
    let mut text = format!("{}  {severity:5}  {}", log.received, plain(&log.body));
    for (name, value) in &log.attributes {
        text.push_str(&format!("  {name}={}", plain(value)));
    }
    harmless(&text).replace('\n', "\u{23ce}")
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(severity: Option<u8>, body: Value) -> LogRecord {
        let told = serde_json::json!({
            "place": 7, "device": "till-7", "site": "lund", "received": "2026-11-22T09:30:00Z",
            "severity": severity, "severity_text": "odd", "body": body,
            "attributes": { "tries": 3, "who": "b\u{1b}[31m" }, "resource": {},
        });
        serde_json::from_value(told).unwrap()
    }

    #[test]
    fn a_record_takes_one_line_and_steers_no_terminal() {
        let text = line(&record(Some(14), "no\nanswer".into()));
        assert_eq!(
            text,
            "2026-11-22T09:30:00Z  WARN   no\u{23ce}answer  tries=3  who=b\u{fffd}[31m"
        );
        let text = line(&record(None, Value::Null));
        assert!(
            text.starts_with("2026-11-22T09:30:00Z  odd      tries=3"),
            "{text}"
        );
    }

    #[test]
    fn severities_are_those_of_opentelemetry() {
        for one in Severity::value_variants() {
            let name = severity_name(one.number()).unwrap();
            let word = one.to_possible_value().unwrap();
            assert_eq!(name.to_lowercase(), word.get_name());
        }
        assert_eq!(
            [0, 4, 12, 24].map(severity_name),
            [None, Some("TRACE"), Some("INFO"), Some("FATAL")]
        );
    }
}
