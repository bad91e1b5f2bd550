//! Kinesis's exceptions: one variant each, with the texts that AWS answers.
//!
//! A text is what clients log, compare and grep for, so that it is AWS's to the letter where AWS's
//! is known: recorded by kinesalite 3.3.3's tests against AWS, quoted in public issues, or in AWS's
//! documentation. `Display` gives the text, [`ApiError::code`] the type. How an error travels
//! (JSON, CBOR, HTTP) is not known here; texts of operations that Gyre does not have yet come with
//! those.

mod date;
mod invalid_argument;
mod resource;
mod validation;

pub use invalid_argument::{InvalidArgument, InvalidIterator, InvalidReshard, InvalidRetention};
pub use resource::{LimitExceeded, ResourceInUse, ResourceNotFound};
pub use validation::{Bounds, Constraint, Member, Shown, Validation, Violation};

use crate::limits::SHARD_ITERATOR_LIFE;
use crate::shard_id::ShardIndex;
use crate::shard_map::ReshardError;
use crate::stream::StreamAddress;
use date::AwsDate;
use std::fmt;

/// Why a whole request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiError {
    /// The caller may not do this.
    AccessDenied,
    /// All checks of a `DryRun` have passed.
    DryRunOperation,
    /// A shard iterator is older than five minutes. Unix times in milliseconds.
    ExpiredIterator {
        /// When the iterator was given out.
        created_ms: u64,
        /// When it was used.
        now_ms: u64,
    },
    /// A pagination token is too old.
    ExpiredNextToken,
    /// Our fault; HTTP 500, and clients retry.
    InternalFailure,
    /// A parameter does not fit the state of things, or another parameter.
    InvalidArgument(InvalidArgument),
    /// The key of an encrypted stream may not be used.
    KmsAccessDenied,
    /// The key is disabled.
    KmsDisabled,
    /// The key is in a state that does not allow its use.
    KmsInvalidState,
    /// There is no such key.
    KmsNotFound,
    /// The account has no subscription to KMS.
    KmsOptInRequired,
    /// KMS was asked too often.
    KmsThrottling,
    /// A quota or a rate of calls is used up.
    LimitExceeded(LimitExceeded),
    /// A shard's rate is used up.
    ProvisionedThroughputExceeded {
        /// The shard.
        shard: ShardIndex,
        /// Its stream.
        stream: StreamAddress,
    },
    /// A stream is in a state that does not allow the operation.
    ResourceInUse(ResourceInUse),
    /// There is no such stream or shard.
    ResourceNotFound(ResourceNotFound),
    /// An operation on queues was asked for too often.
    Throttling,
    /// The request breaks a constraint of the API's model.
    Validation(Validation),
}

impl ApiError {
    /// The exception's name, as in `__type`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDeniedException",
            Self::DryRunOperation => "DryRunOperationException",
            Self::ExpiredIterator { .. } => "ExpiredIteratorException",
            Self::ExpiredNextToken => "ExpiredNextTokenException",
            // Named without "Exception" on the wire, though not in the API's model.
            Self::InternalFailure => INTERNAL_FAILURE,
            Self::InvalidArgument(_) => "InvalidArgumentException",
            Self::KmsAccessDenied => "KMSAccessDeniedException",
            Self::KmsDisabled => "KMSDisabledException",
            Self::KmsInvalidState => "KMSInvalidStateException",
            Self::KmsNotFound => "KMSNotFoundException",
            Self::KmsOptInRequired => "KMSOptInRequired",
            Self::KmsThrottling => "KMSThrottlingException",
            Self::LimitExceeded(_) => "LimitExceededException",
            Self::ProvisionedThroughputExceeded { .. } => THROUGHPUT_EXCEEDED,
            Self::ResourceInUse(_) => "ResourceInUseException",
            Self::ResourceNotFound(_) => "ResourceNotFoundException",
            Self::Throttling => "ThrottlingException",
            Self::Validation(_) => "ValidationException",
        }
    }

    /// The status of the HTTP answer: 500 for our faults, 400 for all else.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        if *self == Self::InternalFailure { 500 } else { 400 }
    }

    /// What SplitShard and MergeShards answer.
    #[must_use]
    pub fn from_reshard(error: ReshardError, stream: StreamAddress) -> Self {
        let invalid = match error {
            ReshardError::Unknown(shard) => {
                let requested = shard.id().as_str().into();
                return Self::ResourceNotFound(ResourceNotFound::ShardByName { requested, stream });
            }
            ReshardError::Closed(shard) => InvalidReshard::Closed { shard, stream },
            ReshardError::StartOutOfRange { shard, new_start, range } => {
                InvalidReshard::StartOutOfRange { shard, new_start, range, stream }
            }
            ReshardError::NotAdjacent(pair) => InvalidReshard::NotAdjacent { pair, stream },
        };
        Self::InvalidArgument(InvalidArgument::Reshard(invalid))
    }
}

/// The text. Where none from AWS itself is known it is the sentence of the API reference; that of
/// `DryRunOperation` is ours.
impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessDenied => f.write_str(
                "Specifies that you do not have the permissions required to perform this \
                 operation.",
            ),
            Self::DryRunOperation => {
                f.write_str("The request would have succeeded, but the DryRun parameter was set.")
            }
            Self::ExpiredIterator { created_ms, now_ms } => write!(
                f,
                "Iterator expired. The iterator was created at time {} while right now it is {} \
                 which is further in the future than the tolerated delay of {} milliseconds.",
                AwsDate { unix_ms: *created_ms },
                AwsDate { unix_ms: *now_ms },
                SHARD_ITERATOR_LIFE.as_millis(),
            ),
            Self::ExpiredNextToken => {
                f.write_str("The pagination token passed to the operation is expired.")
            }
            Self::InternalFailure => f.write_str(INTERNAL_FAILURE_TEXT),
            Self::InvalidArgument(error) => error.fmt(f),
            Self::KmsAccessDenied => f.write_str(
                "The ciphertext references a key that doesn't exist or that you don't have access \
                 to.",
            ),
            Self::KmsDisabled => f.write_str(
                "The request was rejected because the specified customer master key (CMK) isn't \
                 enabled.",
            ),
            Self::KmsInvalidState => f.write_str(
                "The request was rejected because the state of the specified resource isn't valid \
                 for this request.",
            ),
            Self::KmsNotFound => f.write_str(
                "The request was rejected because the specified entity or resource can't be found.",
            ),
            Self::KmsOptInRequired => {
                f.write_str("The AWS access key ID needs a subscription for the service.")
            }
            Self::KmsThrottling | Self::Throttling => {
                f.write_str("The request was denied due to request throttling.")
            }
            Self::LimitExceeded(error) => error.fmt(f),
            Self::ProvisionedThroughputExceeded { shard, stream } => {
                RecordError::ThroughputExceeded { shard: *shard }.message(stream).fmt(f)
            }
            Self::ResourceInUse(error) => error.fmt(f),
            Self::ResourceNotFound(error) => error.fmt(f),
            Self::Validation(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ApiError {}

const THROUGHPUT_EXCEEDED: &str = "ProvisionedThroughputExceededException";
const INTERNAL_FAILURE: &str = "InternalFailure";
const INTERNAL_FAILURE_TEXT: &str = "Internal service failure.";

/// Why one record of a PutRecords was not written while others may have been. Small and without
/// text: thousands of these are made each second by a stream that is past its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// The shard's rate is used up.
    ThroughputExceeded {
        /// The shard that the record belongs to.
        shard: ShardIndex,
    },
    /// Our fault: the log did not take the record.
    InternalFailure,
    /// The disk has no room for it. Kinesis knows no such error, so its clients are told of an
    /// internal failure and try again; who embeds the engine is told the reason by `Display`.
    DiskFull {
        /// What the shard's log needs to go on, bytes.
        needed_bytes: u64,
    },
}

impl RecordError {
    /// Kinesis's `ErrorCode`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::ThroughputExceeded { .. } => THROUGHPUT_EXCEEDED,
            Self::InternalFailure | Self::DiskFull { .. } => INTERNAL_FAILURE,
        }
    }

    /// Kinesis's `ErrorMessage`, to be printed where the answer is encoded.
    #[must_use]
    pub fn message(self, stream: &StreamAddress) -> RecordErrorMessage<'_> {
        RecordErrorMessage { error: self, stream }
    }
}

/// The reason, for who embeds the engine; Kinesis's text is that of [`RecordError::message`].
impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ThroughputExceeded { shard } => write!(f, "the rate of shard {shard} is used up"),
            Self::InternalFailure => f.write_str("the log did not take the record"),
            Self::DiskFull { needed_bytes } => write!(
                f,
                "the disk is full: {needed_bytes} bytes are needed to go on; delete a stream, keep \
                 records for a shorter time, or free space on the file system of the data folder",
            ),
        }
    }
}

impl std::error::Error for RecordError {}

/// The text of a [`RecordError`]; AWS's, quoted in public issues (2015 to 2019).
#[derive(Clone, Copy, Debug)]
pub struct RecordErrorMessage<'a> {
    error: RecordError,
    stream: &'a StreamAddress,
}

impl fmt::Display for RecordErrorMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error {
            RecordError::ThroughputExceeded { shard } => {
                write!(f, "Rate exceeded for shard {shard} in stream {}.", self.stream)
            }
            RecordError::InternalFailure | RecordError::DiskFull { .. } => {
                f.write_str(INTERNAL_FAILURE_TEXT)
            }
        }
    }
}

#[cfg(test)]
mod tests;
