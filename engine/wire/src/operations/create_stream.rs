//! CreateStream: makes a stream.

use std::collections::BTreeMap;

use crate::call::{Nothing, call};
use crate::names::RecordDistributionStrategy;
use crate::shapes::{NATURAL, POSITIVE, RECORD_KIB_MAX, STREAM_NAME, TAG_MAP};
use crate::structure::structure;
use crate::structures::StreamModeDetails;

structure! {
    /// A request of CreateStream.
    CreateStream {
        stream_name: String => "StreamName", STREAM_NAME;
        shard_count: Option<i32> => "ShardCount", POSITIVE;
        stream_mode_details: Option<StreamModeDetails> =>
            "StreamModeDetails", StreamModeDetails::SHAPE;
        tags: Option<BTreeMap<String, String>> => "Tags", TAG_MAP;
        warm_throughput_mibps: Option<i32> => "WarmThroughputMiBps", NATURAL;
        max_record_size_in_kib: Option<i32> => "MaxRecordSizeInKiB", RECORD_KIB_MAX;
        record_distribution_strategy: Option<RecordDistributionStrategy> =>
            "RecordDistributionStrategy", RecordDistributionStrategy::SHAPE;
    }
}

call!(CreateStream => Nothing);
