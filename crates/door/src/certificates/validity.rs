//! From when until when a certificate is valid, and when it is time for the next.

use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use x509_parser::time::ASN1Time;

use super::CertificateError;

/// The life of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: SystemTime,
    pub(super) until: SystemTime,
}

impl Validity {
    /// That of `certificate`.
    pub(super) fn of(certificate: Option<&CertificateDer<'_>>) -> Result<Self, CertificateError> {
        let der = certificate.ok_or(CertificateError::Unreadable)?;
        let (_, parsed) =
            x509_parser::parse_x509_certificate(der).map_err(|_| CertificateError::Unreadable)?;
        Ok(Self {
            from: moment(parsed.validity().not_before),
            until: moment(parsed.validity().not_after),
        })
    }

    /// Whether two thirds of it are over, or it has not begun: then the clock was wrong when the
    /// certificate was made.
    pub(super) fn due(self, now: SystemTime) -> bool {
        self.due_with_jitter(now, 0.0)
    }

    /// The same, up to a tenth of the whole life later: `jitter`, from 0 to 1, of that tenth.
    pub(super) fn due_with_jitter(self, now: SystemTime, jitter: f32) -> bool {
        let life = self.until.duration_since(self.from).unwrap_or_default();
        let late = (life / 10).mul_f32(jitter.clamp(0.0, 1.0));
        now < self.from || now >= self.from + life * 2 / 3 + late
    }

    /// Whether it ends within `time` from `now`.
    pub(super) fn ends_within(self, time: Duration, now: SystemTime) -> bool {
        self.until <= now + time
    }
}

fn moment(time: ASN1Time) -> SystemTime {
    let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn it_is_time_when_two_thirds_are_over() {
        assert!(!life().due(SystemTime::UNIX_EPOCH + DAY * 59));
        assert!(life().due(SystemTime::UNIX_EPOCH + DAY * 60));
    }

    #[test]
    fn jitter_makes_it_later_but_not_by_more_than_a_tenth() {
        let day = |days| SystemTime::UNIX_EPOCH + DAY * days;
        assert!(!life().due_with_jitter(day(68), 1.0));
        assert!(life().due_with_jitter(day(70), 1.0));
        assert!(life().due_with_jitter(day(70), 99.0));
    }

    #[test]
    fn a_certificate_of_the_future_is_replaced() {
        let validity = Validity {
            from: SystemTime::UNIX_EPOCH + DAY * 100,
            until: SystemTime::UNIX_EPOCH + DAY * 190,
        };
        assert!(validity.due(SystemTime::UNIX_EPOCH + DAY * 90));
    }

    fn life() -> Validity {
        Validity {
            from: SystemTime::UNIX_EPOCH,
            until: SystemTime::UNIX_EPOCH + DAY * 90,
        }
    }
}
