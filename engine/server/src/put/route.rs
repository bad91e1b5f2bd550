//! From a request to one list of records per owner core, and back from their outcomes. Pure.
//!
//! Hot: per record one hash (many side by side), one search in the shard map, one line of a list.

use digest::Span;
use model::{HashKey, ShardMap};

use super::{PutBatch, PutOutcome, RoutedRecord};
use crate::placement::{Placement, StreamNumber};

/// What is reused from request to request on one core.
#[derive(Default)]
pub(crate) struct Scratch {
    spans: Vec<Span>,
    hashes: Vec<u128>,
}

/// The records of a request for one core.
#[derive(Default)]
pub(crate) struct Route {
    pub(crate) records: Vec<RoutedRecord>,
    /// Where each stands in the request. Empty where the core has all of them.
    pub(crate) positions: Vec<u32>,
}

/// Cuts a request that was checked by core. One route per core, some perhaps empty.
pub(crate) fn route(
    batch: &PutBatch,
    shards: &ShardMap,
    stream: StreamNumber,
    placement: Placement,
    scratch: &mut Scratch,
) -> Vec<Route> {
    hash(batch, scratch);
    let cores = placement.cores();
    let count = batch.records.len();
    let mut routes: Vec<Route> = Vec::with_capacity(cores);
    routes.resize_with(cores, Route::default);
    if cores == 1 {
        routes[0].records.reserve_exact(count);
    }
    for (position, record) in batch.records.iter().enumerate() {
        let key = record.explicit_hash_key.unwrap_or(HashKey(scratch.hashes[position]));
        let shard = shards.locate(key);
        let routed = RoutedRecord {
            shard,
            key_start: record.key.start,
            data_start: record.data.start,
            data_bytes: record.data.bytes,
            key_bytes: u16::try_from(record.key.bytes).expect("a key has at most 1,024 bytes"),
        };
        if cores == 1 {
            routes[0].records.push(routed);
        } else {
            let route = &mut routes[placement.core_of(stream, shard)];
            route.records.push(routed);
            let position = u32::try_from(position).expect("a request has at most 500 records");
            route.positions.push(position);
        }
    }
    routes
}

fn hash(batch: &PutBatch, scratch: &mut Scratch) {
    scratch.spans.clear();
    scratch.spans.extend(batch.records.iter().map(|record| record.key));
    scratch.hashes.resize(batch.records.len(), 0);
    digest::md5_spans(&batch.payload, &scratch.spans, &mut scratch.hashes);
}

/// Puts the outcomes of one route where their records stood in the request.
pub(crate) fn merge(positions: &[u32], outcomes: &[PutOutcome], all: &mut [PutOutcome]) {
    assert_eq!(positions.len(), outcomes.len());
    for (position, outcome) in positions.iter().zip(outcomes) {
        all[*position as usize] = *outcome;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Placed, PutRecord};
    use super::*;
    use model::{RecordError, ShardIndex};
    use std::sync::Arc;

    fn batch(count: u32) -> PutBatch {
        let mut payload = Vec::new();
        let mut records = Vec::new();
        for number in 0..count {
            let key = format!("key-{number}");
            let start = u32::try_from(payload.len()).unwrap();
            payload.extend_from_slice(key.as_bytes());
            let bytes = u32::try_from(key.len()).unwrap();
            let key = Span { start, bytes };
            let data = Span { start, bytes: 2 };
            records.push(PutRecord { key, data, explicit_hash_key: None });
        }
        PutBatch { payload: Arc::new(payload), records }
    }

    #[test]
    fn every_record_goes_to_the_core_of_its_shard_in_order() {
        let shards = ShardMap::uniform(16, 0);
        let batch = batch(500);
        for (logs, cores) in [(1, 1), (4, 1), (4, 2), (3, 3)] {
            let placement = Placement::new(logs, cores);
            let stream = StreamNumber(5);
            let routes = route(&batch, &shards, stream, placement, &mut Scratch::default());
            assert_eq!(routes.len(), cores);
            let mut seen = vec![false; 500];
            for (core, route) in routes.iter().enumerate() {
                assert_eq!(route.positions.is_empty(), cores == 1);
                assert!(route.positions.is_sorted());
                for (ordinal, routed) in route.records.iter().enumerate() {
                    let position = match route.positions.get(ordinal) {
                        Some(position) => *position as usize,
                        None => ordinal,
                    };
                    assert!(!std::mem::replace(&mut seen[position], true));
                    let key = batch.records[position].key.of(&batch.payload);
                    let expected = shards.locate(HashKey::from_partition_key(key));
                    assert_eq!(routed.shard, expected);
                    assert_eq!(placement.core_of(stream, routed.shard), core);
                }
            }
            assert!(seen.into_iter().all(|seen| seen));
        }
    }

    #[test]
    fn an_explicit_hash_key_wins() {
        let shards = ShardMap::uniform(4, 0);
        let mut batch = batch(2);
        batch.records[0].explicit_hash_key = Some(HashKey::MAX);
        batch.records[1].explicit_hash_key = Some(HashKey::MIN);
        let placement = Placement::new(1, 1);
        let routes = route(&batch, &shards, StreamNumber(0), placement, &mut Scratch::default());
        let found: Vec<_> = routes[0].records.iter().map(|routed| routed.shard.get()).collect();
        assert_eq!(found, [3, 0]);
    }

    #[test]
    fn outcomes_come_back_in_request_order() {
        let placed = |index| Ok(Placed { shard: ShardIndex::new(0), index, arrival_ms: 0 });
        let mut all = vec![Err(RecordError::InternalFailure); 4];
        merge(&[0, 3], &[placed(10), placed(13)], &mut all);
        merge(&[1, 2], &[placed(11), placed(12)], &mut all);
        assert_eq!(all, [placed(10), placed(11), placed(12), placed(13)]);
    }
}
