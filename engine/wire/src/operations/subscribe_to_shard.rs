//! SubscribeToShard: pushes the records of a shard to a consumer for five minutes.

use crate::call::{Nothing, call};
use crate::shapes::{BOOLEAN, CONSUMER_ARN, SHARD_ID, STREAM_ID};
use crate::structure::structure;
use crate::structures::StartingPosition;

structure! {
    /// A request of SubscribeToShard.
    SubscribeToShard {
        consumer_arn: String => "ConsumerARN", CONSUMER_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
        shard_id: String => "ShardId", SHARD_ID;
        starting_position: StartingPosition => "StartingPosition", StartingPosition::SHAPE;
        dry_run: Option<bool> => "DryRun", BOOLEAN;
    }
}

call!(SubscribeToShard => Nothing);
