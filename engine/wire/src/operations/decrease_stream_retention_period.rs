//! DecreaseStreamRetentionPeriod: keeps records for a shorter time.

use crate::call::{Nothing, call};
use crate::shapes::{RETENTION_HOURS, STREAM_ARN, STREAM_ID, STREAM_NAME};
use crate::structure::structure;

structure! {
    /// A request of DecreaseStreamRetentionPeriod.
    DecreaseStreamRetentionPeriod {
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        retention_period_hours: i32 => "RetentionPeriodHours", RETENTION_HOURS;
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

call!(DecreaseStreamRetentionPeriod => Nothing);
