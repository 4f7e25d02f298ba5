//! One file a command.

pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod flows;
pub(crate) mod hub;
pub(crate) mod lint;
pub(crate) mod page;
pub(crate) mod profiles;
pub(crate) mod rules;
