//! UpdateStreamMode: changes between provisioned and on demand.

use crate::call::{Nothing, call};
use crate::shapes::{NATURAL, STREAM_ARN, STREAM_ID};
use crate::structure::structure;
use crate::structures::StreamModeDetails;

structure! {
    /// A request of UpdateStreamMode.
    UpdateStreamMode {
        stream_arn: String => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
        stream_mode_details: StreamModeDetails => "StreamModeDetails", StreamModeDetails::SHAPE;
        warm_throughput_mibps: Option<i32> => "WarmThroughputMiBps", NATURAL;
    }
}

call!(UpdateStreamMode => Nothing);
