//! Long lists, a part at a time.

use std::collections::VecDeque;

use futures_util::Stream;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::transport::{Ask, Client};

/// The most items that are asked for at a time.
pub const MAX_ITEMS: u32 = 500;

/// A part of a long list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part<T> {
    /// The items.
    pub items: Vec<T>,
    /// What to ask `after` for to get the next part; none when this was the last.
    pub next: Option<String>,
}

/// Where a walk through a list is.
struct Walk<T> {
    client: Client,
    ask: Ask,
    waiting: VecDeque<T>,
    next: Next,
}

enum Next {
    First,
    After(String),
    Nothing,
}

/// All items of the list that `ask` asks for, fetched as they are wanted.
pub(crate) fn items<T: DeserializeOwned>(
    client: &Client,
    ask: Ask,
) -> impl Stream<Item = Result<T, Error>> + use<T> {
    whole(client, ask.query("limit", Some(MAX_ITEMS)))
}

/// As [`items`], of a list that comes in one part, or in parts of the hub's own size.
pub(crate) fn whole<T: DeserializeOwned>(
    client: &Client,
    ask: Ask,
) -> impl Stream<Item = Result<T, Error>> + use<T> {
    let walk = Walk {
        client: client.clone(),
        ask,
        waiting: VecDeque::new(),
        next: Next::First,
    };
    futures_util::stream::try_unfold(walk, |mut walk| async move {
        loop {
            if let Some(item) = walk.waiting.pop_front() {
                return Ok(Some((item, walk)));
            }
            let after = match std::mem::replace(&mut walk.next, Next::Nothing) {
                Next::First => None,
                Next::After(after) => Some(after),
                Next::Nothing => return Ok(None),
            };
            let ask = walk.ask.clone().query("after", after);
            let part: Part<T> = walk.client.send(&ask).await?.json()?;
            walk.waiting = part.items.into();
            walk.next = part.next.map_or(Next::Nothing, Next::After);
        }
    })
}
