//! DescribeStream: tells everything of a stream, its shards page by page.

use crate::call::call;
use crate::shapes::{LIMIT, SHARD_ID, STREAM_ARN, STREAM_ID, STREAM_NAME};
use crate::structure::structure;
use crate::structures::StreamDescription;

structure! {
    /// A request of DescribeStream.
    DescribeStream {
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        limit: Option<i32> => "Limit", LIMIT;
        exclusive_start_shard_id: Option<String> => "ExclusiveStartShardId", SHARD_ID;
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

structure! {
    /// An answer of DescribeStream.
    DescribeStreamOutput {
        stream_description: StreamDescription => "StreamDescription", StreamDescription::SHAPE;
    }
}

call!(DescribeStream => DescribeStreamOutput);
