//! How long something lasts, and when it is, as people write it.

use outgate_wire::lasting::{MOMENTS, Written};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(crate) use outgate_wire::lasting::seconds;

/// A moment in RFC 3339: as it is, the start of a day in UTC (`2026-11-22`), or so long ago by this
/// machine's clock (`2h`).
pub(crate) fn moment(text: &str) -> Result<String, String> {
    match Written::of(text) {
        Written::Ago(ago) => {
            let ago = time::Duration::try_from(ago).ok();
            let ago = ago.and_then(|ago| OffsetDateTime::now_utc().checked_sub(ago));
            let written = ago.and_then(|ago| ago.format(&Rfc3339).ok());
            written.ok_or_else(|| "not so long ago".to_owned())
        }
        Written::Date(date) => match OffsetDateTime::parse(&date, &Rfc3339) {
            Ok(_) => Ok(date.into_owned()),
            Err(_) => Err(MOMENTS.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_or_so_long_ago() {
        assert_eq!(moment("2026-11-22").unwrap(), "2026-11-22T00:00:00Z");
        let exact = "2026-11-22T09:30:00.5+01:00";
        assert_eq!(moment(exact).unwrap(), exact);
        let ago = OffsetDateTime::parse(&moment("2h").unwrap(), &Rfc3339).unwrap();
        assert!(ago + time::Duration::hours(2) <= OffsetDateTime::now_utc());
        for wrong in ["", "yesterday", "2026-13-01", "09:30", "9999999999999d"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
