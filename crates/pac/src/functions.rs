//! The functions that every script may call. Those that need nothing of the machine are JavaScript,
//! in `functions.js`.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rquickjs::{Ctx, Function};

use crate::{QUESTIONS_MAX, World};

/// What is written in JavaScript.
const TEXT: &str = include_str!("functions.js");

/// Longest name that is asked for (RFC 1035 §2.3.4).
const NAME_MAX: usize = 255;

/// When a run must be over; it stands still while a question is being answered.
pub(crate) struct Timer {
    end: Mutex<Instant>,
}

impl Timer {
    pub(crate) fn new(time: Duration) -> Self {
        Self {
            end: Mutex::new(Instant::now() + time),
        }
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now > *self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_off(&self, time: Duration) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) += time;
    }
}

/// Defines the functions.
pub(crate) fn install(
    context: &Ctx<'_>,
    timer: &Arc<Timer>,
    world: Arc<dyn World>,
) -> Result<(), rquickjs::Error> {
    let (timer, asked) = (timer.clone(), AtomicUsize::new(0));
    let own = world.clone();
    let resolve = move |name: String| -> String {
        let count = asked.fetch_add(1, Ordering::Relaxed);
        let fits = (1..=NAME_MAX).contains(&name.len());
        if let Ok(address) = name.parse::<IpAddr>() {
            return address.to_string();
        }
        if count >= QUESTIONS_MAX || !fits {
            return String::new();
        }
        let start = Instant::now();
        let addresses = joined(&world.addresses(&name));
        timer.put_off(start.elapsed());
        addresses
    };
    let globals = context.globals();
    globals.set("__resolve", Function::new(context.clone(), resolve)?)?;
    let own = move || joined(&own.own_addresses());
    globals.set("__own", Function::new(context.clone(), own)?)?;
    context.eval::<(), _>(TEXT)
}

fn joined(addresses: &[IpAddr]) -> String {
    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    texts.join(";")
}
