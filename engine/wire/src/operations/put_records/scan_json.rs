//! The fast path through a PutRecords body in JSON.

use memchr::{memchr, memchr2};
use model::Span;

use super::scan::{Text, is_count, is_data, is_text};
use super::spans::{Found, FoundRecord, PutRecordsSpans, RecordSpans, set, span};

/// Finds the spans; those of data are still base64, which is right. `None` where it is not for the
/// fast path.
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
    scanner.space();
    if scanner.at == body.len() { found.finish() } else { None }
}

/// Decodes the data of every record where it lies.
pub(super) fn decode_data(body: &mut [u8], records: &mut [RecordSpans]) {
    for record in records {
        let Span { start, bytes } = record.data;
        let start = start as usize;
        let base64 = &mut body[start..start + bytes as usize];
        let decoded = base64_simd::STANDARD.decode_inplace(base64).expect("it was checked");
        record.data = span(start, decoded.len());
    }
}

struct Scanner<'a> {
    body: &'a [u8],
    /// The next byte.
    at: usize,
}

impl<'a> Scanner<'a> {
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.body.get(self.at) {
            self.at += 1;
        }
    }

    /// Takes this byte, and the space before it.
    fn take(&mut self, byte: u8) -> Option<()> {
        if self.take_if(byte) { Some(()) } else { None }
    }

    fn take_if(&mut self, byte: u8) -> bool {
        self.space();
        let is_next = self.body.get(self.at) == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// An object; `member` takes the value of each name.
    fn members(&mut self, mut member: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.take_if(b'}') {
            return Some(());
        }
        loop {
            self.take(b'"')?;
            let name = self.until_quote()?;
            self.take(b':')?;
            // A name with an escape is none of ours, and ends the scan there.
            member(self, name.of(self.body))?;
            if !self.take_if(b',') {
                return self.take(b'}');
            }
        }
    }

    fn records(&mut self) -> Option<Vec<RecordSpans>> {
        self.take(b'[')?;
        // A record of JSON has at least some forty bytes.
        let mut records = Vec::with_capacity((self.body.len() / 64).min(512));
        loop {
            records.push(self.record()?);
            if !self.take_if(b',') {
                self.take(b']')?;
                return is_count(records.len()).then_some(records);
            }
            if !is_count(records.len()) {
                return None;
            }
        }
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

    /// Base64 has no escapes, so that the next quote ends it if it is right.
    fn data(&mut self) -> Option<Span> {
        self.take(b'"')?;
        let found = self.until_quote()?;
        let base64 = found.of(self.body);
        base64_simd::STANDARD.check(base64).ok()?;
        is_data(base64.len() / 4 * 3 - padding(base64)).then_some(found)
    }

    fn text(&mut self, kind: Text) -> Option<Span> {
        self.take(b'"')?;
        let rest = &self.body[self.at..];
        let end = memchr2(b'"', b'\\', rest)?;
        let text = &rest[..end];
        let is_plain = rest[end] == b'"' && text.iter().all(|byte| *byte >= b' ');
        if !is_plain || !is_text(kind, text) {
            return None;
        }
        let found = span(self.at, end);
        self.at += end + 1;
        Some(found)
    }

    fn until_quote(&mut self) -> Option<Span> {
        let end = memchr(b'"', &self.body[self.at..])?;
        let found = span(self.at, end);
        self.at += end + 1;
        Some(found)
    }

    fn boolean(&mut self) -> Option<bool> {
        self.space();
        let rest = &self.body[self.at..];
        let (value, bytes) = if rest.starts_with(b"true") {
            (true, 4)
        } else if rest.starts_with(b"false") {
            (false, 5)
        } else {
            return None;
        };
        self.at += bytes;
        Some(value)
    }
}

/// How many bytes the padding stands for.
fn padding(base64: &[u8]) -> usize {
    base64.iter().rev().take(2).filter(|byte| **byte == b'=').count()
}
