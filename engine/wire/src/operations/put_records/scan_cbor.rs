//! The fast path through a PutRecords body in CBOR.
//!
//! A value starts with its major type in three bits and, in five, its length or how many bytes of
//! it follow (RFC 8949, section 3). The plain path asks a library; five kinds of values are few
//! enough to read here, at a third of the time.

use model::Span;

use super::scan::{Text, is_count, is_data, is_text};
use super::spans::{Found, FoundRecord, PutRecordsSpans, RecordSpans, set, span};

const BYTES: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;

const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const BREAK: u8 = 0xff;

/// Finds the spans. `None` where it is not for the fast path.
pub(super) fn scan(body: &[u8]) -> Option<PutRecordsSpans> {
    let mut scanner = Scanner { body, at: 0 };
    let mut found = Found::default();
    scanner.members(|scanner, name| match name {
        b"Records" => set(&mut found.records, scanner.records()?),
        b"StreamName" => set(&mut found.stream_name, scanner.text(Text::StreamName)?),
        b"StreamARN" => set(&mut found.stream_arn, scanner.text(Text::StreamArn)?),
        b"StreamId" => set(&mut found.stream_id, scanner.text(Text::StreamId)?),
        b"DryRun" => set(&mut found.dry_run, scanner.boolean()?),
        _ => None,
    })?;
    if scanner.at == body.len() { found.finish() } else { None }
}

struct Scanner<'a> {
    body: &'a [u8],
    /// The next byte.
    at: usize,
}

impl<'a> Scanner<'a> {
    /// A map of either length; `member` takes the value of each name.
    fn members(&mut self, mut member: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
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

    fn records(&mut self) -> Option<Vec<RecordSpans>> {
        let count = self.head(LIST)?;
        // A record of CBOR has at least some thirty bytes.
        let mut records = Vec::with_capacity((self.body.len() / 64).min(512));
        while self.goes_on(count, records.len() as u64)? {
            records.push(self.record()?);
            if !is_count(records.len()) {
                return None;
            }
        }
        is_count(records.len()).then_some(records)
    }

    fn record(&mut self) -> Option<RecordSpans> {
        let mut found = FoundRecord::default();
        self.members(|scanner, name| match name {
            b"Data" => set(&mut found.data, scanner.data()?),
            b"PartitionKey" => set(&mut found.partition_key, scanner.text(Text::PartitionKey)?),
            b"ExplicitHashKey" => {
                set(&mut found.explicit_hash_key, scanner.text(Text::ExplicitHashKey)?)
            }
            _ => None,
        })?;
        found.finish()
    }

    fn data(&mut self) -> Option<Span> {
        let found = self.piece(BYTES)?;
        is_data(found.bytes as usize).then_some(found)
    }

    fn text(&mut self, kind: Text) -> Option<Span> {
        let found = self.piece(TEXT)?;
        is_text(kind, found.of(self.body)).then_some(found)
    }

    fn boolean(&mut self) -> Option<bool> {
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
