//! From a configuration to a hub that listens.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use outgate_core::{Core, Settings as CoreSettings};
use outgate_door::{
    AcmeSettings, At, Carries as DoorCarries, ClientCertificates, Door, Keeper, Limits, Listener,
    Security, Settings as DoorSettings, Source, machine_names,
};
use tokio::sync::watch;

use super::reception::Receptionist;
use super::{Hub, StartError, State};
use crate::config::{Carries, CertificateFrom, Config};
use crate::metrics::Metrics;

/// Opens, listens, and puts all parts together.
pub(super) async fn start(config: Config) -> Result<Hub, StartError> {
    let metrics = Metrics::default();
    // Binding comes first, so that a second hub at the same address changes nothing on the disk.
    let core = open(&config)?;
    let keeper = Keeper::open(source(&config), Arc::new(SystemTime::now))?;
    let door = Door::open(door(&config), keeper.tls(), Arc::new(|_| {}))?;
    let first_token = core
        .identity
        .first_operator()
        .await
        .map_err(|source| StartError::Open {
            folder: config.data.clone(),
            source,
        })?;
    let folder = config.data.clone();
    let (draining, drained) = watch::channel(false);
    let state = State {
        core,
        metrics,
        config: Arc::new(ArcSwap::from_pointee(config)),
        draining: drained.clone(),
    };
    Ok(Hub {
        receptionist: Receptionist {
            router: crate::http::router(&state),
            draining: drained,
        },
        state,
        door,
        keeper,
        draining,
        first_token: first_token.map(|_| folder.join("operator.token")),
    })
}

fn open(config: &Config) -> Result<Core, StartError> {
    let mut settings = CoreSettings::new(&config.data);
    settings.limits.events_a_second = config.events_a_second;
    settings.limits.keep = config.keep_events;
    settings.limits.store_bytes = config.keep_event_bytes;
    Core::open(&settings).map_err(|source| StartError::Open {
        folder: config.data.clone(),
        source,
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
    let listeners = config.listen.iter().map(|listen| Listener {
        at: At::Address(listen.address),
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
        limits: Limits {
            connections: usize::try_from(config.connections).unwrap_or(usize::MAX),
            connections_per_source: usize::try_from(config.connections_a_source)
                .unwrap_or(usize::MAX),
            ..Limits::default()
        },
    }
}
