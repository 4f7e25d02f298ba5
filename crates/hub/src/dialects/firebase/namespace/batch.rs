//! Orders that are carried out together: nobody hears of any before all that they changed is on the
//! disk.

use std::sync::Arc;

use outgate_core::limits::Share;
use outgate_core::sessions::Pass;
use outgate_core::{Core, Refusal, trees};
use outgate_firebase::database::{Change, Told, Write, WriteError};
use outgate_firebase::hash::hash;
use outgate_firebase::wire::{self, Status};
use outgate_firebase::{Database, Form, Node, Path, Query};

use super::{Answer, Order, Reply, Text, What};
use crate::api::{Bodies, Held};
use crate::dialects::caller::share_of_anyone;
use crate::dialects::firebase::outbox::{Letter, Outboxes};

/// A database, who listens to it, and where it is kept.
pub(super) struct Keeper {
    core: Core,
    tree: String,
    database: Database,
    /// What waits for whoever listens.
    outboxes: Outboxes,
    /// The room for what is told, of all databases.
    answers: Bodies,
}

/// What came of a batch so far; nobody has heard of it yet.
#[derive(Default)]
struct Outcome {
    /// In the order in which it is to be told: answers by the places of their orders.
    news: Vec<News>,
    changes: Vec<Change>,
    askers: Vec<Pass>,
}

enum News {
    Told(Told, Held),
    /// There is no room for what this one is to be told.
    TooMuch(u64),
    Answer(usize, Answer),
}

impl Keeper {
    pub(super) fn new(core: &Core, tree: String, database: Database, answers: &Bodies) -> Self {
        Self {
            core: core.clone(),
            answers: answers.clone(),
            tree,
            database,
            outboxes: Outboxes::new(),
        }
    }

    /// Does what is ordered, has it kept, and tells of it.
    pub(super) async fn carry_out(&mut self, orders: Vec<Order>) {
        let mut refused = None;
        let outcome = loop {
            let mut outcome = self.try_out(&orders, refused.as_ref());
            let Err(refusal) = self.kept(&mut outcome).await else {
                break outcome;
            };
            for change in outcome.changes.into_iter().rev() {
                self.database.undo(change);
            }
            // Whoever has been revoked meanwhile does not come through again; who has not is
            // refused what cannot be kept.
            let one_has_ended = outcome.askers.iter().any(|pass| pass.check().is_err());
            if !one_has_ended {
                refused = Some(refusal);
            }
        };
        self.tell(orders, outcome.news);
    }

    fn try_out(&mut self, orders: &[Order], refused: Option<&Refusal>) -> Outcome {
        let now = self.core.clock.now().as_millis();
        let mut outcome = Outcome::default();
        for (place, order) in orders.iter().enumerate() {
            let answer = match (&order.what, order.pass.as_ref(), refused) {
                (What::Forget { by, listens, .. }, _, _) => self.forget(*by, listens),
                (_, None, _) => Answer::Refusal(Refusal::Unauthenticated),
                (what, Some(pass), refused) => match (pass.check(), what, refused) {
                    (Err(refusal), _, _) => Answer::Refusal(refusal),
                    (Ok(()), What::Write { .. }, Some(refusal)) => Answer::Refusal(refusal.clone()),
                    (Ok(()), What::Write { write, returns }, None) => {
                        self.write(&mut outcome, pass, write, *returns, now)
                    }
                    (Ok(()), what, _) => self.read(&mut outcome, pass, what),
                },
            };
            outcome.news.push(News::Answer(place, answer));
        }
        outcome
    }

    fn forget(&mut self, by: u64, listens: &[(Path, Option<u64>)]) -> Answer {
        for (path, tag) in listens {
            self.database.unlisten(path, by, *tag);
        }
        Answer::Done
    }

    /// Does what changes nothing.
    fn read(&mut self, outcome: &mut Outcome, asker: &Pass, what: &What) -> Answer {
        let share = share_of_anyone(asker);
        match what {
            What::Listen {
                outbox,
                path,
                listen,
                known,
            } => {
                let there = (Arc::clone(outbox), share.clone());
                self.outboxes.insert(outbox.number, there);
                let listened = self.database.listen(path, listen.clone(), known.as_deref());
                let told = match listened {
                    Ok(told) => told,
                    Err(error) => return Answer::Refused(Status::TooBig, error.to_string()),
                };
                let Some(told) = told else {
                    return Answer::Done;
                };
                match self.answers.hold(&share, told.data.len()) {
                    Ok(held) => {
                        outcome.news.push(News::Told(told, held));
                        Answer::Done
                    }
                    Err(refusal) => {
                        outcome.news.push(News::TooMuch(outbox.number));
                        Answer::Refusal(refusal)
                    }
                }
            }
            What::Get {
                path,
                query,
                form,
                shallow,
                hashed,
            } => self.get(&share, (path, query), (*form, *shallow), *hashed),
            What::Write { .. } | What::Forget { .. } => {
                Answer::Refusal(Refusal::Internal("what is no reading was read"))
            }
        }
    }

    fn get(
        &self,
        share: &Share,
        (path, query): (&Path, &Query),
        (form, shallow): (Form, bool),
        hashed: bool,
    ) -> Answer {
        let node = self.database.root().at(path.keys());
        let selected;
        let node = if query.is_for_all() {
            node
        } else {
            selected = query.answer(node);
            &selected
        };
        let text = if shallow && node.as_leaf().is_none() {
            names_of(node)
        } else {
            node.to_json(form)
        };
        match self.held(share, text) {
            Ok(text) => Answer::Value(text, hashed.then(|| hash(node))),
            Err(refusal) => Answer::Refusal(refusal),
        }
    }

    /// A text for which there is room.
    fn held(&self, share: &Share, text: String) -> Result<Text, Refusal> {
        let held = Some(self.answers.hold(share, text.len())?);
        Ok(Text { text, held })
    }

    fn write(
        &mut self,
        outcome: &mut Outcome,
        asker: &Pass,
        write: &Write,
        returns: bool,
        now: i64,
    ) -> Answer {
        let change = match self.database.write(write, now) {
            Ok(change) => change,
            Err(WriteError::Stale) => {
                let path = write.expected.as_ref().map(|(path, _)| path.keys());
                let node = self.database.root().at(path.unwrap_or_default());
                return match self.held(&share_of_anyone(asker), node.to_json(Form::Plain)) {
                    Ok(text) => Answer::Stale(text, hash(node)),
                    Err(refusal) => Answer::Refusal(refusal),
                };
            }
            Err(full @ WriteError::Full { .. }) => {
                return Answer::Refused(Status::TooBig, full.to_string());
            }
        };
        let told = self.database.tell(&change);
        let news = told.into_iter().filter_map(|told| self.news(told));
        outcome.news.extend(news);
        outcome.changes.push(change);
        outcome.askers.push(asker.clone());
        if !returns {
            return Answer::Done;
        }
        let parts = write.parts.iter().map(|(path, _)| {
            let node = self.database.root().at(path.keys());
            (path.clone(), node.to_json(Form::Plain))
        });
        Answer::Written(parts.collect())
    }

    /// What is told, or that there is no room for it.
    fn news(&self, told: Told) -> Option<News> {
        let (_, share) = self.outboxes.get(&told.by)?;
        Some(match self.answers.hold(share, told.data.len()) {
            Ok(held) => News::Told(told, held),
            Err(_) => News::TooMuch(told.by),
        })
    }

    /// Has what was changed kept on the disk, if anything was.
    async fn kept(&self, outcome: &mut Outcome) -> Result<(), Refusal> {
        if outcome.changes.is_empty() {
            return Ok(());
        }
        let rows = outcome.changes.iter_mut();
        let rows = rows.flat_map(|change| std::mem::take(&mut change.rows));
        let changes = rows.map(|rows| trees::Change {
            place: rows.place,
            leaves: rows.rows,
        });
        let (askers, tree) = (outcome.askers.clone(), self.tree.clone());
        let changes = changes.collect();
        self.core.trees.change(askers, tree, changes).await
    }

    fn tell(&mut self, orders: Vec<Order>, news: Vec<News>) {
        let mut replies: Vec<_> = orders
            .into_iter()
            .map(|order| Some((order.reply, order.what)))
            .collect();
        for news in news {
            match news {
                News::Told(told, held) => {
                    if let Some((outbox, _)) = self.outboxes.get(&told.by) {
                        outbox.put(Letter::Told(told, held));
                    }
                }
                News::TooMuch(by) => {
                    if let Some((outbox, _)) = self.outboxes.get(&by) {
                        outbox.put_out();
                    }
                }
                News::Answer(place, answer) => {
                    let reply = replies.get_mut(place).and_then(Option::take);
                    if let Some((reply, what)) = reply {
                        reply.give(answer);
                        self.forget_whoever_left(&what);
                    }
                }
            }
        }
    }

    /// Who says that it listens to nothing more has gone.
    fn forget_whoever_left(&mut self, what: &What) {
        if let What::Forget { by, gone: true, .. } = what {
            self.outboxes.remove(by);
        }
    }
}

impl Reply {
    fn give(self, answer: Answer) {
        match self {
            Self::Nobody => {}
            Self::Once(tell) => {
                // Whoever waited may have gone.
                let _ = tell.send(answer);
            }
            Self::Message(outbox, number) => {
                let message = answer.to_message(number);
                outbox.put(Letter::Message(message, answer.into_held()));
            }
        }
    }
}

impl Answer {
    fn into_held(self) -> Option<Held> {
        match self {
            Self::Value(text, _) | Self::Stale(text, _) => text.held,
            Self::Done | Self::Written(_) | Self::Refused(..) | Self::Refusal(_) => None,
        }
    }

    /// The answer to the request of that number over a WebSocket.
    pub(in super::super) fn to_message(&self, number: u64) -> String {
        match self {
            Self::Done | Self::Written(_) => wire::answer(number, Status::Done, "\"\""),
            Self::Value(text, _) => wire::answer(number, Status::Done, &text.text),
            Self::Stale(..) => {
                wire::answer_with(number, Status::Stale, "the value has changed meanwhile")
            }
            Self::Refused(status, why) => wire::answer_with(number, *status, why),
            Self::Refusal(refusal) => {
                let is_denied = matches!(refusal, Refusal::Revoked | Refusal::Forbidden { .. });
                let status = if is_denied {
                    Status::Denied
                } else {
                    Status::Unavailable
                };
                wire::answer_with(number, status, &refusal.to_string())
            }
        }
    }
}

/// The names of the children, each with true.
fn names_of(node: &Node) -> String {
    let mut names = serde_json::Map::new();
    for (key, _) in node.children() {
        names.insert(key.as_str().to_owned(), true.into());
    }
    if names.is_empty() {
        return "null".to_owned();
    }
    serde_json::Value::Object(names).to_string()
}
