//! UpdateShardCount: reshards a stream to so many equal shards.

use crate::call::call;
use crate::names::ScalingType;
use crate::shapes::{POSITIVE, STREAM_ARN, STREAM_ID, STREAM_NAME};
use crate::structure::structure;

structure! {
    /// A request of UpdateShardCount.
    UpdateShardCount {
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        target_shard_count: i32 => "TargetShardCount", POSITIVE;
        scaling_type: ScalingType => "ScalingType", ScalingType::SHAPE;
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

structure! {
    /// An answer of UpdateShardCount.
    UpdateShardCountOutput {
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        current_shard_count: Option<i32> => "CurrentShardCount", POSITIVE;
        target_shard_count: Option<i32> => "TargetShardCount", POSITIVE;
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
    }
}

call!(UpdateShardCount => UpdateShardCountOutput);
