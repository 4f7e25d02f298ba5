//! The check run from here, by the agent's own settings: one at a time, in the background.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use outgate_check::{
    CauseView, Event, Heading, Language, MAX_CONCURRENT, Plan, Samples, Verdict, html, run,
};
use outgate_manifest::view::NEWEST;
use outgate_probe::{Path, PathConfig};
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};

use crate::chain::chain;
use crate::product::{DEVICE, Product};

/// How long a check may take; its probes end long before by themselves.
const WITHIN: Duration = Duration::from_secs(600);
/// How long a WebSocket is held open, as `outgate check` does unless something else is said.
const HOLD: Duration = Duration::from_secs(1);
/// The largest report that is kept, in bytes.
const MAX_REPORT: usize = 4 << 20;

/// How a check goes. It is made anew for each check, so that a file that has changed is read again.
pub type Way = Arc<dyn Fn() -> Result<PathConfig, String> + Send + Sync>;

/// What has become of the check.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// Nobody has asked for it.
    Never,
    /// It is under way.
    Running {
        /// How many lanes are done.
        done: usize,
        /// Of how many.
        of: usize,
    },
    /// It could not be run.
    Failed(String),
    /// It is done.
    Done(Arc<Done>),
}

/// A check that is done.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) started: OffsetDateTime,
    pub(super) language: Language,
    pub(super) verdict: Verdict,
    pub(super) causes: Vec<CauseView>,
    /// The whole report, a page of its own; none if it is too large to be kept.
    pub(super) report: Option<String>,
}

/// Where a check is ordered and looked at.
#[derive(Clone, Debug)]
pub(super) struct Checks {
    orders: mpsc::Sender<Language>,
    state: watch::Sender<State>,
}

/// What carries orders out.
pub(super) struct Examiner {
    orders: mpsc::Receiver<Language>,
    state: watch::Sender<State>,
    product: Product,
    way: Way,
}

impl fmt::Debug for Examiner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Examiner").finish_non_exhaustive()
    }
}

/// A check of the product's lanes that set out from the device.
pub(super) fn of(product: Product, way: Way) -> (Checks, Examiner) {
    let (orders, ordered) = mpsc::channel(1);
    let state = watch::Sender::new(State::Never);
    let checks = Checks {
        orders,
        state: state.clone(),
    };
    let examiner = Examiner {
        orders: ordered,
        state,
        product,
        way,
    };
    (checks, examiner)
}

impl Checks {
    /// Orders one, unless one is under way, which is as good.
    pub(super) fn order(&self, language: Language) {
        let mut fresh = false;
        self.state.send_if_modified(|state| {
            fresh = !matches!(state, State::Running { .. });
            if fresh {
                *state = State::Running { done: 0, of: 0 };
            }
            fresh
        });
        if fresh && self.orders.try_send(language).is_err() {
            self.state.send_replace(State::Never);
        }
    }

    pub(super) fn state(&self) -> State {
        self.state.borrow().clone()
    }
}

impl Examiner {
    /// Carries out every order, one after the other, until it is dropped.
    pub(super) async fn serve(mut self) {
        while let Some(language) = self.orders.recv().await {
            let checked = tokio::time::timeout(WITHIN, self.check(language)).await;
            let state = match checked {
                Ok(Ok(done)) => State::Done(Arc::new(done)),
                Ok(Err(why)) => State::Failed(why),
                Err(_) => State::Failed("it took too long".to_owned()),
            };
            self.state.send_replace(state);
        }
    }

    async fn check(&self, language: Language) -> Result<Done, String> {
        let read = self.product.lanes(Some(DEVICE));
        let (manifest, lanes) = read.map_err(|error| chain(&error))?;
        let product = manifest.product();
        let heading = Heading {
            product: product.id.to_string(),
            version: self.product.version().unwrap_or(NEWEST).to_owned(),
            from: DEVICE.to_owned(),
            netns: None,
            user: None,
            language,
        };
        let name = product.name.clone();
        // It is large, and not needed any more.
        drop(manifest);
        let path = Path::new((self.way)()?).map_err(|error| chain(&error))?;
        let plan = Plan::new(lanes, &Samples::default(), HOLD);
        let of = plan.lanes.len();
        self.state.send_replace(State::Running { done: 0, of });
        let on_event = |event| {
            if let Event::Finished { .. } = event {
                self.state.send_modify(|state| {
                    if let State::Running { done, .. } = state {
                        *done += 1;
                    }
                });
            }
        };
        let report = run(plan, heading, &path, MAX_CONCURRENT, on_event).await;
        let secrets = path.secrets();
        let text = secrets.hide(&html(&report, &name, false));
        let mut causes = report.causes;
        for cause in &mut causes {
            cause.what = secrets.hide(&cause.what);
            cause.act = secrets.hide(&cause.act);
        }
        Ok(Done {
            started: report.started,
            language,
            verdict: report.verdict,
            causes,
            report: Some(text).filter(|text| text.len() <= MAX_REPORT),
        })
    }
}
