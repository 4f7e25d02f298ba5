//! What waits for one client, connected or not.
//!
//! A message for a client that is connected waits in memory. Of a session that outlives its
//! connections every message of QoS 1 and 2 lies on the disk as well, and only there when memory
//! has no more room or nobody is connected; the connection then reads on from the disk. A message
//! is handed over only once it is on the disk, so that a crash brings nothing twice to who takes
//! exactly once.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use outgate_core::messages::{MailboxId, Waiting};
use outgate_mqtt::packet::QoS;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::message::Routed;
use crate::dialects::mqtt::settings::Settings;

/// Packet identifiers follow from the places of messages, so that a message is sent under the same
/// again whatever happened in between ([`outgate_mqtt::session`]). Those from this number on are
/// kept free for messages that have no place.
const OWN_PACKETS: u64 = 60_000;

/// How many packet identifiers there are.
const PACKETS: u64 = u16::MAX as u64;

/// The most messages that wait in memory for a session that has them on the disk too.
const MAX_IN_MEMORY: usize = 256;

/// The most bytes of those.
const MAX_BYTES_IN_MEMORY: u64 = 512 * 1024;

/// The most messages and bytes that wait for a client. Messages beyond are dropped, the newest
/// first, and counted.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Bounds {
    /// Messages.
    pub(in super::super) messages: usize,
    /// Bytes of topics, headers and payloads.
    pub(in super::super) bytes: u64,
}

impl Bounds {
    /// The bounds of every client.
    pub(in super::super) fn of(settings: &Settings) -> Self {
        Self {
            messages: settings.max_queued,
            bytes: settings.max_queued_bytes,
        }
    }
}

/// A message on its way to one client.
#[derive(Clone, Debug)]
pub(in super::super) struct Delivery {
    /// The message.
    pub(in super::super) message: Arc<Routed>,
    /// With which quality of service.
    pub(in super::super) qos: QoS,
    /// Whether it goes out as retained.
    pub(in super::super) retain: bool,
    /// The identifiers of the subscriptions that it matched.
    pub(in super::super) identifiers: Vec<u32>,
    /// Its place on the disk, if it has one.
    pub(in super::super) seq: Option<u64>,
}

/// What waits for one client.
#[derive(Debug)]
pub(in super::super) struct Mailbox {
    inside: Mutex<Inside>,
    /// Rung when there may be something to take.
    bell: Notify,
}

#[derive(Debug)]
struct Inside {
    bounds: Bounds,
    connected: bool,
    /// In memory, oldest first.
    queue: VecDeque<Delivery>,
    /// The bytes of those.
    bytes: u64,
    kept: Option<Kept>,
}

/// The part of a mailbox that is on the disk.
#[derive(Debug)]
struct Kept {
    id: MailboxId,
    /// The next place.
    next: u64,
    /// How many messages are there, and their bytes.
    count: usize,
    bytes: u64,
    /// Places whose commit has not gone through yet.
    pending: BTreeSet<u64>,
    /// Everything up to this place has been taken, or is in memory.
    read: u64,
    /// Whether what comes after `read` is on the disk alone.
    behind: bool,
    /// What is left up to this place may have been sent before.
    sent: u64,
}

/// What became of a message for a mailbox.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Pushed {
    /// It waits in memory.
    Waits,
    /// It has to be kept at this place of the mailbox; then [`Mailbox::committed`] is told.
    Keep(MailboxId, u64),
    /// There was no room, or nobody to give it to.
    Dropped,
}

/// What there is to take.
#[derive(Debug)]
pub(in super::super) enum Next {
    /// A message.
    Delivery(Box<Delivery>),
    /// Messages on the disk, after one place and before another.
    OnDisk {
        /// Whose.
        mailbox: MailboxId,
        /// After this place.
        after: u64,
        /// Before this one.
        before: u64,
    },
    /// Nothing for now: the bell will ring.
    Nothing,
}

impl Mailbox {
    /// An empty one that nobody is connected to.
    pub(in super::super) fn new(bounds: Bounds) -> Self {
        Self {
            inside: Mutex::new(Inside {
                bounds,
                connected: false,
                queue: VecDeque::new(),
                bytes: 0,
                kept: None,
            }),
            bell: Notify::new(),
        }
    }

    /// Sets other bounds. What waits already goes on to wait.
    pub(in super::super) fn set_bounds(&self, bounds: Bounds) {
        self.inside.lock().bounds = bounds;
    }

    /// Says that `count` messages of `bytes` lie in the mailbox `id` on the disk, the newest at
    /// the place `newest`.
    pub(in super::super) fn keep_in(&self, id: MailboxId, count: u64, bytes: u64, newest: u64) {
        self.inside.lock().kept = Some(Kept {
            id,
            next: newest + 1,
            count: usize::try_from(count).unwrap_or(usize::MAX),
            bytes,
            pending: BTreeSet::new(),
            read: 0,
            behind: count > 0,
            sent: newest,
        });
    }

    /// Says that nothing of it is kept on the disk any more.
    pub(in super::super) fn keep_no_more(&self) {
        self.inside.lock().kept = None;
    }

    /// Its place on the disk, if it has one.
    pub(in super::super) fn kept(&self) -> Option<MailboxId> {
        self.inside.lock().kept.as_ref().map(|kept| kept.id)
    }

    /// A client has connected, or gone. Either way what is on the disk is read from its beginning
    /// next; what was only in memory is lost with a connection.
    pub(in super::super) fn set_connected(&self, connected: bool) {
        let mut inside = self.inside.lock();
        inside.connected = connected;
        inside.queue.clear();
        inside.bytes = 0;
        if let Some(kept) = &mut inside.kept {
            kept.read = 0;
            kept.behind = true;
        }
        drop(inside);
        self.bell.notify_one();
    }

    /// The message at the place `seq` was sent, and perhaps not acknowledged.
    pub(in super::super) fn was_sent(&self, seq: u64) {
        if let Some(kept) = &mut self.inside.lock().kept {
            kept.sent = kept.sent.max(seq);
        }
    }

    /// Up to which place what is left may have been sent before.
    pub(in super::super) fn sent(&self) -> Option<(MailboxId, u64)> {
        self.inside
            .lock()
            .kept
            .as_ref()
            .map(|kept| (kept.id, kept.sent))
    }

    /// Puts a message in.
    pub(in super::super) fn push(&self, mut delivery: Delivery) -> Pushed {
        let size = delivery.message.size;
        let mut guard = self.inside.lock();
        let inside = &mut *guard;
        let room = inside.queue.len() < inside.bounds.messages
            && inside.bytes.saturating_add(size) <= inside.bounds.bytes;
        match &mut inside.kept {
            Some(kept) if delivery.qos != QoS::AtMostOnce => {
                if kept.count >= inside.bounds.messages
                    || kept.bytes.saturating_add(size) > inside.bounds.bytes
                {
                    return Pushed::Dropped;
                }
                let seq = kept.take_up(size);
                let fits = inside.queue.len() < MAX_IN_MEMORY
                    && inside.bytes.saturating_add(size) <= MAX_BYTES_IN_MEMORY;
                if inside.connected && !kept.behind && fits {
                    kept.read = seq;
                    inside.bytes += size;
                    delivery.seq = Some(seq);
                    inside.queue.push_back(delivery);
                } else {
                    kept.behind = true;
                }
                Pushed::Keep(kept.id, seq)
            }
            Some(_) | None if inside.connected && room => {
                inside.bytes += size;
                inside.queue.push_back(delivery);
                drop(guard);
                self.bell.notify_one();
                Pushed::Waits
            }
            Some(_) | None => Pushed::Dropped,
        }
    }

    /// The commit of the place `seq` of `mailbox` has gone through, or not. Another may have taken
    /// that one's place meanwhile, whose places begin anew.
    pub(in super::super) fn committed(
        &self,
        mailbox: MailboxId,
        seq: u64,
        size: u64,
        went_through: bool,
    ) {
        let mut guard = self.inside.lock();
        let inside = &mut *guard;
        if let Some(kept) = inside.kept.as_mut().filter(|kept| kept.id == mailbox) {
            kept.pending.remove(&seq);
            if !went_through {
                kept.let_go(size);
                inside.queue.retain(|delivery| delivery.seq != Some(seq));
            }
        }
        drop(guard);
        self.bell.notify_one();
    }

    /// Takes the next message, if there is one that may go out. `window` says whether one of QoS 1
    /// or 2 may.
    pub(in super::super) fn take(&self, window: bool) -> Next {
        let mut guard = self.inside.lock();
        let inside = &mut *guard;
        if let Some(head) = inside.queue.front() {
            let blocked = head.qos != QoS::AtMostOnce && !window;
            let pending = matches!(
                (&inside.kept, head.seq),
                (Some(kept), Some(seq)) if kept.pending.contains(&seq)
            );
            if blocked || pending {
                return Next::Nothing;
            }
        }
        if let Some(delivery) = inside.queue.pop_front() {
            inside.bytes = inside.bytes.saturating_sub(delivery.message.size);
            return Next::Delivery(Box::new(delivery));
        }
        match &mut inside.kept {
            Some(kept) if kept.behind && window => {
                let before = kept.readable();
                if kept.read + 1 < before {
                    let (mailbox, after) = (kept.id, kept.read);
                    return Next::OnDisk {
                        mailbox,
                        after,
                        before,
                    };
                }
                kept.behind = !kept.pending.is_empty();
                Next::Nothing
            }
            Some(_) | None => Next::Nothing,
        }
    }

    /// Whether nothing waits that could be taken now or once it is on the disk; what was taken and
    /// is not done with may still be there.
    pub(in super::super) fn is_idle(&self) -> bool {
        let inside = self.inside.lock();
        inside.queue.is_empty() && inside.kept.as_ref().is_none_or(|kept| !kept.behind)
    }

    /// Whether nothing is in it, on the disk or in memory.
    pub(in super::super) fn is_empty(&self) -> bool {
        let inside = self.inside.lock();
        inside.queue.is_empty() && inside.kept.as_ref().is_none_or(|kept| kept.count == 0)
    }

    /// Everything after the place `after` up to `upto` has been read from the disk.
    pub(in super::super) fn has_read(&self, upto: u64) {
        if let Some(kept) = &mut self.inside.lock().kept {
            kept.read = kept.read.max(upto);
        }
    }

    /// A message on the disk is done with.
    pub(in super::super) fn done(&self, size: u64) {
        if let Some(kept) = &mut self.inside.lock().kept {
            kept.let_go(size);
        }
    }

    /// Tells whoever is connected to look what there is.
    pub(in super::super) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Waits until there may be something to take.
    pub(in super::super) async fn rung(&self) {
        self.bell.notified().await;
    }
}

/// The key of the `number`th message that has no place in a mailbox: no place is the same, nor does
/// any lead to the same packet identifier.
pub(in super::super) fn own_key(number: u64) -> u64 {
    let own = PACKETS - OWN_PACKETS;
    (number / own) * PACKETS + OWN_PACKETS + number % own
}

impl Kept {
    fn take_up(&mut self, size: u64) -> u64 {
        let mut seq = self.next;
        if seq % PACKETS >= OWN_PACKETS {
            seq = (seq / PACKETS + 1) * PACKETS;
        }
        self.next = seq + 1;
        self.count += 1;
        self.bytes += size;
        self.pending.insert(seq);
        seq
    }

    fn let_go(&mut self, size: u64) {
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size);
    }

    /// Everything before this place is on the disk.
    fn readable(&self) -> u64 {
        self.pending.first().copied().unwrap_or(self.next)
    }
}

impl Delivery {
    /// A message as it was found on the disk.
    pub(in super::super) fn from_disk(waiting: Waiting, message: Arc<Routed>) -> Self {
        Self {
            message,
            qos: QoS::from_number(waiting.slot.qos).unwrap_or(QoS::AtLeastOnce),
            retain: waiting.slot.retain,
            identifiers: waiting.slot.identifiers,
            seq: Some(waiting.slot.seq),
        }
    }
}
