//! What the hub wants of the device's software: commands to do, in order and until they are settled,
//! and calls to answer while somebody waits.
//!
//! A command outlives the connection over which it came: the hub tells it again over the next one,
//! by the same name, and what has been settled meanwhile is said at once. That is kept on the disk,
//! so that a command which is done is not done again because the agent was started anew.

use std::collections::VecDeque;
use std::sync::Arc;

use outgate_wire::agent::{Answer, Call, Command, Settlement};
use parking_lot::Mutex;
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::{oneshot, watch};

use crate::queue::{MAX_SETTLED, Queue, QueueError};

/// The most answers that are remembered for what the hub will tell again.
pub const MAX_ANSWERED: usize = 64;

/// The most commands and calls that wait at a time, each; the hub is told of more that there is no
/// room.
pub const MAX_WAITING: usize = 64;

/// Why something cannot be settled or answered.
#[derive(Clone, Debug, Error)]
pub enum InboxError {
    /// Nobody waits for it (any more).
    #[error("nobody waits for that: it has another name, or its time is over")]
    Gone,
    /// It was settled otherwise before.
    #[error("it was settled otherwise before")]
    Otherwise,
    /// It cannot be kept; it is not settled.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// What waits for the device's software. Cloned freely; all clones are the same.
#[derive(Clone, Debug)]
pub struct Inbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    waiting: Mutex<Waiting>,
    /// Where it is kept what was settled; nowhere in some tests.
    queue: Option<Queue>,
    /// Held while something is settled, so that what is kept is what the hub is told.
    settling: tokio::sync::Mutex<()>,
    /// Goes up with each command and call.
    news: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Waiting {
    commands: VecDeque<PendingCommand>,
    calls: VecDeque<PendingCall>,
    /// By names of commands, the oldest first.
    settled: VecDeque<(String, Settlement)>,
    /// By names of calls, the oldest first: each session of the device is asked.
    answered: VecDeque<(String, Answer)>,
}

/// A command that is not settled. It stays when the connection over which it was told is over.
#[derive(Debug)]
struct PendingCommand {
    what: Command,
    reply: oneshot::Sender<Settlement>,
}

/// A call that is not answered, and all who were told of it.
#[derive(Debug)]
struct PendingCall {
    what: Call,
    replies: Vec<oneshot::Sender<Answer>>,
}

impl Default for Inbox {
    fn default() -> Self {
        Self::with(VecDeque::new(), None)
    }
}

impl Waiting {
    /// Forgets calls that nobody waits for any more, and commands whose time is over while nobody
    /// tells them.
    fn tidy(&mut self) {
        self.calls.retain_mut(|call| {
            call.replies.retain(|reply| !reply.is_closed());
            !call.replies.is_empty()
        });
        let now = OffsetDateTime::now_utc();
        self.commands.retain(|command| {
            let expires = OffsetDateTime::parse(&command.what.expires, &Rfc3339);
            !command.reply.is_closed() || expires.is_ok_and(|expires| expires > now)
        });
    }
}

impl Inbox {
    /// An inbox with what was settled before, which is kept in `queue`. Where that cannot be read it
    /// is begun anew: a command may then be done again.
    pub async fn open(queue: Queue) -> Self {
        let settled = queue.settled().await.unwrap_or_else(|error| {
            tracing::error!(%error, "what was settled cannot be read");
            Vec::new()
        });
        Self::with(settled.into(), Some(queue))
    }

    fn with(settled: VecDeque<(String, Settlement)>, queue: Option<Queue>) -> Self {
        Self(Arc::new(Inner {
            waiting: Mutex::new(Waiting {
                settled,
                ..Waiting::default()
            }),
            queue,
            settling: tokio::sync::Mutex::default(),
            news: watch::Sender::new(0),
        }))
    }

    /// Takes a command of the hub's; what is received is what has become of it, or nothing when
    /// there is no room. Whoever drops the receiver does not want to know; the command stays until
    /// it is settled or its time is over.
    #[must_use]
    pub fn command(&self, command: Command) -> oneshot::Receiver<Settlement> {
        let (reply, settled) = oneshot::channel();
        let mut waiting = self.0.waiting.lock();
        waiting.tidy();
        let before = waiting.settled.iter().find(|(id, _)| *id == command.id);
        if let Some((_, how)) = before {
            // Whoever asked may have gone.
            let _ = reply.send(*how);
            return settled;
        }
        let known = waiting
            .commands
            .iter_mut()
            .find(|one| one.what.id == command.id);
        if let Some(known) = known {
            *known = PendingCommand {
                what: command,
                reply,
            };
            return settled;
        }
        if waiting.commands.len() >= MAX_WAITING {
            // One that the hub will tell again gives way to one that it tells now.
            let given_up = waiting
                .commands
                .iter()
                .position(|one| one.reply.is_closed());
            given_up.and_then(|at| waiting.commands.remove(at));
        }
        if waiting.commands.len() < MAX_WAITING {
            waiting.commands.push_back(PendingCommand {
                what: command,
                reply,
            });
            self.tell();
        }
        settled
    }

    /// As [`Inbox::command`], of a call; one whose receivers are all dropped is taken back. A call
    /// that is told over several connections is one.
    #[must_use]
    pub fn call(&self, call: Call) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        let mut waiting = self.0.waiting.lock();
        waiting.tidy();
        let before = waiting.answered.iter().find(|(id, _)| *id == call.id);
        if let Some((_, before)) = before {
            let _ = reply.send(before.clone());
            return answer;
        }
        let known = waiting.calls.iter_mut().find(|one| one.what.id == call.id);
        if let Some(known) = known {
            known.replies.push(reply);
            return answer;
        }
        if waiting.calls.len() < MAX_WAITING {
            waiting.calls.push_back(PendingCall {
                what: call,
                replies: vec![reply],
            });
            self.tell();
        }
        answer
    }

    /// The commands that are not settled, in their order.
    #[must_use]
    pub fn commands(&self) -> Vec<Command> {
        let mut waiting = self.0.waiting.lock();
        waiting.tidy();
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
        waiting.tidy();
        waiting.calls.iter().map(|one| one.what.clone()).collect()
    }

    /// Settles a command, also while the hub is away: it is told when it asks again. That is on the
    /// disk when this returns. The same again is the same.
    ///
    /// # Errors
    /// [`InboxError`].
    pub async fn settle(&self, id: &str, how: Settlement) -> Result<(), InboxError> {
        let _settling = self.0.settling.lock().await;
        if self.waits_to_be_settled(id, how)? {
            // One that is abandoned comes again, and is not settled.
            if how != Settlement::Abandoned
                && let Some(queue) = &self.0.queue
            {
                queue.keep_settled(id, how).await?;
            }
            self.settled(id, how);
        }
        Ok(())
    }

    /// Whether a command waits for that, and was not settled so before.
    fn waits_to_be_settled(&self, id: &str, how: Settlement) -> Result<bool, InboxError> {
        let waiting = self.0.waiting.lock();
        match waiting.settled.iter().find(|(settled, _)| settled == id) {
            Some((_, before)) if *before == how => return Ok(false),
            Some(_) => return Err(InboxError::Otherwise),
            None => {}
        }
        let waits = waiting.commands.iter().any(|one| one.what.id == id);
        if waits {
            Ok(true)
        } else {
            Err(InboxError::Gone)
        }
    }

    /// Says what has become of a command, which may have gone meanwhile.
    fn settled(&self, id: &str, how: Settlement) {
        let mut waiting = self.0.waiting.lock();
        if how != Settlement::Abandoned {
            remember(&mut waiting.settled, (id.to_owned(), how), MAX_SETTLED);
        }
        let at = waiting.commands.iter().position(|one| one.what.id == id);
        if let Some(pending) = at.and_then(|at| waiting.commands.remove(at)) {
            // When the hub cannot hear it, it asks again.
            let _ = pending.reply.send(how);
        }
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
        // Each of them is told, whoever hears it.
        let sent: Vec<bool> = pending
            .replies
            .into_iter()
            .map(|reply| reply.send(answer.clone()).is_ok())
            .collect();
        let heard = sent.contains(&true);
        if !heard {
            return Err(InboxError::Gone);
        }
        remember(
            &mut waiting.answered,
            (pending.what.id, answer),
            MAX_ANSWERED,
        );
        Ok(())
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

/// Remembers one more, and forgets the oldest if there are too many.
fn remember<T>(remembered: &mut VecDeque<T>, one: T, most: usize) {
    if remembered.len() >= most {
        remembered.pop_front();
    }
    remembered.push_back(one);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use outgate_wire::agent::Blob;
    use tempfile::TempDir;

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

    #[tokio::test]
    async fn a_command_waits_until_it_is_settled_and_the_hub_learns_how() {
        let inbox = Inbox::default();
        let news = inbox.news();
        let mut first = inbox.command(command("a"));
        let mut second = inbox.command(command("b"));
        assert!(news.has_changed().unwrap());
        assert_eq!(ids(&inbox), ["a", "b"]);
        inbox.settle("b", Settlement::Rejected).await.unwrap();
        assert_eq!(second.try_recv(), Ok(Settlement::Rejected));
        assert_eq!(ids(&inbox), ["a"]);
        first.try_recv().unwrap_err();
        let refused = inbox.settle("c", Settlement::Completed).await;
        assert!(matches!(refused, Err(InboxError::Gone)), "{refused:?}");
    }

    #[tokio::test]
    async fn what_was_settled_while_the_hub_was_away_is_said_when_it_asks_again() {
        let inbox = Inbox::default();
        let first = inbox.command(command("a"));
        inbox.settle("a", Settlement::Completed).await.unwrap();
        drop(first);
        let mut again = inbox.command(command("a"));
        assert_eq!(again.try_recv(), Ok(Settlement::Completed));
        assert!(ids(&inbox).is_empty());
        inbox.settle("a", Settlement::Completed).await.unwrap();
        let refused = inbox.settle("a", Settlement::Rejected).await;
        assert!(matches!(refused, Err(InboxError::Otherwise)), "{refused:?}");
    }

    #[tokio::test]
    async fn what_was_abandoned_comes_again() {
        let inbox = Inbox::default();
        let mut first = inbox.command(command("a"));
        inbox.settle("a", Settlement::Abandoned).await.unwrap();
        assert_eq!(first.try_recv(), Ok(Settlement::Abandoned));
        let _again = inbox.command(command("a"));
        assert_eq!(ids(&inbox), ["a"]);
    }

    #[tokio::test]
    async fn a_command_outlives_its_connection_until_its_time_is_over_and_a_call_does_not() {
        let inbox = Inbox::default();
        let mut over = command("over");
        over.expires = "2001-01-01T00:00:00Z".to_owned();
        drop(inbox.command(command("a")));
        let told = inbox.command(over.clone());
        drop(inbox.call(call("b")));
        // The hub knows best as long as it waits for it.
        assert_eq!(ids(&inbox), ["a", "over"]);
        assert!(inbox.calls().is_empty());
        drop(told);
        assert_eq!(ids(&inbox), ["a"]);
        inbox.settle("a", Settlement::Completed).await.unwrap();
        let mut again = inbox.command(command("a"));
        assert_eq!(again.try_recv(), Ok(Settlement::Completed));
    }

    #[test]
    fn a_call_that_comes_over_two_connections_is_one() {
        let inbox = Inbox::default();
        let mut one = inbox.call(call("1"));
        let mut two = inbox.call(call("1"));
        assert_eq!(inbox.calls().len(), 1);
        let answer = Answer {
            status: 200,
            content_type: String::new(),
            payload: Blob::default(),
        };
        inbox.answer("1", answer.clone()).unwrap();
        assert_eq!(
            (one.try_recv(), two.try_recv()),
            (Ok(answer.clone()), Ok(answer.clone()))
        );
        let mut late = inbox.call(call("1"));
        assert_eq!(late.try_recv(), Ok(answer));
        assert!(inbox.calls().is_empty());
    }

    #[test]
    fn what_is_told_now_takes_the_place_of_what_will_be_told_again() {
        let inbox = Inbox::default();
        for number in 0..MAX_WAITING {
            drop(inbox.command(command(&number.to_string())));
        }
        let mut fresh = inbox.command(command("fresh"));
        assert_eq!(fresh.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        let waiting = ids(&inbox);
        assert_eq!((waiting.len(), waiting[0].as_str()), (MAX_WAITING, "1"));
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
        let refused = inbox.answer("2", answer);
        assert!(matches!(refused, Err(InboxError::Gone)), "{refused:?}");
    }

    #[tokio::test]
    async fn no_more_waits_than_there_is_room_for() {
        let inbox = Inbox::default();
        let kept: Vec<_> = (0..=MAX_WAITING)
            .map(|number| inbox.command(command(&number.to_string())))
            .collect();
        assert_eq!(ids(&inbox).len(), MAX_WAITING);
        let mut last = kept.into_iter().last().unwrap();
        assert_eq!(last.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        for number in 0..MAX_WAITING {
            let number = number.to_string();
            inbox.settle(&number, Settlement::Completed).await.unwrap();
        }
        let _fresh = inbox.command(command("fresh"));
        inbox.settle("fresh", Settlement::Completed).await.unwrap();
        // The oldest is forgotten, so it would be done again.
        let _again = inbox.command(command("0"));
        assert_eq!(ids(&inbox), ["0"]);
    }

    #[tokio::test]
    async fn what_was_settled_is_said_also_by_an_agent_that_was_started_anew() {
        let folder = TempDir::new().unwrap();
        let open = || {
            let limits = crate::queue::Limits {
                bytes: 1 << 20,
                keep: std::time::Duration::from_secs(60),
                reserve: 0,
            };
            let clock = Arc::new(crate::queue::MachineClock::new().unwrap());
            Inbox::open(Queue::open(folder.path(), limits, clock).unwrap())
        };
        let inbox = open().await;
        let ways = [Settlement::Completed, Settlement::Rejected];
        for (number, how) in (0..=MAX_SETTLED).zip(ways.into_iter().cycle()) {
            let id = number.to_string();
            drop(inbox.command(command(&id)));
            inbox.settle(&id, how).await.unwrap();
        }
        drop(inbox.command(command("abandoned")));
        let abandoned = inbox.settle("abandoned", Settlement::Abandoned);
        abandoned.await.unwrap();
        drop(inbox);
        let inbox = open().await;
        for (number, how) in (0..=MAX_SETTLED).zip(ways.into_iter().cycle()).skip(1) {
            let mut again = inbox.command(command(&number.to_string()));
            assert_eq!(again.try_recv(), Ok(how), "{number}");
        }
        // The oldest is forgotten, and what was abandoned is to be done.
        drop(inbox.command(command("0")));
        drop(inbox.command(command("abandoned")));
        assert_eq!(ids(&inbox), ["0", "abandoned"]);
        let otherwise = inbox.settle("1", Settlement::Completed).await;
        assert!(matches!(otherwise, Err(InboxError::Otherwise)));
    }
}
