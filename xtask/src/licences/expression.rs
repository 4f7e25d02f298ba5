//! SPDX licence expressions (SPDX 2.3, annex D).

use anyhow::{Result, bail};

/// Whether the licences in `allowed` are enough to satisfy `expression`.
///
/// # Errors
///
/// When the expression is not well formed.
pub(super) fn satisfied_by(expression: &str, allowed: &[String]) -> Result<bool> {
    // crates.io still holds packages that write `/` for OR, as it once asked them to.
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut parser = Parser {
        words: spaced.split_whitespace().collect(),
        at: 0,
        allowed,
    };
    let satisfied = parser.any()?;
    match parser.next() {
        None => Ok(satisfied),
        Some(word) => bail!("`{word}` was not expected in licence `{expression}`"),
    }
}

struct Parser<'a> {
    words: Vec<&'a str>,
    at: usize,
    allowed: &'a [String],
}

impl<'a> Parser<'a> {
    /// Parts joined by OR, which binds more loosely than AND.
    fn any(&mut self) -> Result<bool> {
        let mut satisfied = self.all()?;
        while self.takes("OR") {
            satisfied |= self.all()?;
        }
        Ok(satisfied)
    }

    /// Parts joined by AND.
    fn all(&mut self) -> Result<bool> {
        let mut satisfied = self.one()?;
        while self.takes("AND") {
            satisfied &= self.one()?;
        }
        Ok(satisfied)
    }

    /// A licence, perhaps with an exception, or an expression in parentheses.
    fn one(&mut self) -> Result<bool> {
        match self.next() {
            None | Some("OR" | "AND" | "WITH" | ")") => bail!("a licence was expected"),
            Some("(") => {
                let satisfied = self.any()?;
                if !self.takes(")") {
                    bail!("a closing parenthesis was expected");
                }
                Ok(satisfied)
            }
            Some(licence) if self.takes("WITH") => {
                let Some(exception) = self.next() else {
                    bail!("an exception was expected after WITH");
                };
                Ok(self.allows(&format!("{licence} WITH {exception}")))
            }
            Some(licence) => Ok(self.allows(licence)),
        }
    }

    fn allows(&self, licence: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed == licence)
    }

    fn takes(&mut self, word: &str) -> bool {
        let taken = self.words.get(self.at) == Some(&word);
        self.at += usize::from(taken);
        taken
    }

    fn next(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.at).copied();
        self.at += 1;
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn or_needs_one_and_and_needs_both() {
        assert!(check("MIT OR GPL-2.0"));
        assert!(!check("MIT AND GPL-2.0"));
        assert!(check("MIT AND ISC"));
    }

    #[test]
    fn and_binds_tighter_than_or() {
        assert!(check("MIT OR GPL-2.0 AND GPL-3.0"));
        assert!(!check("(MIT OR GPL-2.0) AND GPL-3.0"));
        assert!(check("(MIT OR GPL-2.0) AND ISC"));
    }

    #[test]
    fn an_exception_belongs_to_its_licence() {
        assert!(check("Apache-2.0 WITH LLVM-exception"));
        assert!(!check("Apache-2.0"));
        assert!(!check("ISC WITH LLVM-exception"));
    }

    #[test]
    fn the_old_slash_means_or() {
        assert!(check("MIT/GPL-2.0"));
    }

    #[test]
    fn what_is_not_well_formed_is_an_error() {
        for broken in ["", "MIT OR", "(MIT", "MIT ISC", "MIT WITH", "AND MIT", "()"] {
            assert!(satisfied_by(broken, &allowed()).is_err(), "{broken}");
        }
    }

    fn check(expression: &str) -> bool {
        satisfied_by(expression, &allowed()).unwrap()
    }

    fn allowed() -> Vec<String> {
        ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]
            .map(str::to_owned)
            .to_vec()
    }
}
