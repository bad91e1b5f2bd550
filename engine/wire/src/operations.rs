//! The operations: one file each, with what it takes and what it gives.
//!
//! Queues and channels are not here yet: they are refused by name (see [`crate::operation`]).

use crate::call::Call;
use crate::encoding::Encoding;
use crate::operation::Operation;
use crate::refusal::Refusal;
use crate::request::read;
use crate::schema::Member;
use crate::structure::Structure;

pub mod add_tags_to_stream;
pub mod create_stream;
pub mod decrease_stream_retention_period;
pub mod delete_resource_policy;
pub mod delete_stream;
pub mod deregister_stream_consumer;
pub mod describe_account_settings;
pub mod describe_limits;
pub mod describe_stream;
pub mod describe_stream_consumer;
pub mod describe_stream_summary;
pub mod disable_enhanced_monitoring;
pub mod enable_enhanced_monitoring;
pub mod get_records;
pub mod get_resource_policy;
pub mod get_shard_iterator;
pub mod increase_stream_retention_period;
pub mod list_shards;
pub mod list_stream_consumers;
pub mod list_streams;
pub mod list_tags_for_resource;
pub mod list_tags_for_stream;
pub mod merge_shards;
pub mod put_record;
pub mod put_records;
pub mod put_resource_policy;
pub mod register_stream_consumer;
pub mod remove_tags_from_stream;
pub mod split_shard;
pub mod start_stream_encryption;
pub mod stop_stream_encryption;
pub mod subscribe_to_shard;
pub mod tag_resource;
pub mod untag_resource;
pub mod update_account_settings;
pub mod update_max_record_size;
pub mod update_shard_count;
pub mod update_stream_mode;
pub mod update_stream_record_distribution_strategy;
pub mod update_stream_warm_throughput;

use add_tags_to_stream::AddTagsToStream;
use create_stream::CreateStream;
use decrease_stream_retention_period::DecreaseStreamRetentionPeriod;
use delete_resource_policy::DeleteResourcePolicy;
use delete_stream::DeleteStream;
use deregister_stream_consumer::DeregisterStreamConsumer;
use describe_account_settings::DescribeAccountSettings;
use describe_limits::DescribeLimits;
use describe_stream::DescribeStream;
use describe_stream_consumer::DescribeStreamConsumer;
use describe_stream_summary::DescribeStreamSummary;
use disable_enhanced_monitoring::DisableEnhancedMonitoring;
use enable_enhanced_monitoring::EnableEnhancedMonitoring;
use get_records::GetRecords;
use get_resource_policy::GetResourcePolicy;
use get_shard_iterator::GetShardIterator;
use increase_stream_retention_period::IncreaseStreamRetentionPeriod;
use list_shards::ListShards;
use list_stream_consumers::ListStreamConsumers;
use list_streams::ListStreams;
use list_tags_for_resource::ListTagsForResource;
use list_tags_for_stream::ListTagsForStream;
use merge_shards::MergeShards;
use put_record::PutRecord;
use put_records::PutRecords;
use put_resource_policy::PutResourcePolicy;
use register_stream_consumer::RegisterStreamConsumer;
use remove_tags_from_stream::RemoveTagsFromStream;
use split_shard::SplitShard;
use start_stream_encryption::StartStreamEncryption;
use stop_stream_encryption::StopStreamEncryption;
use subscribe_to_shard::SubscribeToShard;
use tag_resource::TagResource;
use untag_resource::UntagResource;
use update_account_settings::UpdateAccountSettings;
use update_max_record_size::UpdateMaxRecordSize;
use update_shard_count::UpdateShardCount;
use update_stream_mode::UpdateStreamMode;
use update_stream_record_distribution_strategy::UpdateStreamRecordDistributionStrategy;
use update_stream_warm_throughput::UpdateStreamWarmThroughput;

/// Makes the enumeration of requests and their reading.
macro_rules! requests {
    ($($name:ident,)*) => {
        /// A request whose types and constraints are right.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Request {
            $( #[doc = stringify!($name)] $name($name), )*
        }

        impl Request {
            /// Reads a body. All that the body alone can be wrong in is found here.
            ///
            /// # Errors
            /// `SerializationException`, `ValidationException`, and a refusal of operations that
            /// are not here yet.
            pub fn read(
                operation: Operation,
                encoding: Encoding,
                body: &[u8],
            ) -> Result<Self, Refusal> {
                match operation {
                    $( Operation::$name => read(encoding, body).map(Self::$name), )*
                    other => Err(Refusal::NotYet(other)),
                }
            }
        }

        /// The tables of the operations that are here: name, members taken, members given.
        pub const TABLES: &[(&str, &[Member], &[Member])] = &[ $( (
            stringify!($name),
            <$name as Structure>::MEMBERS,
            <<$name as Call>::Output as Structure>::MEMBERS,
        ), )* ];
    };
}

requests! {
    AddTagsToStream,
    CreateStream,
    DecreaseStreamRetentionPeriod,
    DeleteResourcePolicy,
    DeleteStream,
    DeregisterStreamConsumer,
    DescribeAccountSettings,
    DescribeLimits,
    DescribeStream,
    DescribeStreamConsumer,
    DescribeStreamSummary,
    DisableEnhancedMonitoring,
    EnableEnhancedMonitoring,
    GetRecords,
    GetResourcePolicy,
    GetShardIterator,
    IncreaseStreamRetentionPeriod,
    ListShards,
    ListStreamConsumers,
    ListStreams,
    ListTagsForResource,
    ListTagsForStream,
    MergeShards,
    PutRecord,
    PutRecords,
    PutResourcePolicy,
    RegisterStreamConsumer,
    RemoveTagsFromStream,
    SplitShard,
    StartStreamEncryption,
    StopStreamEncryption,
    SubscribeToShard,
    TagResource,
    UntagResource,
    UpdateAccountSettings,
    UpdateMaxRecordSize,
    UpdateShardCount,
    UpdateStreamMode,
    UpdateStreamRecordDistributionStrategy,
    UpdateStreamWarmThroughput,
}

#[cfg(test)]
mod tests;
