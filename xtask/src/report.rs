//! What is printed: progress and results on standard output, errors on standard error.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

/// Prints one line. A closed pipe is no reason to stop the work.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Prints the heading of a step.
pub(crate) fn heading(name: impl Display) {
    say(format_args!("\n=== {name}"));
}

/// Prints an error with its chain of causes.
pub(crate) fn complain(error: &anyhow::Error) {
    let _ = writeln!(io::stderr().lock(), "error: {error:#}");
}

/// Prints each finding on a line of its own and tells whether there was none.
pub(crate) fn findings(subject: &str, findings: &[String]) -> bool {
    for finding in findings {
        say(format_args!("{subject}: {finding}"));
    }
    if findings.is_empty() {
        say(format_args!("{subject}: nothing found"));
    }
    findings.is_empty()
}

/// A duration as a person reads it: `0.4 s`, `83 s`.
pub(crate) fn seconds(took: Duration) -> String {
    if took < Duration::from_secs(10) {
        format!("{:.1} s", took.as_secs_f64())
    } else {
        format!("{} s", took.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_times_show_tenths_and_long_times_do_not() {
        assert_eq!(seconds(Duration::from_millis(430)), "0.4 s");
        assert_eq!(seconds(Duration::from_millis(83_900)), "83 s");
    }
}
