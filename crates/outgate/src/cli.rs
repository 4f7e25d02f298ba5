//! What can be said on the command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{
    agent::AgentArgs, asset::AssetArgs, audit::AuditArgs, call::CallArgs, check::CheckArgs,
    command::CommandArgs, completions::CompletionsArgs, consumer::ConsumerArgs,
    context::ContextArgs, demo::DemoArgs, device::DeviceArgs, events::EventsArgs,
    fleet_key::FleetKeyArgs, flows::FlowsArgs, hub::HubArgs, lab::LabArgs, lint::LintArgs,
    login::LoginArgs, logs::LogsArgs, operator::OperatorArgs, page::PageArgs,
    profiles::ProfilesArgs, push::PushArgs, rules::RulesArgs, schema::SchemaArgs,
    service::ServiceArgs, session::SessionArgs, site::SiteArgs, status::StatusArgs, twin::TwinArgs,
    webhook::WebhookArgs,
};
use crate::output::finish;

/// Exit codes, said once for all commands.
const EXIT_CODES: &str = "\
Exit codes: 0 pass, 1 internal error, 2 bad input, 3 a required flow failed, or the hub refused,
            4 only warnings, 5 incomplete: something required was not run";

/// Every flow that a product needs in a customer's network: as firewall rules, as the customer's
/// page, and checked on site.
#[derive(Parser)]
#[command(name = "outgate", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play all servers on this machine and check the built-in products against them.
    Demo(DemoArgs),
    /// Run the hub: the cloud end of a product's flows.
    Hub(HubArgs),
    /// Run the agent: the device end, which keeps connected and works offline.
    Agent(AgentArgs),
    /// List the built-in products.
    Profiles(ProfilesArgs),
    /// List the lanes of a product: who talks to whom, how, and why.
    Flows(FlowsArgs),
    /// Say what is wrong with a manifest, and what could be better.
    Lint(LintArgs),
    /// Exercise every lane from here; say what does not work, why, and whose it is.
    Check(Box<CheckArgs>),
    /// Play a customer's network in which something is wrong, and see what a check says.
    Lab(LabArgs),
    /// Write firewall rules for a product.
    Rules(RulesArgs),
    /// Write the customer's page for a product.
    Page(PageArgs),
    /// Keep a hub and a token, to be used by the commands below.
    Login(LoginArgs),
    /// The hubs that are known, and which of them is used.
    Context(ContextArgs),
    /// How the hub is.
    Status(StatusArgs),
    /// Customers' places where devices stand.
    Site(SiteArgs),
    /// Devices: make, list, enrol, revoke.
    Device(DeviceArgs),
    /// Live connections of devices.
    Session(SessionArgs),
    /// Keys with which new devices enrol.
    FleetKey(FleetKeyArgs),
    /// What devices say.
    Events(EventsArgs),
    /// What a device logs.
    Logs(LogsArgs),
    /// What devices are to do, when they can.
    #[command(name = "command")]
    Commands(CommandArgs),
    /// Ask a device that is connected now.
    Call(CallArgs),
    /// Reach a device that may be away, by push.
    Push(PushArgs),
    /// What a device is wanted to be, and what it says it is.
    Twin(TwinArgs),
    /// Files that devices hold a copy of.
    Asset(AssetArgs),
    /// What was done at the hub, and by whom.
    Audit(AuditArgs),
    /// People, and programs that administer the hub.
    Operator(OperatorArgs),
    /// Back ends that take events over MQTT or the API, and their tokens.
    Service(ServiceArgs),
    /// Back ends to which events are pushed.
    Webhook(WebhookArgs),
    /// Places among the events that the hub keeps for back ends.
    Consumer(ConsumerArgs),
    /// Print the JSON Schema of manifests, or of a check's report.
    Schema(SchemaArgs),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
}

/// Runs the command that was asked for.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    finish(match cli.command {
        Command::Demo(args) => args.run(),
        Command::Hub(args) => args.run(),
        Command::Agent(args) => args.run(),
        Command::Profiles(args) => args.run(),
        Command::Flows(args) => args.run(),
        Command::Lint(args) => args.run(),
        Command::Check(args) => args.run(),
        Command::Lab(args) => args.run(),
        Command::Rules(args) => args.run(),
        Command::Page(args) => args.run(),
        Command::Login(args) => args.run(),
        Command::Context(args) => args.run(),
        Command::Status(args) => args.run(),
        Command::Site(args) => args.run(),
        Command::Device(args) => args.run(),
        Command::Session(args) => args.run(),
        Command::FleetKey(args) => args.run(),
        Command::Events(args) => args.run(),
        Command::Logs(args) => args.run(),
        Command::Commands(args) => args.run(),
        Command::Call(args) => args.run(),
        Command::Push(args) => args.run(),
        Command::Twin(args) => args.run(),
        Command::Asset(args) => args.run(),
        Command::Audit(args) => args.run(),
        Command::Operator(args) => args.run(),
        Command::Service(args) => args.run(),
        Command::Webhook(args) => args.run(),
        Command::Consumer(args) => args.run(),
        Command::Schema(args) => args.run(),
        Command::Completions(args) => args.run::<Cli>(),
    })
}
