//! What operators do to deployments that are under way.

use rusqlite::Connection;
use serde_json::json;

use super::{Deployment, Deployments, State, course, on, table};
use crate::audit;
use crate::clock::Timestamp;
use crate::id::DeploymentId;
use crate::identity::{Actor, Role};
use crate::refusal::Refusal;

impl Deployments {
    /// Pauses a deployment: nobody is offered anything by it until it is resumed. Devices that are
    /// at it go on. Pausing it again changes nothing.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers, and for who does not see all of its devices;
    /// [`Refusal::NotFound`]; [`Refusal::Invalid`] when it has ended; as the store.
    pub async fn pause(&self, actor: &Actor, id: &DeploymentId) -> Result<Deployment, Refusal> {
        let by = actor.name();
        self.steer(actor, id, "pause", move |connection, found, since| {
            if found.state != State::Running {
                return Ok(());
            }
            course::turn(connection, &found.id, &State::Paused { since, by })
        })
        .await
    }

    /// Has a deployment go on that was paused or has stopped; failures are counted anew from here.
    /// Resuming one that goes on changes nothing.
    ///
    /// # Errors
    /// As [`Deployments::pause`].
    pub async fn resume(&self, actor: &Actor, id: &DeploymentId) -> Result<Deployment, Refusal> {
        self.steer(actor, id, "resume", |connection, found, now| {
            match found.state {
                State::Running => return Ok(()),
                State::Stopped { .. } => course::count_anew(connection, &found.id)?,
                State::Paused { .. } | State::Aborted { .. } | State::Ended => {}
            }
            course::turn(connection, &found.id, &State::Running)?;
            course::tend(connection, &found.id, now)
        })
        .await
    }

    /// Begins the next phase of a deployment, whatever has become of the one before.
    ///
    /// # Errors
    /// As [`Deployments::pause`]; [`Refusal::Invalid`] also when the last one is under way.
    pub async fn advance(&self, actor: &Actor, id: &DeploymentId) -> Result<Deployment, Refusal> {
        self.steer(actor, id, "advance", |connection, found, now| {
            if found.phase >= found.plan.phases.last() {
                return Err(Refusal::invalid("phase", "one that is not the last"));
            }
            course::begin(connection, &found.id, found.phase + 1)?;
            course::tend(connection, &found.id, now)
        })
        .await
    }

    /// Ends a deployment before its time: devices that are not done are offered nothing more by
    /// it, and those that are at it are told when they next say how far they are. Ending it again
    /// does nothing.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers, and for who does not see all of its devices;
    /// [`Refusal::NotFound`]; as the store.
    pub async fn abort(&self, actor: &Actor, id: &DeploymentId) -> Result<Deployment, Refusal> {
        self.act(actor, id, "abort", |connection, found, now| {
            table::end(connection, &found.id, now)
        })
        .await
    }

    /// As [`Deployments::act`], to what has not ended.
    async fn steer(
        &self,
        actor: &Actor,
        id: &DeploymentId,
        act: &'static str,
        work: impl FnOnce(&Connection, Deployment, Timestamp) -> Result<(), Refusal> + Send + 'static,
    ) -> Result<Deployment, Refusal> {
        self.act(actor, id, act, |connection, found, now| match found.state {
            State::Aborted { .. } | State::Ended => {
                Err(Refusal::invalid("deployment", "one that has not ended"))
            }
            State::Running | State::Paused { .. } | State::Stopped { .. } => {
                work(connection, found, now)
            }
        })
        .await
    }

    /// Does something to a deployment, and notes it in the audit log.
    async fn act(
        &self,
        actor: &Actor,
        id: &DeploymentId,
        act: &'static str,
        work: impl FnOnce(&Connection, Deployment, Timestamp) -> Result<(), Refusal> + Send + 'static,
    ) -> Result<Deployment, Refusal> {
        actor.require(Role::Operator, &format!("to {act} a deployment"))?;
        let (actor, id, now) = (actor.clone(), id.clone(), self.clock.now());
        self.store
            .write(move |connection| {
                actor.check()?;
                let found = table::find(connection, &actor, &id)?;
                if !table::sees_all_of(connection, &actor, &id)? {
                    let what = format!("to {act} a deployment at other sites");
                    return Err(Refusal::forbidden(what));
                }
                work(connection, found, now)?;
                let act = format!("deployment.{act}");
                audit::append(connection, now, &actor, &act, &on(&id), &json!({}))?;
                table::find(connection, &actor, &id)
            })
            .await
    }
}
