//! PutRecords: writes up to 500 records, each of which may fail alone.
//!
//! The struct below is the plain path; [`PutRecordsSpans`] reads the same bodies without a copy,
//! and [`PutRecordsWriter`] writes the same answers without a struct;
//! [`scan_answer`] reads them without one.

mod answer;
mod answer_spans;
mod asked;
mod scan_cbor;
mod scan_json;
mod spans;

pub use answer::PutRecordsWriter;
pub use answer_spans::{RecordAnswer, scan_answer};
pub use spans::{PutRecordsSpans, RecordSpans};

use crate::call::call;
use crate::names::EncryptionType;
use crate::shapes::{BOOLEAN, POSITIVE, STREAM_ARN, STREAM_ID, STREAM_NAME, records};
use crate::structure::structure;
use crate::structures::{PutRecordsRequestEntry, PutRecordsResultEntry};

structure! {
    /// A request of PutRecords.
    PutRecords {
        records: Vec<PutRecordsRequestEntry> => "Records", records(&PutRecordsRequestEntry::SHAPE);
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
        dry_run: Option<bool> => "DryRun", BOOLEAN;
    }
}

structure! {
    /// An answer of PutRecords.
    PutRecordsOutput {
        failed_record_count: Option<i32> => "FailedRecordCount", POSITIVE;
        records: Vec<PutRecordsResultEntry> => "Records", records(&PutRecordsResultEntry::SHAPE);
        encryption_type: Option<EncryptionType> => "EncryptionType", EncryptionType::SHAPE;
    }
}

call!(PutRecords => PutRecordsOutput);
