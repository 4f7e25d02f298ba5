//! One file a command.

pub(crate) mod audit;
pub(crate) mod call;
pub(crate) mod check;
pub(crate) mod command;
pub(crate) mod completions;
pub(crate) mod consumer;
pub(crate) mod context;
pub(crate) mod demo;
pub(crate) mod device;
pub(crate) mod events;
pub(crate) mod fleet_key;
pub(crate) mod flows;
pub(crate) mod hub;
pub(crate) mod lab;
pub(crate) mod lint;
pub(crate) mod login;
pub(crate) mod operator;
pub(crate) mod page;
pub(crate) mod profiles;
pub(crate) mod rules;
pub(crate) mod service;
pub(crate) mod session;
pub(crate) mod site;
pub(crate) mod status;
pub(crate) mod twin;
pub(crate) mod webhook;
