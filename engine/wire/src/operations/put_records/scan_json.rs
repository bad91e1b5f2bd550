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
    const NAMES: [&[u8]; 5] =
        [b"Records\"", b"StreamName\"", b"StreamARN\"", b"StreamId\"", b"DryRun\""];
    scanner.members(NAMES, |scanner, name| match name {
        0 => set(&mut found.records, scanner.records()?),
        1 => set(&mut found.stream_name, scanner.text(Text::StreamName)?),
        2 => set(&mut found.stream_arn, scanner.text(Text::StreamArn)?),
        3 => set(&mut found.stream_id, scanner.text(Text::StreamId)?),
        _ => set(&mut found.dry_run, scanner.boolean()?),
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

impl Scanner<'_> {
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

    /// An object; `member` takes the value of each name, told by its place in `names`, which have
    /// their closing quotes. Any other name ends the scan, one with an escape among them.
    fn members<const N: usize>(
        &mut self,
        names: [&[u8]; N],
        mut member: impl FnMut(&mut Self, usize) -> Option<()>,
    ) -> Option<()> {
        self.take(b'{')?;
        if self.take_if(b'}') {
            return Some(());
        }
        loop {
            self.take(b'"')?;
            let rest = &self.body[self.at..];
            let name = names.iter().position(|name| rest.starts_with(name))?;
            self.at += names[name].len();
            self.take(b':')?;
            member(self, name)?;
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
        const NAMES: [&[u8]; 3] = [b"Data\"", b"PartitionKey\"", b"ExplicitHashKey\""];
        self.members(NAMES, |scanner, name| match name {
            0 => set(&mut found.data, scanner.data()?),
            1 => set(&mut found.partition_key, scanner.text(Text::PartitionKey)?),
            _ => set(&mut found.explicit_hash_key, scanner.text(Text::ExplicitHashKey)?),
        })?;
        found.finish()
    }

    /// Base64 has no escapes, so that the next quote ends it if it is right.
    fn data(&mut self) -> Option<Span> {
        self.take(b'"')?;
        let end = memchr(b'"', &self.body[self.at..])?;
        let base64 = &self.body[self.at..self.at + end];
        base64_simd::STANDARD.check(base64).ok()?;
        let found = span(self.at, end);
        self.at += end + 1;
        is_data(base64.len() / 4 * 3 - padding(base64)).then_some(found)
    }

    fn text(&mut self, kind: Text) -> Option<Span> {
        self.take(b'"')?;
        let rest = &self.body[self.at..];
        let end = memchr2(b'"', b'\\', rest)?;
        let text = &rest[..end];
        // Without an early end: so the compiler looks at many bytes at once.
        let has_no_control = text.iter().fold(true, |so_far, byte| so_far & (*byte >= b' '));
        let is_plain = rest[end] == b'"' && has_no_control;
        if !is_plain || !is_text(kind, text) {
            return None;
        }
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
