//! PutRecord: writes one record.

use crate::call::call;
use crate::names::EncryptionType;
use crate::shapes::{
    BOOLEAN, DATA, HASH_KEY, PARTITION_KEY, SEQUENCE_NUMBER, SHARD_ID, STREAM_ARN, STREAM_ID,
    STREAM_NAME,
};
use crate::structure::{Blob, structure};

structure! {
    /// A request of PutRecord.
    PutRecord {
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        data: Blob => "Data", DATA;
        partition_key: Option<String> => "PartitionKey", PARTITION_KEY;
        explicit_hash_key: Option<String> => "ExplicitHashKey", HASH_KEY;
        sequence_number_for_ordering: Option<String> =>
            "SequenceNumberForOrdering", SEQUENCE_NUMBER;
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
        dry_run: Option<bool> => "DryRun", BOOLEAN;
    }
}

structure! {
    /// An answer of PutRecord.
    PutRecordOutput {
        shard_id: String => "ShardId", SHARD_ID;
        sequence_number: String => "SequenceNumber", SEQUENCE_NUMBER;
        encryption_type: Option<EncryptionType> => "EncryptionType", EncryptionType::SHAPE;
    }
}

call!(PutRecord => PutRecordOutput);
