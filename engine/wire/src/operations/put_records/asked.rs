//! What both fast paths ask of a value: the constraints of the table, for bytes.

use model::limits::{PUT_RECORDS_COUNT_MAX, RECORD_BYTES_MAX_LARGEST};
use model::record::check_partition_key;

use crate::pattern::Pattern;

/// What a text is for.
#[derive(Clone, Copy)]
pub(super) enum Text {
    StreamName,
    StreamArn,
    StreamId,
    PartitionKey,
    ExplicitHashKey,
}

/// Whether the bytes are UTF-8 and keep the constraints.
pub(super) fn is_text(kind: Text, bytes: &[u8]) -> bool {
    let matches = |pattern: Pattern| str::from_utf8(bytes).is_ok_and(|text| pattern.matches(text));
    match kind {
        Text::PartitionKey => check_partition_key(bytes).is_ok(),
        Text::ExplicitHashKey => matches(Pattern::HashKey),
        // Bytes are at least characters: of a longer one the plain path says whether it is too long.
        Text::StreamName => bytes.len() <= 128 && matches(Pattern::Name),
        Text::StreamArn => bytes.len() <= 2048 && matches(Pattern::StreamArn),
        Text::StreamId => matches(Pattern::StreamId),
    }
}

pub(super) fn is_data(bytes: usize) -> bool {
    bytes <= RECORD_BYTES_MAX_LARGEST as usize
}

pub(super) fn is_count(records: usize) -> bool {
    (1..=PUT_RECORDS_COUNT_MAX).contains(&records)
}
