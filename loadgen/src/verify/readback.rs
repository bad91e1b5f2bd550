//! What is read, held against what was acknowledged.
//!
//! A record is known by its data's header; its key follows from that and is compared, so that no MD5
//! is needed here: a record in a wrong shard shows in the counts of both shards, one under a wrong
//! sequence number in the sums. What shows there is named by reading those shards again.

use std::sync::Arc;
use std::time::Duration;

use gyre::embed::Record;
use model::ShardMap;

use super::ledger::{Ledger, NAMED_MAX};
use super::naming::Named;
use super::states::{State, States};
use super::sum::Sum;
use crate::keys::{KEY_BYTES_MAX, Keys};
use crate::outcome::{Verdict, Verification};
use crate::payload::{Corruption, Form, Payloads};
use crate::record::Identity;

/// What a run's records look like.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Their data.
    pub payloads: Arc<Payloads>,
    /// Their keys.
    pub keys: Keys,
    /// The stream's shards.
    pub shards: ShardMap,
    /// Bytes of data of each.
    pub data_bytes: usize,
}

/// One shard, by what was acknowledged and by what was read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Line {
    pub(super) acked: Sum,
    pub(super) acked_count: u64,
    /// Sent and not refused: as many may be there at most.
    possible_count: u64,
    pub(super) read: Sum,
    /// Acknowledged records that were found.
    pub(super) found_count: u64,
    /// All records that were found.
    read_count: u64,
    /// Found, and nobody can say which record it is.
    nameless_count: u64,
    /// Index behind the last record that was read.
    end: u64,
    is_complete: bool,
}

/// See the module.
pub struct Readback {
    pub(super) expectation: Expectation,
    form: Form,
    states: Vec<States>,
    pub(super) lines: Vec<Line>,
    key: Vec<u8>,
    found: Verification,
    unwatched: u64,
}

impl Readback {
    /// Nothing read yet. `ledgers` are those of all producers, by their numbers.
    #[must_use]
    pub fn new(expectation: Expectation, ledgers: Vec<Ledger>, shards: usize) -> Readback {
        let mut found = Verification::default();
        let mut lines = vec![Line::default(); shards];
        let mut unwatched = 0;
        let mut states = Vec::with_capacity(ledgers.len());
        for (place, ledger) in ledgers.into_iter().enumerate() {
            assert_eq!(ledger.producer as usize, place, "ledgers come by producer");
            assert_eq!(ledger.shards.len(), shards);
            for (line, theirs) in lines.iter_mut().zip(&ledger.shards) {
                line.acked.merge(theirs.acked);
                line.acked_count += theirs.acked_count;
                line.possible_count += theirs.sent_count - theirs.refused_count;
            }
            found.out_of_order += ledger.out_of_order;
            found.wrong_shard += ledger.wrong_shard;
            found.named.extend(ledger.named);
            unwatched += ledger.unwatched;
            states.push(ledger.states);
        }
        found.unknown_outcome =
            lines.iter().map(|line| line.possible_count - line.acked_count).sum();
        let form = Form::of(expectation.data_bytes);
        let key = Vec::with_capacity(KEY_BYTES_MAX);
        Readback { expectation, form, states, lines, key, found, unwatched }
    }

    /// Records that were read so far.
    #[must_use]
    pub const fn checked(&self) -> u64 {
        self.found.checked
    }

    /// A chunk came whose bytes do not add up.
    pub fn malformed(&mut self, shard: u32, first_index: u64) {
        self.nameless(shard, first_index, "is in a chunk whose bytes do not add up");
    }

    /// The shard was read to its tip.
    pub fn complete(&mut self, shard: u32) {
        self.lines[shard as usize].is_complete = true;
    }

    /// The next record of a shard.
    #[inline]
    pub fn take(&mut self, shard: u32, record: Record<'_>) {
        self.found.checked += 1;
        let line = &mut self.lines[shard as usize];
        line.read_count += 1;
        if record.index < line.end {
            let end = line.end;
            self.found.out_of_order += 1;
            self.name(format!("shard {shard} gave record {} behind {}", record.index, end - 1));
        } else {
            line.end = record.index + 1;
        }
        if self.form == Form::Counted {
            return;
        }
        match self.expectation.payloads.decode(record.data) {
            Ok(decoded) if record.data.len() == self.expectation.data_bytes => {
                self.known(shard, record, decoded.record);
            }
            Ok(_) => {
                let corruption = Corruption::Length { bytes: record.data.len() };
                self.corrupt(shard, record, corruption);
            }
            Err(corruption) => self.corrupt(shard, record, corruption),
        }
    }

    #[inline]
    fn known(&mut self, shard: u32, record: Record<'_>, identity: Identity) {
        self.key.clear();
        self.expectation.keys.append(identity, &mut self.key);
        let states = self.states.get_mut(identity.producer as usize);
        let Some(states) = states.filter(|states| identity.sequence < states.capacity()) else {
            // Past the capacity, or of no producer of this run.
            if self.unwatched == 0 {
                self.surplus(shard, record, identity, "was never sent");
            }
            return;
        };
        let state = states.get(identity.sequence);
        if self.key != record.key {
            states.set(identity.sequence, State::Read);
            self.altered(shard, record, identity, state);
            return;
        }
        let line = &mut self.lines[shard as usize];
        match state {
            State::Acked => {
                states.set(identity.sequence, State::Read);
                line.found_count += 1;
                line.read.add(identity, record.index, record.arrival_ms);
            }
            State::Unknown => states.set(identity.sequence, State::Read),
            State::Read => self.surplus(shard, record, identity, "is there twice"),
            State::Absent => self.surplus(shard, record, identity, "was refused and is there"),
        }
    }

    #[cold]
    fn surplus(&mut self, shard: u32, record: Record<'_>, identity: Identity, what: &str) {
        self.found.duplicated += 1;
        let Identity { producer, sequence } = identity;
        let index = record.index;
        self.name(format!(
            "record {sequence} of producer {producer} {what}: shard {shard}, record {index}"
        ));
    }

    #[cold]
    fn altered(&mut self, shard: u32, record: Record<'_>, identity: Identity, state: State) {
        self.found.corrupt += 1;
        if state == State::Acked {
            // Its key is what is wrong with it; all the rest counts as it is.
            let line = &mut self.lines[shard as usize];
            line.found_count += 1;
            line.read.add(identity, record.index, record.arrival_ms);
        }
        let Identity { producer, sequence } = identity;
        let index = record.index;
        self.name(format!(
            "record {sequence} of producer {producer} has another key than it was sent with: shard \
             {shard}, record {index}"
        ));
    }

    #[cold]
    fn corrupt(&mut self, shard: u32, record: Record<'_>, corruption: Corruption) {
        // Where the header still names a record with this very key, it is that one.
        let claimed = self.expectation.payloads.claimed(record.data);
        let is_ours = claimed.is_some_and(|identity| {
            self.key.clear();
            self.expectation.keys.append(identity, &mut self.key);
            let states = self.states.get(identity.producer as usize);
            let watched = states.filter(|states| identity.sequence < states.capacity());
            self.key == record.key
                && watched.is_some_and(|states| states.get(identity.sequence) == State::Acked)
        });
        let index = record.index;
        match claimed {
            Some(identity @ Identity { producer, sequence }) if is_ours => {
                self.states[producer as usize].set(sequence, State::Read);
                self.lines[shard as usize].found_count += 1;
                self.found.corrupt += 1;
                // Its sequence number is taken for right: its data are what is wrong with it.
                let line = &mut self.lines[shard as usize];
                line.read.add(identity, index, record.arrival_ms);
                self.name(format!(
                    "record {sequence} of producer {producer} {corruption}: shard {shard}, record \
                     {index}"
                ));
            }
            _ => self.nameless(shard, index, &corruption.to_string()),
        }
    }

    fn nameless(&mut self, shard: u32, index: u64, what: &str) {
        self.found.corrupt += 1;
        self.lines[shard as usize].nameless_count += 1;
        self.name(format!("record {index} of shard {shard} {what}"));
    }

    fn name(&mut self, sentence: String) {
        if self.found.named.len() < NAMED_MAX {
            self.found.named.push(sentence);
        }
    }

    /// The shards that were read to their tips and in which something is to be named.
    #[must_use]
    pub fn suspects(&self) -> Vec<u32> {
        if self.form == Form::Counted || self.unwatched > 0 {
            return Vec::new();
        }
        let lines = (0..).zip(&self.lines).filter(|(_, line)| line.is_complete);
        let differs = |line: &Line| line.found_count != line.acked_count || line.read != line.acked;
        lines.filter(|(_, line)| differs(line)).map(|(shard, _)| shard).collect()
    }

    /// The verdict. `named` is what reading the suspects again found; `expired_early` is how many
    /// records the engine dropped because of a cap on its bytes.
    #[must_use]
    pub fn finish(mut self, named: Named, expired_early: u64, took: Duration) -> Verification {
        self.found.took = took;
        self.found.wrong_shard += named.wrong_shard;
        self.found.sequence_violations += named.sequence_violations;
        named.sentences.into_iter().for_each(|sentence| self.name(sentence));
        self.count_missing();
        let mut found = self.found;
        found.expired_early = expired_early.min(found.missing);
        found.missing -= found.expired_early;
        let faults = found.missing
            + found.duplicated
            + found.corrupt
            + found.out_of_order
            + found.wrong_shard
            + found.sequence_violations;
        let is_partial = found.not_read > 0 || self.unwatched > 0 || self.form == Form::Counted;
        found.verdict = match (faults, is_partial) {
            (1.., _) => Verdict::Failed,
            (0, true) => Verdict::Partial,
            (0, false) => Verdict::Ok,
        };
        found
    }

    fn count_missing(&mut self) {
        if self.form == Form::Counted || self.unwatched > 0 {
            for line in self.lines.iter().filter(|line| line.is_complete) {
                self.found.missing += line.acked_count.saturating_sub(line.read_count);
                self.found.duplicated += line.read_count.saturating_sub(line.possible_count);
            }
            let unread = self.lines.iter().filter(|line| !line.is_complete);
            self.found.not_read =
                unread.map(|line| line.acked_count.saturating_sub(line.read_count)).sum();
            return;
        }
        let mut sentences = Vec::new();
        let mut nameless: Vec<u64> = self.lines.iter().map(|line| line.nameless_count).collect();
        for (producer, states) in (0..).zip(&self.states) {
            for sequence in states.all(State::Acked) {
                let identity = Identity { producer, sequence };
                let shard = shard_of(&self.expectation, identity, &mut self.key);
                if !self.lines[shard as usize].is_complete {
                    self.found.not_read += 1;
                } else if nameless[shard as usize] > 0 {
                    // It is there and nobody can recognise it: counted as corrupt already.
                    nameless[shard as usize] -= 1;
                } else {
                    self.found.missing += 1;
                    if sentences.len() < NAMED_MAX {
                        sentences.push(format!(
                            "record {sequence} of producer {producer} was acknowledged and is not \
                             there: shard {shard}, key {}",
                            String::from_utf8_lossy(&self.key)
                        ));
                    }
                }
            }
        }
        sentences.into_iter().for_each(|sentence| self.name(sentence));
    }
}

/// The shard that MD5 predicts for a record, with its key left in `key`.
pub(super) fn shard_of(expectation: &Expectation, record: Identity, key: &mut Vec<u8>) -> u32 {
    key.clear();
    expectation.keys.append(record, key);
    expectation.shards.locate(model::HashKey::from_partition_key(key)).get()
}

#[cfg(test)]
mod tests {
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
    fn loaded(
        data_bytes: usize,
        outcome: impl Fn(u64, Placed) -> PutOutcome,
    ) -> (Ledger, Vec<Stored>) {
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
            if suspects.contains(&shard) {
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
        check(
            lost,
            [1, 0, 0, 0, 0, 0],
            "record 77 of producer 0 was acknowledged and is not there",
        );
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
    fn a_cap_on_bytes_explains_what_is_missing() {
        let (ledger, mut stored) = loaded(DATA_BYTES, |_, placed| Ok(placed));
        stored.remove(0);
        let shards = SHARDS as usize;
        let mut readback = Readback::new(expectation(DATA_BYTES), vec![ledger], shards);
        for Stored { shard, index, key, data, .. } in &stored {
            readback.take(*shard, Record { index: *index, arrival_ms: 1_000, key, data });
        }
        (0..SHARDS).for_each(|shard| readback.complete(shard));
        let found = readback.finish(Named::default(), 3, Duration::ZERO);
        assert_eq!((found.verdict, found.missing, found.expired_early), (Verdict::Ok, 0, 1));
    }
}
