//! PutRecords: what goes in and what comes out.
//!
//! ```text
//! caller's core   constraints, MD5 of the keys, shard of each, one message per owner core
//! owner core      throttle per shard, append, durable, one message back
//! caller's core   outcomes in the order of the request
//! ```
//! Copies of the payload: none here, one when the log gathers its frame. Allocations: a few vectors
//! per request, none per record. Messages: two per owner core, whatever the records.

use std::sync::Arc;

use digest::Span;
use model::{HashKey, RecordError, ShardIndex};
use runtime::mesh::ReplySender;

use crate::placement::StreamNumber;

pub(crate) mod accept;
pub(crate) mod check;
pub(crate) mod route;

/// One record of a request: spans of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutRecord {
    /// The partition key, UTF-8.
    pub key: Span,
    /// The data.
    pub data: Span,
    /// Where it goes instead of where its key falls.
    pub explicit_hash_key: Option<HashKey>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct PutBatch {
    /// Keys and data of all records. The engine holds it until they are durable.
    pub payload: Arc<Vec<u8>>,
    /// The records.
    pub records: Vec<PutRecord>,
}

/// Where a record was written. It is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its shard.
    pub shard: ShardIndex,
    /// Its index there.
    pub index: u64,
    /// When it arrived, Unix ms.
    pub arrival_ms: u64,
}

/// What became of one record.
pub type PutOutcome = Result<Placed, RecordError>;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutResult {
    /// One outcome per record, in the order of the request.
    pub records: Vec<PutOutcome>,
    /// How many of them are errors.
    pub failed: usize,
}

impl PutResult {
    pub(crate) fn new(records: Vec<PutOutcome>) -> PutResult {
        let failed = records.iter().filter(|outcome| outcome.is_err()).count();
        PutResult { records, failed }
    }
}

/// A record on its way to the core that owns its shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoutedRecord {
    pub(crate) shard: ShardIndex,
    pub(crate) key_start: u32,
    pub(crate) data_start: u32,
    pub(crate) data_bytes: u32,
    pub(crate) key_bytes: u16,
}

/// The records of one request that one core owns, in the order of the request.
pub(crate) struct PutMessage {
    pub(crate) stream: StreamNumber,
    pub(crate) payload: Arc<Vec<u8>>,
    pub(crate) records: Vec<RoutedRecord>,
    /// One outcome per record; `None` if the core does not know the stream: it was deleted.
    pub(crate) reply: ReplySender<Option<Vec<PutOutcome>>>,
}

// What memory.rs reckons with: 500 records a request.
const _: () = assert!(500 * size_of::<RoutedRecord>() <= crate::queues::MESSAGE_BYTES);
const _: () = assert!(500 * size_of::<PutOutcome>() <= crate::queues::PUT_BYTES);
