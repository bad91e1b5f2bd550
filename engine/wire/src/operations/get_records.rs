//! GetRecords: reads records from where an iterator stands.

use crate::call::call;
use crate::shapes::{BOOLEAN, LIMIT, LONG, SHARD_ITERATOR, STREAM_ARN, STREAM_ID, list};
use crate::structure::structure;
use crate::structures::{ChildShard, Record};

structure! {
    /// A request of GetRecords.
    GetRecords {
        shard_iterator: String => "ShardIterator", SHARD_ITERATOR;
        limit: Option<i32> => "Limit", LIMIT;
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
        dry_run: Option<bool> => "DryRun", BOOLEAN;
    }
}

structure! {
    /// An answer of GetRecords.
    GetRecordsOutput {
        records: Vec<Record> => "Records", list(&Record::SHAPE);
        next_shard_iterator: Option<String> => "NextShardIterator", SHARD_ITERATOR;
        millis_behind_latest: Option<i64> => "MillisBehindLatest", LONG;
        child_shards: Option<Vec<ChildShard>> => "ChildShards", list(&ChildShard::SHAPE);
    }
}

call!(GetRecords => GetRecordsOutput);
