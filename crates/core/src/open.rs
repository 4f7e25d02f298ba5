//! All parts together.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::assets::Assets;
use crate::audit::Audit;
use crate::calls::Calls;
use crate::clock::Clock;
use crate::commands::Commands;
use crate::consumers::Consumers;
use crate::contents::{Contents, Depot};
use crate::deployments::Deployments;
use crate::events::Events;
use crate::files::Files;
use crate::happening::Hook;
use crate::id::{CredentialId, DeviceId, SessionId};
use crate::idempotency::Idempotency;
use crate::identity::{Identified, Identity};
use crate::limits::{FailedLogins, Limits};
use crate::logs::Logs;
use crate::messages::Messages;
use crate::objects::{FOLDER, Objects, RELEASES};
use crate::refusal::Refusal;
use crate::registrations::Registrations;
use crate::releases::Releases;
use crate::reminders::Reminders;
use crate::schedules::Schedules;
use crate::sessions::{Pass, Presence, Session, Sessions};
use crate::spaces::Spaces;
use crate::store::{self, OpenError, Store};
use crate::support::Support;
use crate::tables::Tables;
use crate::templates::Templates;
use crate::trees::Trees;
use crate::twin::Twins;
use crate::webhooks::Webhooks;

/// What a core needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where everything lies; made if it is not there, for its owner alone.
    pub data: PathBuf,
    /// What time it is.
    pub clock: Clock,
    /// How much is taken and kept.
    pub limits: Limits,
    /// Who is told what happens.
    pub hook: Hook,
    /// Where the bytes of devices' files are kept.
    pub depot: Depot,
}

impl Settings {
    /// The machine's clock, and the limits by default.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            clock: Clock::System,
            limits: Limits::default(),
            hook: Hook::default(),
            depot: Depot::default(),
        }
    }
}

/// The device model.
#[derive(Clone, Debug)]
pub struct Core {
    /// The disk.
    pub store: Store,
    /// What time it is.
    pub clock: Clock,
    /// Live connections.
    pub sessions: Sessions,
    /// Who is who.
    pub identity: Identity,
    /// Who tried in vain to log in, over whatever dialect.
    pub failed_logins: FailedLogins,
    /// What devices say.
    pub events: Events,
    /// What devices log.
    pub logs: Logs,
    /// What devices are to do.
    pub commands: Commands,
    /// What devices are asked.
    pub calls: Calls,
    /// What devices are wanted to be, and are.
    pub twins: Twins,
    /// Who takes events, and how far they are.
    pub consumers: Consumers,
    /// To whom events are pushed.
    pub webhooks: Webhooks,
    /// What waits between devices.
    pub messages: Messages,
    /// What devices hold a copy of.
    pub assets: Assets,
    /// What devices are updated to.
    pub releases: Releases,
    /// Which devices are to be.
    pub deployments: Deployments,
    /// What devices are to do at times that are written down once.
    pub schedules: Schedules,
    /// Files of single devices, each with its own key.
    pub files: Files,
    /// What applications are configured with.
    pub templates: Templates,
    /// What devices look things up in.
    pub tables: Tables,
    /// Which users may do what where.
    pub spaces: Spaces,
    /// Trees of values.
    pub trees: Trees,
    /// Where devices are reached by push.
    pub registrations: Registrations,
    /// Which devices are to be reminded that commands wait.
    pub reminders: Reminders,
    /// Remote support.
    pub support: Support,
    /// Who did what.
    pub audit: Audit,
    /// What was asked before.
    pub idempotency: Idempotency,
}

impl Core {
    /// Opens what lies in the folder, or makes it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let (data, limits) = (&settings.data, &settings.limits);
        let (clock, hook) = (settings.clock.clone(), settings.hook.clone());
        let store = store::open(data, limits, hook.clone())?;
        let sessions = Sessions::new(clock.clone());
        let logs = Logs::open(data, clock.clone(), limits, hook.clone())?;
        let stores = (store.clone(), logs.store().clone());
        let identity = Identity::new(data, stores, clock.clone(), sessions.clone())?;
        let reminders = Reminders::new(store.clone(), clock.clone(), sessions.clone());
        let unusable = |source| unusable(data, source);
        let (objects, artifacts, contents) = folders(settings).map_err(unusable)?;
        let commands = Commands::new(
            store.clone(),
            clock.clone(),
            sessions.clone(),
            reminders.clone(),
            identity.clone(),
            hook.clone(),
        );
        let calls = Calls::new(store.clone(), clock.clone(), sessions.clone(), hook.clone());
        let of_core = (store.clone(), clock.clone(), calls.clone());
        let support = Support::open(data, limits.reserve, of_core).map_err(unusable)?;
        Ok(Self {
            assets: Assets::new(store.clone(), clock.clone(), objects)?,
            releases: Releases::new(store.clone(), clock.clone(), artifacts)?,
            deployments: Deployments::new(store.clone(), clock.clone()),
            files: Files::new((&store, contents), &clock, &sessions, &identity, limits),
            webhooks: Webhooks::new(store.clone(), clock.clone(), identity.clone()),
            failed_logins: FailedLogins::new(clock.clone()),
            events: Events::new(store.clone(), clock.clone(), limits, hook.clone())?,
            logs,
            schedules: Schedules::new(store.clone(), clock.clone(), commands.clone(), hook.clone()),
            commands,
            identity,
            calls,
            support,
            twins: Twins::new(
                store.clone(),
                clock.clone(),
                sessions.clone(),
                limits,
                hook.clone(),
            ),
            consumers: Consumers::new(store.clone(), clock.clone()),
            messages: Messages::new(store.clone(), &clock, limits, &hook),
            templates: Templates::new(store.clone(), clock.clone()),
            tables: Tables::new(store.clone(), clock.clone()),
            spaces: Spaces::new(store.clone(), clock.clone(), sessions.clone()),
            trees: Trees::new(store.clone()),
            registrations: Registrations::new(store.clone(), clock.clone(), hook),
            reminders,
            audit: Audit::new(store.clone()),
            idempotency: Idempotency::new(store.clone(), clock.clone()),
            store,
            clock,
            sessions,
        })
    }

    /// Goes on with other limits: how often devices may do what, how long events are kept, and how
    /// large the store may be. How much of the disk is left free stays as it was.
    pub fn limit(&self, limits: &Limits) {
        self.events.limit(limits);
        self.logs.limit(limits);
        self.messages.limit(limits);
        self.files.limit(limits);
        self.twins.limit(limits);
    }

    /// Clears away what is past its time. The hub calls it every minute or so.
    ///
    /// # Errors
    /// As the store.
    pub async fn tidy(&self) -> Result<(), Refusal> {
        self.events.clear_old().await?;
        self.logs.clear_old().await?;
        self.files.tidy().await?;
        self.support.tidy().await?;
        Ok(())
    }

    /// Opens a session for somebody who has been identified, over the dialect `via`.
    ///
    /// # Errors
    /// [`Refusal::Revoked`] when the credential has been revoked meanwhile; as the store.
    pub async fn open_session(
        &self,
        identified: &Identified,
        via: &'static str,
        peer: SocketAddr,
    ) -> Result<Session, Refusal> {
        let session = self.sessions.take_up(self.presence(identified, via, peer)?);
        self.confirmed(identified, session).await
    }

    /// As [`Core::open_session`], for a connection by which nobody counts as present and which is
    /// told nothing of commands, as one that only asks which hub is its own.
    ///
    /// # Errors
    /// As [`Core::open_session`].
    pub async fn open_session_aside(
        &self,
        identified: &Identified,
        via: &'static str,
        peer: SocketAddr,
    ) -> Result<Session, Refusal> {
        let presence = self.presence(identified, via, peer)?;
        let session = self.sessions.take_up_aside(presence);
        self.confirmed(identified, session).await
    }

    /// A session, once it is sure that its credential holds now that a revocation finds it.
    async fn confirmed(
        &self,
        identified: &Identified,
        session: Session,
    ) -> Result<Session, Refusal> {
        if let Some(end) = identified.expires {
            session.limit(end);
        }
        self.identity.confirm(identified).await?;
        session.pass().check()?;
        Ok(session)
    }

    /// The right to act for somebody who has been identified and asks for one thing, over the
    /// dialect `via`. Nobody counts as present by it; it ends as that of a session does.
    ///
    /// # Errors
    /// As [`Core::open_session`].
    pub async fn admit(
        &self,
        identified: &Identified,
        via: &'static str,
        peer: SocketAddr,
    ) -> Result<Pass, Refusal> {
        let presence = self.presence(identified, via, peer)?;
        let pass = self.sessions.stand_in(presence, identified.expires);
        // Now that a revocation finds it.
        self.identity.confirm(identified).await?;
        pass.check()?;
        Ok(pass)
    }

    fn presence(
        &self,
        identified: &Identified,
        via: &'static str,
        peer: SocketAddr,
    ) -> Result<Presence, Refusal> {
        Ok(Presence {
            id: SessionId::made_up()?,
            principal: identified.principal.clone(),
            credential: identified.credential.clone(),
            via,
            peer,
            since: self.clock.now(),
        })
    }

    /// The right to act for somebody who came in by `credential` over the dialect `via` and has
    /// gone: for what they left behind to be done later. It ends as that of a session does.
    ///
    /// # Errors
    /// [`Refusal::Revoked`], [`Refusal::AwaitsApproval`], [`Refusal::Unauthenticated`] when the
    /// credential does not hold any more; as the store.
    pub async fn stand_in(
        &self,
        credential: &CredentialId,
        via: &'static str,
    ) -> Result<Pass, Refusal> {
        self.stand_in_as(credential, None, via).await
    }

    /// As [`Core::stand_in`], for `device` if the credential is that of a service which acts for it.
    ///
    /// # Errors
    /// As [`Core::stand_in`].
    pub async fn stand_in_as(
        &self,
        credential: &CredentialId,
        device: Option<&DeviceId>,
        via: &'static str,
    ) -> Result<Pass, Refusal> {
        let holder = self.identity.holder(credential, device).await?;
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let presence = self.presence(&holder, via, nowhere)?;
        let pass = self.sessions.stand_in(presence, holder.expires);
        // Again, now that a revocation finds it.
        if self.identity.holder(credential, device).await? != holder {
            return Err(Refusal::Unauthenticated);
        }
        pass.check()?;
        Ok(pass)
    }
}

fn unusable(data: &Path, source: io::Error) -> OpenError {
    let path = data.to_owned();
    OpenError::Folder { path, source }
}

/// Where the bytes of assets, of releases and of devices' files lie.
fn folders(settings: &Settings) -> io::Result<(Objects, Objects, Contents)> {
    let (data, reserve) = (&settings.data, settings.limits.reserve);
    Ok((
        Objects::open(data.join(FOLDER), reserve)?,
        Objects::open(data.join(RELEASES), reserve)?,
        Contents::open(&settings.depot, data, reserve)?,
    ))
}
