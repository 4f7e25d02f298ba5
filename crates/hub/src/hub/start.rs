//! From a configuration to a hub that listens.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use axum::Router;
use outgate_core::contents::Depot;
use outgate_core::{Clock, Core, Settings as CoreSettings};
use outgate_door::{
    AcmeSettings, At, Carries as DoorCarries, ClientCertificates, Door, Happening, Hook, Keeper,
    Limits, Listener, Refused, Security, Settings as DoorSettings, Source, machine_names, systemd,
};
use tokio::sync::watch;

use super::reception::Receptionist;
use super::{Hub, StartError, State};
use crate::config::{Carries, CertificateFrom, Config};
use crate::depot::depot;
use crate::dialects::aws;
use crate::dialects::azure::{self, login::Entrance};
use crate::dialects::blob;
use crate::dialects::firebase::Firebase;
use crate::dialects::live;
use crate::dialects::mender;
use crate::dialects::mqtt::Mqtt;
use crate::dialects::otlp;
use crate::dialects::push as registrations;
use crate::dialects::signalr::{SignalR, checks};
use crate::echo::Echo;
use crate::forwarding::Forwarding;
use crate::metrics::{Metrics, Shaken};
use crate::push::{Push, PushError};
use crate::webhooks::{self, Timer};

/// Listens, opens, and puts all parts together. What may be wrong with the configuration or the
/// address comes first, so that such a start leaves nothing on the disk.
pub(super) async fn start(config: Config) -> Result<Hub, StartError> {
    let metrics = Metrics::default();
    let mut settings = crate::dialects::mqtt::Settings::of(&config);
    crate::dialects::mqtt::check(&settings)?;
    let pushing = webhooks::Settings::of(&config);
    webhooks::check(&pushing)?;
    let push = push(&config, &metrics)?;
    let (depot, forwarding) = (depot(&config.files)?, Forwarding::of(&config)?);
    let upstreams = live::Upstreams::of(&config)?;
    let keeper = Keeper::new(source(&config), Arc::new(SystemTime::now));
    let door = Door::open(door(&config), keeper.tls(), counting(metrics.clone()))?;
    if let CertificateFrom::Files { .. } = &config.certificate {
        let read = keeper.reload(&door);
        read.map_err(StartError::CertificateFiles)?;
    }
    let echo = Echo::open(&config.echo).await?;
    let core = open(&config, depot, metrics.clone()).await?;
    keeper.reload(&door)?;
    let entrance = Arc::new(Entrance::of(&config, keeper.names()));
    settings.entrance = Arc::clone(&entrance);
    let first_token = core.identity.first_operator().await;
    let first_token = first_token.map_err(StartError::FirstOperator)?;
    let (draining, drained) = watch::channel(false);
    let mqtt = Mqtt::open(core.clone(), metrics.clone(), settings).await?;
    let state = State {
        core,
        metrics,
        config: Arc::new(ArcSwap::from_pointee(config)),
        entrance: Arc::new(ArcSwap::new(entrance)),
        push,
        draining: drained.clone(),
    };
    let firebase = Firebase::open(&state).await.map_err(StartError::Firebase)?;
    let dialects = mqtt
        .router()
        .merge(SignalR::new(&state, &pushing)?.router())
        .merge(live::router(&state, upstreams))
        .merge(firebase.router())
        .merge(aws::router(&state, &mqtt))
        .merge(of_single_requests(&state));
    Ok(Hub {
        receptionist: Receptionist {
            router: crate::http::router(&state, dialects),
            mqtt: mqtt.clone(),
            metrics: state.metrics.clone(),
            listening: door.listening().iter().map(|one| one.address).collect(),
            draining: drained,
        },
        state,
        echo,
        mqtt,
        door,
        keeper,
        draining,
        pushing,
        forwarding,
        first_token: first_token.map(|first| first.file),
    })
}

/// The dialects that keep nothing between two requests.
fn of_single_requests(state: &State) -> Router {
    checks::router(state)
        .merge(otlp::router(state.core.clone()))
        .merge(registrations::router(state.core.clone()))
        .merge(blob::router(state.core.clone()))
        .merge(azure::router(state))
        .merge(mender::router(state.core.clone()))
}

fn push(config: &Config, metrics: &Metrics) -> Result<Push, PushError> {
    let fcm = config.push.as_ref().map(|push| &push.fcm);
    let metrics = metrics.clone();
    Push::new(fcm, metrics, Clock::System, Timer::default())
}

async fn open(config: &Config, depot: Depot, metrics: Metrics) -> Result<Core, StartError> {
    let settings = CoreSettings {
        limits: limits(config),
        depot,
        hook: outgate_core::happening::Hook::new(move |happening| metrics.happened(happening)),
        ..CoreSettings::new(&config.data)
    };
    let core = Core::open(&settings)?;
    let cleared = core.tables.clear_unfinished().await;
    cleared.map_err(outgate_core::store::OpenError::from)?;
    if let Some(reminders) = config.reminders() {
        let set_up = core.reminders.set_up(reminders.of.clone()).await;
        set_up.map_err(StartError::Reminders)?;
    }
    Ok(core)
}

/// How much the core takes and keeps.
pub(super) fn limits(config: &Config) -> outgate_core::Limits {
    outgate_core::Limits {
        events_a_second: config.rates.events,
        messages_a_second: config.rates.messages,
        reports_a_second: config.rates.reports,
        subscriptions_a_second: config.rates.subscriptions,
        logs_a_second: config.rates.logs,
        keep: config.keep_events,
        store_bytes: config.keep_event_bytes,
        keep_logs: config.device_logs.keep,
        log_bytes: config.device_logs.keep_bytes,
        files: config.files.limits,
        ..outgate_core::Limits::default()
    }
}

/// How many connections the door lets in.
pub(super) fn connections(config: &Config) -> Limits {
    let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    Limits {
        connections: number(config.connections),
        connections_per_source: number(config.connections_a_source),
        ..Limits::default()
    }
}

/// Counts what happens at the door.
fn counting(metrics: Metrics) -> Hook {
    Arc::new(move |happening| {
        if let Happening::Arrived {
            tls: Some(version),
            resumed,
            ..
        } = happening
        {
            let shaken = if *resumed {
                Shaken::Resumed
            } else {
                Shaken::Full
            };
            metrics.handshake(shaken, version);
        } else if let Happening::Refused { peer, why } = happening {
            tracing::debug!(%peer, why = why.label(), "turned away");
            if *why == Refused::BadHandshake {
                metrics.handshake(Shaken::Failed, "");
            }
            metrics.connection_refused(why.label());
        } else if *happening == Happening::AcceptFailed {
            metrics.connection_refused("accept-failed");
        }
    })
}

fn source(config: &Config) -> Source {
    let folder = |name| -> PathBuf { config.data.join(name) };
    match &config.certificate {
        CertificateFrom::OwnAuthority => {
            let listening: Vec<_> = config.listen.iter().map(|listen| listen.address).collect();
            let mut names = machine_names(&listening);
            names.extend(config.names.iter().cloned());
            Source::Private {
                folder: folder("tls"),
                names,
            }
        }
        CertificateFrom::Files { certificate, key } => Source::Files {
            chain: certificate.clone(),
            key: key.clone(),
        },
        CertificateFrom::Acme(acme) => Source::Acme(AcmeSettings {
            directory: acme.directory.clone(),
            folder: folder("acme"),
            names: config.names.clone(),
            contact: acme.contact.clone(),
            root: acme.authority.clone(),
        }),
    }
}

fn door(config: &Config) -> DoorSettings {
    let inherited = systemd::inherited();
    let listeners = config
        .listen
        .iter()
        .enumerate()
        .map(|(index, listen)| Listener {
            // systemd's sockets take the place of as many addresses, in their order.
            at: if index < inherited {
                At::Inherited(index)
            } else {
                At::Address(listen.address)
            },
            security: if listen.tls {
                Security::Tls(ClientCertificates::Asked)
            } else {
                Security::Plain
            },
            carries: match listen.carries {
                Carries::All => DoorCarries::Everything,
                Carries::Mqtt => DoorCarries::Mqtt,
            },
            proxies: listen.proxy_protocol_from.clone(),
        });
    DoorSettings {
        listeners: listeners.collect(),
        limits: connections(config),
    }
}
