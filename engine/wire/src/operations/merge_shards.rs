//! MergeShards: makes one shard of two adjacent ones.

use crate::call::{Nothing, call};
use crate::shapes::{SHARD_ID, STREAM_ARN, STREAM_ID, STREAM_NAME};
use crate::structure::structure;

structure! {
    /// A request of MergeShards.
    MergeShards {
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        shard_to_merge: String => "ShardToMerge", SHARD_ID;
        adjacent_shard_to_merge: String => "AdjacentShardToMerge", SHARD_ID;
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

call!(MergeShards => Nothing);
