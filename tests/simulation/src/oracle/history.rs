//! One shard's records as its users know them, and the checks of what the engine says about it.

use crate::check::{Check, Finding};
use crate::content::{self, RecordId};

/// How sure a user may be of a record, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sureness {
    /// It has an index; a crash may take it, with all behind it.
    Assigned,
    /// A recovery served it.
    Recovered,
    /// A reader has seen it.
    Seen,
    /// It was acknowledged.
    Acknowledged,
}

/// One record.
#[derive(Clone, Copy, Debug)]
pub struct Fact {
    /// Which.
    pub id: RecordId,
    /// Bytes of its key.
    pub key_bytes: usize,
    /// Bytes of its data.
    pub data_bytes: usize,
    /// When it arrived, once anybody was told.
    pub arrival_ms: Option<u64>,
    sureness: Sureness,
}

impl Fact {
    /// A record that is about to be appended.
    pub fn new(id: RecordId, key_bytes: usize, data_bytes: usize) -> Fact {
        Fact { id, key_bytes, data_bytes, arrival_ms: None, sureness: Sureness::Assigned }
    }
}

/// One shard.
pub struct History {
    /// Its key.
    pub key: u64,
    /// The log that holds it.
    pub log: u16,
    /// The shortest retention that it ever had, ms.
    pub retention_ms_min: u64,
    facts: Vec<Fact>,
    /// Everything below must be there: something at `firm - 1` is more than assigned.
    firm: u64,
    /// Everything below had expired when somebody looked.
    horizon: u64,
}

impl History {
    /// A shard without records.
    pub fn new(key: u64, log: u16, retention_ms: u64) -> History {
        let facts = Vec::new();
        History { key, log, retention_ms_min: retention_ms, facts, firm: 0, horizon: 0 }
    }

    /// Index of the next record.
    pub fn tail(&self) -> u64 {
        self.facts.len() as u64
    }

    /// Index behind the last record that must be there.
    pub fn firm(&self) -> u64 {
        self.firm
    }

    /// Index of the first record that nobody was told to have expired.
    pub fn horizon(&self) -> u64 {
        self.horizon
    }

    /// What is known of record `index`.
    pub fn fact(&self, index: u64) -> Option<&Fact> {
        self.facts.get(index as usize)
    }

    /// The engine accepted a record; its index follows from the order of the calls.
    pub fn assign(&mut self, fact: Fact) -> u64 {
        self.facts.push(fact);
        self.tail() - 1
    }

    /// The record was acknowledged.
    pub fn acknowledged(&mut self, index: u64, arrival_ms: u64) -> Result<(), Finding> {
        self.note_arrival(index, arrival_ms)?;
        self.note_sureness(index, Sureness::Acknowledged);
        Ok(())
    }

    /// A reader or follower got this.
    pub fn saw(&mut self, record: &storage::record::Record<'_>) -> Result<(), Finding> {
        let index = record.index;
        let Some(fact) = self.fact(index) else {
            let seen = format!("a record {:?}", content::id_of(record.key));
            let expected = format!("nothing at or behind {}", self.tail());
            return Err(Finding::new(Check::Invented, expected, seen).at(index));
        };
        let is_right = content::id_of(record.key) == Some(fact.id)
            && record.key.len() == fact.key_bytes
            && record.data.len() == fact.data_bytes
            && content::is_data_of(fact.id, record.data);
        if !is_right {
            let Fact { id, key_bytes, data_bytes, .. } = fact;
            let expected = format!("{id:?}, {key_bytes} + {data_bytes} bytes");
            let (key_bytes, data_bytes) = (record.key.len(), record.data.len());
            let seen =
                format!("{:?}, {key_bytes} + {data_bytes} bytes", content::id_of(record.key));
            return Err(Finding::new(Check::Altered, expected, seen).at(index));
        }
        self.note_arrival(index, record.arrival_ms)?;
        self.note_sureness(index, Sureness::Seen);
        Ok(())
    }

    fn note_sureness(&mut self, index: u64, sureness: Sureness) {
        let fact = &mut self.facts[index as usize];
        fact.sureness = fact.sureness.max(sureness);
        self.firm = self.firm.max(index + 1);
    }

    fn note_arrival(&mut self, index: u64, arrival_ms: u64) -> Result<(), Finding> {
        let Some(fact) = self.fact(index) else {
            let expected = format!("nothing at or behind {}", self.tail());
            return Err(Finding::new(Check::Invented, expected, "an answer about it").at(index));
        };
        if let Some(known_ms) = fact.arrival_ms {
            return match known_ms == arrival_ms {
                true => Ok(()),
                false => {
                    let expected = format!("arrival {known_ms} ms");
                    let seen = format!("arrival {arrival_ms} ms");
                    Err(Finding::new(Check::Altered, expected, seen).at(index))
                }
            };
        }
        let place = index as usize;
        let known = |fact: &Fact| fact.arrival_ms;
        let before = self.facts[..place].iter().rev().find_map(known).unwrap_or(0);
        let behind = self.facts[place + 1..].iter().find_map(known).unwrap_or(u64::MAX);
        if arrival_ms < before || arrival_ms > behind {
            let expected = format!("an arrival in {before}..={behind} ms");
            let seen = format!("arrival {arrival_ms} ms");
            return Err(Finding::new(Check::ArrivalFell, expected, seen).at(index));
        }
        self.facts[place].arrival_ms = Some(arrival_ms);
        Ok(())
    }

    /// A recovery serves the shard up to `tail`: what must be there is, and from now on the rest
    /// that is there must stay too.
    pub fn recovered(&mut self, tail: u64) -> Result<(), Finding> {
        if tail > self.tail() {
            let expected = format!("at most {} records", self.tail());
            return Err(Finding::new(Check::Invented, expected, format!("{tail} records")));
        }
        if tail < self.firm {
            let lost = &self.facts[tail as usize..self.firm as usize];
            let (offset, surest) = lost
                .iter()
                .enumerate()
                .max_by_key(|(offset, fact)| (fact.sureness, std::cmp::Reverse(*offset)))
                .expect("a firm record is missing");
            let check = match surest.sureness {
                Sureness::Acknowledged => Check::AcknowledgedLost,
                Sureness::Seen => Check::SeenVanished,
                Sureness::Recovered | Sureness::Assigned => Check::RecoveredVanished,
            };
            let expected =
                format!("{:?}, {:?}, arrival {:?}", surest.id, surest.sureness, surest.arrival_ms);
            let seen = format!("a shard that ends at {tail}");
            return Err(Finding::new(check, expected, seen).at(tail + offset as u64));
        }
        self.facts.truncate(tail as usize);
        if let Some(last) = self.facts.last_mut() {
            last.sureness = last.sureness.max(Sureness::Recovered);
        }
        self.firm = tail;
        Ok(())
    }

    /// Somebody was told that everything below `index` has expired. `clock_ms` bounds the clock of
    /// retention from above.
    pub fn expired(&mut self, index: u64, clock_ms: u64) -> Result<(), Finding> {
        for gone in self.horizon..index.min(self.tail()) {
            let fact = &self.facts[gone as usize];
            let arrival_ms = fact.arrival_ms.unwrap_or(0);
            if arrival_ms.saturating_add(self.retention_ms_min) > clock_ms {
                let retention_ms = self.retention_ms_min;
                let expected = format!("arrived at {arrival_ms} ms, kept for {retention_ms} ms");
                let seen = format!("gone, at {clock_ms} ms or before");
                return Err(Finding::new(Check::ExpiredEarly, expected, seen).at(gone));
            }
        }
        self.horizon = self.horizon.max(index.min(self.tail()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use storage::record::Record;

    fn history(count: u64) -> History {
        let mut history = History::new(1, 0, 1_000);
        for id in 0..count {
            history.assign(Fact::new(RecordId(id), 16, 8));
        }
        history
    }

    fn see(history: &mut History, index: u64, id: u64, arrival_ms: u64) -> Result<(), Check> {
        let (mut key, mut data) = (Vec::new(), Vec::new());
        content::push_key(&mut key, RecordId(id), 16);
        content::push_data(&mut data, RecordId(id), 8);
        let record = Record { index, arrival_ms, key: &key, data: &data };
        history.saw(&record).map_err(|finding| finding.check)
    }

    #[test]
    fn what_was_acknowledged_or_seen_or_served_must_be_recovered() {
        let check = |finding: Finding| finding.check;
        let mut acknowledged = history(5);
        acknowledged.acknowledged(3, 10).unwrap();
        assert_eq!(acknowledged.recovered(3).map_err(check), Err(Check::AcknowledgedLost));
        assert_eq!(acknowledged.recovered(4).map_err(check), Ok(()));
        assert_eq!(acknowledged.recovered(3).map_err(check), Err(Check::AcknowledgedLost));
        assert_eq!(acknowledged.recovered(5).map_err(check), Err(Check::Invented));
        let mut seen = history(5);
        see(&mut seen, 1, 1, 10).unwrap();
        assert_eq!(seen.recovered(1).map_err(check), Err(Check::SeenVanished));
        assert_eq!(seen.recovered(4).map_err(check), Ok(()));
        assert_eq!(seen.recovered(3).map_err(check), Err(Check::RecoveredVanished));
        assert_eq!(history(5).recovered(0).map_err(check), Ok(()));
    }

    #[test]
    fn what_is_read_is_what_was_appended_there() {
        let mut history = history(5);
        assert_eq!(see(&mut history, 2, 2, 10), Ok(()));
        assert_eq!(see(&mut history, 2, 3, 10), Err(Check::Altered));
        assert_eq!(see(&mut history, 2, 2, 11), Err(Check::Altered));
        assert_eq!(see(&mut history, 5, 5, 10), Err(Check::Invented));
    }

    #[test]
    fn arrival_times_never_fall() {
        let mut history = history(5);
        see(&mut history, 1, 1, 10).unwrap();
        see(&mut history, 3, 3, 20).unwrap();
        assert_eq!(see(&mut history, 2, 2, 21), Err(Check::ArrivalFell));
        assert_eq!(see(&mut history, 2, 2, 9), Err(Check::ArrivalFell));
        assert_eq!(see(&mut history, 2, 2, 20), Ok(()));
    }

    #[test]
    fn records_expire_when_their_retention_is_over() {
        let mut history = history(5);
        for index in 0..5 {
            see(&mut history, index, index, 100 * index).unwrap();
        }
        assert_eq!(history.expired(2, 1_100), Ok(()));
        assert_eq!(history.expired(3, 1_100).unwrap_err().check, Check::ExpiredEarly);
        assert_eq!(history.horizon(), 2);
    }
}
