//! Conditions on what is asked for (RFC 9110, section 13; Microsoft's "Specify conditional
//! headers").

use std::time::{Duration, SystemTime};

/// What a request makes its being done depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `If-Match`: only if the blob is one of these.
    pub if_match: Option<Tags>,
    /// `If-None-Match`: only if it is none of these.
    pub if_none_match: Option<Tags>,
    /// `If-Modified-Since`, in seconds since 1970.
    pub if_modified_since: Option<u64>,
    /// `If-Unmodified-Since`, in seconds since 1970.
    pub if_unmodified_since: Option<u64>,
}

/// Some entity tags, as a header lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tags {
    /// `*`: whatever there is.
    Any,
    /// Those, with or without the quotes around them, at most [`MAX_TAGS`].
    These(Vec<String>),
}

/// The most tags of a header that are looked at. Azure takes one.
pub const MAX_TAGS: usize = 16;

/// A blob as conditions see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Current<'a> {
    /// Its entity tag, with its quotes.
    pub tag: &'a str,
    /// When it was changed last, in seconds since 1970.
    pub changed: u64,
}

/// What becomes of a request with conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Go,
    /// Whoever reads has it already: 304.
    NotModified,
    /// There is one already, and there was to be none: 409.
    Exists,
    /// It is not done: 412.
    Failed,
}

impl Tags {
    /// Reads a header.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text.trim() == "*" {
            return Self::Any;
        }
        let tags = text.split(',').take(MAX_TAGS).map(bare);
        Self::These(tags.map(str::to_owned).collect())
    }

    fn contain(&self, current: Option<Current<'_>>) -> bool {
        match (self, current) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::These(tags), Some(current)) => tags.iter().any(|tag| tag == bare(current.tag)),
        }
    }
}

impl Conditions {
    /// Reads the headers that are there.
    pub fn parse<'a>(header: impl Fn(&'static str) -> Option<&'a str>) -> Self {
        let date = |name| seconds(header(name)?);
        Self {
            if_match: header("if-match").map(Tags::parse),
            if_none_match: header("if-none-match").map(Tags::parse),
            if_modified_since: date("if-modified-since"),
            if_unmodified_since: date("if-unmodified-since"),
        }
    }

    /// Whether a blob that is as it is, or is not there, may be read.
    #[must_use]
    pub fn on_reading(&self, current: Option<Current<'_>>) -> Verdict {
        match self.judge(current) {
            Verdict::Exists => Verdict::NotModified,
            Verdict::Failed if self.only_news_are_missing(current) => Verdict::NotModified,
            verdict @ (Verdict::Go | Verdict::NotModified | Verdict::Failed) => verdict,
        }
    }

    /// Whether a blob that is as it is, or is not there, may be changed.
    #[must_use]
    pub fn on_writing(&self, current: Option<Current<'_>>) -> Verdict {
        self.judge(current)
    }

    /// Whether a blob that is as it is, or is not there, may be removed. That there is none is for
    /// the caller to say, where nothing else speaks against it.
    #[must_use]
    pub fn on_deleting(&self, current: Option<Current<'_>>) -> Verdict {
        match (self.judge(current), &self.if_match, current) {
            // As azurite has it: what is not there has no tag, but may be any.
            (Verdict::Failed, Some(Tags::Any), None) => Verdict::Go,
            // Nothing is to be made, so it is in nobody's way.
            (Verdict::Exists, _, _) => Verdict::Failed,
            (verdict @ (Verdict::Go | Verdict::NotModified | Verdict::Failed), _, _) => verdict,
        }
    }

    fn judge(&self, current: Option<Current<'_>>) -> Verdict {
        // RFC 9110, section 13.2.2: tags before dates.
        if let Some(tags) = &self.if_match {
            if !tags.contain(current) {
                return Verdict::Failed;
            }
        } else if let (Some(since), Some(current)) = (self.if_unmodified_since, current)
            && current.changed > since
        {
            return Verdict::Failed;
        }
        if let Some(tags) = &self.if_none_match {
            if tags.contain(current) {
                return match tags {
                    Tags::Any => Verdict::Exists,
                    Tags::These(_) => Verdict::Failed,
                };
            }
        } else if let (Some(since), Some(current)) = (self.if_modified_since, current)
            && current.changed <= since
        {
            return Verdict::Failed;
        }
        Verdict::Go
    }

    /// Whether nothing but `If-None-Match` or `If-Modified-Since` speaks against it.
    fn only_news_are_missing(&self, current: Option<Current<'_>>) -> bool {
        let others = Self {
            if_none_match: None,
            if_modified_since: None,
            ..self.clone()
        };
        others.judge(current) == Verdict::Go
    }
}

/// A moment as HTTP writes it, in seconds since 1970.
fn seconds(text: &str) -> Option<u64> {
    let moment = httpdate::parse_http_date(text.trim()).ok()?;
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

/// A moment, in seconds since 1970, as HTTP writes it (RFC 9110, section 5.6.7).
#[must_use]
pub fn http_date(seconds: u64) -> String {
    // The year 9999, after which there is no such writing.
    let seconds = seconds.min(253_402_300_799);
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// A tag without what is around it. Azure's clients send tags with and without quotes.
fn bare(tag: &str) -> &str {
    let tag = tag.trim();
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    tag.trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Option<Current<'static>> = Some(Current {
        tag: "\"0x5\"",
        changed: 1_000,
    });

    fn read(headers: &[(&str, &str)]) -> Conditions {
        Conditions::parse(|name| {
            headers
                .iter()
                .find(|(it, _)| *it == name)
                .map(|(_, text)| *text)
        })
    }

    #[test]
    fn conditions_are_judged_as_azure_does() {
        let before = http_date(999);
        let then = http_date(1_000);
        for (headers, reading, writing) in [
            (vec![], Verdict::Go, Verdict::Go),
            (vec![("if-match", "\"0x5\"")], Verdict::Go, Verdict::Go),
            (vec![("if-match", "0x5")], Verdict::Go, Verdict::Go),
            (vec![("if-match", "*")], Verdict::Go, Verdict::Go),
            (
                vec![("if-match", "\"0x6\"")],
                Verdict::Failed,
                Verdict::Failed,
            ),
            (
                vec![("if-none-match", "*")],
                Verdict::NotModified,
                Verdict::Exists,
            ),
            (
                vec![("if-none-match", "a, \"0x5\"")],
                Verdict::NotModified,
                Verdict::Failed,
            ),
            (vec![("if-none-match", "\"0x6\"")], Verdict::Go, Verdict::Go),
            (
                vec![("if-modified-since", then.as_str())],
                Verdict::NotModified,
                Verdict::Failed,
            ),
            (
                vec![("if-modified-since", before.as_str())],
                Verdict::Go,
                Verdict::Go,
            ),
            (
                vec![("if-unmodified-since", before.as_str())],
                Verdict::Failed,
                Verdict::Failed,
            ),
            (
                vec![("if-unmodified-since", then.as_str())],
                Verdict::Go,
                Verdict::Go,
            ),
            (
                vec![("if-match", "\"0x6\""), ("if-none-match", "\"0x5\"")],
                Verdict::Failed,
                Verdict::Failed,
            ),
        ] {
            let conditions = read(&headers);
            assert_eq!(conditions.on_reading(NOW), reading, "{headers:?}");
            assert_eq!(conditions.on_writing(NOW), writing, "{headers:?}");
        }
    }

    #[test]
    fn a_blob_is_removed_where_it_is_the_one_that_is_meant() {
        for (headers, there, none) in [
            (vec![], Verdict::Go, Verdict::Go),
            (vec![("if-match", "*")], Verdict::Go, Verdict::Go),
            (vec![("if-match", "\"0x5\"")], Verdict::Go, Verdict::Failed),
            (
                vec![("if-match", "\"0x6\"")],
                Verdict::Failed,
                Verdict::Failed,
            ),
            (vec![("if-none-match", "*")], Verdict::Failed, Verdict::Go),
            (
                vec![("if-none-match", "\"0x5\"")],
                Verdict::Failed,
                Verdict::Go,
            ),
        ] {
            let conditions = read(&headers);
            assert_eq!(conditions.on_deleting(NOW), there, "{headers:?}");
            assert_eq!(conditions.on_deleting(None), none, "{headers:?}");
        }
    }

    #[test]
    fn a_blob_that_is_not_there_is_none_of_any_tags() {
        assert_eq!(
            read(&[("if-none-match", "*")]).on_writing(None),
            Verdict::Go
        );
        assert_eq!(read(&[("if-match", "*")]).on_writing(None), Verdict::Failed);
        assert_eq!(read(&[]).on_writing(None), Verdict::Go);
    }

    proptest! {
        #[test]
        fn any_headers_are_read(text in any::<String>()) {
            let conditions = Conditions::parse(|_| Some(text.as_str()));
            let _ = (conditions.on_reading(NOW), conditions.on_writing(None));
        }
    }
}
