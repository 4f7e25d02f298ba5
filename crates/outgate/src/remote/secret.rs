//! What is told only once.

use std::path::PathBuf;

use clap::Args;
use outgate_client::{Given, Issued};
use serde::Serialize;

use super::{Remote, properties, versioned};
use crate::output::{Failure, json, keep_secret, print, say};

/// Where a secret goes.
#[derive(Args)]
pub(crate) struct Out {
    /// Write the secret to this new file, for its owner alone, in place of showing it
    #[arg(long, value_name = "FILE", value_parser = new_file)]
    out: Option<PathBuf>,
}

/// A file that is not there yet, in a folder that is: told before anything is made at the hub, as
/// a secret that cannot be written would be lost.
fn new_file(text: &str) -> Result<PathBuf, String> {
    let file = PathBuf::from(text);
    if file.symlink_metadata().is_ok() {
        return Err("there is such a file already; it would be written over".to_owned());
    }
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => Err(format!("{} is no folder", folder.display())),
        Some(_) | None => Ok(file),
    }
}

impl Out {
    /// Tells what was made, under `name`: in the file as JSON, else as JSON or for people.
    pub(crate) fn tell<T: Serialize>(
        &self,
        remote: &Remote,
        name: &str,
        value: &T,
        people: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let Some(file) = &self.out else {
            if remote.json() {
                return json(&versioned(name, value)?);
            }
            print(&people(value))?;
            say("this is shown only now: keep it");
            return Ok(());
        };
        let text = serde_json::to_string_pretty(&versioned(name, value)?)
            .map_err(|error| Failure::Internal(error.into()))?;
        self.keep(file, &format!("{text}\n"))
    }

    /// Tells of a token: the file then holds nothing else, so that it can be given to
    /// `outgate login`.
    pub(crate) fn tell_token<T: Serialize>(
        &self,
        remote: &Remote,
        name: &str,
        value: &T,
        issued: &Issued,
    ) -> Result<(), Failure> {
        let secret = secret(&issued.given);
        self.tell_alone(remote, name, value, &secret, |_| issued_lines(issued))
    }

    /// As [`Self::tell`], but the file then holds the secret and nothing else.
    pub(crate) fn tell_alone<T: Serialize>(
        &self,
        remote: &Remote,
        name: &str,
        value: &T,
        secret: &str,
        people: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        match &self.out {
            Some(file) => self.keep(file, &format!("{secret}\n")),
            None => self.tell(remote, name, value, people),
        }
    }

    fn keep(&self, file: &std::path::Path, text: &str) -> Result<(), Failure> {
        keep_secret(text, file)?;
        say(&format!(
            "written to {}, and told only there",
            file.display()
        ));
        Ok(())
    }
}

/// A new credential for people.
pub(crate) fn issued_lines(issued: &Issued) -> String {
    let kind = match &issued.given {
        Given::Key(_) => "key",
        Given::Token(_) => "token",
        Given::Certificate(_) => "certificate",
        Given::Nothing => "nothing",
    };
    let mut pairs = vec![("credential", issued.credential.id.clone())];
    if !issued.credential.label.is_empty() {
        pairs.push(("label", issued.credential.label.clone()));
    }
    if let Some(expires) = &issued.credential.expires {
        pairs.push(("expires", expires.clone()));
    }
    let secret = secret(&issued.given);
    if !secret.is_empty() {
        pairs.push((kind, secret));
    }
    properties(pairs)
}

fn secret(given: &Given) -> String {
    match given {
        Given::Key(text) | Given::Token(text) => text.expose().to_owned(),
        Given::Certificate(chain) => chain.clone(),
        Given::Nothing => String::new(),
    }
}
