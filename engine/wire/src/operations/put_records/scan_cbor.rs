//! The fast path through a PutRecords body in CBOR.

use minicbor::data::Type;
use minicbor::decode::Decoder;
use model::Span;

use super::scan::{Text, is_count, is_data, is_text};
use super::spans::{Found, FoundRecord, PutRecordsSpans, RecordSpans, set, span};

/// Finds the spans. `None` where it is not for the fast path.
pub(super) fn scan(body: &[u8]) -> Option<PutRecordsSpans> {
    let mut scanner = Scanner(Decoder::new(body));
    let mut found = Found::default();
    scanner.members(|scanner, name| match name {
        "Records" => set(&mut found.records, scanner.records()?),
        "StreamName" => set(&mut found.stream_name, scanner.text(Text::StreamName)?),
        "StreamARN" => set(&mut found.stream_arn, scanner.text(Text::StreamArn)?),
        "StreamId" => set(&mut found.stream_id, scanner.text(Text::StreamId)?),
        "DryRun" => set(&mut found.dry_run, scanner.0.bool().ok()?),
        _ => None,
    })?;
    if scanner.0.position() == body.len() { found.finish() } else { None }
}

struct Scanner<'a>(Decoder<'a>);

impl<'a> Scanner<'a> {
    /// A map of either length; `member` takes the value of each name.
    fn members(&mut self, mut member: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        let count = self.0.map().ok()?;
        let mut taken = 0;
        while self.goes_on(count, taken)? {
            let name = self.0.str().ok()?;
            member(self, name)?;
            taken += 1;
        }
        Some(())
    }

    fn records(&mut self) -> Option<Vec<RecordSpans>> {
        let count = self.0.array().ok()?;
        let mut records = Vec::with_capacity(64);
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
            "Data" => set(&mut found.data, scanner.data()?),
            "PartitionKey" => set(&mut found.partition_key, scanner.text(Text::PartitionKey)?),
            "ExplicitHashKey" => {
                set(&mut found.explicit_hash_key, scanner.text(Text::ExplicitHashKey)?)
            }
            _ => None,
        })?;
        found.finish()
    }

    /// Bytes in one piece.
    fn data(&mut self) -> Option<Span> {
        let bytes = self.0.bytes().ok()?;
        is_data(bytes.len()).then(|| self.behind(bytes.len()))
    }

    /// A text in one piece.
    fn text(&mut self, kind: Text) -> Option<Span> {
        let text = self.0.str().ok()?;
        is_text(kind, text.as_bytes()).then(|| self.behind(text.len()))
    }

    /// The span of so many bytes that were just read.
    fn behind(&self, bytes: usize) -> Span {
        span(self.0.position() - bytes, bytes)
    }

    /// Whether another element follows; of an indefinite length the break is taken.
    fn goes_on(&mut self, count: Option<u64>, taken: u64) -> Option<bool> {
        match count {
            Some(count) => Some(taken < count),
            None if self.0.datatype().ok()? == Type::Break => {
                self.0.set_position(self.0.position() + 1);
                Some(false)
            }
            None => Some(true),
        }
    }
}
