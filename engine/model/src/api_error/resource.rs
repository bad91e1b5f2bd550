//! Errors about what is there: not found, in use, too much of it.
//!
//! Texts recorded by kinesalite 3.3.3's tests against AWS, unless a variant says otherwise.

use crate::shard_id::ShardIndex;
use crate::stream::{AccountId, Region, StreamAddress, StreamStatus};
use std::fmt;

/// `ResourceNotFoundException`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceNotFound {
    /// There is no such stream, also where an ARN named it.
    Stream(StreamAddress),
    /// What a request calls a shard: no shard id, or of a shard that SplitShard and MergeShards do
    /// not find.
    ShardByName {
        /// As the client wrote it, or its normal form.
        requested: Box<str>,
        /// The stream.
        stream: StreamAddress,
    },
    /// A shard that readers ask for and that is not there, also where the stream is not.
    Shard {
        /// The shard.
        shard: ShardIndex,
        /// The stream.
        stream: StreamAddress,
    },
}

impl fmt::Display for ResourceNotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(stream) => write!(f, "Stream {stream} not found."),
            Self::ShardByName { requested, stream } => {
                write!(f, "Could not find shard {requested} in stream {stream}.")
            }
            Self::Shard { shard, stream } => {
                write!(f, "Shard {shard} in stream {stream} does not exist")
            }
        }
    }
}

/// `ResourceInUseException`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceInUse {
    /// A stream is created twice.
    AlreadyExists(StreamAddress),
    /// A stream is changed while it is not `ACTIVE`.
    NotActive {
        /// The stream.
        stream: StreamAddress,
        /// The state that it is in.
        status: StreamStatus,
    },
}

impl fmt::Display for ResourceInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyExists(stream) => write!(f, "Stream {stream} already exists."),
            Self::NotActive { stream, status } => {
                write!(f, "Stream {stream} not ACTIVE, instead in state {status}")
            }
        }
    }
}

/// `LimitExceededException`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitExceeded {
    /// An account would have more shards than it may.
    Shards {
        /// The account.
        account: AccountId,
        /// The region in which shards are counted.
        region: Region,
        /// Open shards that it has.
        open_count: u32,
        /// Shards that it may have.
        limit_count: u32,
        /// Shards that the request would add.
        additional_count: u32,
    },
    /// An operation on a stream was asked for too often (AWS's text, quoted in boto/botocore#821).
    CallRate(StreamAddress),
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shards { account, region, open_count, limit_count, additional_count } => write!(
                f,
                "This request would exceed the shard limit for the account {account} in {region}. \
                 Current shard count for the account: {open_count}. Limit: {limit_count}. Number \
                 of additional shards that would have resulted from this request: \
                 {additional_count}. Refer to the AWS Service Limits page \
                 (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for \
                 current limits and how to request higher limits.",
            ),
            Self::CallRate(stream) => write!(f, "Rate exceeded for stream {stream}."),
        }
    }
}
