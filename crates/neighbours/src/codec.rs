//! Values to bytes and back: numbers in network order, everything else with its length before it.
//! A value has one encoding only, so that what is signed or hashed can be made anew from it.

/// Why bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The bytes end before the value does.
    #[error("the bytes end before the value does")]
    Short,
    /// The value ends before the bytes do.
    #[error("more bytes than the value has")]
    Left,
    /// Longer, or of more parts, than is read.
    #[error("longer, or of more parts, than is read")]
    TooMuch,
    /// No name: empty, or of other letters.
    #[error("a name that is none")]
    Name,
    /// A number without a meaning here.
    #[error("a number that means nothing here")]
    Unknown,
    /// Parts that are not in their order, or that are there twice.
    #[error("parts out of their order, or twice")]
    Order,
}

/// Makes bytes of values.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn number16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn number32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn number64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// Bytes whose length both ends know.
    pub(crate) fn plain(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// How many parts follow. Every count has a bound far below 2³².
    pub(crate) fn count(&mut self, parts: usize) {
        self.number32(u32::try_from(parts).unwrap_or(u32::MAX));
    }

    /// Bytes with their length before them.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.plain(bytes);
    }

    pub(crate) fn list<T>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.count(items.len());
        for item in items {
            write(self, item);
        }
    }
}

/// Reads values from bytes that others made.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn plain(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        let (value, rest) = self.0.split_at_checked(length).ok_or(Unreadable::Short)?;
        self.0 = rest;
        Ok(value)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (value, rest) = self.0.split_first_chunk().ok_or(Unreadable::Short)?;
        self.0 = rest;
        Ok(*value)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Unreadable> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn number16(&mut self) -> Result<u16, Unreadable> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn number32(&mut self) -> Result<u32, Unreadable> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn number64(&mut self) -> Result<u64, Unreadable> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Unreadable> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Unreadable::Unknown),
        }
    }

    pub(crate) fn bytes(&mut self, most: usize) -> Result<&'a [u8], Unreadable> {
        let length = self.count(most)?;
        self.plain(length)
    }

    /// How many parts follow, `most` at the most.
    pub(crate) fn count(&mut self, most: usize) -> Result<usize, Unreadable> {
        let count = usize::try_from(self.number32()?).unwrap_or(usize::MAX);
        if count > most {
            return Err(Unreadable::TooMuch);
        }
        Ok(count)
    }

    pub(crate) fn list<T>(
        &mut self,
        most: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, Unreadable>,
    ) -> Result<Vec<T>, Unreadable> {
        // Room is made as parts come, not for as many as are said.
        let mut list = Vec::new();
        for _ in 0..self.count(most)? {
            list.push(read(self)?);
        }
        Ok(list)
    }

    /// That nothing is left.
    pub(crate) fn end(self) -> Result<(), Unreadable> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Unreadable::Left)
        }
    }
}

/// Whether each part comes after the one before it, so that there is one order only.
pub(crate) fn ascending<T: Ord>(parts: impl IntoIterator<Item = T>) -> Result<(), Unreadable> {
    if parts.into_iter().is_sorted_by(|one, next| one < next) {
        Ok(())
    } else {
        Err(Unreadable::Order)
    }
}
