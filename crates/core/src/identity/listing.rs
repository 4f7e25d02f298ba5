//! Long lists, told in parts.

use crate::refusal::Refusal;

/// Part of a long list.
#[derive(Clone, Debug)]
pub struct Page {
    /// What `next` was of the part before; `None` for the first.
    pub after: Option<String>,
    /// At most so many, 1 to [`MAX_PAGE`].
    pub limit: u32,
}

/// The most items in one part of a list.
pub const MAX_PAGE: u32 = 1_000;

/// A part of a list, and where the next begins.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// The items.
    pub items: Vec<T>,
    /// What to ask `after` for; `None` when this was the last part.
    pub next: Option<String>,
}

impl Page {
    /// How many to ask the store for: one more than wanted, which says whether there is more.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] when the limit is none.
    pub(crate) fn fetch(&self) -> Result<u32, Refusal> {
        if (1..=MAX_PAGE).contains(&self.limit) {
            Ok(self.limit + 1)
        } else {
            Err(Refusal::invalid("limit", format!("1 to {MAX_PAGE}")))
        }
    }

    /// The name after which the part begins.
    pub(crate) fn after(&self) -> &str {
        self.after.as_deref().unwrap_or_default()
    }
}

impl<T> Listed<T> {
    /// The part made of what [`Page::fetch`] asked for; `name` is what to go on after.
    pub(crate) fn of(mut items: Vec<T>, page: &Page, name: impl Fn(&T) -> String) -> Self {
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(name) } else { None };
        Self { items, next }
    }
}
