//! Long lists in parts: what is asked, and what is answered.

use axum::response::{IntoResponse, Response};
use http::Uri;
use http::header::{HeaderValue, LINK};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use outgate_core::identity::{Listed, MAX_PAGE, Page};

use crate::api::problem::{Kind, Problem};

/// How many items a part has when nothing else is asked.
const DEFAULT_PAGE: u32 = 100;

/// The most bytes of a cursor.
const MAX_CURSOR: usize = 512;

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// What to ask `after` for the next part; absent when this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// Which part of a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// What `next` was of the part before.
    #[param(required = false, min_length = 1, max_length = 512)]
    pub(crate) after: Option<String>,
    /// The most items of the part.
    #[param(required = false, minimum = 1, maximum = 1000, default = 100)]
    pub(crate) limit: Option<u32>,
}

/// Which part is asked for.
///
/// # Errors
/// When a value is not what it must be.
pub(crate) fn page(after: Option<String>, limit: Option<u32>) -> Result<Page, Problem> {
    let limit = limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(Problem::new(
            Kind::Malformed,
            format!("limit: 1 to {MAX_PAGE}"),
        ));
    }
    if after
        .as_ref()
        .is_some_and(|it| it.is_empty() || it.len() > MAX_CURSOR)
    {
        let detail = "after: what `next` was of the part before";
        return Err(Problem::new(Kind::Malformed, detail));
    }
    Ok(Page { after, limit })
}

/// A part of a list on its way out, with a link to the next (RFC 8288).
pub(crate) struct Part<T> {
    list: List<T>,
    link: Option<HeaderValue>,
}

impl<T> Part<T> {
    /// The part `listed` of the list at `asked`.
    pub(crate) fn new<F>(asked: &Uri, listed: Listed<F>) -> Self
    where
        T: From<F>,
    {
        let link = listed.next.as_deref().and_then(|next| link(asked, next));
        Self {
            list: List {
                items: listed.items.into_iter().map(T::from).collect(),
                next: listed.next,
            },
            link,
        }
    }

    /// A list that is always whole.
    pub(crate) fn whole<F>(items: Vec<F>) -> Self
    where
        T: From<F>,
    {
        Self {
            list: List {
                items: items.into_iter().map(T::from).collect(),
                next: None,
            },
            link: None,
        }
    }
}

impl<T: Serialize> IntoResponse for Part<T> {
    fn into_response(self) -> Response {
        linked(axum::Json(self.list), self.link)
    }
}

/// What came of `asked`, with a link to what comes after the place `next`.
pub(crate) fn with_next(asked: &Uri, next: u64, told: impl Serialize) -> Response {
    linked(axum::Json(told), link(asked, &next.to_string()))
}

fn linked(told: impl IntoResponse, link: Option<HeaderValue>) -> Response {
    let mut response = told.into_response();
    if let Some(link) = link {
        response.headers_mut().insert(LINK, link);
    }
    response
}

/// The header that leads from `asked` to the part after `next`.
fn link(asked: &Uri, next: &str) -> Option<HeaderValue> {
    let others = asked
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && pair.split('=').next() != Some("after"));
    let after = format!("after={}", quoted(next));
    let query: Vec<&str> = others.chain([after.as_str()]).collect();
    let link = format!("<{}?{}>; rel=\"next\"", asked.path(), query.join("&"));
    HeaderValue::try_from(link).ok()
}

/// `text` as it may stand in a query (RFC 3986, section 2.1).
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            quoted.push_str(&format!("%{byte:02X}"));
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_keeps_what_was_asked_and_moves_on() {
        let asked: Uri = "/api/devices?site=a&after=x&limit=2".parse().unwrap();
        let link = link(&asked, "till 7&b").unwrap();
        assert_eq!(
            link,
            "</api/devices?site=a&limit=2&after=till%207%26b>; rel=\"next\""
        );
    }

    #[test]
    fn a_part_of_no_items_or_too_many_is_refused() {
        assert!(page(None, Some(0)).is_err());
        assert!(page(None, Some(MAX_PAGE + 1)).is_err());
        assert!(page(Some(String::new()), None).is_err());
        assert_eq!(page(None, None).unwrap().limit, DEFAULT_PAGE);
    }
}
