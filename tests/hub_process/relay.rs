//! What stands between an agent and its hub, and stops at a moment of what goes through it.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use crate::process::PATIENCE;

/// A moment of a request.
pub(crate) struct Moment {
    /// What its first line has in it.
    line: &'static str,
    /// The how manyth of those it is, since the moment before.
    nth: usize,
    upon: Upon,
}

/// How far a request is.
#[derive(Clone, Copy)]
pub(crate) enum Upon {
    /// So many bytes of its body have been sent, and no more.
    Sent(usize),
    /// More than so many bytes of the answer have come, of which none more are handed on.
    Answered(usize),
}

/// A relay before a hub.
pub(crate) struct Relay {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    /// Where the hub is now.
    hub: u16,
    /// When to stop, the next first.
    moments: VecDeque<Moment>,
    /// Whether the first of those has come.
    holds: bool,
    /// The first lines of all requests.
    lines: Vec<String>,
}

impl Moment {
    pub(crate) fn new(line: &'static str, nth: usize, upon: Upon) -> Self {
        Self { line, nth, upon }
    }
}

impl Relay {
    pub(crate) fn before(hub: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let shared = Arc::new(Shared::default());
        shared.state.lock().expect("the state").hub = hub;
        let relayed = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&relayed);
                std::thread::spawn(move || shared.relay(client));
            }
        });
        Self { port, shared }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Has it stop at these moments, one after the other.
    pub(crate) fn hold(&self, moments: Vec<Moment>) {
        self.shared.state.lock().expect("the state").moments = moments.into();
    }

    /// Waits until the next moment has come; false if there is none.
    pub(crate) fn waits(&self) -> bool {
        let state = self.shared.state.lock().expect("the state");
        if state.moments.is_empty() {
            return false;
        }
        let waited = self
            .shared
            .news
            .wait_timeout_while(state, 2 * PATIENCE, |state| !state.holds);
        let (state, waited) = waited.expect("the state");
        assert!(!waited.timed_out(), "only {:#?}", state.lines);
        true
    }

    /// Goes on with a hub that is there now. What was held back is broken off.
    pub(crate) fn go_on(&self, hub: u16) {
        let mut state = self.shared.state.lock().expect("the state");
        state.hub = hub;
        state.moments.pop_front();
        state.holds = false;
        self.shared.news.notify_all();
    }

    /// How many requests have had that in their first lines.
    pub(crate) fn asked(&self, what: &str) -> usize {
        let state = self.shared.state.lock().expect("the state");
        let lines = state.lines.iter();
        lines.filter(|line| line.contains(what)).count()
    }
}

impl Shared {
    fn relay(self: Arc<Self>, mut client: TcpStream) {
        let Some((head, end)) = head_of(&mut client) else {
            return;
        };
        let (port, upon) = self.next(&head);
        let Ok(mut hub) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
            return;
        };
        let answers = match upon {
            Some(Upon::Answered(bytes)) => Some(bytes),
            Some(Upon::Sent(_)) | None => None,
        };
        let back = {
            let (shared, client) = (Arc::clone(&self), client.try_clone());
            let (hub, client) = (hub.try_clone().expect("a copy"), client.expect("a copy"));
            std::thread::spawn(move || shared.carry(hub, client, answers))
        };
        if hub.write_all(&head[..end]).is_ok() {
            let (body, sent) = (&head[end..], head.len() - end);
            match upon {
                Some(Upon::Sent(most)) if most <= sent => {
                    let _ = hub.write_all(&body[..most]);
                    self.stop();
                }
                Some(Upon::Sent(most)) => {
                    let _ = hub.write_all(body);
                    self.carry(client, hub, Some(most - sent));
                }
                Some(Upon::Answered(_)) | None => {
                    let _ = hub.write_all(body);
                    self.carry(client, hub, None);
                }
            }
        }
        let _ = back.join();
    }

    /// Where the hub is, and when to stop with a request of that head.
    fn next(&self, head: &[u8]) -> (u16, Option<Upon>) {
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line).into_owned();
        let mut state = self.state.lock().expect("the state");
        let mut upon = None;
        if let Some(moment) = state.moments.front_mut()
            && line.contains(moment.line)
        {
            moment.nth = moment.nth.wrapping_sub(1);
            upon = (moment.nth == 0).then_some(moment.upon);
        }
        state.lines.push(line);
        (state.hub, upon)
    }

    /// Hands on what comes, up to so many bytes if there is a bound: then it stops.
    fn carry(&self, mut from: TcpStream, mut to: TcpStream, most: Option<usize>) {
        let mut buffer = vec![0; 64 << 10];
        let mut left = most;
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(read) => read,
            };
            let now = left.map_or(read, |left| left.min(read));
            if to.write_all(&buffer[..now]).is_err() {
                break;
            }
            if let Some(left) = &mut left {
                *left -= now;
                if *left == 0 {
                    self.stop();
                    break;
                }
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }

    /// Says that the moment has come, and waits until it is past.
    fn stop(&self) {
        let mut state = self.state.lock().expect("the state");
        state.holds = true;
        self.news.notify_all();
        let past = self
            .news
            .wait_timeout_while(state, 2 * PATIENCE, |state| state.holds);
        drop(past.expect("the state"));
    }
}

/// What has come of a request until its head has ended, and where that is.
fn head_of(client: &mut TcpStream) -> Option<(Vec<u8>, usize)> {
    let mut head = Vec::new();
    let mut buffer = [0; 4 << 10];
    loop {
        let read = client.read(&mut buffer).ok().filter(|read| *read > 0)?;
        head.extend_from_slice(&buffer[..read]);
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            return Some((head, end + 4));
        }
    }
}
