//! SplitShard: makes two shards of one.

use crate::call::{Nothing, call};
use crate::shapes::{HASH_KEY, SHARD_ID, STREAM_ARN, STREAM_ID, STREAM_NAME};
use crate::structure::structure;

structure! {
    /// A request of SplitShard.
    SplitShard {
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        shard_to_split: String => "ShardToSplit", SHARD_ID;
        new_starting_hash_key: String => "NewStartingHashKey", HASH_KEY;
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

call!(SplitShard => Nothing);
