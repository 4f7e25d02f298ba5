//! Which tests failed and what they said, picked out of what `cargo test` writes, so that the
//! summary can repeat it: who is shown the end of a long log alone finds it there.

use std::collections::VecDeque;
use std::fmt;

/// How many failed tests are repeated with what they said; more are only named.
const WITH_WORDS: usize = 6;
/// How many of a test's last lines are repeated.
const LAST_LINES: usize = 12;
/// How much of a line is repeated, in characters.
const LINE_CHARACTERS: usize = 240;

/// The failed tests of a run.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// Each by its name, with the last lines that it wrote.
    tests: Vec<Failure>,
    reading: bool,
}

#[derive(Debug)]
struct Failure {
    test: String,
    lines: VecDeque<String>,
}

impl Failures {
    /// Takes in one line of output. The harness writes what a failed test said after a line
    /// `---- NAME stdout ----`, and ends them all with a list under `failures:`.
    pub(crate) fn read(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some(test) = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"))
        {
            self.tests.push(Failure {
                test: test.to_owned(),
                lines: VecDeque::new(),
            });
            self.reading = true;
        } else if line == "failures:" || line.starts_with("test result: ") {
            self.reading = false;
        } else if self.reading
            && let Some(failure) = self.tests.last_mut()
        {
            // What a test on a machine of its own has said is one line of whoever started it.
            line.split("\\n").for_each(|line| failure.add(line));
        }
    }
}

impl Failure {
    fn add(&mut self, line: &str) {
        if line.trim().is_empty() || is_of_a_trace(line) {
            return;
        }
        if self.lines.len() == LAST_LINES {
            self.lines.pop_front();
        }
        let line = line.chars().take(LINE_CHARACTERS).collect();
        self.lines.push_back(line);
    }
}

/// Whether it is of a stack's backtrace, which is long, and whose end says nothing.
fn is_of_a_trace(line: &str) -> bool {
    let line = line.trim_start();
    let frame = line.split_once(": ").map(|(number, _)| number);
    line.starts_with("at ")
        || line.starts_with("stack backtrace:")
        || line.starts_with("note: ")
        || frame.is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Each failed test on lines of its own; nothing when none failed.
impl fmt::Display for Failures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, failure) in self.tests.iter().enumerate() {
            writeln!(formatter, "FAILED: {}", failure.test)?;
            if number < WITH_WORDS {
                for line in &failure.lines {
                    writeln!(formatter, "    {line}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &str) -> String {
        let mut failures = Failures::default();
        for line in output.lines() {
            failures.read(line);
        }
        failures.to_string()
    }

    #[test]
    fn a_failed_test_is_named_with_the_last_lines_it_wrote() {
        let said = read(
            "test a::is_red ... FAILED\n\nfailures:\n\n---- a::is_red stdout ----\n\
             thread 'a::is_red' panicked at a.rs:1:2:\nleft: 1\n\n\
             ---- b stdout ----\nno\n\nfailures:\n    a::is_red\n    b\n\n\
             test result: FAILED. 1 passed; 2 failed\nrunning 2 tests\n",
        );
        assert_eq!(
            said,
            "FAILED: a::is_red\n    thread 'a::is_red' panicked at a.rs:1:2:\n    left: 1\n\
             FAILED: b\n    no\n"
        );
    }

    #[test]
    fn of_a_test_that_says_much_the_end_is_repeated() {
        let mut output = "---- a stdout ----\n".to_owned();
        for number in 0..1000 {
            output.push_str(&format!("line {number} {}\n", "x".repeat(1000)));
        }
        let said = read(&output);
        assert_eq!(said.lines().count(), 1 + LAST_LINES);
        assert!(said.contains("line 999") && !said.contains("line 987"));
        assert!(said.len() < (LAST_LINES + 1) * (LINE_CHARACTERS + 8));
    }

    #[test]
    fn what_a_test_on_its_own_machine_said_is_repeated_without_the_stack() {
        let said = read(
            "---- a stdout ----\nthread 'a' panicked at a.rs:1:2:\n\
             error: \"sh\\n\\nrunning 1 test\\n2.7s, never within 2s\\nstack backtrace:\\n\
             \x20  0: main\\n             at ./a.rs:57:5\\nnote: Some details are omitted\\n\"\n\
             stack backtrace:\n   0: __rustc::rust_begin_unwind\n             at /rustc/x.rs:1:2\n",
        );
        let lines = [
            "FAILED: a",
            "    thread 'a' panicked at a.rs:1:2:",
            "    error: \"sh",
            "    running 1 test",
            "    2.7s, never within 2s",
            "    \"",
        ];
        assert_eq!(said.lines().collect::<Vec<_>>(), lines);
    }

    #[test]
    fn nothing_is_said_of_tests_that_passed() {
        assert_eq!(read("running 1 test\ntest a ... ok\n"), "");
    }
}
