//! The 57 operations of the API, as `X-Amz-Target` names them.

/// What `X-Amz-Target` starts with.
pub const TARGET_PREFIX: &str = "Kinesis_20131202";

/// What an operation works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plane {
    /// Records.
    Data,
    /// Streams, consumers and settings.
    Control,
}

/// Whether Gyre has an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Presence {
    /// It is served.
    Here,
    /// It is known by name and refused.
    Later,
}

/// Makes the enumeration and what is said of each operation.
macro_rules! operations {
    ($($name:ident: $plane:ident, $presence:ident;)*) => {
        /// An operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operation {
            $( #[doc = concat!("`", stringify!($name), "`.")] $name, )*
        }

        impl Operation {
            /// Every operation, by name.
            pub const ALL: &[Self] = &[ $( Self::$name, )* ];

            /// The API's name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $( Self::$name => stringify!($name), )* }
            }

            /// By its name.
            #[must_use]
            pub fn of_name(name: &str) -> Option<Self> {
                match name { $( stringify!($name) => Some(Self::$name), )* _ => None }
            }

            /// What it works on.
            #[must_use]
            pub fn plane(self) -> Plane {
                match self { $( Self::$name => Plane::$plane, )* }
            }

            /// Whether Gyre has it. Queues and channels come later.
            #[must_use]
            pub fn presence(self) -> Presence {
                match self { $( Self::$name => Presence::$presence, )* }
            }
        }
    };
}

operations! {
    AcknowledgeDeadLetterQueueRecords: Data, Later;
    AcknowledgeQueueRecords: Data, Later;
    AddTagsToStream: Control, Here;
    CreateChannel: Control, Later;
    CreateQueue: Control, Later;
    CreateStream: Control, Here;
    DecreaseStreamRetentionPeriod: Control, Here;
    DeleteChannel: Control, Later;
    DeleteQueue: Control, Later;
    DeleteResourcePolicy: Control, Here;
    DeleteStream: Control, Here;
    DeregisterStreamConsumer: Control, Here;
    DescribeAccountSettings: Control, Here;
    DescribeChannel: Control, Later;
    DescribeLimits: Control, Here;
    DescribeQueue: Control, Later;
    DescribeStream: Control, Here;
    DescribeStreamConsumer: Control, Here;
    DescribeStreamSummary: Control, Here;
    DisableEnhancedMonitoring: Control, Here;
    EnableEnhancedMonitoring: Control, Here;
    GetRecords: Data, Here;
    GetResourcePolicy: Control, Here;
    GetShardIterator: Data, Here;
    IncreaseStreamRetentionPeriod: Control, Here;
    ListChannels: Control, Later;
    ListQueues: Control, Later;
    ListShards: Control, Here;
    ListStreamConsumers: Control, Here;
    ListStreams: Control, Here;
    ListTagsForResource: Control, Here;
    ListTagsForStream: Control, Here;
    MergeShards: Control, Here;
    PutRecord: Data, Here;
    PutRecords: Data, Here;
    PutResourcePolicy: Control, Here;
    ReceiveDeadLetterQueueRecords: Data, Later;
    ReceiveQueueRecords: Data, Later;
    RegisterStreamConsumer: Control, Here;
    RemoveTagsFromStream: Control, Here;
    RestoreDeadLetterQueueRecords: Data, Later;
    SplitShard: Control, Here;
    StartStreamEncryption: Control, Here;
    StopStreamEncryption: Control, Here;
    SubscribeToShard: Data, Here;
    TagResource: Control, Here;
    UntagResource: Control, Here;
    UpdateAccountSettings: Control, Here;
    UpdateChannel: Control, Later;
    UpdateDeadLetterQueueRecordsVisibility: Data, Later;
    UpdateMaxRecordSize: Control, Here;
    UpdateQueue: Control, Later;
    UpdateQueueRecordsVisibility: Data, Later;
    UpdateShardCount: Control, Here;
    UpdateStreamMode: Control, Here;
    UpdateStreamRecordDistributionStrategy: Control, Here;
    UpdateStreamWarmThroughput: Control, Here;
}

impl Operation {
    /// By an `X-Amz-Target`, as `Kinesis_20131202.PutRecords`.
    #[must_use]
    pub fn of_target(target: &str) -> Option<Self> {
        Self::of_name(target.strip_prefix(TARGET_PREFIX)?.strip_prefix('.')?)
    }

    /// The `X-Amz-Target` that names it.
    #[must_use]
    pub fn target(self) -> String {
        format!("{TARGET_PREFIX}.{}", self.name())
    }

    /// Whether its answer is a stream of events rather than one body.
    #[must_use]
    pub fn is_streamed(self) -> bool {
        self == Self::SubscribeToShard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_57_and_lead_back() {
        assert_eq!(Operation::ALL.len(), 57);
        assert!(Operation::ALL.is_sorted_by_key(|operation| operation.name()));
        for &operation in Operation::ALL {
            assert_eq!(Operation::of_target(&operation.target()), Some(operation));
        }
        let later = |operation: &&Operation| operation.presence() == Presence::Later;
        assert_eq!(Operation::ALL.iter().filter(later).count(), 17);
        let is_streamed = |operation: &&Operation| operation.is_streamed();
        assert_eq!(Operation::ALL.iter().filter(is_streamed).count(), 1);
    }

    #[test]
    fn targets_that_name_nothing() {
        let check = |target: &str| assert_eq!(Operation::of_target(target), None, "{target}");
        check("");
        check("Whatever");
        check("Kinesis_20131202.");
        check("Kinesis_20131202.ListStream");
        check("Kinesis_20131202PutRecords");
        check("whatever.PutRecords");
        check("kinesis_20131202.PutRecords");
        check("Kinesis_20131202.putRecords");
    }
}
