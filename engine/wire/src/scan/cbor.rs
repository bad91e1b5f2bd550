//! CBOR, scanned.
//!
//! A value starts with its major type in three bits and, in five, its length or how many bytes of
//! it follow (RFC 8949, section 3). The plain path asks a library; six kinds of values are few
//! enough to read here, at half the time.

use model::Span;

use super::span;

const NUMBER: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;

const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const BREAK: u8 = 0xff;

/// Reads a body from front to back.
pub(crate) struct Scanner<'a> {
    body: &'a [u8],
    /// The next byte.
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.body.len()
    }

    /// A map of either length; `member` takes the value of each name.
    pub(crate) fn members(
        &mut self,
        mut member: impl FnMut(&mut Self, &'a [u8]) -> Option<()>,
    ) -> Option<()> {
        let count = self.head(MAP)?;
        let mut taken = 0;
        while self.goes_on(count, taken)? {
            // A name in pieces is none of ours here, nor is one that is no UTF-8.
            let name = self.piece(TEXT)?;
            member(self, name.of(self.body))?;
            taken += 1;
        }
        Some(())
    }

    /// A list of either length; `element` takes each.
    pub(crate) fn elements(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        let count = self.head(LIST)?;
        let mut taken = 0;
        while self.goes_on(count, taken)? {
            element(self)?;
            taken += 1;
        }
        Some(())
    }

    /// Bytes in one piece.
    pub(crate) fn bytes(&mut self) -> Option<Span> {
        self.piece(BYTES)
    }

    /// A text in one piece. Whether it is UTF-8 is for the caller to ask.
    pub(crate) fn text(&mut self) -> Option<Span> {
        self.piece(TEXT)
    }

    /// A whole number that is not negative, of up to 32 bits.
    pub(crate) fn number(&mut self) -> Option<u32> {
        u32::try_from(self.head(NUMBER)??).ok()
    }

    pub(crate) fn boolean(&mut self) -> Option<bool> {
        match self.take()? {
            FALSE => Some(false),
            TRUE => Some(true),
            _ => None,
        }
    }

    /// Bytes or a text in one piece.
    fn piece(&mut self, major: u8) -> Option<Span> {
        let bytes = usize::try_from(self.head(major)??).ok()?;
        if bytes > self.body.len() - self.at {
            return None;
        }
        let found = span(self.at, bytes);
        self.at += bytes;
        Some(found)
    }

    /// The head of a value of this major type: its length, or none where that is indefinite.
    fn head(&mut self, major: u8) -> Option<Option<u64>> {
        let head = self.take()?;
        if head >> 5 != major {
            return None;
        }
        let follow = match head & 0x1f {
            length @ 0..24 => return Some(Some(u64::from(length))),
            follow @ 24..28 => 1 << (follow - 24),
            31 => return Some(None),
            _ => return None,
        };
        let length = self.body.get(self.at..self.at + follow)?;
        self.at += follow;
        Some(Some(length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte))))
    }

    fn take(&mut self) -> Option<u8> {
        let byte = *self.body.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// Whether another element follows; of an indefinite length the break is taken.
    fn goes_on(&mut self, count: Option<u64>, taken: u64) -> Option<bool> {
        let Some(count) = count else {
            let ends = *self.body.get(self.at)? == BREAK;
            self.at += usize::from(ends);
            return Some(!ends);
        };
        Some(taken < count)
    }
}
