//! Proxy scripts (PAC): which proxies a URL is reached through, by a script that somebody else
//! wrote.
//!
//! A script is JavaScript with a function `FindProxyForURL(url, host)`. It runs in an engine of its
//! own that is thrown away afterwards, without files, network, timers or memory of earlier runs,
//! and with bounds of time, memory, depth and questions asked. All it can do to the outside is to
//! ask for a name's addresses, which the caller answers.

mod answer;
mod functions;

use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use rquickjs::{CatchResultExt, CaughtError, Context, Ctx, Function, Runtime, Value};

pub use answer::{ANSWER_HOPS_MAX, Hop, HopKind, hops};

/// Longest script, in bytes; browsers take 1 MiB.
pub const SCRIPT_MAX: usize = 1 << 20;
/// Most names that one run may ask for.
pub const QUESTIONS_MAX: usize = 32;
/// Longest URL and host that a script is given, in bytes.
const URL_MAX: usize = 8192;
/// Memory of one run, in bytes: the engine with its own objects takes below one MiB.
const MEMORY_MAX: usize = 32 << 20;
/// Stack of one run, in bytes; a thread of this process has two MiB.
const STACK_MAX: usize = 256 << 10;
/// Time of one run, the answers to its questions aside.
const TIME_MAX: Duration = Duration::from_secs(2);
/// Longest text of an error that is kept, in characters.
const ERROR_MAX: usize = 200;

/// What a script may ask of the machine that it runs on. Called on the thread of the run, and may
/// block it for a bounded time.
pub trait World: Send + Sync {
    /// The addresses of a name, IPv4 first; none if there are none.
    fn addresses(&self, name: &str) -> Vec<IpAddr>;
    /// This machine's own addresses, IPv4 first.
    fn own_addresses(&self) -> Vec<IpAddr>;
}

/// A script.
#[derive(Clone, PartialEq, Eq)]
pub struct Script {
    text: Arc<str>,
}

impl Script {
    /// Takes a script of at most [`SCRIPT_MAX`] bytes. Whether it works is seen when it runs.
    pub fn new(text: &str) -> Result<Self, ScriptError> {
        if text.len() > SCRIPT_MAX {
            return Err(ScriptError::TooLong);
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).into();
        Ok(Self { text })
    }

    /// Runs the script for a URL and its host: what to try, in this order, never empty.
    pub fn find(
        &self,
        url: &str,
        host: &str,
        world: Arc<dyn World>,
    ) -> Result<Vec<Hop>, ScriptError> {
        if url.len() > URL_MAX || host.len() > URL_MAX {
            return Err(ScriptError::TooLong);
        }
        let runtime = Runtime::new().map_err(|_| ScriptError::Engine)?;
        runtime.set_memory_limit(MEMORY_MAX);
        runtime.set_max_stack_size(STACK_MAX);
        let timer = Arc::new(functions::Timer::new(TIME_MAX));
        let watch = timer.clone();
        runtime.set_interrupt_handler(Some(Box::new(move || watch.is_over(Instant::now()))));
        let context = Context::full(&runtime).map_err(|_| ScriptError::Engine)?;
        let found = context.with(|context| self.run(&context, url, host, &timer, world));
        let answer = found.map_err(|what| {
            if timer.is_over(Instant::now()) {
                ScriptError::TooSlow
            } else {
                ScriptError::Broken { what }
            }
        })?;
        hops(answer.as_deref())
    }

    fn run(
        &self,
        context: &Ctx<'_>,
        url: &str,
        host: &str,
        timer: &Arc<functions::Timer>,
        world: Arc<dyn World>,
    ) -> Result<Option<String>, String> {
        let said = |error: CaughtError<'_>| said(&error);
        functions::install(context, timer, world)
            .catch(context)
            .map_err(said)?;
        let defined = context.eval::<Value<'_>, _>(&*self.text);
        defined.catch(context).map_err(said)?;
        let function: Value<'_> = context
            .globals()
            .get("FindProxyForURL")
            .catch(context)
            .map_err(said)?;
        let Some(function) = function.as_function() else {
            return Err("there is no function FindProxyForURL".to_owned());
        };
        call(function, url, host).catch(context).map_err(said)
    }
}

fn call<'js>(
    function: &Function<'js>,
    url: &str,
    host: &str,
) -> Result<Option<String>, rquickjs::Error> {
    let answer: Value<'js> = function.call((url, host))?;
    if answer.is_null() {
        return Ok(None);
    }
    answer.get::<String>().map(Some)
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Script({} bytes)", self.text.len())
    }
}

/// The engine's words, of which the script may have written any.
fn said(error: &CaughtError<'_>) -> String {
    let text = match error {
        CaughtError::Exception(exception) => exception.message().unwrap_or_default(),
        CaughtError::Error(error) => error.to_string(),
        CaughtError::Value(_) => "it threw something that is no error".to_owned(),
    };
    let shown = text.chars().filter(|one| !one.is_control());
    shown.take(ERROR_MAX).collect()
}

/// Why a script does not say how to go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// The script has more than 1 MiB, or the URL more than 8,192 bytes.
    #[error("the script has more than {SCRIPT_MAX} bytes, or the URL more than {URL_MAX}")]
    TooLong,
    /// It ran for too long.
    #[error("it ran for more than {} s", TIME_MAX.as_secs())]
    TooSlow,
    /// It threw an error, or took more memory or depth than it has.
    #[error("{what}")]
    Broken {
        /// What the engine says, at most 200 characters.
        what: String,
    },
    /// What it gave back is no list of proxies.
    #[error("it answered `{answer}`, which names no proxy")]
    Answer {
        /// What it gave back, at most 200 characters.
        answer: String,
    },
    /// The engine could not be started.
    #[error("this machine has no memory for the engine")]
    Engine,
}
