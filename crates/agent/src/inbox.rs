//! What the hub wants of the device's software: commands to do, in order and until they are settled,
//! and calls to answer while somebody waits.
//!
//! A command outlives the connection over which it came: the hub tells it again over the next one,
//! by the same name, and what has been settled meanwhile is said at once.

use std::collections::VecDeque;
use std::sync::Arc;

use outgate_wire::agent::{Answer, Call, Command, Settlement};
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::{oneshot, watch};

/// The most settlements that are remembered for commands that the hub will tell again.
pub const MAX_SETTLED: usize = 64;

/// The most commands and calls that wait at a time, each; the hub is told of more that there is no
/// room.
pub const MAX_WAITING: usize = 64;

/// Why something cannot be settled or answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InboxError {
    /// Nobody waits for it (any more).
    #[error("nobody waits for that: it has another name, or its time is over")]
    Gone,
    /// It was settled otherwise before.
    #[error("it was settled otherwise before")]
    Otherwise,
}

/// What waits for the device's software. Cloned freely; all clones are the same.
#[derive(Clone, Debug)]
pub struct Inbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    waiting: Mutex<Waiting>,
    /// Goes up with each command and call.
    news: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Waiting {
    commands: VecDeque<Pending<Command, Settlement>>,
    calls: VecDeque<Pending<Call, Answer>>,
    /// By names of commands, the oldest first.
    settled: VecDeque<(String, Settlement)>,
}

/// Something that waits for what becomes of it.
#[derive(Debug)]
struct Pending<What, Reply> {
    what: What,
    reply: oneshot::Sender<Reply>,
}

impl Default for Inbox {
    fn default() -> Self {
        Self(Arc::new(Inner {
            waiting: Mutex::default(),
            news: watch::Sender::new(0),
        }))
    }
}

impl Inbox {
    /// Takes a command of the hub's; what is received is what has become of it, or nothing when
    /// there is no room. Dropping the receiver, as when the connection is over, takes it back.
    #[must_use]
    pub fn command(&self, command: Command) -> oneshot::Receiver<Settlement> {
        let (reply, settled) = oneshot::channel();
        let mut waiting = self.0.waiting.lock();
        let before = waiting.settled.iter().find(|(id, _)| *id == command.id);
        if let Some((_, how)) = before {
            // Whoever asked may have gone.
            let _ = reply.send(*how);
            return settled;
        }
        waiting
            .commands
            .retain(|one| !one.reply.is_closed() && one.what.id != command.id);
        if waiting.commands.len() < MAX_WAITING {
            waiting.commands.push_back(Pending {
                what: command,
                reply,
            });
            self.tell();
        }
        settled
    }

    /// As [`Inbox::command`], of a call.
    #[must_use]
    pub fn call(&self, call: Call) -> oneshot::Receiver<Answer> {
        let (reply, answered) = oneshot::channel();
        let mut waiting = self.0.waiting.lock();
        waiting.calls.retain(|one| !one.reply.is_closed());
        if waiting.calls.len() < MAX_WAITING {
            waiting.calls.push_back(Pending { what: call, reply });
            self.tell();
        }
        answered
    }

    /// The commands that are not settled, in their order.
    #[must_use]
    pub fn commands(&self) -> Vec<Command> {
        let mut waiting = self.0.waiting.lock();
        waiting.commands.retain(|one| !one.reply.is_closed());
        waiting
            .commands
            .iter()
            .map(|one| one.what.clone())
            .collect()
    }

    /// The calls that are not answered, in their order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        let mut waiting = self.0.waiting.lock();
        waiting.calls.retain(|one| !one.reply.is_closed());
        waiting.calls.iter().map(|one| one.what.clone()).collect()
    }

    /// Settles a command. The same again is the same; one that the hub took back meanwhile can be
    /// settled as long as it was told in this run of the agent.
    ///
    /// # Errors
    /// [`InboxError`].
    pub fn settle(&self, id: &str, how: Settlement) -> Result<(), InboxError> {
        let mut waiting = self.0.waiting.lock();
        if let Some((_, before)) = waiting.settled.iter().find(|(settled, _)| settled == id) {
            let same = *before == how;
            return if same {
                Ok(())
            } else {
                Err(InboxError::Otherwise)
            };
        }
        let at = waiting.commands.iter().position(|one| one.what.id == id);
        let pending = at.and_then(|at| waiting.commands.remove(at));
        let pending = pending.ok_or(InboxError::Gone)?;
        // One that is abandoned comes again, and is not settled.
        if how != Settlement::Abandoned {
            if waiting.settled.len() >= MAX_SETTLED {
                waiting.settled.pop_front();
            }
            waiting.settled.push_back((pending.what.id, how));
        }
        // When the hub cannot hear it, it asks again.
        let _ = pending.reply.send(how);
        Ok(())
    }

    /// Answers a call.
    ///
    /// # Errors
    /// [`InboxError::Gone`].
    pub fn answer(&self, id: &str, answer: Answer) -> Result<(), InboxError> {
        let mut waiting = self.0.waiting.lock();
        let at = waiting.calls.iter().position(|one| one.what.id == id);
        let pending = at.and_then(|at| waiting.calls.remove(at));
        let pending = pending.ok_or(InboxError::Gone)?;
        pending.reply.send(answer).map_err(|_| InboxError::Gone)
    }

    /// Tells of every command and call that comes.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<u64> {
        self.0.news.subscribe()
    }

    fn tell(&self) {
        self.0.news.send_modify(|news| *news = news.wrapping_add(1));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use outgate_wire::agent::Blob;

    use super::*;

    fn command(id: &str) -> Command {
        Command {
            id: id.to_owned(),
            name: "print".to_owned(),
            content_type: String::new(),
            properties: BTreeMap::new(),
            payload: Blob::default(),
            deliveries: 1,
            expires: "2030-01-01T00:00:00Z".to_owned(),
        }
    }

    fn call(id: &str) -> Call {
        Call {
            id: id.to_owned(),
            method: "price".to_owned(),
            content_type: String::new(),
            payload: Blob::default(),
        }
    }

    fn ids(inbox: &Inbox) -> Vec<String> {
        inbox.commands().into_iter().map(|one| one.id).collect()
    }

    #[test]
    fn a_command_waits_until_it_is_settled_and_the_hub_learns_how() {
        let inbox = Inbox::default();
        let news = inbox.news();
        let mut first = inbox.command(command("a"));
        let mut second = inbox.command(command("b"));
        assert!(news.has_changed().unwrap());
        assert_eq!(ids(&inbox), ["a", "b"]);
        inbox.settle("b", Settlement::Rejected).unwrap();
        assert_eq!(second.try_recv(), Ok(Settlement::Rejected));
        assert_eq!(ids(&inbox), ["a"]);
        first.try_recv().unwrap_err();
        assert_eq!(
            inbox.settle("c", Settlement::Completed),
            Err(InboxError::Gone)
        );
    }

    #[test]
    fn what_was_settled_while_the_hub_was_away_is_said_when_it_asks_again() {
        let inbox = Inbox::default();
        let first = inbox.command(command("a"));
        inbox.settle("a", Settlement::Completed).unwrap();
        drop(first);
        let mut again = inbox.command(command("a"));
        assert_eq!(again.try_recv(), Ok(Settlement::Completed));
        assert!(ids(&inbox).is_empty());
        inbox.settle("a", Settlement::Completed).unwrap();
        assert_eq!(
            inbox.settle("a", Settlement::Rejected),
            Err(InboxError::Otherwise)
        );
    }

    #[test]
    fn what_was_abandoned_comes_again() {
        let inbox = Inbox::default();
        let mut first = inbox.command(command("a"));
        inbox.settle("a", Settlement::Abandoned).unwrap();
        assert_eq!(first.try_recv(), Ok(Settlement::Abandoned));
        let _again = inbox.command(command("a"));
        assert_eq!(ids(&inbox), ["a"]);
    }

    #[test]
    fn a_connection_that_is_over_takes_back_what_it_told() {
        let inbox = Inbox::default();
        drop(inbox.command(command("a")));
        drop(inbox.call(call("b")));
        assert!(ids(&inbox).is_empty());
        assert!(inbox.calls().is_empty());
    }

    #[test]
    fn who_asks_waits_for_the_answer_of_its_own_call() {
        let inbox = Inbox::default();
        let mut one = inbox.call(call("1"));
        let mut two = inbox.call(call("2"));
        let answer = Answer {
            status: 200,
            content_type: String::new(),
            payload: Blob(b"x".to_vec()),
        };
        inbox.answer("2", answer.clone()).unwrap();
        assert_eq!(two.try_recv(), Ok(answer.clone()));
        one.try_recv().unwrap_err();
        assert_eq!(inbox.answer("2", answer), Err(InboxError::Gone));
    }

    #[test]
    fn no_more_waits_than_there_is_room_for() {
        let inbox = Inbox::default();
        let kept: Vec<_> = (0..=MAX_WAITING)
            .map(|number| inbox.command(command(&number.to_string())))
            .collect();
        assert_eq!(ids(&inbox).len(), MAX_WAITING);
        let mut last = kept.into_iter().last().unwrap();
        assert_eq!(last.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        for number in 0..MAX_WAITING {
            inbox
                .settle(&number.to_string(), Settlement::Completed)
                .unwrap();
        }
        let _fresh = inbox.command(command("fresh"));
        inbox.settle("fresh", Settlement::Completed).unwrap();
        // The oldest is forgotten, so it would be done again.
        let _again = inbox.command(command("0"));
        assert_eq!(ids(&inbox), ["0"]);
    }
}
