//! What worked on which network, kept over restarts.
//!
//! A device sees few networks, and comes back to them: the site's own, a technician's, a modem. What
//! was learnt on one holds for no other.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use outgate_signalr::ladder;
use outgate_signalr::negotiate::Transport;
use serde::{Deserialize, Serialize};

use super::beat::{Beat, Bounds};

/// The most networks that are remembered; the one that was left the longest ago goes first.
pub const NETWORKS_MAX: usize = 16;
/// How long a network is remembered that the device is not on.
pub const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The longest text that is read back, in bytes.
pub const TEXT_MAX: usize = 64 * 1024;
/// The longest name of a network, in bytes.
const NAME_MAX: usize = 256;
const VERSION: u32 = 1;

/// Which network a device is on: whoever leads out of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Network(String);

impl Network {
    /// The network behind a gateway, which its hardware's address tells from all others with the same
    /// numbers, and the proxy that is used there, if there is one.
    #[must_use]
    pub fn behind(gateway: Option<IpAddr>, hardware: Option<[u8; 6]>, proxy: Option<&str>) -> Self {
        let mut name = gateway.map_or_else(|| "direct".to_owned(), |it| it.to_string());
        if let Some(bytes) = hardware {
            let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            name.push(' ');
            name.push_str(&bytes.join(":"));
        }
        if let Some(proxy) = proxy {
            name.push(' ');
            name.push_str(proxy);
        }
        let end = (0..=NAME_MAX.min(name.len()))
            .rev()
            .find(|end| name.is_char_boundary(*end));
        name.truncate(end.unwrap_or_default());
        Self(name)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is known of one network.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The transports that do not work here.
    pub(super) transports: ladder::Memory,
    /// The silence that is borne.
    pub(super) beat: Beat,
}

/// What is known of all networks that the device was on lately, the latest first.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    networks: Vec<(Network, Known, Instant)>,
}

/// Why a text is not taken for a memory.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// There is too much of it.
    #[error("what was remembered of networks is longer than {TEXT_MAX} bytes")]
    TooLong,
    /// It is not what was written.
    #[error("what was remembered of networks cannot be read")]
    Text(#[from] serde_json::Error),
    /// Another version of the agent has written it.
    #[error("what was remembered of networks is of version {0}, and this is version {VERSION}")]
    Version(u32),
}

#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    networks: Vec<WrittenNetwork>,
}

#[derive(Serialize, Deserialize)]
struct WrittenNetwork {
    network: Network,
    left_seconds_ago: u64,
    failed: Vec<WrittenFailure>,
    silence_millis: u64,
    cut: Option<WrittenCut>,
}

#[derive(Serialize, Deserialize)]
struct WrittenFailure {
    transport: Transport,
    seconds_ago: u64,
}

#[derive(Serialize, Deserialize)]
struct WrittenCut {
    millis: u64,
    seconds_ago: u64,
}

impl Memory {
    /// Reads back what [`Memory::save`] has written, when so much time has passed since. Where nobody
    /// knows how much, because the clock was wrong, it is none: then it is remembered for longer.
    ///
    /// # Errors
    /// It is not what was written. Whoever has nothing better begins with nothing.
    pub fn restore(text: &str, passed: Duration, now: Instant) -> Result<Self, MemoryError> {
        if text.len() > TEXT_MAX {
            return Err(MemoryError::TooLong);
        }
        let written: Written = serde_json::from_str(text)?;
        if written.version != VERSION {
            return Err(MemoryError::Version(written.version));
        }
        let networks = written.networks.into_iter();
        let networks = networks.filter_map(|it| it.restored(passed, now));
        Ok(Self {
            networks: networks.take(NETWORKS_MAX).collect(),
        })
    }

    /// Everything that is known, as text.
    #[must_use]
    pub fn save(&self, now: Instant) -> String {
        let written = Written {
            version: VERSION,
            networks: self
                .networks
                .iter()
                .map(|it| WrittenNetwork::of(it, now))
                .collect(),
        };
        // It has no maps whose keys are no text, and no numbers that JSON has not.
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// What is known of a network; nothing is, if the device was not on it lately.
    pub(super) fn known(&mut self, network: &Network, bounds: &Bounds, now: Instant) -> Known {
        self.networks
            .retain(|(_, _, left)| now.saturating_duration_since(*left) < REMEMBERED);
        let found = self.networks.iter().find(|(name, _, _)| name == network);
        found.map_or_else(
            || Known {
                transports: ladder::Memory::default(),
                beat: Beat::new(bounds),
            },
            |(_, known, _)| known.clone(),
        )
    }

    /// Puts down what is known of the network that the device is on.
    pub(super) fn put(&mut self, network: &Network, known: &Known, now: Instant) {
        self.networks.retain(|(name, _, _)| name != network);
        self.networks
            .insert(0, (network.clone(), known.clone(), now));
        self.networks.truncate(NETWORKS_MAX);
    }
}

impl WrittenNetwork {
    fn of((network, known, left): &(Network, Known, Instant), now: Instant) -> Self {
        let failed = known.transports.failed(now);
        Self {
            network: network.clone(),
            left_seconds_ago: now.saturating_duration_since(*left).as_secs(),
            failed: failed
                .map(|(transport, ago)| WrittenFailure {
                    transport,
                    seconds_ago: ago.as_secs(),
                })
                .collect(),
            silence_millis: millis(known.beat.silence(&Bounds::ANY)),
            cut: known.beat.cut().map(|(silence, when)| WrittenCut {
                millis: millis(silence),
                seconds_ago: now.saturating_duration_since(when).as_secs(),
            }),
        }
    }

    fn restored(self, passed: Duration, now: Instant) -> Option<(Network, Known, Instant)> {
        let ago = |seconds: u64| Duration::from_secs(seconds).saturating_add(passed);
        let when = |seconds: u64| now.checked_sub(ago(seconds));
        let left = ago(self.left_seconds_ago);
        if left >= REMEMBERED || self.network.0.len() > NAME_MAX {
            return None;
        }
        let mut transports = ladder::Memory::default();
        for failure in self.failed {
            if ago(failure.seconds_ago) < ladder::REMEMBERED {
                transports.on_failed(failure.transport, ago(failure.seconds_ago), now);
            }
        }
        let cut = self.cut.and_then(|cut| {
            let known = ago(cut.seconds_ago) < super::beat::REMEMBERED;
            known.then_some((Duration::from_millis(cut.millis), when(cut.seconds_ago)?))
        });
        let known = Known {
            transports,
            beat: Beat::known(Duration::from_millis(self.silence_millis), cut),
        };
        Some((self.network, known, now.checked_sub(left).unwrap_or(now)))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        least: Duration::from_secs(1),
        first: Duration::from_secs(15),
        most: Duration::from_secs(60),
    };
    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn site(number: u8) -> Network {
        Network::behind(
            Some([10, 0, 0, number].into()),
            Some([2, 0, 0, 0, 0, number]),
            None,
        )
    }

    /// A memory of a network on which WebSockets fail and a silence of 8 s is cut.
    fn memory(now: Instant) -> Memory {
        let mut memory = Memory::default();
        let mut known = memory.known(&site(1), &BOUNDS, now);
        known
            .transports
            .on_failed(Transport::WebSockets, Duration::ZERO, now);
        known.beat.on_cut(Duration::from_secs(8), &BOUNDS, now);
        known.beat.on_cut(Duration::from_secs(8), &BOUNDS, now);
        memory.put(&site(1), &known, now);
        memory
    }

    fn failed(known: &Known, now: Instant) -> Vec<(Transport, Duration)> {
        known.transports.failed(now).collect()
    }

    #[test]
    fn what_was_learnt_on_one_network_holds_there_and_nowhere_else() {
        let now = Instant::now();
        let mut memory = memory(now);
        let here = memory.known(&site(1), &BOUNDS, now);
        assert_eq!(
            failed(&here, now),
            [(Transport::WebSockets, Duration::ZERO)]
        );
        assert_eq!(here.beat.silence(&BOUNDS), Duration::from_secs(4));
        let elsewhere = memory.known(&site(2), &BOUNDS, now);
        assert_eq!(failed(&elsewhere, now), []);
        assert_eq!(elsewhere.beat, Beat::new(&BOUNDS));
    }

    #[test]
    fn it_outlives_a_restart_with_the_time_that_has_passed() {
        let now = Instant::now() + 100 * HOUR;
        let text = memory(now).save(now);
        let mut restored = Memory::restore(&text, HOUR, now).unwrap();
        let known = restored.known(&site(1), &BOUNDS, now);
        assert_eq!(failed(&known, now), [(Transport::WebSockets, HOUR)]);
        assert_eq!(known.beat.silence(&BOUNDS), Duration::from_secs(4));
        assert_eq!(known.beat.cut(), Some((Duration::from_secs(8), now - HOUR)));
        // Days later the cut and the failure are forgotten; a month later, the network.
        let mut later = Memory::restore(&text, 25 * HOUR, now).unwrap();
        let known = later.known(&site(1), &BOUNDS, now);
        assert_eq!((failed(&known, now), known.beat.cut()), (Vec::new(), None));
        assert_eq!(known.beat.silence(&BOUNDS), Duration::from_secs(4));
        let gone = Memory::restore(&text, REMEMBERED, now).unwrap();
        assert!(gone.networks.is_empty());
    }

    #[test]
    fn the_network_that_was_left_the_longest_ago_is_forgotten_first() {
        let now = Instant::now();
        let mut memory = memory(now);
        for number in 2..=u8::try_from(NETWORKS_MAX).unwrap() {
            let known = memory.known(&site(number), &BOUNDS, now);
            memory.put(&site(number), &known, now);
        }
        let again = memory.known(&site(1), &BOUNDS, now);
        assert_eq!(failed(&again, now).len(), 1);
        memory.put(&site(99), &again, now);
        assert_eq!(memory.networks.len(), NETWORKS_MAX);
        assert_eq!(failed(&memory.known(&site(1), &BOUNDS, now), now), []);
        assert!(memory.save(now).len() < TEXT_MAX);
    }

    #[test]
    fn what_is_no_memory_is_refused() {
        let now = Instant::now();
        let read = |text: &str| {
            Memory::restore(text, Duration::ZERO, now)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(read("{"), "what was remembered of networks cannot be read");
        assert!(read(r#"{"version":2,"networks":[]}"#).contains("of version 2"));
        assert!(read(&" ".repeat(TEXT_MAX + 1)).contains("longer"));
    }

    #[test]
    fn networks_are_told_apart_by_who_leads_out_of_them() {
        let gateway = Some([192, 168, 1, 1].into());
        let one = Network::behind(gateway, Some([2, 0, 0, 0, 0, 1]), None);
        assert_eq!(one.to_string(), "192.168.1.1 02:00:00:00:00:01");
        assert_ne!(
            one,
            Network::behind(gateway, Some([2, 0, 0, 0, 0, 2]), None)
        );
        assert_ne!(
            one,
            Network::behind(gateway, Some([2, 0, 0, 0, 0, 1]), Some("http://p:3128"))
        );
        let long = Network::behind(None, None, Some(&"å".repeat(400)));
        assert!(long.0.len() <= NAME_MAX);
    }
}
