//! What arrived of a stream.

use std::time::Duration;

use super::CLOCK_RATE;

/// Microseconds a sample.
const MICROS_PER_SAMPLE: i64 = 1_000_000 / CLOCK_RATE as i64;

/// What arrived of a stream of which `expected` packets were sent. Times are those since any one
/// moment of the receiver's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reception {
    seen: Vec<bool>,
    received: u16,
    late: u16,
    highest: Option<u16>,
    transit: Option<i64>,
    /// Scaled by 16, as in RFC 3550 appendix A.8, in microseconds.
    jitter: i64,
}

impl Reception {
    /// A stream of this many packets, numbered from zero.
    pub fn new(expected: u16) -> Self {
        Self {
            seen: vec![false; usize::from(expected)],
            received: 0,
            late: 0,
            highest: None,
            transit: None,
            jitter: 0,
        }
    }

    /// Notes a packet. One that came before, and one that was never sent, count for nothing.
    pub fn on_packet(&mut self, sequence: u16, timestamp: u32, arrival: Duration) {
        match self.seen.get_mut(usize::from(sequence)) {
            Some(seen) if !*seen => *seen = true,
            Some(_) | None => return,
        }
        self.received += 1;
        if self.highest.is_some_and(|highest| sequence < highest) {
            self.late += 1;
        }
        self.highest = self.highest.max(Some(sequence));
        let arrival = i64::try_from(arrival.as_micros()).unwrap_or(i64::MAX);
        let transit = arrival.saturating_sub(i64::from(timestamp) * MICROS_PER_SAMPLE);
        if let Some(before) = self.transit.replace(transit) {
            let difference = transit.saturating_sub(before).saturating_abs();
            let step = difference.saturating_sub(self.jitter.saturating_add(8) >> 4);
            self.jitter = self.jitter.saturating_add(step);
        }
    }

    /// How many packets came, each counted once.
    pub fn received(&self) -> u16 {
        self.received
    }

    /// How many of them came after one that was sent later.
    pub fn late(&self) -> u16 {
        self.late
    }

    /// How many did not come.
    pub fn lost(&self) -> u16 {
        let expected = u16::try_from(self.seen.len()).unwrap_or(u16::MAX);
        expected.saturating_sub(self.received)
    }

    /// The interarrival jitter (RFC 3550 §6.4.1).
    pub fn jitter(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.jitter >> 4).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_steady_stream_has_no_jitter_however_long_it_takes() {
        let mut reception = Reception::new(50);
        for number in 0..50u16 {
            let arrival = millis(80 + 20 * u64::from(number));
            reception.on_packet(number, u32::from(number) * 160, arrival);
        }
        assert_eq!(reception.jitter(), Duration::ZERO);
        assert_eq!(
            (reception.received(), reception.lost(), reception.late()),
            (50, 0, 0)
        );
    }

    #[test]
    fn jitter_goes_a_sixteenth_of_the_way_with_each_packet() {
        // RFC 3550 §6.4.1: J += (|D| - J) / 16. The second packet is 16 ms late, the third right.
        let mut reception = Reception::new(3);
        reception.on_packet(0, 0, millis(0));
        reception.on_packet(1, 160, millis(36));
        assert_eq!(reception.jitter(), millis(1));
        reception.on_packet(2, 320, millis(40));
        // 1 + (16 - 1) / 16
        assert_eq!(reception.jitter(), Duration::from_micros(1937));
    }

    #[test]
    fn what_is_lost_late_double_or_never_sent_is_told_apart() {
        let mut reception = Reception::new(5);
        for number in [0, 2, 1, 1, 9] {
            reception.on_packet(number, u32::from(number) * 160, millis(20));
        }
        assert_eq!(reception.received(), 3);
        assert_eq!(reception.late(), 1);
        assert_eq!(reception.lost(), 2);
    }

    #[test]
    fn no_time_overflows() {
        let mut reception = Reception::new(3);
        reception.on_packet(0, u32::MAX, Duration::MAX);
        reception.on_packet(1, 0, Duration::ZERO);
        reception.on_packet(2, u32::MAX, Duration::MAX);
        let _ = reception.jitter();
    }
}
