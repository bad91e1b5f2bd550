//! What is read, held against what was acknowledged.
//!
//! A record is known by its data's header; its key follows from that and is compared, so that no MD5
//! is needed here: a record in a wrong shard shows in the counts of both shards, one under a wrong
//! sequence number in the sums. What shows there is named by reading those shards again.

use std::fmt::Display;
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
    /// The engine would not read it to its tip.
    is_unreadable: bool,
    /// Acknowledged records that are known not to be found: missing, or taken for a nameless one.
    absent_count: u64,
}

impl Line {
    /// Nothing more will come of it, and what was acknowledged should have.
    const fn is_over(&self) -> bool {
        self.is_complete || self.is_unreadable
    }

    /// Records that are in another shard than where they were acknowledged, here or from here, by the
    /// counts alone.
    fn strays(&self) -> u64 {
        let expected = self.acked_count.saturating_sub(self.absent_count);
        if self.is_complete { self.found_count.abs_diff(expected) } else { 0 }
    }
}

/// See the module.
pub struct Readback {
    pub(super) expectation: Expectation,
    form: Form,
    states: Vec<States>,
    pub(super) lines: Vec<Line>,
    key: Vec<u8>,
    found: Verification,
    acked_count: u64,
}

impl Readback {
    /// Nothing read yet. `ledgers` are those of all producers, by their numbers.
    #[must_use]
    pub fn new(expectation: Expectation, ledgers: Vec<Ledger>, shards: usize) -> Readback {
        let mut found = Verification::default();
        let mut lines = vec![Line::default(); shards];
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
            found.unwatched += ledger.unwatched;
            states.push(ledger.states);
        }
        found.unknown_outcome =
            lines.iter().map(|line| line.possible_count - line.acked_count).sum();
        let acked_count = lines.iter().map(|line| line.acked_count).sum();
        let form = Form::of(expectation.data_bytes);
        let key = Vec::with_capacity(KEY_BYTES_MAX);
        Readback { expectation, form, states, lines, key, found, acked_count }
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

    /// The engine refuses to read on in a shard: what of it was acknowledged and has not come is missing.
    pub fn unreadable(&mut self, shard: u32, why: &dyn Display) {
        self.lines[shard as usize].is_unreadable = true;
        let end = self.lines[shard as usize].end;
        self.name(format!("shard {shard} cannot be read from record {end} on: {why}"));
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
            if self.found.unwatched == 0 {
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
            State::Unknown => {
                states.set(identity.sequence, State::Read);
                self.unasked(shard, record, identity);
            }
            State::Read => self.surplus(shard, record, identity, "is there twice"),
            State::Absent => self.surplus(shard, record, identity, "was refused and is there"),
        }
    }

    /// No answer came for a record: it is in no sum, and its shard is looked up.
    #[cold]
    fn unasked(&mut self, shard: u32, record: Record<'_>, identity: Identity) {
        let predicted = shard_of(&self.expectation, identity, &mut self.key);
        if predicted != shard {
            self.found.wrong_shard += 1;
            let (Identity { producer, sequence }, index) = (identity, record.index);
            self.name(format!(
                "record {sequence} of producer {producer}, of unknown outcome, is in shard {shard}, \
                 record {index}; the MD5 of its key says {predicted}"
            ));
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
        if self.is_counted_only() {
            return Vec::new();
        }
        let lines = (0..).zip(&self.lines).filter(|(_, line)| line.is_complete);
        let differs = |line: &Line| line.found_count != line.acked_count || line.read != line.acked;
        lines.filter(|(_, line)| differs(line)).map(|(shard, _)| shard).collect()
    }

    fn is_counted_only(&self) -> bool {
        self.form == Form::Counted || self.found.unwatched > 0
    }

    /// The verdict. `named` is what reading the suspects again found, as far as it came: the counts decide
    /// without it too. `expired_early` is how many records the engine says it dropped because of a cap on
    /// its bytes.
    #[must_use]
    pub fn finish(mut self, named: Named, expired_early: u64, took: Duration) -> Verification {
        self.found.took = took;
        self.found.sequence_violations += named.sequence_violations;
        named.sentences.into_iter().for_each(|sentence| self.name(sentence));
        self.count_missing();
        self.found.wrong_shard += named.wrong_shard.max(self.count_strays());
        let mut found = self.found;
        found.expired_early = expired_early.min(found.missing);
        let faults = found.missing
            + found.duplicated
            + found.corrupt
            + found.out_of_order
            + found.wrong_shard
            + found.sequence_violations;
        let is_partial = found.not_read > 0 || found.unwatched > 0 || self.form == Form::Counted;
        found.verdict = if faults > 0 {
            Verdict::Failed
        } else if self.acked_count == 0 {
            Verdict::NotVerified
        } else if is_partial {
            Verdict::Partial
        } else {
            Verdict::Ok
        };
        found
    }

    /// Records that are in another shard than they should be, as many as counts can tell.
    fn count_strays(&mut self) -> u64 {
        if self.is_counted_only() {
            return 0;
        }
        // Each is missed in one shard and too much in another, which may not have been read to its tip.
        let all: u64 = self.lines.iter().map(Line::strays).sum();
        let shards = (0..).zip(&self.lines).filter(|(_, line)| line.strays() > 0);
        let shards: Vec<u32> = shards.map(|(shard, _)| shard).take(NAMED_MAX).collect();
        for shard in shards {
            let Line { found_count, acked_count, .. } = self.lines[shard as usize];
            self.name(format!(
                "shard {shard}: {found_count} acknowledged records were found, {acked_count} belong there"
            ));
        }
        all.div_ceil(2)
    }

    fn count_missing(&mut self) {
        if self.is_counted_only() {
            for line in self.lines.iter().filter(|line| line.is_over()) {
                self.found.missing += line.acked_count.saturating_sub(line.read_count);
                self.found.duplicated += line.read_count.saturating_sub(line.possible_count);
            }
            let unread = self.lines.iter().filter(|line| !line.is_over());
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
                let line = &mut self.lines[shard as usize];
                if !line.is_over() {
                    self.found.not_read += 1;
                    continue;
                }
                line.absent_count += 1;
                if nameless[shard as usize] > 0 {
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
mod tests;
