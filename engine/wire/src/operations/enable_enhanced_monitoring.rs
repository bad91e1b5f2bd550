//! EnableEnhancedMonitoring: switches metrics of shards on.

use crate::call::call;
use crate::names::MetricsName;
use crate::shapes::{METRICS_NAMES, STREAM_ARN, STREAM_ID, STREAM_NAME};
use crate::structure::structure;

structure! {
    /// A request of EnableEnhancedMonitoring.
    EnableEnhancedMonitoring {
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        shard_level_metrics: Vec<MetricsName> => "ShardLevelMetrics", METRICS_NAMES;
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

structure! {
    /// An answer of EnableEnhancedMonitoring.
    EnableEnhancedMonitoringOutput {
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        current_shard_level_metrics: Option<Vec<MetricsName>> =>
            "CurrentShardLevelMetrics", METRICS_NAMES;
        desired_shard_level_metrics: Option<Vec<MetricsName>> =>
            "DesiredShardLevelMetrics", METRICS_NAMES;
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
    }
}

call!(EnableEnhancedMonitoring => EnableEnhancedMonitoringOutput);
