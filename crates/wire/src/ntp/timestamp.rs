//! The 64-bit NTP timestamp and its eras (RFC 5905 §6).

use std::time::{Duration, SystemTime};

/// Seconds from 1900-01-01 to 1970-01-01 (RFC 5905 figure 4).
const UNIX_EPOCH_IN_ERA_0: u64 = 2_208_988_800;
/// Length of an era in seconds.
const ERA: u64 = 1 << 32;
/// A seconds field at or above this lies in era 0, below it in era 1 (RFC 4330 §3).
const PIVOT: u64 = 1 << 31;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Seconds since the start of an era in the upper 32 bits, a binary fraction in the lower.
///
/// The era is not sent. As RFC 4330 §3 says, a timestamp with its top bit set lies in 1968–2036,
/// one without in 2036–2104; this does not depend on the local clock, which may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Zero: "unknown" (RFC 5905 §7.3).
    pub const UNKNOWN: Self = Self(0);

    /// The timestamp with these 64 bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The 64 bits as sent.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The timestamp of a time, without its era. Exact to a nanosecond for 1968–2104; other times
    /// come back 136 years (an era) off.
    pub fn from_system_time(time: SystemTime) -> Self {
        let since_1900 =
            unix_nanos(time) + i128::from(UNIX_EPOCH_IN_ERA_0) * i128::from(NANOS_PER_SECOND);
        let era_nanos = i128::from(ERA) * i128::from(NANOS_PER_SECOND);
        let in_era = u128::try_from(since_1900.rem_euclid(era_nanos)).unwrap_or(0);
        // Rounded up, so that the way back, which rounds down, gives the same nanosecond.
        let bits = (in_era << 32).div_ceil(u128::from(NANOS_PER_SECOND));
        // The first instant of an era must not read as "unknown".
        Self(u64::try_from(bits).unwrap_or(u64::MAX).max(1))
    }

    /// The time, taken to lie between 1968-01-20 and 2104-02-26 (RFC 4330 §3).
    pub fn to_system_time(self) -> SystemTime {
        let seconds = self.0 >> 32;
        let era_start = if seconds >= PIVOT { 0 } else { ERA };
        let nanos = ((self.0 & 0xffff_ffff) * NANOS_PER_SECOND) >> 32;
        let since_1900 = Duration::from_secs(era_start + seconds) + Duration::from_nanos(nanos);
        let epoch = Duration::from_secs(UNIX_EPOCH_IN_ERA_0);
        match since_1900.checked_sub(epoch) {
            Some(after) => SystemTime::UNIX_EPOCH + after,
            None => SystemTime::UNIX_EPOCH - (epoch - since_1900),
        }
    }
}

/// Nanoseconds since 1970, negative before.
pub(super) fn unix_nanos(time: SystemTime) -> i128 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i128::try_from(after.as_nanos()).unwrap_or(i128::MAX),
        Err(before) => i128::try_from(before.duration().as_nanos()).map_or(i128::MIN, |n| -n),
    }
}

/// The nearest `i64`.
pub(super) fn clamp_to_i64(value: i128) -> i64 {
    let clamped = value.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
    i64::try_from(clamped).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unix(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn days_of_rfc_5905_figure_4_have_the_seconds_it_gives() {
        // First day of Unix, last day of the 20th century, first day of era 1.
        let days = [
            (0, 2_208_988_800),
            (946_598_400, 3_155_587_200),
            (2_086_041_600, 63_104),
        ];
        for (since_1970, seconds) in days {
            let stamp = Timestamp::from_system_time(unix(since_1970));
            assert_eq!(stamp.to_bits(), seconds << 32, "{since_1970}");
            assert_eq!(stamp.to_system_time(), unix(since_1970));
        }
    }

    #[test]
    fn the_era_turns_without_a_gap_in_2036() {
        let last = Timestamp::from_bits(0xffff_ffff_0000_0000);
        let first = Timestamp::from_bits(0);
        let step = first.to_system_time().duration_since(last.to_system_time());
        assert_eq!(step.unwrap(), Duration::from_secs(1));
    }

    #[test]
    fn the_window_runs_from_1968_to_2104() {
        let oldest = Timestamp::from_bits(0x8000_0000_0000_0000).to_system_time();
        assert_eq!(
            oldest,
            SystemTime::UNIX_EPOCH - Duration::from_secs(61_505_152)
        );
        let newest = Timestamp::from_bits(0x7fff_ffff_0000_0000).to_system_time();
        assert_eq!(newest, unix(4_233_462_143));
    }

    #[test]
    fn a_time_far_out_of_the_window_does_not_panic() {
        for shift in [Duration::from_secs(1 << 60), Duration::from_secs(1 << 40)] {
            for time in [
                SystemTime::UNIX_EPOCH.checked_add(shift),
                SystemTime::UNIX_EPOCH.checked_sub(shift),
            ] {
                Timestamp::from_system_time(time.unwrap()).to_system_time();
            }
        }
    }

    proptest! {
        #[test]
        fn a_time_of_the_window_comes_back_to_the_nanosecond(
            seconds in 0_u64..4_233_462_143,
            nanos in 0_u32..1_000_000_000,
        ) {
            let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
            prop_assert_eq!(Timestamp::from_system_time(time).to_system_time(), time);
        }

        #[test]
        fn any_bits_are_a_time(bits: u64) {
            let back = Timestamp::from_system_time(Timestamp::from_bits(bits).to_system_time());
            prop_assert!(bits.wrapping_sub(back.to_bits()) <= 4, "{bits:x} {:x}", back.to_bits());
        }
    }
}
