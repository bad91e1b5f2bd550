//! The second pass: shards whose counts or sums do not fit are read again, and records are named.

use std::rc::Rc;

use gyre::embed::Record;

use super::ledger::NAMED_MAX;
use super::readback::{Readback, shard_of};
use crate::record::Identity;

/// How far from where it was read a record may have been acknowledged, to be found.
const REACH: u64 = 4_096;
/// Shards in which a sequence number is searched for: it takes long.
const SEARCHED_MAX: usize = 16;

/// What the second pass found.
#[derive(Clone, Debug, Default)]
pub struct Named {
    pub(super) wrong_shard: u64,
    pub(super) sequence_violations: u64,
    pub(super) sentences: Vec<String>,
}

/// The second pass over some shards.
pub struct Naming {
    readback: Rc<Readback>,
    named: Named,
    key: Vec<u8>,
    /// Shards in which a record with another sequence number was found.
    explained: Vec<u32>,
    searched: Vec<u32>,
}

impl Naming {
    /// Nothing found yet.
    #[must_use]
    pub fn new(readback: Rc<Readback>) -> Naming {
        let named = Named::default();
        let (explained, searched) = (Vec::new(), Vec::new());
        Naming { readback, named, key: Vec::new(), explained, searched }
    }

    /// The next record of a suspect, as in the first pass.
    pub fn take(&mut self, shard: u32, record: Record<'_>) {
        let readback = Rc::clone(&self.readback);
        let expectation = &readback.expectation;
        let Ok(decoded) = expectation.payloads.decode(record.data) else { return };
        let identity = decoded.record;
        let Identity { producer, sequence } = identity;
        let predicted = shard_of(expectation, identity, &mut self.key);
        if predicted != shard && self.key == record.key {
            self.named.wrong_shard += 1;
            self.name(format!(
                "record {sequence} of producer {producer} is in shard {shard}; the MD5 of its key \
                 says {predicted}"
            ));
        } else if let Some(acked) = self.acked_elsewhere(shard, identity, record.index) {
            self.named.sequence_violations += 1;
            self.explained.push(shard);
            self.name(format!(
                "record {sequence} of producer {producer} was acknowledged as record {acked} of \
                 shard {shard} and read as {}",
                record.index
            ));
        }
    }

    /// The index under which a record was acknowledged, if it alone explains the shard's sums.
    fn acked_elsewhere(&mut self, shard: u32, record: Identity, index: u64) -> Option<u64> {
        let line = self.readback.lines[shard as usize];
        if line.found_count != line.acked_count || line.read == line.acked {
            return None;
        }
        if !self.searched.contains(&shard) {
            if self.searched.len() == SEARCHED_MAX {
                return None;
            }
            self.searched.push(shard);
        }
        let candidates = index.saturating_sub(REACH)..index + REACH;
        let mut others = candidates.filter(|other| *other != index);
        others.find(|other| line.read.differs_by(line.acked, record, index, *other))
    }

    fn name(&mut self, sentence: String) {
        if self.named.sentences.len() < NAMED_MAX {
            self.named.sentences.push(sentence);
        }
    }

    /// What was found in `suspects`, after all of them were read.
    #[must_use]
    pub fn finish(mut self, suspects: &[u32]) -> Named {
        for shard in suspects {
            let line = self.readback.lines[*shard as usize];
            let same_count = line.found_count == line.acked_count;
            if same_count && line.read != line.acked && !self.explained.contains(shard) {
                self.named.sequence_violations += 1;
                self.name(format!(
                    "shard {shard}: the sequence numbers or arrival times that were read are not \
                     those that were acknowledged, of more than one record"
                ));
            }
        }
        self.named
    }
}
