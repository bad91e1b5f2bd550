//! ListStreamConsumers: lists the consumers of a stream, page by page.

use crate::call::call;
use crate::shapes::{LIMIT, NEXT_TOKEN, STREAM_ARN, STREAM_ID, TIMESTAMP, list};
use crate::structure::structure;
use crate::structures::Consumer;
use crate::timestamp::Timestamp;

structure! {
    /// A request of ListStreamConsumers.
    ListStreamConsumers {
        stream_arn: String => "StreamARN", STREAM_ARN;
        next_token: Option<String> => "NextToken", NEXT_TOKEN;
        max_results: Option<i32> => "MaxResults", LIMIT;
        stream_creation_timestamp: Option<Timestamp> => "StreamCreationTimestamp", TIMESTAMP;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

structure! {
    /// An answer of ListStreamConsumers.
    ListStreamConsumersOutput {
        consumers: Option<Vec<Consumer>> => "Consumers", list(&Consumer::SHAPE);
        next_token: Option<String> => "NextToken", NEXT_TOKEN;
    }
}

call!(ListStreamConsumers => ListStreamConsumersOutput);
