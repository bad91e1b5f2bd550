//! Structures that requests and answers hold.

use crate::names::{
    CommitmentInputStatus, CommitmentOutputStatus, ConsumerStatus, EncryptionType, MetricsName,
    RecordDistributionStrategy, ShardFilterType, ShardIteratorType, StreamMode, StreamStatus,
};
use crate::shapes::{
    BOOLEAN, CONSUMER_ARN, CONSUMER_NAME, COUNT, DATA, FREE_TEXT, HASH_KEY, KEY_ID, LONG,
    METRICS_NAMES, NATURAL, PARTITION_KEY, RECORD_KIB_MAX, RETENTION_HOURS, SEQUENCE_NUMBER,
    SHARD_ID, STREAM_ARN, STREAM_ID, STREAM_NAME, TAG_KEY, TAG_VALUE, TIMESTAMP, list,
};
use crate::structure::{Blob, structure};
use crate::timestamp::Timestamp;

structure! {
    /// Who sets the number of a stream's shards.
    StreamModeDetails {
        stream_mode: StreamMode => "StreamMode", StreamMode::SHAPE;
    }
}

structure! {
    /// Which shards ListShards lists.
    ShardFilter {
        kind: ShardFilterType => "Type", ShardFilterType::SHAPE;
        shard_id: Option<String> => "ShardId", SHARD_ID;
        timestamp: Option<Timestamp> => "Timestamp", TIMESTAMP;
    }
}

structure! {
    /// Where SubscribeToShard starts.
    StartingPosition {
        kind: ShardIteratorType => "Type", ShardIteratorType::SHAPE;
        sequence_number: Option<String> => "SequenceNumber", SEQUENCE_NUMBER;
        timestamp: Option<Timestamp> => "Timestamp", TIMESTAMP;
    }
}

structure! {
    /// A tag.
    Tag {
        key: String => "Key", TAG_KEY;
        value: Option<String> => "Value", TAG_VALUE;
    }
}

structure! {
    /// The hash keys of a shard, both ends included.
    HashKeyRange {
        starting_hash_key: String => "StartingHashKey", HASH_KEY;
        ending_hash_key: String => "EndingHashKey", HASH_KEY;
    }
}

structure! {
    /// The sequence numbers of a shard.
    SequenceNumberRange {
        starting_sequence_number: String => "StartingSequenceNumber", SEQUENCE_NUMBER;
        /// Only of a closed shard.
        ending_sequence_number: Option<String> => "EndingSequenceNumber", SEQUENCE_NUMBER;
    }
}

structure! {
    /// A shard, as ListShards and DescribeStream tell.
    Shard {
        shard_id: String => "ShardId", SHARD_ID;
        parent_shard_id: Option<String> => "ParentShardId", SHARD_ID;
        adjacent_parent_shard_id: Option<String> => "AdjacentParentShardId", SHARD_ID;
        hash_key_range: HashKeyRange => "HashKeyRange", HashKeyRange::SHAPE;
        sequence_number_range: SequenceNumberRange =>
            "SequenceNumberRange", SequenceNumberRange::SHAPE;
    }
}

structure! {
    /// What a closed shard has become, as its readers are told at its end.
    ChildShard {
        shard_id: String => "ShardId", SHARD_ID;
        parent_shards: Vec<String> => "ParentShards", list(&SHARD_ID);
        hash_key_range: HashKeyRange => "HashKeyRange", HashKeyRange::SHAPE;
    }
}

structure! {
    /// A record, as readers get it.
    Record {
        sequence_number: String => "SequenceNumber", SEQUENCE_NUMBER;
        approximate_arrival_timestamp: Option<Timestamp> =>
            "ApproximateArrivalTimestamp", TIMESTAMP;
        data: Blob => "Data", DATA;
        partition_key: Option<String> => "PartitionKey", PARTITION_KEY;
        /// Absent where the record was not encrypted, as AWS has it.
        encryption_type: Option<EncryptionType> => "EncryptionType", EncryptionType::SHAPE;
    }
}

structure! {
    /// One record of a PutRecords.
    PutRecordsRequestEntry {
        data: Blob => "Data", DATA;
        explicit_hash_key: Option<String> => "ExplicitHashKey", HASH_KEY;
        partition_key: Option<String> => "PartitionKey", PARTITION_KEY;
    }
}

structure! {
    /// What became of one record of a PutRecords: the first two, or the last two.
    PutRecordsResultEntry {
        sequence_number: Option<String> => "SequenceNumber", SEQUENCE_NUMBER;
        shard_id: Option<String> => "ShardId", SHARD_ID;
        error_code: Option<String> => "ErrorCode", FREE_TEXT;
        error_message: Option<String> => "ErrorMessage", FREE_TEXT;
    }
}

structure! {
    /// What one turn of a SubscribeToShard brings.
    SubscribeToShardEvent {
        records: Vec<Record> => "Records", list(&Record::SHAPE);
        /// Absent at the end of a closed shard, though the model calls it required.
        continuation_sequence_number: Option<String> =>
            "ContinuationSequenceNumber", SEQUENCE_NUMBER;
        millis_behind_latest: i64 => "MillisBehindLatest", LONG;
        child_shards: Option<Vec<ChildShard>> => "ChildShards", list(&ChildShard::SHAPE);
    }
}

structure! {
    /// The metrics of shards that are on.
    EnhancedMetrics {
        shard_level_metrics: Option<Vec<MetricsName>> => "ShardLevelMetrics", METRICS_NAMES;
    }
}

structure! {
    /// A consumer, as ListStreamConsumers tells.
    Consumer {
        consumer_name: String => "ConsumerName", CONSUMER_NAME;
        consumer_arn: String => "ConsumerARN", CONSUMER_ARN;
        consumer_status: ConsumerStatus => "ConsumerStatus", ConsumerStatus::SHAPE;
        consumer_creation_timestamp: Timestamp => "ConsumerCreationTimestamp", TIMESTAMP;
    }
}

structure! {
    /// A consumer, as DescribeStreamConsumer tells.
    ConsumerDescription {
        consumer_name: String => "ConsumerName", CONSUMER_NAME;
        consumer_arn: String => "ConsumerARN", CONSUMER_ARN;
        consumer_status: ConsumerStatus => "ConsumerStatus", ConsumerStatus::SHAPE;
        consumer_creation_timestamp: Timestamp => "ConsumerCreationTimestamp", TIMESTAMP;
        stream_arn: String => "StreamARN", STREAM_ARN;
    }
}

structure! {
    /// A stream, as ListStreams tells.
    StreamSummary {
        stream_name: String => "StreamName", STREAM_NAME;
        stream_arn: String => "StreamARN", STREAM_ARN;
        stream_status: StreamStatus => "StreamStatus", StreamStatus::SHAPE;
        stream_mode_details: Option<StreamModeDetails> =>
            "StreamModeDetails", StreamModeDetails::SHAPE;
        stream_creation_timestamp: Option<Timestamp> => "StreamCreationTimestamp", TIMESTAMP;
    }
}

structure! {
    /// A stream, as DescribeStream tells.
    StreamDescription {
        stream_name: String => "StreamName", STREAM_NAME;
        stream_arn: String => "StreamARN", STREAM_ARN;
        stream_status: StreamStatus => "StreamStatus", StreamStatus::SHAPE;
        stream_mode_details: Option<StreamModeDetails> =>
            "StreamModeDetails", StreamModeDetails::SHAPE;
        shards: Vec<Shard> => "Shards", list(&Shard::SHAPE);
        has_more_shards: bool => "HasMoreShards", BOOLEAN;
        retention_period_hours: i32 => "RetentionPeriodHours", RETENTION_HOURS;
        stream_creation_timestamp: Timestamp => "StreamCreationTimestamp", TIMESTAMP;
        enhanced_monitoring: Vec<EnhancedMetrics> =>
            "EnhancedMonitoring", list(&EnhancedMetrics::SHAPE);
        encryption_type: Option<EncryptionType> => "EncryptionType", EncryptionType::SHAPE;
        key_id: Option<String> => "KeyId", KEY_ID;
    }
}

structure! {
    /// A stream, as DescribeStreamSummary tells.
    StreamDescriptionSummary {
        stream_name: String => "StreamName", STREAM_NAME;
        stream_arn: String => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
        stream_status: StreamStatus => "StreamStatus", StreamStatus::SHAPE;
        stream_mode_details: Option<StreamModeDetails> =>
            "StreamModeDetails", StreamModeDetails::SHAPE;
        retention_period_hours: i32 => "RetentionPeriodHours", RETENTION_HOURS;
        stream_creation_timestamp: Timestamp => "StreamCreationTimestamp", TIMESTAMP;
        enhanced_monitoring: Vec<EnhancedMetrics> =>
            "EnhancedMonitoring", list(&EnhancedMetrics::SHAPE);
        encryption_type: Option<EncryptionType> => "EncryptionType", EncryptionType::SHAPE;
        key_id: Option<String> => "KeyId", KEY_ID;
        open_shard_count: i32 => "OpenShardCount", COUNT;
        consumer_count: Option<i32> => "ConsumerCount", COUNT;
        warm_throughput: Option<WarmThroughputObject> =>
            "WarmThroughput", WarmThroughputObject::SHAPE;
        max_record_size_in_kib: Option<i32> => "MaxRecordSizeInKiB", RECORD_KIB_MAX;
        channel_count: Option<i32> => "ChannelCount", COUNT;
        record_distribution_strategy: Option<RecordDistributionStrategy> =>
            "RecordDistributionStrategy", RecordDistributionStrategy::SHAPE;
        queue_count: Option<i32> => "QueueCount", COUNT;
    }
}

structure! {
    /// The rate that an on-demand stream is ready for.
    WarmThroughputObject {
        target_mibps: Option<i32> => "TargetMiBps", NATURAL;
        current_mibps: Option<i32> => "CurrentMiBps", NATURAL;
    }
}

structure! {
    /// What an account commits itself to.
    MinimumThroughputBillingCommitmentInput {
        status: CommitmentInputStatus => "Status", CommitmentInputStatus::SHAPE;
    }
}

structure! {
    /// What an account has committed itself to.
    MinimumThroughputBillingCommitmentOutput {
        status: CommitmentOutputStatus => "Status", CommitmentOutputStatus::SHAPE;
        started_at: Option<Timestamp> => "StartedAt", TIMESTAMP;
        ended_at: Option<Timestamp> => "EndedAt", TIMESTAMP;
        earliest_allowed_end_at: Option<Timestamp> => "EarliestAllowedEndAt", TIMESTAMP;
    }
}
