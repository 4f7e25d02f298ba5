//! The client, as an application holds it.

use std::fmt::Display;
use std::future::Future;
use std::sync::{Arc, Mutex};

use outgate_signalr::ladder::Memory;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;

use crate::arguments::{Arguments, FromArguments};
use crate::builder::Builder;
use crate::call::{Call, Items};
use crate::driver;
use crate::error::{CallError, Cause};
use crate::handlers::Registration;
use crate::http::locked;
use crate::session::Session;
use crate::settings::Settings;
use crate::state::State;

/// A client of one hub. Clones are the same client; when the last one is dropped its connection
/// ends. A handler that holds one keeps it.
#[derive(Clone)]
pub struct Client {
    core: Arc<Core>,
    _alive: Arc<Alive>,
}

/// What a client's parts share.
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) session: Session,
    pub(crate) state: watch::Sender<State>,
    pub(crate) memory: Mutex<Memory>,
    /// Tells the task that runs to stop, if one does.
    stop: Mutex<Option<watch::Sender<bool>>>,
}

/// Stops a client that nobody holds.
struct Alive(Arc<Core>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.tell_to_stop();
    }
}

impl Core {
    fn tell_to_stop(&self) {
        if let Some(stop) = locked(&self.stop).take() {
            stop.send_replace(true);
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("state", &*self.core.state.borrow())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Begins to build a client of the hub at `url`: `https://host/path`, or `http`.
    pub fn builder(url: &str) -> Builder {
        Builder::new(url)
    }

    pub(crate) fn new(settings: Settings) -> Self {
        let core = Arc::new(Core {
            session: Session::new(&settings),
            state: watch::Sender::new(State::Idle),
            memory: Mutex::new(settings.memory.clone()),
            stop: Mutex::default(),
            settings,
        });
        Self {
            _alive: Arc::new(Alive(core.clone())),
            core,
        }
    }

    /// Connects, and waits until the hub has answered. Handlers are best registered before. After
    /// it has ended it can be started again; what has started already is waited for.
    ///
    /// It needs a Tokio runtime with its network and time drivers on. Dropped, it goes on to
    /// connect.
    ///
    /// # Errors
    /// The client has ended without a connection. It does so after the first try unless it was
    /// built to try again ([`Builder::retry_start`]).
    pub async fn start(&self) -> Result<(), Cause> {
        let mut states = self.core.state.subscribe();
        {
            let mut stop = locked(&self.core.stop);
            if self.core.state.borrow().is_over() {
                let (sender, receiver) = watch::channel(false);
                *stop = Some(sender);
                self.core.state.send_replace(State::Connecting);
                tokio::spawn(driver::run(self.core.clone(), receiver));
            }
        }
        let settled = states.wait_for(|state| state.is_connected() || state.is_over());
        match settled.await.as_deref() {
            Ok(State::Closed { cause: Some(cause) }) => Err(cause.clone()),
            // Stopped before it was connected.
            Ok(State::Closed { cause: None } | State::Idle) | Err(_) => Err(Cause::CutOff),
            Ok(State::Connected { .. } | State::Connecting | State::Reconnecting { .. }) => Ok(()),
        }
    }

    /// Ends the connection: what was taken to be sent is sent, the hub is told, and whoever waits
    /// for an answer learns that there will be none. It returns when that is done, within a few
    /// seconds.
    pub async fn stop(&self) {
        let mut states = self.core.state.subscribe();
        self.core.tell_to_stop();
        // The state goes only with the client.
        let _ = states.wait_for(State::is_over).await;
    }

    /// What the client is doing, now and from now on.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.core.state.subscribe()
    }

    /// What is known of the transports here, to be kept over a restart.
    #[must_use]
    pub fn memory(&self) -> Memory {
        locked(&self.core.memory).clone()
    }

    /// Replaces what is known of the transports, for the next connection: by [`Memory::default`]
    /// when the network has changed.
    pub fn set_memory(&self, memory: Memory) {
        *locked(&self.core.memory) = memory;
    }

    /// Calls a method of the hub, and waits for the result: see [`Call::invoke`].
    ///
    /// # Errors
    /// As [`Call::invoke`].
    pub async fn invoke<R: DeserializeOwned>(
        &self,
        method: &str,
        arguments: impl Arguments,
    ) -> Result<R, CallError> {
        self.call(method).arguments(arguments).invoke().await
    }

    /// Calls a method of the hub without waiting for a result: see [`Call::send`].
    ///
    /// # Errors
    /// As [`Call::send`].
    pub async fn send(&self, method: &str, arguments: impl Arguments) -> Result<(), CallError> {
        self.call(method).arguments(arguments).send().await
    }

    /// Calls a method of the hub that answers with a stream: see [`Call::stream`].
    ///
    /// # Errors
    /// As [`Call::stream`].
    pub async fn stream<T: DeserializeOwned>(
        &self,
        method: &str,
        arguments: impl Arguments,
    ) -> Result<Items<T>, CallError> {
        self.call(method).arguments(arguments).stream().await
    }

    /// Begins a call that takes more than arguments: streams to the hub, for example.
    pub fn call(&self, method: &str) -> Call {
        Call::new(self.core.clone(), method)
    }

    /// Has the hub's calls to `target` handled, in whatever case it is written. A handler's calls
    /// are handled one after the other, each handler's beside the others'; when too many wait for
    /// one the connection ends with [`Cause::SlowHandler`], rather than lose some of them unseen.
    /// There may be several for a target.
    pub fn on<A, F, Fut>(&self, target: &str, handler: F) -> Registration
    where
        A: FromArguments,
        F: Fn(A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.core.session.handlers.listen(target, handler)
    }

    /// Has the hub's calls to `target` handled that want a result, one beside the other. The error's
    /// words go to the hub. There is one for a target, the last that was registered.
    pub fn answer<A, R, E, F, Fut>(&self, target: &str, handler: F)
    where
        A: FromArguments,
        R: Serialize + 'static,
        E: Display + 'static,
        F: Fn(A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
    {
        self.core.session.handlers.answer(target, handler);
    }

    /// Removes one handler.
    pub fn off(&self, registration: &Registration) {
        self.core.session.handlers.remove(registration);
    }

    /// Removes all handlers of a target.
    pub fn off_all(&self, target: &str) {
        self.core.session.handlers.remove_all(target);
    }
}
