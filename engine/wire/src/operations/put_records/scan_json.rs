//! The fast path through a PutRecords body in JSON.

use model::Span;

use super::asked::{Text, is_count, is_data, is_text};
use super::spans::{Found, FoundRecord, PutRecordsSpans, RecordSpans};
use crate::scan::json::Scanner;
use crate::scan::{set, span};

/// Finds the spans; those of data are still base64, which is right. `None` where it is not for the
/// fast path.
pub(super) fn scan(body: &[u8]) -> Option<PutRecordsSpans> {
    const NAMES: [&[u8]; 5] =
        [b"Records\"", b"StreamName\"", b"StreamARN\"", b"StreamId\"", b"DryRun\""];
    let mut scanner = Scanner::new(body);
    let mut found = Found::default();
    scanner.members(NAMES, |scanner, name| match name {
        0 => set(&mut found.records, records(scanner, body)?),
        1 => set(&mut found.stream_name, text(scanner, body, Text::StreamName)?),
        2 => set(&mut found.stream_arn, text(scanner, body, Text::StreamArn)?),
        3 => set(&mut found.stream_id, text(scanner, body, Text::StreamId)?),
        _ => set(&mut found.dry_run, scanner.boolean()?),
    })?;
    if scanner.is_at_end() { found.finish() } else { None }
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

fn records(scanner: &mut Scanner<'_>, body: &[u8]) -> Option<Vec<RecordSpans>> {
    // A record of JSON has at least some forty bytes.
    let mut records = Vec::with_capacity((body.len() / 64).min(512));
    scanner.elements(|scanner| {
        records.push(record(scanner, body)?);
        is_count(records.len()).then_some(())
    })?;
    is_count(records.len()).then_some(records)
}

fn record(scanner: &mut Scanner<'_>, body: &[u8]) -> Option<RecordSpans> {
    const NAMES: [&[u8]; 3] = [b"Data\"", b"PartitionKey\"", b"ExplicitHashKey\""];
    let mut found = FoundRecord::default();
    scanner.members(NAMES, |scanner, name| match name {
        0 => set(&mut found.data, data(scanner, body)?),
        1 => set(&mut found.partition_key, text(scanner, body, Text::PartitionKey)?),
        _ => set(&mut found.explicit_hash_key, text(scanner, body, Text::ExplicitHashKey)?),
    })?;
    found.finish()
}

fn data(scanner: &mut Scanner<'_>, body: &[u8]) -> Option<Span> {
    let found = scanner.base64()?;
    let base64 = found.of(body);
    is_data(base64.len() / 4 * 3 - padding(base64)).then_some(found)
}

fn text(scanner: &mut Scanner<'_>, body: &[u8], kind: Text) -> Option<Span> {
    let found = scanner.text()?;
    is_text(kind, found.of(body)).then_some(found)
}

/// How many bytes the padding stands for.
fn padding(base64: &[u8]) -> usize {
    base64.iter().rev().take(2).filter(|byte| **byte == b'=').count()
}
