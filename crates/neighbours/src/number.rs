//! Numbers that no two members ever give: for receipts, of which each device's have no gap, and for
//! tickets, which are short because one member deals them out.
//!
//! Every number is of a series that one member alone issues, and that member counts on its disk. So
//! nothing that happens on the network can make two of one.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use crate::codec::{Reader, Unreadable, Writer};
use crate::name::MemberId;
use crate::record::{Damaged, Unsaved, Write};
use crate::roster::MEMBERS_MAX;

#[cfg(test)]
mod tests;

/// How many tickets a coordinator deals out at a time.
pub const BLOCK: u64 = 20;
/// From how few tickets on a member asks for more.
const LOW: u64 = 5;
/// Most blocks that a member holds.
const BLOCKS_MAX: usize = 2;
/// Most issuers whose last block is remembered; of an honest site far fewer.
const ISSUERS_MAX: usize = 4 * MEMBERS_MAX;

const RECEIPT: &[u8] = b"number/receipt";
const DEALT: &[u8] = b"number/dealt";
const BLOCKS: &[u8] = b"number/blocks";

/// What a number is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Series {
    /// A member's own receipts, without a gap.
    Receipt,
    /// Tickets, dealt out by who coordinates, or by the member itself while it is alone.
    Ticket,
}

/// A number. It is shown as `till-3/17` (a receipt) or `till-1#42` (a ticket).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number {
    /// What it is for.
    pub series: Series,
    /// Who issued it.
    pub issuer: MemberId,
    /// From 1 on.
    pub number: u64,
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let between = match self.series {
            Series::Receipt => '/',
            Series::Ticket => '#',
        };
        write!(f, "{}{between}{}", self.issuer, self.number)
    }
}

/// Tickets that were dealt out to one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) issuer: MemberId,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Block {
    pub(crate) fn write(&self, to: &mut Writer) {
        self.issuer.write(to);
        to.number64(self.first);
        to.number64(self.last);
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let block = Self {
            issuer: MemberId::read(from)?,
            first: from.number64()?,
            last: from.number64()?,
        };
        if block.first == 0 || block.last < block.first || block.last - block.first >= BLOCK {
            return Err(Unreadable::Unknown);
        }
        Ok(block)
    }
}

/// The numbers of one member.
#[derive(Debug)]
pub(crate) struct Numbers {
    me: MemberId,
    /// The last receipt.
    receipt: u64,
    /// The last ticket that this member dealt out, to others or to itself.
    dealt: u64,
    blocks: VecDeque<Block>,
    /// The last ticket of each issuer that was dealt out to this member, so that no block is taken
    /// twice.
    taken: BTreeMap<MemberId, u64>,
}

impl Numbers {
    pub(crate) fn restore<'a>(
        me: MemberId,
        kept: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Self, Damaged> {
        let mut numbers = Self {
            me,
            receipt: 0,
            dealt: 0,
            blocks: VecDeque::new(),
            taken: BTreeMap::new(),
        };
        for (key, value) in kept {
            let mut from = Reader::new(value);
            let read = match key {
                RECEIPT => from.number64().map(|number| numbers.receipt = number),
                DEALT => from.number64().map(|number| numbers.dealt = number),
                BLOCKS => numbers.read_blocks(&mut from),
                _ => Ok(()),
            };
            read.map_err(|_| Damaged::at(key))?;
        }
        Ok(numbers)
    }

    /// The receipt that [`Self::receipt`] will give next.
    pub(crate) fn next_receipt(&self) -> Number {
        Number {
            series: Series::Receipt,
            issuer: self.me.clone(),
            number: self.receipt + 1,
        }
    }

    /// The next receipt.
    pub(crate) fn receipt(&mut self) -> Unsaved<Number> {
        let number = self.next_receipt();
        self.receipt = number.number;
        Unsaved::new(number, vec![counted(RECEIPT, self.receipt)])
    }

    /// The next ticket: of a block, or of the member's own where there is none.
    pub(crate) fn ticket(&mut self) -> Unsaved<Number> {
        let mut writes = Vec::new();
        if self.blocks.is_empty() {
            let (block, dealt) = self.deal().split();
            writes.extend(dealt);
            self.blocks.push_back(block);
        }
        let mut number = Number {
            series: Series::Ticket,
            issuer: self.me.clone(),
            number: 0,
        };
        if let Some(block) = self.blocks.front_mut() {
            number.issuer = block.issuer.clone();
            number.number = block.first;
            block.first += 1;
            if block.first > block.last {
                self.blocks.pop_front();
            }
        }
        writes.push(self.kept_blocks());
        Unsaved::new(number, writes)
    }

    /// Whether it is time to ask for more.
    pub(crate) fn wants(&self) -> bool {
        let left = self.blocks.iter().map(|block| block.last + 1 - block.first);
        left.sum::<u64>() < LOW
    }

    /// Deals out a block of its own series.
    pub(crate) fn deal(&mut self) -> Unsaved<Block> {
        let block = Block {
            issuer: self.me.clone(),
            first: self.dealt + 1,
            last: self.dealt + BLOCK,
        };
        self.dealt = block.last;
        Unsaved::new(block, vec![counted(DEALT, self.dealt)])
    }

    /// Takes a block that its issuer dealt out to this member, if it is a new one.
    pub(crate) fn accept(&mut self, block: Block) -> Option<Unsaved<()>> {
        let last = self.taken.get(&block.issuer).copied().unwrap_or_default();
        let full = self.taken.len() >= ISSUERS_MAX && !self.taken.contains_key(&block.issuer);
        if block.first <= last || self.blocks.len() >= BLOCKS_MAX || full || block.issuer == self.me
        {
            return None;
        }
        self.taken.insert(block.issuer.clone(), block.last);
        self.blocks.push_back(block);
        Some(Unsaved::new((), vec![self.kept_blocks()]))
    }

    fn kept_blocks(&self) -> Write {
        let mut to = Writer::default();
        to.list(self.blocks.iter(), |to, block| block.write(to));
        to.list(self.taken.iter(), |to, (issuer, last)| {
            issuer.write(to);
            to.number64(*last);
        });
        Write::put(BLOCKS.to_vec(), to.into_bytes())
    }

    fn read_blocks(&mut self, from: &mut Reader<'_>) -> Result<(), Unreadable> {
        self.blocks = from.list(BLOCKS_MAX, Block::read)?.into();
        let taken = from.list(ISSUERS_MAX, |from| {
            Ok((MemberId::read(from)?, from.number64()?))
        })?;
        self.taken = taken.into_iter().collect();
        Ok(())
    }
}

fn counted(key: &[u8], number: u64) -> Write {
    let mut to = Writer::default();
    to.number64(number);
    Write::put(key.to_vec(), to.into_bytes())
}
