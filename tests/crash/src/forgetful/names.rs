//! The names of the forgetful file system: which directory holds which name, now and durably, and
//! the operations in between that no flush of a directory has covered.
//!
//! What may be lost: any operation whose directory was not flushed since, and whatever builds on
//! it. What may not: half of a rename, or an operation without the earlier ones on the same name.
//! Flushing a file makes none of its names durable, and flushing a directory does not make its own
//! name durable: POSIX promises neither, however kind ext4 is.

use super::fate::Cut;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

/// A file or directory, never reused.
pub(super) type NodeNumber = u64;

/// The root's number, fixed by FUSE.
pub(super) const ROOT: NodeNumber = 1;

/// A name within a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    directory: NodeNumber,
    name: OsString,
}

/// One operation: what it makes of each place it touches, all or nothing.
#[derive(Debug)]
struct Operation {
    places: Vec<(Place, Option<NodeNumber>)>,
    /// Earlier operations, by number, that must be durable first.
    after: Vec<u64>,
}

type Entries = BTreeMap<OsString, NodeNumber>;

/// All directories, by number, with what they hold.
#[derive(Debug)]
pub(super) struct Names {
    now: BTreeMap<NodeNumber, Entries>,
    durable: BTreeMap<NodeNumber, Entries>,
    /// By number, in the order they came.
    pending: BTreeMap<u64, Operation>,
    next_operation: u64,
}

impl Names {
    pub(super) fn new() -> Names {
        let root = || BTreeMap::from([(ROOT, Entries::new())]);
        Names { now: root(), durable: root(), pending: BTreeMap::new(), next_operation: 0 }
    }

    pub(super) fn lookup(&self, directory: NodeNumber, name: &OsStr) -> Option<NodeNumber> {
        self.now.get(&directory)?.get(name).copied()
    }

    pub(super) fn entries(&self, directory: NodeNumber) -> Option<&Entries> {
        self.now.get(&directory)
    }

    pub(super) fn is_directory(&self, node: NodeNumber) -> bool {
        self.now.contains_key(&node)
    }

    /// Operations that no flush has covered.
    pub(super) fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// A new name for `node`, which is a directory that begins empty if `as_directory`.
    pub(super) fn create(&mut self, directory: NodeNumber, name: &OsStr, node: NodeNumber) {
        let place = Place { directory, name: name.to_owned() };
        self.record(vec![(place, Some(node))], Vec::new());
    }

    /// As `create`, for a new empty directory.
    pub(super) fn create_directory(
        &mut self,
        directory: NodeNumber,
        name: &OsStr,
        node: NodeNumber,
    ) {
        self.now.insert(node, Entries::new());
        self.durable.insert(node, Entries::new());
        self.create(directory, name, node);
    }

    /// The name goes. For a directory (which is empty by now) everything pending in it comes first:
    /// a file moved out of it must not be lost with it.
    pub(super) fn remove(&mut self, directory: NodeNumber, name: &OsStr) {
        let node = self.lookup(directory, name).expect("the caller looked the name up");
        let after = self.pending_in(node);
        let place = Place { directory, name: name.to_owned() };
        self.record(vec![(place, None)], after);
        self.now.remove(&node);
    }

    /// Moves a name, replacing what the new one named.
    pub(super) fn rename(&mut self, from: (NodeNumber, &OsStr), to: (NodeNumber, &OsStr)) {
        let node = self.lookup(from.0, from.1).expect("the caller looked the name up");
        let replaced = self.lookup(to.0, to.1);
        let old = Place { directory: from.0, name: from.1.to_owned() };
        let new = Place { directory: to.0, name: to.1.to_owned() };
        // Moved into a directory whose own name may be lost, it must not be lost from the old one.
        let mut after = self.pending_that_place(to.0);
        after.extend(replaced.map(|node| self.pending_in(node)).unwrap_or_default());
        self.record(vec![(old, None), (new, Some(node))], after);
        if let Some(replaced) = replaced {
            self.now.remove(&replaced);
        }
    }

    /// Swaps what two names name.
    pub(super) fn exchange(&mut self, one: (NodeNumber, &OsStr), two: (NodeNumber, &OsStr)) {
        let first = self.lookup(one.0, one.1).expect("the caller looked the name up");
        let second = self.lookup(two.0, two.1).expect("the caller looked the name up");
        let mut after = self.pending_that_place(one.0);
        after.extend(self.pending_that_place(two.0));
        let one = Place { directory: one.0, name: one.1.to_owned() };
        let two = Place { directory: two.0, name: two.1.to_owned() };
        self.record(vec![(one, Some(second)), (two, Some(first))], after);
    }

    fn record(&mut self, places: Vec<(Place, Option<NodeNumber>)>, mut after: Vec<u64>) {
        for (number, operation) in &self.pending {
            if operation.places.iter().any(|(place, _)| places.iter().any(|(own, _)| own == place))
            {
                after.push(*number);
            }
        }
        for (place, node) in &places {
            assign(&mut self.now, place, *node);
        }
        self.pending.insert(self.next_operation, Operation { places, after });
        self.next_operation += 1;
    }

    /// Pending operations on names within `directory`.
    fn pending_in(&self, directory: NodeNumber) -> Vec<u64> {
        let touches = |operation: &Operation| {
            operation.places.iter().any(|(place, _)| place.directory == directory)
        };
        self.pending.iter().filter(|(_, o)| touches(o)).map(|(number, _)| *number).collect()
    }

    /// Pending operations that gave `node` a name.
    fn pending_that_place(&self, node: NodeNumber) -> Vec<u64> {
        let names =
            |operation: &Operation| operation.places.iter().any(|(_, named)| *named == Some(node));
        self.pending.iter().filter(|(_, o)| names(o)).map(|(number, _)| *number).collect()
    }

    /// Makes the names in `directory` durable (fsync of the directory), and what they build on.
    pub(super) fn flush(&mut self, directory: NodeNumber) {
        let mut wanted: BTreeSet<u64> = self.pending_in(directory).into_iter().collect();
        let mut settled = BTreeSet::new();
        while let Some(number) = wanted.pop_last() {
            // One that is no longer pending is durable already.
            if let Some(operation) = self.pending.get(&number) {
                wanted.extend(&operation.after);
                settled.insert(number);
            }
        }
        for number in settled {
            let operation = self.pending.remove(&number).expect("it was pending just now");
            self.settle(&operation);
        }
    }

    fn settle(&mut self, operation: &Operation) {
        for (place, node) in &operation.places {
            assign(&mut self.durable, place, *node);
        }
    }

    /// The power goes: each pending operation survives or is lost, with what builds on it.
    pub(super) fn cut(&mut self, cut: &mut Cut) {
        let mut lost: BTreeSet<u64> = BTreeSet::new();
        for (number, operation) in std::mem::take(&mut self.pending) {
            if operation.after.iter().any(|earlier| lost.contains(earlier)) {
                cut.drop_name();
                lost.insert(number);
            } else if cut.keeps_name() {
                self.settle(&operation);
            } else {
                lost.insert(number);
            }
        }
        let reachable = self.reachable();
        self.durable.retain(|directory, _| reachable.contains(directory));
        self.now = self.durable.clone();
    }

    /// Every node that has a durable name under the root, and the root.
    pub(super) fn reachable(&self) -> BTreeSet<NodeNumber> {
        let mut found = BTreeSet::from([ROOT]);
        let mut ahead = vec![ROOT];
        while let Some(directory) = ahead.pop() {
            for node in self.durable.get(&directory).into_iter().flat_map(BTreeMap::values) {
                if found.insert(*node) {
                    ahead.push(*node);
                }
            }
        }
        found
    }

    /// Whether any name, seen now or coming back after a cut, may still lead to `node`.
    pub(super) fn may_return(&self, node: NodeNumber) -> bool {
        let holds = |entries: &Entries| entries.values().any(|named| *named == node);
        self.now.values().any(holds)
            || self.durable.values().any(holds)
            || !self.pending_that_place(node).is_empty()
    }
}

fn assign(names: &mut BTreeMap<NodeNumber, Entries>, place: &Place, node: Option<NodeNumber>) {
    // A directory that is gone for good has no entries to change.
    if let Some(entries) = names.get_mut(&place.directory) {
        match node {
            Some(node) => entries.insert(place.name.clone(), node),
            None => entries.remove(&place.name),
        };
    }
}
