//! The fast path through a PutRecords body in CBOR.

use model::Span;

use super::asked::{Text, is_count, is_data, is_text};
use super::spans::{Found, FoundRecord, PutRecordsSpans, RecordSpans};
use crate::scan::cbor::Scanner;
use crate::scan::set;

/// Finds the spans. `None` where it is not for the fast path.
pub(super) fn scan(body: &[u8]) -> Option<PutRecordsSpans> {
    let mut scanner = Scanner::new(body);
    let mut found = Found::default();
    scanner.members(|scanner, name| match name {
        b"Records" => set(&mut found.records, records(scanner, body)?),
        b"StreamName" => set(&mut found.stream_name, text(scanner, body, Text::StreamName)?),
        b"StreamARN" => set(&mut found.stream_arn, text(scanner, body, Text::StreamArn)?),
        b"StreamId" => set(&mut found.stream_id, text(scanner, body, Text::StreamId)?),
        b"DryRun" => set(&mut found.dry_run, scanner.boolean()?),
        _ => None,
    })?;
    if scanner.is_at_end() { found.finish() } else { None }
}

fn records(scanner: &mut Scanner<'_>, body: &[u8]) -> Option<Vec<RecordSpans>> {
    // A record of CBOR has at least some thirty bytes.
    let mut records = Vec::with_capacity((body.len() / 64).min(512));
    scanner.elements(|scanner| {
        records.push(record(scanner, body)?);
        is_count(records.len()).then_some(())
    })?;
    is_count(records.len()).then_some(records)
}

fn record(scanner: &mut Scanner<'_>, body: &[u8]) -> Option<RecordSpans> {
    let mut found = FoundRecord::default();
    scanner.members(|scanner, name| match name {
        b"Data" => set(&mut found.data, scanner.bytes()?),
        b"PartitionKey" => set(&mut found.partition_key, text(scanner, body, Text::PartitionKey)?),
        b"ExplicitHashKey" => {
            set(&mut found.explicit_hash_key, text(scanner, body, Text::ExplicitHashKey)?)
        }
        _ => None,
    })?;
    found.finish().filter(|record| is_data(record.data.bytes as usize))
}

fn text(scanner: &mut Scanner<'_>, body: &[u8], kind: Text) -> Option<Span> {
    let found = scanner.text()?;
    is_text(kind, found.of(body)).then_some(found)
}
