//! What the commands share that ask a hub: which hub, how to ask it, how to show the answer.

use std::ffi::OsString;
use std::path::Path;

use clap::Args;
use futures_util::{Stream, TryStreamExt};
use outgate_client::{Client, Context, ContextError, Contexts, Error, Token, Trust};
use serde::Serialize;

pub(crate) use crate::answer::{VERSION, or_dash, properties, rows, versioned, wait};
use crate::output::{Failure, json, print, read_bounded, say};

pub(crate) mod ask;
pub(crate) mod content;
pub(crate) mod lasting;
pub(crate) mod payload;
pub(crate) mod secret;

/// The most bytes of a file with a token.
const MAX_TOKEN_FILE: usize = 4 * 1024;

/// The most bytes of a file with certificates of authorities.
pub(crate) const MAX_CA_FILE: usize = 256 * 1024;

/// Which hub, and how to show its answer.
#[derive(Args)]
pub(crate) struct Remote {
    /// The context to use, in place of the current one (see `outgate context`)
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A list of a hub, and how much of it to show.
#[derive(Args)]
pub(crate) struct Listing {
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// Show at most so many
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
}

impl Remote {
    /// A client of the hub that is meant.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(&self.context()?)?)
    }

    /// The context that is meant: `--context`, else the environment, else the current one.
    pub(crate) fn context(&self) -> Result<Context, Failure> {
        if self.context.is_none()
            && let Some(context) = from_environment(&|name| std::env::var_os(name))?
        {
            return Ok(context);
        }
        let contexts = Contexts::read(&path()?)?;
        let Some(name) = self.context.as_deref().or(contexts.current()) else {
            return Err(Failure::input(
                "no hub is known: `outgate login https://HUB`, or set OUTGATE_HUB and OUTGATE_TOKEN_FILE",
            ));
        };
        Ok(contexts.get(name)?.clone())
    }

    /// Whether JSON is wanted.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Prints `value` under `name` as JSON, or else the rows for people.
    pub(crate) fn show<T: Serialize>(
        &self,
        name: &str,
        value: &T,
        people: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            json(&versioned(name, value)?)
        } else {
            print(&people(value))
        }
    }
}

impl Listing {
    /// Prints the list of `items` under `name`: JSON, or a table with `headings` and a row an
    /// item.
    pub(crate) async fn show<T: Serialize, S: Stream<Item = Result<T, Error>>, const N: usize>(
        &self,
        name: &str,
        items: impl FnOnce(&Client) -> S,
        headings: [&str; N],
        row: impl Fn(&T) -> [String; N],
    ) -> Result<(), Failure> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut items = std::pin::pin!(items(&self.remote.client()?));
        let mut found = Vec::new();
        let mut more = false;
        while let Some(item) = items.try_next().await? {
            if found.len() >= limit {
                more = true;
                break;
            }
            found.push(item);
        }
        self.remote
            .show(name, &found, |found| rows(headings, found.iter().map(row)))?;
        if more {
            say(&format!("there are more than {limit}; see --limit"));
        }
        Ok(())
    }
}

/// Where contexts are kept.
pub(crate) fn path() -> Result<std::path::PathBuf, Failure> {
    Ok(Contexts::path(|name| std::env::var_os(name))?)
}

/// Reads certificates of authorities.
pub(crate) fn read_ca(file: &Path) -> Result<String, Failure> {
    let bytes = read_bounded(file, MAX_CA_FILE).map_err(Failure::Input)?;
    String::from_utf8(bytes)
        .map_err(|_| Failure::input(format!("{} is no PEM: it is not text", file.display())))
}

/// Reads a token.
pub(crate) fn read_token(file: &Path) -> Result<Token, Failure> {
    let bytes = read_bounded(file, MAX_TOKEN_FILE).map_err(Failure::Input)?;
    let text = String::from_utf8_lossy(&bytes);
    Token::new(&text).ok_or_else(|| {
        Failure::input(format!(
            "{} holds no token, or more than one",
            file.display()
        ))
    })
}

/// The context that the environment names, as in a pipeline; none without `OUTGATE_HUB`.
fn from_environment(
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<Context>, Failure> {
    let given = |name| variable(name).filter(|value| !value.is_empty());
    let text = |name: &str, value: OsString| {
        let text = value.into_string();
        text.map_err(|_| Failure::input(format!("{name} is not text")))
    };
    let Some(hub) = given("OUTGATE_HUB") else {
        return Ok(None);
    };
    let token = match (given("OUTGATE_TOKEN_FILE"), given("OUTGATE_TOKEN")) {
        (Some(_), Some(_)) => {
            return Err(Failure::input(
                "OUTGATE_TOKEN_FILE and OUTGATE_TOKEN are both set: which one?",
            ));
        }
        (Some(file), None) => Some(read_token(Path::new(&file))?),
        (None, Some(token)) => {
            let token = Token::new(&text("OUTGATE_TOKEN", token)?);
            Some(token.ok_or_else(|| Failure::input("OUTGATE_TOKEN holds no token"))?)
        }
        (None, None) => None,
    };
    let ca = given("OUTGATE_CA").map(|file| read_ca(Path::new(&file)));
    Ok(Some(Context {
        hub: text("OUTGATE_HUB", hub)?,
        token,
        trust: Trust::System,
        ca: ca.transpose()?,
    }))
}

impl From<ContextError> for Failure {
    fn from(error: ContextError) -> Self {
        Self::Input(error.into())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let wrap = match &error {
            Error::Refused(problem) => match problem.status {
                400 | 404 | 405 | 413..=415 | 422 => Self::Input,
                401 | 403 | 409 | 410 | 412 | 429 | 504 | 507 => Self::Refused,
                _ => Self::Internal,
            },
            Error::Address { .. } | Error::Trust(_) | Error::FleetKey => Self::Input,
            Error::Randomness
            | Error::Clock
            | Error::Unreachable { .. }
            | Error::Silent { .. }
            | Error::Ended { .. }
            | Error::Answer { .. }
            | Error::Stream(_) => Self::Internal,
        };
        wrap(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &'static [(&str, &str)]) -> Result<Option<Context>, Failure> {
        from_environment(&|name| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).into())
        })
    }

    #[test]
    fn the_environment_names_a_hub_only_when_it_says_where() {
        assert!(read(&[("OUTGATE_TOKEN", "x")]).unwrap().is_none());
        assert!(read(&[("OUTGATE_HUB", "")]).unwrap().is_none());
        let context = read(&[("OUTGATE_HUB", "https://a"), ("OUTGATE_TOKEN", "x")])
            .unwrap()
            .unwrap();
        assert_eq!(context.hub, "https://a");
        assert_eq!(context.token.unwrap().expose(), "x");
    }

    #[test]
    fn two_tokens_in_the_environment_are_one_too_many() {
        let both = [
            ("OUTGATE_HUB", "https://a"),
            ("OUTGATE_TOKEN", "x"),
            ("OUTGATE_TOKEN_FILE", "/dev/null"),
        ];
        let refused = from_environment(&|name| {
            let found = both.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).into())
        });
        assert!(matches!(refused, Err(Failure::Input(_))));
    }
}
