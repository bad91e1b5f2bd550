//! A PutRecords request as spans of its body: the fast path.
//!
//! A record costs no allocation. Its data is one pass to find the end of its base64, one to check it
//! and one to decode it in place; of CBOR's data only the place is noted. The body becomes the
//! payload that the log's frame is gathered from.
//!
//! The scanners take what clients send all day: the members that there are, texts without escapes,
//! every constraint kept. On anything else they stop before they have changed a byte, and the plain
//! path reads the body and says what is wrong, if anything is. So they agree by construction on
//! refusals; that they agree on what they both take is a test and a fuzz target.

use model::Span;

use super::PutRecords;
use super::{scan_cbor, scan_json};
use crate::encoding::Encoding;
use crate::refusal::Refusal;
use crate::request::read;
use crate::scan::{BODY_BYTES_MAX, span};

/// A request whose types and constraints are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutRecordsSpans {
    /// What the spans are of: the request's body, partly decoded, or a copy of its records.
    pub payload: Vec<u8>,
    /// `Records`: 1 to 500.
    pub records: Vec<RecordSpans>,
    /// `StreamName`.
    pub stream_name: Option<Span>,
    /// `StreamARN`.
    pub stream_arn: Option<Span>,
    /// `StreamId`.
    pub stream_id: Option<Span>,
    /// `DryRun`, false where it is absent.
    pub is_dry_run: bool,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordSpans {
    /// `Data`, no longer base64.
    pub data: Span,
    /// `PartitionKey`: UTF-8 of 1 to 256 characters.
    pub partition_key: Option<Span>,
    /// `ExplicitHashKey`: a number of up to 39 digits.
    pub explicit_hash_key: Option<Span>,
}

impl PutRecordsSpans {
    /// Reads a body.
    ///
    /// # Errors
    /// As [`crate::Request::read`].
    pub fn read(encoding: Encoding, body: Vec<u8>) -> Result<Self, Refusal> {
        match Self::scan(encoding, body) {
            Ok(found) => Ok(found),
            Err(body) => read(encoding, &body).map(Self::from_plain),
        }
    }

    /// Only the fast path: gives the body back, unchanged, where it is not for it.
    ///
    /// # Errors
    /// The body.
    pub fn scan(encoding: Encoding, mut body: Vec<u8>) -> Result<Self, Vec<u8>> {
        if body.len() > BODY_BYTES_MAX {
            return Err(body);
        }
        let found = match encoding {
            Encoding::Json => scan_json::scan(&body),
            Encoding::Cbor => scan_cbor::scan(&body),
        };
        let Some(mut found) = found else { return Err(body) };
        if encoding == Encoding::Json {
            scan_json::decode_data(&mut body, &mut found.records);
        }
        found.payload = body;
        Ok(found)
    }

    /// From the plain path's struct: texts and data are laid one behind the other.
    #[must_use]
    pub fn from_plain(plain: PutRecords) -> Self {
        let mut payload = Vec::new();
        let mut lay = |bytes: &[u8]| {
            let start = payload.len();
            payload.extend_from_slice(bytes);
            span(start, bytes.len())
        };
        let records = plain.records.iter().map(|record| RecordSpans {
            data: lay(&record.data.0),
            partition_key: record.partition_key.as_ref().map(|text| lay(text.as_bytes())),
            explicit_hash_key: record.explicit_hash_key.as_ref().map(|text| lay(text.as_bytes())),
        });
        let records = records.collect();
        let [stream_name, stream_arn, stream_id] =
            [plain.stream_name, plain.stream_arn, plain.stream_id]
                .map(|text| text.map(|text| lay(text.as_bytes())));
        let is_dry_run = plain.dry_run.unwrap_or(false);
        Self { payload, records, stream_name, stream_arn, stream_id, is_dry_run }
    }

    /// The text of one of its spans.
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        str::from_utf8(span.of(&self.payload)).expect("texts were checked when they were found")
    }
}

/// What a scan has found so far; a member that comes again is not for the fast path.
#[derive(Default)]
pub(super) struct Found {
    pub(super) records: Option<Vec<RecordSpans>>,
    pub(super) stream_name: Option<Span>,
    pub(super) stream_arn: Option<Span>,
    pub(super) stream_id: Option<Span>,
    pub(super) dry_run: Option<bool>,
}

impl Found {
    pub(super) fn finish(self) -> Option<PutRecordsSpans> {
        let Self { records, stream_name, stream_arn, stream_id, dry_run } = self;
        let (records, payload, is_dry_run) = (records?, Vec::new(), dry_run.unwrap_or(false));
        Some(PutRecordsSpans { payload, records, stream_name, stream_arn, stream_id, is_dry_run })
    }
}

/// A record that a scan has found so far.
#[derive(Clone, Copy, Default)]
pub(super) struct FoundRecord {
    pub(super) data: Option<Span>,
    pub(super) partition_key: Option<Span>,
    pub(super) explicit_hash_key: Option<Span>,
}

impl FoundRecord {
    pub(super) fn finish(self) -> Option<RecordSpans> {
        let Self { data, partition_key, explicit_hash_key } = self;
        Some(RecordSpans { data: data?, partition_key, explicit_hash_key })
    }
}

#[cfg(test)]
mod tests;
