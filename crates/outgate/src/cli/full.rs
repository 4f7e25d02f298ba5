//! The commands that an agent's build does without: the hub's, its operators', a manifest's author's.

use std::process::ExitCode;

use clap::Subcommand;

use crate::commands::{
    asset::AssetArgs, audit::AuditArgs, call::CallArgs, command::CommandArgs,
    consumer::ConsumerArgs, context::ContextArgs, demo::DemoArgs, deployment::DeployArgs,
    deployment::DeploymentArgs, device::DeviceArgs, events::EventsArgs, file::FileArgs,
    fleet_key::FleetKeyArgs, flows::FlowsArgs, hub::HubArgs, lab::LabArgs, lint::LintArgs,
    live::LiveArgs, login::LoginArgs, logs::LogsArgs, operator::OperatorArgs, page::PageArgs,
    push::PushArgs, release::ReleaseArgs, rules::RulesArgs, schedule::ScheduleArgs,
    schema::SchemaArgs, service::ServiceArgs, session::SessionArgs, site::SiteArgs,
    space::SpaceArgs, status::StatusArgs, support::SupportArgs, twin::TwinArgs,
    webhook::WebhookArgs,
};
use crate::output::Failure;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Play all servers on this machine and check the built-in products against them.
    Demo(DemoArgs),
    /// Run the hub: the cloud end of a product's flows.
    Hub(HubArgs),
    /// List the lanes of a product: who talks to whom, how, and why.
    Flows(FlowsArgs),
    /// Say what is wrong with a manifest, and what could be better.
    Lint(LintArgs),
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
    /// What a site's applications stand in, and which users may do what there.
    Space(SpaceArgs),
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
    /// What devices are to do at times that are written down once.
    Schedule(ScheduleArgs),
    /// Ask a device that is connected now.
    Call(CallArgs),
    /// Remote support: a service or a shell of a device.
    Support(SupportArgs),
    /// Reach a device that may be away, by push.
    Push(PushArgs),
    /// What a device is wanted to be, and what it says it is.
    Twin(TwinArgs),
    /// Files that devices hold a copy of.
    Asset(AssetArgs),
    /// What devices are updated to, and the keys by which it is signed.
    Release(ReleaseArgs),
    /// Have devices updated to a release.
    Deploy(DeployArgs),
    /// Releases on their way to devices, and how far those are.
    Deployment(DeploymentArgs),
    /// Tables that devices look things up in.
    Live(LiveArgs),
    /// Files to and from single devices, each with its own key.
    File(FileArgs),
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
}

impl Command {
    /// Runs it.
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Demo(args) => args.run(),
            Self::Hub(args) => args.run(),
            Self::Flows(args) => args.run(),
            Self::Lint(args) => args.run(),
            Self::Lab(args) => args.run(),
            Self::Rules(args) => args.run(),
            Self::Page(args) => args.run(),
            Self::Login(args) => args.run(),
            Self::Context(args) => args.run(),
            Self::Status(args) => args.run(),
            Self::Site(args) => args.run(),
            Self::Space(args) => args.run(),
            Self::Device(args) => args.run(),
            Self::Session(args) => args.run(),
            Self::FleetKey(args) => args.run(),
            Self::Events(args) => args.run(),
            Self::Logs(args) => args.run(),
            Self::Commands(args) => args.run(),
            Self::Schedule(args) => args.run(),
            Self::Call(args) => args.run(),
            Self::Support(args) => args.run(),
            Self::Push(args) => args.run(),
            Self::Twin(args) => args.run(),
            Self::Asset(args) => args.run(),
            Self::Release(args) => args.run(),
            Self::Deploy(args) => args.run(),
            Self::Deployment(args) => args.run(),
            Self::Live(args) => args.run(),
            Self::File(args) => args.run(),
            Self::Audit(args) => args.run(),
            Self::Operator(args) => args.run(),
            Self::Service(args) => args.run(),
            Self::Webhook(args) => args.run(),
            Self::Consumer(args) => args.run(),
            Self::Schema(args) => args.run(),
        }
    }
}
