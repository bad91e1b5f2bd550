//! GetShardIterator: gives an iterator from which to read a shard.

use crate::call::call;
use crate::names::ShardIteratorType;
use crate::shapes::{
    BOOLEAN, SEQUENCE_NUMBER, SHARD_ID, SHARD_ITERATOR, STREAM_ARN, STREAM_ID, STREAM_NAME,
    TIMESTAMP,
};
use crate::structure::structure;
use crate::timestamp::Timestamp;

structure! {
    /// A request of GetShardIterator.
    GetShardIterator {
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        shard_id: String => "ShardId", SHARD_ID;
        shard_iterator_type: ShardIteratorType => "ShardIteratorType", ShardIteratorType::SHAPE;
        starting_sequence_number: Option<String> => "StartingSequenceNumber", SEQUENCE_NUMBER;
        timestamp: Option<Timestamp> => "Timestamp", TIMESTAMP;
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
        dry_run: Option<bool> => "DryRun", BOOLEAN;
    }
}

structure! {
    /// An answer of GetShardIterator.
    GetShardIteratorOutput {
        shard_iterator: Option<String> => "ShardIterator", SHARD_ITERATOR;
    }
}

call!(GetShardIterator => GetShardIteratorOutput);
