//! Reading back 200 records of four shards with each defect that there is.

use std::rc::Rc;

use super::super::ledger::LedgerCall;
use super::super::naming::Naming;
use super::*;
use crate::keys::KeyDistribution;
use gyre::embed::{Placed, PutOutcome};
use model::{HashKey, RecordError};

const SHARDS: u32 = 4;
const COUNT: u64 = 200;
const DATA_BYTES: usize = 100;

/// A record as it lies in its shard.
#[derive(Clone, Debug)]
struct Stored {
    sequence: u64,
    shard: u32,
    index: u64,
    key: Vec<u8>,
    data: Vec<u8>,
}

fn expectation(data_bytes: usize) -> Expectation {
    Expectation {
        payloads: Arc::new(Payloads::new(42, 7, 100)),
        keys: Keys::new(KeyDistribution::Fresh, 42),
        shards: ShardMap::uniform(SHARDS, 0),
        data_bytes,
    }
}

/// A ledger of 200 records, of which `outcome` says what became, and the shards as they would
/// be then, in the order of their indices.
fn loaded(data_bytes: usize, outcome: impl Fn(u64, Placed) -> PutOutcome) -> (Ledger, Vec<Stored>) {
    let expectation = expectation(data_bytes);
    let mut ledger = Ledger::new(0, COUNT, SHARDS as usize);
    let (mut stored, mut ends) = (Vec::new(), Vec::new());
    let mut next = [0; SHARDS as usize];
    for sequence in 0..COUNT {
        let first = Identity { producer: 0, sequence };
        let (mut key, mut data) = (Vec::new(), Vec::new());
        expectation.keys.append(first, &mut key);
        expectation.payloads.append(first, 0, data_bytes, &mut data);
        let shard = expectation.shards.locate(HashKey::from_partition_key(&key));
        let index = next[shard.get() as usize];
        let outcome = outcome(sequence, Placed { shard, index, arrival_ms: 1_000 });
        let shards = [shard.get()];
        let call = LedgerCall { first, number: sequence as u32 + 1, shards: &shards };
        ledger.sent(call, &mut ends);
        ledger.answered(call, &ends, &[outcome]);
        if outcome.is_ok() {
            next[shard.get() as usize] += 1;
            stored.push(Stored { sequence, shard: shard.get(), index, key, data });
        }
    }
    (ledger, stored)
}

fn read(data_bytes: usize, ledger: Ledger, stored: &[Stored]) -> Verification {
    read_twice(data_bytes, ledger, stored, true)
}

/// `to_end`: the second pass was not cut short.
fn read_twice(data_bytes: usize, ledger: Ledger, stored: &[Stored], to_end: bool) -> Verification {
    let shards = SHARDS as usize;
    let mut readback = Readback::new(expectation(data_bytes), vec![ledger], shards);
    let give = |take: &mut dyn FnMut(u32, Record<'_>)| {
        for Stored { shard, index, key, data, .. } in stored {
            take(*shard, Record { index: *index, arrival_ms: 1_000, key, data });
        }
    };
    give(&mut |shard, record| readback.take(shard, record));
    (0..SHARDS).for_each(|shard| readback.complete(shard));
    let suspects = readback.suspects();
    let readback = Rc::new(readback);
    let mut naming = Naming::new(Rc::clone(&readback));
    give(&mut |shard, record| {
        if to_end && suspects.contains(&shard) {
            naming.take(shard, record);
        }
    });
    let named = naming.finish(&suspects);
    Rc::into_inner(readback).unwrap().finish(named, 0, Duration::ZERO)
}

/// What is found after a defect was put into what lies in the shards.
fn after(defect: impl Fn(&mut Vec<Stored>)) -> Verification {
    let (ledger, mut stored) = loaded(DATA_BYTES, |_, placed| Ok(placed));
    defect(&mut stored);
    read(DATA_BYTES, ledger, &stored)
}

fn counts(found: &Verification) -> [u64; 6] {
    [
        found.missing,
        found.duplicated,
        found.corrupt,
        found.out_of_order,
        found.wrong_shard,
        found.sequence_violations,
    ]
}

#[test]
fn what_is_right_is_ok() {
    let found = after(|_| {});
    assert_eq!((found.verdict, found.checked), (Verdict::Ok, COUNT));
    assert_eq!(counts(&found), [0; 6]);
    assert!(found.named.is_empty(), "{:?}", found.named);
}

#[test]
fn each_defect_is_counted_as_what_it_is_and_named() {
    let check = |defect: fn(&mut Vec<Stored>), expected: [u64; 6], sentence: &str| {
        let found = after(defect);
        assert_eq!(counts(&found), expected, "{sentence}: {:?}", found.named);
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(found.named[0].contains(sentence), "{sentence}: {:?}", found.named);
    };
    let lost = |stored: &mut Vec<Stored>| drop(stored.remove(77));
    check(lost, [1, 0, 0, 0, 0, 0], "record 77 of producer 0 was acknowledged and is not there");
    let doubled = |stored: &mut Vec<Stored>| {
        let mut copy = stored[50].clone();
        copy.index = 10_000;
        stored.push(copy);
    };
    check(doubled, [0, 1, 0, 0, 0, 0], "record 50 of producer 0 is there twice");
    let flipped = |stored: &mut Vec<Stored>| stored[33].data[60] ^= 4;
    check(flipped, [0, 0, 1, 0, 0, 0], "record 33 of producer 0 does not match its checksum");
    let nameless = |stored: &mut Vec<Stored>| stored[33].data[17] ^= 4;
    check(nameless, [0, 0, 1, 0, 0, 0], "does not match its checksum");
    let cut = |stored: &mut Vec<Stored>| stored[33].data.truncate(99);
    check(cut, [0, 0, 1, 0, 0, 0], "record 33 of producer 0");
    let rekeyed = |stored: &mut Vec<Stored>| stored[8].key[0] = b'x';
    check(rekeyed, [0, 0, 1, 0, 0, 0], "record 8 of producer 0 has another key");
    let moved = |stored: &mut Vec<Stored>| {
        let mut moved = stored.remove(60);
        moved.shard = (moved.shard + 1) % SHARDS;
        moved.index = 10_000;
        stored.push(moved);
    };
    check(moved, [0, 0, 0, 0, 1, 0], "record 60 of producer 0 is in shard");
    let renumbered = |stored: &mut Vec<Stored>| {
        let last = stored.iter().rposition(|record| record.shard == 2).unwrap();
        stored[last].index += 5;
    };
    check(renumbered, [0, 0, 0, 0, 0, 1], "was acknowledged as record");
}

#[test]
fn a_shard_that_goes_back_is_out_of_order() {
    let found = after(|stored| {
        let in_shard = |record: &&mut Stored| record.shard == 1;
        let mut two = stored.iter_mut().filter(in_shard).skip(3).take(2);
        let (one, other) = (two.next().unwrap(), two.next().unwrap());
        std::mem::swap(one, other);
    });
    assert_eq!(counts(&found), [0, 0, 0, 1, 0, 0], "{:?}", found.named);
}

#[test]
fn refused_records_must_not_be_there_and_unknown_ones_may() {
    let refused = |sequence: u64, placed: Placed| match sequence {
        5 => Err(RecordError::ThroughputExceeded { shard: placed.shard }),
        6 => Err(RecordError::InternalFailure),
        _ => Ok(placed),
    };
    let (ledger, stored) = loaded(DATA_BYTES, refused);
    let found = read(DATA_BYTES, ledger.clone(), &stored);
    assert_eq!((found.verdict, found.unknown_outcome), (Verdict::Ok, 1));
    let with = |sequence: u64| {
        let (_, all) = loaded(DATA_BYTES, |_, placed| Ok(placed));
        let extra = all.into_iter().find(|record| record.sequence == sequence).unwrap();
        let mut stored = stored.clone();
        stored.push(Stored { index: 10_000, ..extra });
        read(DATA_BYTES, ledger.clone(), &stored)
    };
    assert_eq!(counts(&with(6)), [0; 6]);
    let found = with(5);
    assert_eq!(counts(&found), [0, 1, 0, 0, 0, 0]);
    assert!(found.named[0].contains("was refused and is there"), "{:?}", found.named);
}

#[test]
fn short_records_are_checked_and_shorter_ones_counted() {
    let (ledger, stored) = loaded(20, |_, placed| Ok(placed));
    assert_eq!(read(20, ledger, &stored).verdict, Verdict::Ok);
    let (ledger, mut stored) = loaded(8, |_, placed| Ok(placed));
    assert_eq!(read(8, ledger.clone(), &stored).verdict, Verdict::Partial);
    stored.remove(3);
    let found = read(8, ledger, &stored);
    assert_eq!((found.verdict, found.missing), (Verdict::Failed, 1));
}

#[test]
fn what_was_not_read_is_not_missing() {
    let (ledger, _) = loaded(DATA_BYTES, |_, placed| Ok(placed));
    let shards = SHARDS as usize;
    let readback = Readback::new(expectation(DATA_BYTES), vec![ledger], shards);
    let found = readback.finish(Named::default(), 0, Duration::ZERO);
    assert_eq!((found.verdict, found.not_read), (Verdict::Partial, COUNT));
}

#[test]
fn nothing_that_was_acknowledged_is_nothing_verified() {
    let refused = |_, placed: Placed| Err(RecordError::ThroughputExceeded { shard: placed.shard });
    let (ledger, stored) = loaded(DATA_BYTES, refused);
    assert_eq!(read(DATA_BYTES, ledger.clone(), &stored).verdict, Verdict::NotVerified);
    let (_, all) = loaded(DATA_BYTES, |_, placed| Ok(placed));
    assert_eq!(read(DATA_BYTES, ledger, &all[..1]).verdict, Verdict::Failed, "it was refused");
}

#[test]
fn a_record_in_a_wrong_shard_is_told_by_the_counts_alone() {
    let (ledger, mut stored) = loaded(DATA_BYTES, |_, placed| Ok(placed));
    let mut moved = stored.remove(60);
    moved.shard = (moved.shard + 1) % SHARDS;
    moved.index = 10_000;
    stored.push(moved);
    let found = read_twice(DATA_BYTES, ledger, &stored, false);
    assert_eq!(counts(&found), [0, 0, 0, 0, 1, 0], "{:?}", found.named);
    assert_eq!(found.verdict, Verdict::Failed);
    assert!(found.named[0].contains("belong there"), "{:?}", found.named);
}

#[test]
fn a_record_of_unknown_outcome_must_be_in_its_shard_if_it_is_there() {
    let unknown = |sequence: u64, placed: Placed| match sequence {
        6 => Err(RecordError::InternalFailure),
        _ => Ok(placed),
    };
    let (ledger, mut stored) = loaded(DATA_BYTES, unknown);
    let (_, all) = loaded(DATA_BYTES, |_, placed| Ok(placed));
    let extra = all.into_iter().find(|record| record.sequence == 6).unwrap();
    stored.push(Stored { shard: (extra.shard + 1) % SHARDS, index: 10_000, ..extra });
    let found = read(DATA_BYTES, ledger, &stored);
    assert_eq!(counts(&found), [0, 0, 0, 0, 1, 0], "{:?}", found.named);
    assert!(found.named[0].contains("of unknown outcome, is in shard"), "{:?}", found.named);
}

#[test]
fn what_the_engine_will_not_read_is_missing() {
    let check = |data_bytes: usize| {
        let (ledger, stored) = loaded(data_bytes, |_, placed| Ok(placed));
        let expectation = expectation(data_bytes);
        let mut readback = Readback::new(expectation, vec![ledger], SHARDS as usize);
        let mut lost = 0;
        for Stored { shard, index, key, data, .. } in &stored {
            if *shard == 2 && *index >= 5 {
                lost += 1;
                continue;
            }
            readback.take(*shard, Record { index: *index, arrival_ms: 1_000, key, data });
        }
        readback.unreadable(2, &"damaged");
        [0, 1, 3].into_iter().for_each(|shard| readback.complete(shard));
        let found = readback.finish(Named::default(), 0, Duration::ZERO);
        assert!(lost > 0);
        assert_eq!(counts(&found), [lost, 0, 0, 0, 0, 0], "{:?}", found.named);
        assert_eq!((found.verdict, found.not_read), (Verdict::Failed, 0));
        assert_eq!(found.named[0], "shard 2 cannot be read from record 5 on: damaged");
    };
    check(DATA_BYTES);
    check(8);
}

#[test]
fn a_cap_on_bytes_that_nobody_set_excuses_nothing() {
    let (ledger, mut stored) = loaded(DATA_BYTES, |_, placed| Ok(placed));
    stored.remove(0);
    let shards = SHARDS as usize;
    let mut readback = Readback::new(expectation(DATA_BYTES), vec![ledger], shards);
    for Stored { shard, index, key, data, .. } in &stored {
        readback.take(*shard, Record { index: *index, arrival_ms: 1_000, key, data });
    }
    (0..SHARDS).for_each(|shard| readback.complete(shard));
    let found = readback.finish(Named::default(), 3, Duration::ZERO);
    assert_eq!((found.verdict, found.missing, found.expired_early), (Verdict::Failed, 1, 1));
}
