//! Every text, pinned to the letter.

use super::*;
use crate::hash_key::{HashKey, HashKeyRange};
use crate::position::IteratorType;
use crate::stream::{AccountId, Region, StreamName, StreamStatus};

fn stream() -> StreamAddress {
    StreamAddress { account: AccountId::DEFAULT, name: name() }
}

fn name() -> StreamName {
    StreamName::new("orders").unwrap()
}

fn shard(index: u32) -> ShardIndex {
    ShardIndex::new(index)
}

fn check(error: &ApiError, code: &str, text: &str) {
    assert_eq!(error.code(), code);
    assert_eq!(error.to_string(), text);
    assert_eq!(error.http_status(), if code == "InternalFailure" { 500 } else { 400 });
}

#[test]
fn plain_exceptions() {
    check(
        &ApiError::AccessDenied,
        "AccessDeniedException",
        "Specifies that you do not have the permissions required to perform this operation.",
    );
    check(
        &ApiError::DryRunOperation,
        "DryRunOperationException",
        "The request would have succeeded, but the DryRun parameter was set.",
    );
    check(
        &ApiError::ExpiredIterator { created_ms: 1_583_283_760_123, now_ms: 1_583_284_230_999 },
        "ExpiredIteratorException",
        "Iterator expired. The iterator was created at time Wed Mar 04 01:02:40 UTC 2020 while \
         right now it is Wed Mar 04 01:10:30 UTC 2020 which is further in the future than the \
         tolerated delay of 300000 milliseconds.",
    );
    check(
        &ApiError::ExpiredNextToken,
        "ExpiredNextTokenException",
        "The pagination token passed to the operation is expired.",
    );
    check(&ApiError::InternalFailure, "InternalFailure", "Internal service failure.");
    check(
        &ApiError::Throttling,
        "ThrottlingException",
        "The request was denied due to request throttling.",
    );
    check(
        &ApiError::ProvisionedThroughputExceeded { shard: shard(0), stream: stream() },
        "ProvisionedThroughputExceededException",
        "Rate exceeded for shard shardId-000000000000 in stream orders under account 123456789012.",
    );
}

#[test]
fn exceptions_of_keys() {
    check(
        &ApiError::KmsAccessDenied,
        "KMSAccessDeniedException",
        "The ciphertext references a key that doesn't exist or that you don't have access to.",
    );
    check(
        &ApiError::KmsDisabled,
        "KMSDisabledException",
        "The request was rejected because the specified customer master key (CMK) isn't enabled.",
    );
    check(
        &ApiError::KmsInvalidState,
        "KMSInvalidStateException",
        "The request was rejected because the state of the specified resource isn't valid for this \
         request.",
    );
    check(
        &ApiError::KmsNotFound,
        "KMSNotFoundException",
        "The request was rejected because the specified entity or resource can't be found.",
    );
    check(
        &ApiError::KmsOptInRequired,
        "KMSOptInRequired",
        "The AWS access key ID needs a subscription for the service.",
    );
    check(
        &ApiError::KmsThrottling,
        "KMSThrottlingException",
        "The request was denied due to request throttling.",
    );
}

#[test]
fn records_refused_alone() {
    let check = |error: RecordError, code: &str, text: &str| {
        assert_eq!(error.code(), code);
        assert_eq!(error.message(&stream()).to_string(), text);
    };
    check(
        RecordError::ThroughputExceeded { shard: shard(17) },
        "ProvisionedThroughputExceededException",
        "Rate exceeded for shard shardId-000000000017 in stream orders under account 123456789012.",
    );
    check(RecordError::InternalFailure, "InternalFailure", "Internal service failure.");
    // The wire knows no full disk.
    let full = RecordError::DiskFull { needed_bytes: 4096 };
    check(full, "InternalFailure", "Internal service failure.");
    let reason = "the disk is full: 4096 bytes are needed to go on; delete a stream, keep records for \
                  a shorter time, or free space on the file system of the data folder";
    assert_eq!(full.to_string(), reason);
}

#[test]
fn what_is_not_there_or_in_use() {
    let check_missing = |error: ResourceNotFound, text: &str| {
        check(&ApiError::ResourceNotFound(error), "ResourceNotFoundException", text);
    };
    check_missing(
        ResourceNotFound::Stream(stream()),
        "Stream orders under account 123456789012 not found.",
    );
    check_missing(
        ResourceNotFound::ShardByName { requested: "2.14E4".into(), stream: stream() },
        "Could not find shard 2.14E4 in stream orders under account 123456789012.",
    );
    check_missing(
        ResourceNotFound::Shard { shard: shard(5), stream: stream() },
        "Shard shardId-000000000005 in stream orders under account 123456789012 does not exist",
    );
    let check_in_use = |error: ResourceInUse, text: &str| {
        check(&ApiError::ResourceInUse(error), "ResourceInUseException", text);
    };
    check_in_use(
        ResourceInUse::AlreadyExists(stream()),
        "Stream orders under account 123456789012 already exists.",
    );
    check_in_use(
        ResourceInUse::NotActive { stream: stream(), status: StreamStatus::Creating },
        "Stream orders under account 123456789012 not ACTIVE, instead in state CREATING",
    );
}

#[test]
fn limits_exceeded() {
    let check = |error: LimitExceeded, text: &str| {
        super::tests::check(&ApiError::LimitExceeded(error), "LimitExceededException", text);
    };
    check(
        LimitExceeded::Shards {
            account: AccountId::DEFAULT,
            region: Region::new("us-east-1").unwrap(),
            open_count: 3,
            limit_count: 10,
            additional_count: 8,
        },
        "This request would exceed the shard limit for the account 123456789012 in us-east-1. \
         Current shard count for the account: 3. Limit: 10. Number of additional shards that would \
         have resulted from this request: 8. Refer to the AWS Service Limits page \
         (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits \
         and how to request higher limits.",
    );
    check(
        LimitExceeded::CallRate(stream()),
        "Rate exceeded for stream orders under account 123456789012.",
    );
}

fn check_argument(error: InvalidArgument, text: &str) {
    check(&ApiError::InvalidArgument(error), "InvalidArgumentException", text);
}

#[test]
fn invalid_puts() {
    check_argument(
        InvalidArgument::ExplicitHashKey {
            specified: "340282366920938463463374607431768211456".into(),
        },
        "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified \
         value was 340282366920938463463374607431768211456",
    );
    check_argument(
        InvalidArgument::SequenceNumberForOrdering { specified: "7".into(), stream: stream() },
        "ExclusiveMinimumSequenceNumber 7 used in PutRecord on stream orders under account \
         123456789012 is invalid.",
    );
    check_argument(InvalidArgument::RecordsTooLarge, "Records size exceeds 10 MB limit");
    check_argument(InvalidArgument::ShardIterator, "Invalid ShardIterator.");
    check_argument(InvalidArgument::NextToken, "Invalid NextToken.");
}

#[test]
fn invalid_iterators() {
    let check = |error: InvalidIterator, text: &str| {
        check_argument(InvalidArgument::Iterator(error), text);
    };
    check(
        InvalidIterator::NeedsSequenceNumber { kind: "AT_SEQUENCE_NUMBER" },
        "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and \
         StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. \
         Request specified AT_SEQUENCE_NUMBER and no StartingSequenceNumber.",
    );
    check(
        InvalidIterator::TakesNoSequenceNumber { kind: IteratorType::Latest.name() },
        "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and \
         StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. \
         Request specified LATEST and also a StartingSequenceNumber.",
    );
    check(
        InvalidIterator::Malformed { specified: "9".into(), shard: shard(0), stream: stream() },
        "StartingSequenceNumber 9 used in GetShardIterator on shard shardId-000000000000 in stream \
         orders under account 123456789012 is invalid.",
    );
    check(
        InvalidIterator::OtherShard { encoded: 5, shard: shard(0) },
        "Invalid StartingSequenceNumber. It encodes shardId-000000000005, while it was used in a \
         call to a shard with shardId-000000000000",
    );
    check(
        InvalidIterator::OtherShard { encoded: 1 << 31, shard: shard(0) },
        "Invalid StartingSequenceNumber. It encodes shardId--02147483648, while it was used in a \
         call to a shard with shardId-000000000000",
    );
    check(
        InvalidIterator::OtherStream { specified: "9".into(), shard: shard(0), stream: stream() },
        "StartingSequenceNumber 9 used in GetShardIterator on shard shardId-000000000000 in stream \
         orders under account 123456789012 is invalid because it did not come from this stream.",
    );
    check(
        InvalidIterator::TimestampMissing,
        "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current \
         request has no timestamp parameter.",
    );
    check(
        InvalidIterator::TimestampInFuture {
            timestamp_ms: 1_622_282_661_795_000,
            now_ms: 1_622_300_462_653,
        },
        "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. \
         timestampInMillis: 1622282661795000, currentTimestampInMillis: 1622300462653",
    );
}

#[test]
fn invalid_reshards() {
    let range = HashKeyRange::new(HashKey(10), HashKey(20)).unwrap();
    let check_reshard = |error: ReshardError, code: &str, text: &str| {
        check(&ApiError::from_reshard(error, stream()), code, text);
    };
    check_reshard(
        ReshardError::StartOutOfRange { shard: shard(1), new_start: HashKey(11), range },
        "InvalidArgumentException",
        "NewStartingHashKey 11 used in SplitShard() on shard shardId-000000000001 in stream orders \
         under account 123456789012 is not both greater than one plus the shard's StartingHashKey \
         10 and less than the shard's EndingHashKey 20.",
    );
    check_reshard(
        ReshardError::NotAdjacent([shard(1), shard(3)]),
        "InvalidArgumentException",
        "Shards shardId-000000000001 and shardId-000000000003 in stream orders under account \
         123456789012 are not an adjacent pair of shards eligible for merging",
    );
    check_reshard(
        ReshardError::Closed(shard(1)),
        "InvalidArgumentException",
        "Shard shardId-000000000001 in stream orders under account 123456789012 has already been \
         merged or split, and thus is not eligible for merging or splitting.",
    );
    check_reshard(
        ReshardError::Unknown(shard(9)),
        "ResourceNotFoundException",
        "Could not find shard shardId-000000000009 in stream orders under account 123456789012.",
    );
}

#[test]
fn invalid_retentions() {
    let check = |error: InvalidRetention, text: &str| {
        check_argument(InvalidArgument::Retention(error), text);
    };
    check(
        InvalidRetention::TooShort { hours: 23 },
        "Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is \
         too short.",
    );
    check(
        InvalidRetention::TooLong { hours: 9999 },
        "Maximum allowed retention period is 8760 hours. Requested retention period (9999 hours) \
         is too long.",
    );
    check(
        InvalidRetention::AboveCurrent { hours: 25, current_hours: 24, stream: name() },
        "Requested retention period (25 hours) for stream orders can not be longer than existing \
         retention period (24 hours). Use IncreaseRetentionPeriod API.",
    );
    check(
        InvalidRetention::BelowCurrent { hours: 24, current_hours: 25, stream: name() },
        "Requested retention period (24 hours) for stream orders can not be shorter than existing \
         retention period (25 hours). Use DecreaseRetentionPeriod API.",
    );
}

fn check_validation(error: Validation, text: &str) {
    check(&ApiError::Validation(error), "ValidationException", text);
}

fn violation(member: Member, shown: Shown, constraint: Constraint) -> Violation {
    Violation { member, shown, constraint }
}

#[test]
fn constraints_broken() {
    let data = Member::Element { list: "records", number: 1, field: "data" };
    check_validation(
        Validation::Violations(vec![violation(
            data,
            Shown::Hidden,
            Constraint::LengthAtMost(1 << 20),
        )]),
        "1 validation error detected: Value at 'records.1.member.data' failed to satisfy \
         constraint: Member must have length less than or equal to 1048576",
    );
    let empty = || Shown::Text("".into());
    let kinds = Constraint::OneOf(&IteratorType::NAMES);
    check_validation(
        Validation::Violations(vec![
            violation(Member::Field("shardIteratorType"), empty(), kinds),
            violation(Member::Field("streamName"), empty(), Constraint::Pattern("[a-zA-Z0-9_.-]+")),
            violation(Member::Field("streamName"), empty(), Constraint::LengthAtLeast(1)),
            violation(Member::Field("shardId"), Shown::Null, Constraint::NotNull),
            violation(Member::Field("limit"), Shown::Text("0".into()), Constraint::AtLeast(1)),
            violation(
                Member::Field("limit"),
                Shown::Text("10001".into()),
                Constraint::AtMost(10_000),
            ),
        ]),
        "6 validation errors detected: Value '' at 'shardIteratorType' failed to satisfy \
         constraint: Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, \
         AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]; Value '' at 'streamName' failed to \
         satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; \
         Value '' at 'streamName' failed to satisfy constraint: Member must have length greater \
         than or equal to 1; Value null at 'shardId' failed to satisfy constraint: Member must not \
         be null; Value '0' at 'limit' failed to satisfy constraint: Member must have value \
         greater than or equal to 1; Value '10001' at 'limit' failed to satisfy constraint: Member \
         must have value less than or equal to 10000",
    );
    check_validation(
        Validation::OnDemand(stream()),
        "Request is invalid. Stream orders under account 123456789012 is in On-Demand mode.",
    );
}

#[test]
fn constraints_of_lists_maps_and_structures() {
    let tag_keys = Bounds { least: 1, most: 128 };
    let tag_values = Bounds { least: 0, most: 256 };
    let mode = Member::Nested { structure: "StreamModeDetails", field: "StreamMode" };
    check_validation(
        Validation::Violations(vec![
            violation(Member::Field("TagKeys"), Shown::Hidden, Constraint::Items(tag_keys)),
            violation(Member::Field("Tags"), Shown::Hidden, Constraint::Keys(tag_keys)),
            violation(Member::Field("Tags"), Shown::Hidden, Constraint::Values(tag_values)),
            violation(mode, Shown::Null, Constraint::NotNull),
            violation(
                Member::Item { list: "Records", number: 2 },
                Shown::Null,
                Constraint::NotNull,
            ),
            violation(Member::Field("Metrics"), Shown::Hidden, Constraint::ItemsOneOf(&["A", "B"])),
        ]),
        "6 validation errors detected: Value at 'tagKeys' failed to satisfy constraint: Member must \
         satisfy constraint: [Member must have length less than or equal to 128, Member must have \
         length greater than or equal to 1]; Value at 'tags' failed to satisfy constraint: Map keys \
         must satisfy constraint: [Member must have length less than or equal to 128, Member must \
         have length greater than or equal to 1]; Value at 'tags' failed to satisfy constraint: Map \
         value must satisfy constraint: [Member must have length less than or equal to 256, Member \
         must have length greater than or equal to 0]; Value null at 'streamModeDetails.streamMode' \
         failed to satisfy constraint: Member must not be null; Value null at 'records.2.member' \
         failed to satisfy constraint: Member must not be null; Value at 'metrics' failed to satisfy \
         constraint: Member must satisfy constraint: [Member must satisfy enum value set: [A, B]]",
    );
}
