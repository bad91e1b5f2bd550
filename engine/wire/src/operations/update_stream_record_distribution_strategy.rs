//! UpdateStreamRecordDistributionStrategy: changes who chooses a record's shard.

use crate::call::{Nothing, call};
use crate::names::RecordDistributionStrategy;
use crate::shapes::{STREAM_ARN, STREAM_ID};
use crate::structure::structure;

structure! {
    /// A request of UpdateStreamRecordDistributionStrategy.
    UpdateStreamRecordDistributionStrategy {
        stream_arn: String => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
        record_distribution_strategy: RecordDistributionStrategy =>
            "RecordDistributionStrategy", RecordDistributionStrategy::SHAPE;
    }
}

call!(UpdateStreamRecordDistributionStrategy => Nothing);
