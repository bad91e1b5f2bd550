//! The engine's handle for everybody else: what Kinesis's clients ask for, without a wire.
//!
//! Works on any core of the runtime. What can be done where the caller is, is done there: checks,
//! hashes, routing; the owners of the shards are sent one message each.

use std::cell::RefCell;
use std::sync::Arc;

use model::api_error::ApiError;
use model::limits::PUT_RECORDS_COUNT_MAX;
use model::{IteratorType, RecordError, RecordIndex, ShardIndex, StreamName};
use runtime::clock;
use runtime::mesh::{self, Reply, Sender};

use crate::command::{Command, PreparedLog, ReadAnswer, ShardAddress};
use crate::core::CoreDoor;
use crate::follow::Follower;
use crate::get::{GetResult, ShardIterator, check_limit, refusal};
use crate::placement::Placement;
use crate::put::route::{Route, Scratch, merge, route};
use crate::put::{PutBatch, PutMessage, PutOutcome, PutResult, check::check};
use crate::queues::FOLLOWER_QUEUE_COUNT;
use crate::registry::RegistryRequest;
use crate::stats::CoreStats;
use crate::stream::{Stream, StreamDescription, StreamOptions};

/// See the module. Clone it for every core and task that uses it.
pub struct Client {
    shared: Arc<Shared>,
    scratch: RefCell<Scratch>,
}

struct Shared {
    cores: Vec<CoreDoor>,
    registry: Sender<RegistryRequest>,
    placement: Placement,
}

impl Clone for Client {
    fn clone(&self) -> Client {
        Client { shared: Arc::clone(&self.shared), scratch: RefCell::default() }
    }
}

impl Client {
    pub(crate) fn new(
        cores: Vec<CoreDoor>,
        registry: Sender<RegistryRequest>,
        placement: Placement,
    ) -> Client {
        assert_eq!(cores.len(), placement.cores());
        let shared = Arc::new(Shared { cores, registry, placement });
        Client { shared, scratch: RefCell::default() }
    }

    /// Makes a stream with `shard_count` equal shards. It is durable and `ACTIVE` on return.
    ///
    /// # Errors
    /// `ResourceInUseException` where the name is taken, `ValidationException` for 0 shards or more
    /// than there are indices.
    pub async fn create_stream(
        &self,
        name: &StreamName,
        shard_count: u32,
        options: StreamOptions,
    ) -> Result<Stream, ApiError> {
        crate::stream::check_shard_count(shard_count)?;
        assert!(options.retention_ms > 0, "a stream keeps its records for some time");
        let name = name.clone();
        self.ask_registry(|reply| RegistryRequest::Create { name, shard_count, options, reply })
            .await?
    }

    /// Deletes a stream with all its records. It is gone for good on return; its space is freed in
    /// the background.
    ///
    /// # Errors
    /// `ResourceNotFoundException`; `ResourceInUseException` while it is not `ACTIVE`.
    pub async fn delete_stream(&self, name: &StreamName) -> Result<(), ApiError> {
        let name = name.clone();
        self.ask_registry(|reply| RegistryRequest::Delete { name, reply }).await?
    }

    /// A stream and its state.
    ///
    /// # Errors
    /// `ResourceNotFoundException`.
    pub async fn describe_stream(&self, name: &StreamName) -> Result<StreamDescription, ApiError> {
        let name = name.clone();
        self.ask_registry(|reply| RegistryRequest::Describe { name, reply }).await?
    }

    /// All streams, by name.
    ///
    /// # Errors
    /// `InternalFailure` once the engine is shut down.
    pub async fn list_streams(&self) -> Result<Vec<StreamDescription>, ApiError> {
        self.ask_registry(|reply| RegistryRequest::List { reply }).await
    }

    /// Writes records. What is reported as placed is durable; what is not was refused by a shard's
    /// rate, or its log has failed. Records of one shard keep the order of the request. Waits while
    /// the engine has as much to write as it may hold.
    ///
    /// # Errors
    /// Bad input refuses the whole request; so does a stream that is gone.
    ///
    /// # Panics
    /// Where a span does not lie within the payload.
    pub async fn put_records(
        &self,
        stream: &Stream,
        batch: &PutBatch,
    ) -> Result<PutResult, ApiError> {
        check(batch, stream.options().record_bytes_max)?;
        let placement = self.shared.placement;
        let routes = {
            let mut scratch = self.scratch.borrow_mut();
            route(batch, stream.shards(), stream.number(), placement, &mut scratch)
        };
        let mut sent = Vec::with_capacity(routes.len());
        for (core, Route { records, positions }) in routes.into_iter().enumerate() {
            if records.is_empty() {
                continue;
            }
            let (reply, outcomes) = mesh::reply();
            let payload = Arc::clone(&batch.payload);
            let message = PutMessage { stream: stream.number(), payload, records, reply };
            // A core that is gone answers like a log that has failed.
            let delivered = self.shared.cores[core].puts.send(message).await.is_ok();
            sent.push(SentRoute { positions, outcomes: delivered.then_some(outcomes) });
        }
        let outcomes = gather(sent, batch.records.len()).await;
        outcomes.map(PutResult::new).ok_or_else(|| stream.not_found())
    }

    /// Where to read from.
    ///
    /// # Errors
    /// `ResourceNotFoundException`; `InvalidArgumentException` for a time that is not yet.
    pub async fn shard_iterator(
        &self,
        stream: &Stream,
        shard: ShardIndex,
        kind: IteratorType,
    ) -> Result<ShardIterator, ApiError> {
        let at = address(stream, shard)?;
        let command = |reply| Command::Locate { at, kind, reply };
        let found = self.ask_owner(at, command).await?;
        let index = found.map_err(|error| refusal(error, stream, shard))?;
        let index = RecordIndex::new(index);
        let created_ms = clock::wall_ms();
        Ok(ShardIterator { stream: stream.clone(), shard, index, created_ms })
    }

    /// At most `limit` records (10,000 if not told) and 10 MiB.
    ///
    /// # Errors
    /// `ExpiredIteratorException`, `ValidationException` for the limit,
    /// `ProvisionedThroughputExceededException` past 5 calls or 2 MiB per second and shard,
    /// `ResourceNotFoundException`, `InternalFailure` where records are damaged.
    pub async fn get_records(
        &self,
        iterator: &ShardIterator,
        limit: Option<u32>,
    ) -> Result<GetResult, ApiError> {
        let count = check_limit(limit)?;
        let now_ms = clock::wall_ms();
        iterator.check_life(now_ms)?;
        let (stream, shard) = (&iterator.stream, iterator.shard);
        let at = address(stream, shard)?;
        let from = iterator.index.get();
        let answer = self.ask_owner(at, |reply| Command::Read { at, from, count, reply }).await?;
        let answer = answer.map_err(|error| refusal(error, stream, shard))?;
        let ReadAnswer { chunks, next, millis_behind } = answer;
        let index = RecordIndex::new(next);
        let next = ShardIterator { stream: stream.clone(), shard, index, created_ms: now_ms };
        Ok(GetResult { chunks, next, millis_behind })
    }

    /// Follows a shard from an iterator's place on: its records are pushed as they become durable.
    ///
    /// # Errors
    /// `ExpiredIteratorException`, `ResourceNotFoundException`, `InternalFailure`.
    pub async fn follow(&self, iterator: &ShardIterator) -> Result<Follower, ApiError> {
        iterator.check_life(clock::wall_ms())?;
        let ShardIterator { stream, shard, index, .. } = iterator.clone();
        let at = address(&stream, shard)?;
        let (deliveries, receiver) = mesh::channel(FOLLOWER_QUEUE_COUNT);
        let (cancel, cancelled) = mesh::reply();
        let command = Command::Follow { at, from: index.get(), deliveries, cancelled };
        let owner = &self.shared.cores[self.shared.placement.core_of(at.stream, at.shard)];
        owner.commands.send(command).await.map_err(|_| ApiError::InternalFailure)?;
        Ok(Follower { stream, shard, index, deliveries: receiver, _cancel: cancel })
    }

    /// What every core has done.
    ///
    /// # Errors
    /// `InternalFailure` once the engine is shut down.
    pub async fn stats(&self) -> Result<Vec<CoreStats>, ApiError> {
        let mut stats = Vec::new();
        for door in &self.shared.cores {
            stats.push(ask(door, |reply| Command::Stats { reply }).await?);
        }
        Ok(stats)
    }

    /// Makes segments ready for `bytes` in all, so that a measurement does not wait for zeros.
    ///
    /// # Errors
    /// `InternalFailure` where the disk refuses. A full disk is no error: fewer bytes are ready.
    pub async fn prepare(&self, bytes: u64) -> Result<Vec<PreparedLog>, ApiError> {
        let bytes_per_log = bytes.div_ceil(u64::from(self.shared.placement.logs()));
        let mut prepared = Vec::new();
        for door in &self.shared.cores {
            let logs = ask(door, |reply| Command::Prepare { bytes_per_log, reply }).await?;
            prepared.extend(logs.map_err(|_| ApiError::InternalFailure)?);
        }
        Ok(prepared)
    }

    async fn ask_owner<T: Send>(
        &self,
        at: ShardAddress,
        command: impl FnOnce(mesh::ReplySender<T>) -> Command,
    ) -> Result<T, ApiError> {
        let core = self.shared.placement.core_of(at.stream, at.shard);
        ask(&self.shared.cores[core], command).await
    }

    async fn ask_registry<T: Send>(
        &self,
        request: impl FnOnce(mesh::ReplySender<T>) -> RegistryRequest,
    ) -> Result<T, ApiError> {
        let (reply, answer) = mesh::reply();
        let sent = self.shared.registry.send(request(reply)).await;
        sent.map_err(|_| ApiError::InternalFailure)?;
        answer.await.map_err(|_| ApiError::InternalFailure)
    }
}

/// Sends a command and waits for its answer.
///
/// # Errors
/// `InternalFailure` where the core has ended.
async fn ask<T: Send>(
    door: &CoreDoor,
    command: impl FnOnce(mesh::ReplySender<T>) -> Command,
) -> Result<T, ApiError> {
    let (reply, answer) = mesh::reply();
    door.commands.send(command(reply)).await.map_err(|_| ApiError::InternalFailure)?;
    answer.await.map_err(|_| ApiError::InternalFailure)
}

fn address(stream: &Stream, shard: ShardIndex) -> Result<ShardAddress, ApiError> {
    match stream.shards().get(shard) {
        Some(_) => Ok(ShardAddress { stream: stream.number(), shard }),
        None => Err(stream.no_such_shard(shard)),
    }
}

/// A message that an owner core was sent.
struct SentRoute {
    positions: Vec<u32>,
    /// `None` where the core has ended.
    outcomes: Option<Reply<Option<Vec<PutOutcome>>>>,
}

/// Waits for all owner cores. `None` if one does not know the stream: it was deleted.
async fn gather(sent: Vec<SentRoute>, count: usize) -> Option<Vec<PutOutcome>> {
    assert!(count <= PUT_RECORDS_COUNT_MAX);
    let failed = || Err(RecordError::InternalFailure);
    let mut all = Vec::new();
    for SentRoute { positions, outcomes } in sent {
        let outcomes = match outcomes {
            // A core that ended before it answered: whether the records are durable is unknown.
            Some(outcomes) => outcomes.await.unwrap_or_else(|_| Some(Vec::new()))?,
            None => Vec::new(),
        };
        if positions.is_empty() {
            assert!(all.is_empty(), "one core had all records");
            all = outcomes;
            all.resize_with(count, failed);
            continue;
        }
        all.resize_with(count, failed);
        if !outcomes.is_empty() {
            merge(&positions, &outcomes, &mut all);
        }
    }
    Some(all)
}
