//! `outgate context`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use outgate_client::{Context, Contexts, Trust};
use serde::Serialize;

use crate::output::{Failure, json, print, say};
use crate::remote::{path, properties, rows, versioned};

/// `outgate context`: the hubs that are known.
#[derive(Args)]
#[command(
    after_help = "Contexts are kept in ~/.config/outgate/contexts.toml (or where \
XDG_CONFIG_HOME or OUTGATE_CONFIG says), readable by you alone. `outgate login` makes them.

Examples:
  outgate context list
  outgate context use local"
)]
pub(crate) struct ContextArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// List them; the current one is marked.
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Use another one from now on.
    Use {
        /// Which
        name: String,
    },
    /// Show one, without its token.
    Show {
        /// Which; the current one otherwise
        name: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget one and its token. The token stays valid until it is revoked at the hub.
    Remove {
        /// Which
        name: String,
    },
}

/// A context as it may be shown.
#[derive(Serialize)]
struct View<'a> {
    name: &'a str,
    current: bool,
    hub: &'a str,
    token: bool,
    trust: Trust,
    ca: bool,
}

impl ContextArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self.act {
            Act::List { json } => list(json)?,
            Act::Use { name } => {
                Contexts::update(&path()?, |contexts| contexts.choose(&name))?;
                say(&format!("{name} is used from now on"));
            }
            Act::Show { name, json } => show(name, json)?,
            Act::Remove { name } => {
                Contexts::update(&path()?, |contexts| contexts.remove(&name))?;
                say(&format!("{name} is forgotten"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(as_json: bool) -> Result<(), Failure> {
    let contexts = Contexts::read(&path()?)?;
    let current = contexts.current();
    let views: Vec<_> = contexts
        .iter()
        .map(|(name, context)| view(name, current, context))
        .collect();
    if as_json {
        return json(&versioned("contexts", &views)?);
    }
    let mark = |current| if current { "*" } else { "" };
    print(&rows(
        ["", "name", "hub"],
        views
            .iter()
            .map(|one| [mark(one.current).into(), one.name.into(), one.hub.into()]),
    ))
}

fn show(name: Option<String>, as_json: bool) -> Result<(), Failure> {
    let contexts = Contexts::read(&path()?)?;
    let current = contexts.current();
    let Some(name) = name.as_deref().or(current) else {
        return Err(Failure::input("no context is in use; name one"));
    };
    let context = contexts.get(name)?;
    let view = view(name, current, context);
    if as_json {
        return json(&versioned("context", &view)?);
    }
    let trust = match (context.trust, &context.ca) {
        (Trust::System, None) => "this machine's authorities",
        (Trust::System, Some(_)) => "this machine's authorities and its own",
        (Trust::Pinned, _) => "its own authority alone",
    };
    let token = if view.token { "kept" } else { "none" };
    print(&properties([
        ("name", name.to_owned()),
        ("hub", context.hub.clone()),
        ("token", token.to_owned()),
        ("trust", trust.to_owned()),
    ]))
}

fn view<'a>(name: &'a str, current: Option<&str>, context: &'a Context) -> View<'a> {
    View {
        name,
        current: current == Some(name),
        hub: &context.hub,
        token: context.token.is_some(),
        trust: context.trust,
        ca: context.ca.is_some(),
    }
}
