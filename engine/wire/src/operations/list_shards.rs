//! ListShards: lists shards, filtered, page by page.

use crate::call::call;
use crate::shapes::{
    LIMIT, NEXT_TOKEN, SHARD_ID, STREAM_ARN, STREAM_ID, STREAM_NAME, TIMESTAMP, list,
};
use crate::structure::structure;
use crate::structures::{Shard, ShardFilter};
use crate::timestamp::Timestamp;

structure! {
    /// A request of ListShards.
    ListShards {
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        next_token: Option<String> => "NextToken", NEXT_TOKEN;
        exclusive_start_shard_id: Option<String> => "ExclusiveStartShardId", SHARD_ID;
        max_results: Option<i32> => "MaxResults", LIMIT;
        stream_creation_timestamp: Option<Timestamp> => "StreamCreationTimestamp", TIMESTAMP;
        shard_filter: Option<ShardFilter> => "ShardFilter", ShardFilter::SHAPE;
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

structure! {
    /// An answer of ListShards.
    ListShardsOutput {
        shards: Option<Vec<Shard>> => "Shards", list(&Shard::SHAPE);
        next_token: Option<String> => "NextToken", NEXT_TOKEN;
    }
}

call!(ListShards => ListShardsOutput);
