//! The API's enumerations.
//!
//! The order of names is that of AWS's texts where it is recorded ([`ShardIteratorType`],
//! kinesalite 3.3.3), else that of the API's model.

use crate::structure::names;

names! {
    /// Whether records lie encrypted.
    EncryptionType { None = "NONE", Kms = "KMS", }
}

names! {
    /// Who sets the number of shards.
    StreamMode { Provisioned = "PROVISIONED", OnDemand = "ON_DEMAND", }
}

names! {
    /// The state of a stream.
    StreamStatus {
        Creating = "CREATING",
        Deleting = "DELETING",
        Active = "ACTIVE",
        Updating = "UPDATING",
    }
}

names! {
    /// The state of a consumer.
    ConsumerStatus { Creating = "CREATING", Deleting = "DELETING", Active = "ACTIVE", }
}

names! {
    /// Where a reader starts.
    ShardIteratorType {
        AfterSequenceNumber = "AFTER_SEQUENCE_NUMBER",
        Latest = "LATEST",
        AtTimestamp = "AT_TIMESTAMP",
        AtSequenceNumber = "AT_SEQUENCE_NUMBER",
        TrimHorizon = "TRIM_HORIZON",
    }
}

names! {
    /// Which shards ListShards lists.
    ShardFilterType {
        AfterShardId = "AFTER_SHARD_ID",
        AtTrimHorizon = "AT_TRIM_HORIZON",
        FromTrimHorizon = "FROM_TRIM_HORIZON",
        AtLatest = "AT_LATEST",
        AtTimestamp = "AT_TIMESTAMP",
        FromTimestamp = "FROM_TIMESTAMP",
    }
}

names! {
    /// A metric of shards.
    MetricsName {
        IncomingBytes = "IncomingBytes",
        IncomingRecords = "IncomingRecords",
        OutgoingBytes = "OutgoingBytes",
        OutgoingRecords = "OutgoingRecords",
        WriteProvisionedThroughputExceeded = "WriteProvisionedThroughputExceeded",
        ReadProvisionedThroughputExceeded = "ReadProvisionedThroughputExceeded",
        IteratorAgeMilliseconds = "IteratorAgeMilliseconds",
        All = "ALL",
    }
}

names! {
    /// How UpdateShardCount divides.
    ScalingType { UniformScaling = "UNIFORM_SCALING", }
}

names! {
    /// Who chooses a record's shard.
    RecordDistributionStrategy { Auto = "AUTO", UserPartitionKey = "USER_PARTITION_KEY", }
}

names! {
    /// What UpdateAccountSettings takes.
    CommitmentInputStatus { Enabled = "ENABLED", Disabled = "DISABLED", }
}

names! {
    /// What DescribeAccountSettings tells.
    CommitmentOutputStatus {
        Enabled = "ENABLED",
        Disabled = "DISABLED",
        EnabledUntilEarliestAllowedEnd = "ENABLED_UNTIL_EARLIEST_ALLOWED_END",
    }
}

/// Both spell themselves as the API does.
impl From<model::StreamStatus> for StreamStatus {
    fn from(status: model::StreamStatus) -> Self {
        match status {
            model::StreamStatus::Creating => Self::Creating,
            model::StreamStatus::Deleting => Self::Deleting,
            model::StreamStatus::Active => Self::Active,
            model::StreamStatus::Updating => Self::Updating,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterator_types_are_the_models() {
        assert_eq!(ShardIteratorType::NAMES, model::IteratorType::NAMES);
        for status in [
            model::StreamStatus::Creating,
            model::StreamStatus::Deleting,
            model::StreamStatus::Active,
            model::StreamStatus::Updating,
        ] {
            assert_eq!(StreamStatus::from(status).name(), status.to_string());
        }
    }
}
