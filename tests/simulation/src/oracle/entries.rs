//! The catalog as its users know it: which commits were made, and which only tried.
//!
//! Keys are written by one task at a time, so the values of a key have an order. After a recovery a key
//! has the value of its last acknowledged commit, or of a later one that was not answered. Keys that
//! are committed together change together.

use std::collections::BTreeMap;

use crate::check::{Check, Finding};

/// Whether a shard may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Read and written.
    Open,
    /// Read.
    Closed,
    /// Neither.
    Deleted,
}

/// What a folder's server remembers of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether it may be used.
    pub status: Status,
    /// How long records are kept, ms.
    pub retention_ms: u64,
}

impl Standing {
    /// The value of the shard's key.
    pub fn encode(self) -> Vec<u8> {
        let mut value = vec![self.status as u8];
        value.extend_from_slice(&self.retention_ms.to_le_bytes());
        value
    }

    /// The other way round.
    pub fn decode(value: &[u8]) -> Option<Standing> {
        let (status, retention) = value.split_first()?;
        let status = match status {
            0 => Status::Open,
            1 => Status::Closed,
            2 => Status::Deleted,
            _ => return None,
        };
        Some(Standing { status, retention_ms: u64::from_le_bytes(retention.try_into().ok()?) })
    }
}

/// One key: the values that it may have after a crash, the last acknowledged in front. `None`: the
/// key is not there.
type Values = Vec<Option<Vec<u8>>>;

/// All keys.
#[derive(Default)]
pub struct Entries {
    keys: BTreeMap<Vec<u8>, Values>,
    /// Pairs of keys that are always committed with one value.
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entries {
    /// A commit is about to be sent; `None` removes the key.
    pub fn tried(&mut self, key: &[u8], value: Option<&[u8]>) {
        let values = self.keys.entry(key.to_vec()).or_insert_with(|| vec![None]);
        values.push(value.map(<[u8]>::to_vec));
    }

    /// The last commit of this key has succeeded: what it had before is over.
    pub fn committed(&mut self, key: &[u8]) {
        let values = self.keys.get_mut(key).expect("a commit is tried before it is answered");
        assert!(values.len() > 1);
        values.drain(..values.len() - 1);
    }

    /// These keys are always committed together.
    pub fn pair(&mut self, one: &[u8], other: &[u8]) {
        let pair = (one.to_vec(), other.to_vec());
        if !self.pairs.contains(&pair) {
            self.pairs.push(pair);
        }
    }

    /// The catalog was opened with these keys: checks them, and takes them for what is.
    pub fn recovered(&mut self, sets: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), Finding> {
        for key in sets.keys() {
            if !self.keys.contains_key(key) {
                let seen = String::from_utf8_lossy(key).into_owned();
                return Err(Finding::new(Check::CatalogInvented, "no such key", seen));
            }
        }
        for (key, values) in &mut self.keys {
            let found = sets.get(key).cloned();
            if !values.contains(&found) {
                let key = String::from_utf8_lossy(key).into_owned();
                let known: Vec<_> = values.iter().map(|value| brief(value.as_ref())).collect();
                let expected = format!("{key}: one of {}", known.join(", "));
                return Err(Finding::new(Check::CatalogLost, expected, brief(found.as_ref())));
            }
            *values = vec![found];
        }
        for (one, other) in &self.pairs {
            if sets.get(one) != sets.get(other) {
                let expected = format!("{} in both", brief(sets.get(one)));
                let seen = brief(sets.get(other));
                return Err(Finding::new(Check::CatalogInvented, expected, seen));
            }
        }
        Ok(())
    }
}

/// A value as a witness needs it.
fn brief(value: Option<&Vec<u8>>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    let start: String = value.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{start} ({} bytes)", value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(entries: &mut Entries, sets: &[(&[u8], &[u8])], expected: Result<(), Check>) {
        let sets = sets.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        assert_eq!(entries.recovered(&sets).map_err(|finding| finding.check), expected);
    }

    #[test]
    fn a_key_has_its_last_acknowledged_value_or_a_later_one() {
        for found in [b"2", b"3"] {
            let mut entries = Entries::default();
            entries.tried(b"a", Some(b"1"));
            entries.tried(b"a", Some(b"2"));
            entries.committed(b"a");
            entries.tried(b"a", Some(b"3"));
            check(&mut entries, &[(b"a", b"1")], Err(Check::CatalogLost));
            check(&mut entries, &[], Err(Check::CatalogLost));
            check(&mut entries, &[(b"a", found)], Ok(()));
            check(&mut entries, &[(b"a", found), (b"b", b"1")], Err(Check::CatalogInvented));
            check(&mut entries, &[(b"a", b"4")], Err(Check::CatalogLost));
        }
    }

    #[test]
    fn pairs_change_together() {
        let mut entries = Entries::default();
        entries.pair(b"a", b"b");
        entries.tried(b"a", Some(b"1"));
        entries.tried(b"b", Some(b"1"));
        check(&mut entries, &[(b"a", b"1")], Err(Check::CatalogInvented));
        let mut again = Entries::default();
        again.pair(b"a", b"b");
        again.tried(b"a", Some(b"1"));
        again.tried(b"b", Some(b"1"));
        check(&mut again, &[(b"a", b"1"), (b"b", b"1")], Ok(()));
    }

    #[test]
    fn a_standing_comes_back() {
        for status in [Status::Open, Status::Closed, Status::Deleted] {
            let standing = Standing { status, retention_ms: 77 };
            assert_eq!(Standing::decode(&standing.encode()), Some(standing));
        }
        assert_eq!(Standing::decode(b""), None);
    }
}
