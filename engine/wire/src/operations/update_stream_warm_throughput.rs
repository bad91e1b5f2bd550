//! UpdateStreamWarmThroughput: changes the rate that an on-demand stream is ready for.

use crate::call::call;
use crate::shapes::{NATURAL, STREAM_ARN, STREAM_ID, STREAM_NAME};
use crate::structure::structure;
use crate::structures::WarmThroughputObject;

structure! {
    /// A request of UpdateStreamWarmThroughput.
    UpdateStreamWarmThroughput {
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        stream_id: Option<String> => "StreamId", STREAM_ID;
        warm_throughput_mibps: i32 => "WarmThroughputMiBps", NATURAL;
    }
}

structure! {
    /// An answer of UpdateStreamWarmThroughput.
    UpdateStreamWarmThroughputOutput {
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        warm_throughput: Option<WarmThroughputObject> =>
            "WarmThroughput", WarmThroughputObject::SHAPE;
    }
}

call!(UpdateStreamWarmThroughput => UpdateStreamWarmThroughputOutput);
