//! UpdateMaxRecordSize: changes the largest record that a stream takes.

use crate::call::{Nothing, call};
use crate::shapes::{RECORD_KIB_MAX, STREAM_ARN, STREAM_ID};
use crate::structure::structure;

structure! {
    /// A request of UpdateMaxRecordSize.
    UpdateMaxRecordSize {
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
        max_record_size_in_kib: i32 => "MaxRecordSizeInKiB", RECORD_KIB_MAX;
    }
}

call!(UpdateMaxRecordSize => Nothing);
