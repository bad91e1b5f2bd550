//! DescribeLimits: tells how much of the account's quotas is used.

use crate::call::call;
use crate::shapes::COUNT;
use crate::structure::structure;

structure! {
    /// A request of DescribeLimits.
    DescribeLimits {}
}

structure! {
    /// An answer of DescribeLimits.
    DescribeLimitsOutput {
        shard_limit: i32 => "ShardLimit", COUNT;
        open_shard_count: i32 => "OpenShardCount", COUNT;
        on_demand_stream_count: i32 => "OnDemandStreamCount", COUNT;
        on_demand_stream_count_limit: i32 => "OnDemandStreamCountLimit", COUNT;
        channel_count: Option<i32> => "ChannelCount", COUNT;
        channel_count_limit: Option<i32> => "ChannelCountLimit", COUNT;
    }
}

call!(DescribeLimits => DescribeLimitsOutput);
