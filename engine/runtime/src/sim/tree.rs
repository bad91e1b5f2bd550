//! The names on the simulated disk: directories, and what a power cut leaves of their changes.
//!
//! Every directory has two states: the one programs see, and the durable one. A change (link,
//! unlink, rename) is made in the first at once and stands in a journal until `sync_directory`
//! makes it durable. A power cut keeps, **for each directory, a prefix of its changes**, of random
//! length and independent of other directories, and drops the rest.
//!
//! Why a prefix: ext4, xfs and btrfs write changes of names through a log in their order, so a
//! removal is never found without the creation before it. They mostly order changes across
//! directories too, but promise it nowhere, so this model does not. What it forbids, as those file
//! systems do: half a rename. A rename between two directories is in both prefixes or in neither,
//! and a sync of either makes it durable, with everything it depends on.
//!
//! A file or directory whose link was dropped is gone, whatever of it had been flushed: a flush
//! does not make a name durable.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path};

use super::content::{Content, Severity};
use super::faults::Counts;
use super::random::Generator;
use crate::file::IoErrorKind;

/// A file or directory, whatever its names. Valid until it is collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeId(usize);

impl NodeId {
    pub(super) fn number(self) -> u64 {
        self.0 as u64
    }
}

const ROOT: NodeId = NodeId(0);

pub(super) struct FileNode {
    pub(super) content: Content,
    /// Open handles and operations under way: while there are any, the file outlives its name.
    pub(super) users: usize,
    /// Whether programs see a name of it.
    linked: bool,
}

#[derive(Default)]
struct Directory {
    current: BTreeMap<OsString, NodeId>,
    durable: BTreeMap<OsString, NodeId>,
}

enum Node {
    File(Box<FileNode>),
    Directory(Directory),
}

#[derive(Clone, PartialEq, Eq)]
struct Place {
    directory: NodeId,
    name: OsString,
}

enum Change {
    Link { place: Place, node: NodeId },
    Unlink { place: Place },
    Rename { from: Place, to: Place },
}

impl Change {
    fn directories(&self) -> [NodeId; 2] {
        match self {
            Self::Link { place, .. } | Self::Unlink { place } => [place.directory, place.directory],
            Self::Rename { from, to } => [from.directory, to.directory],
        }
    }
}

#[derive(Clone, Copy)]
enum View {
    Current,
    Durable,
}

/// What a directory's sync that is submitted now covers: the changes numbered below this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChangeCount(u64);

/// All files and directories of a disk. The root exists and is durable.
pub(super) struct Tree {
    nodes: Vec<Option<Node>>,
    /// Changes that are not durable, with their numbers, oldest first.
    journal: Vec<(ChangeCount, Change)>,
    changes: ChangeCount,
}

impl Tree {
    pub(super) fn new() -> Self {
        let root = Node::Directory(Directory::default());
        Self { nodes: vec![Some(root)], journal: Vec::new(), changes: ChangeCount(0) }
    }

    pub(super) fn change_count(&self) -> ChangeCount {
        self.changes
    }

    /// The file behind an id that is still in use.
    pub(super) fn file(&mut self, node: NodeId) -> &mut FileNode {
        match &mut self.nodes[node.0] {
            Some(Node::File(file)) => file,
            Some(Node::Directory(_)) | None => panic!("node {} is no file", node.0),
        }
    }

    pub(super) fn files(&mut self) -> impl Iterator<Item = &mut FileNode> {
        self.nodes.iter_mut().filter_map(|node| match node {
            Some(Node::File(file)) => Some(&mut **file),
            Some(Node::Directory(_)) | None => None,
        })
    }

    /// Bytes of all files that have a name or a user, allocated but unwritten parts included.
    pub(super) fn allocated_bytes(&mut self) -> u64 {
        let used = self.files().filter(|file| file.linked || file.users > 0);
        used.map(|file| file.content.bytes()).sum()
    }

    pub(super) fn find(&self, path: &Path) -> Result<NodeId, IoErrorKind> {
        names(path).try_fold(ROOT, |directory, name| {
            let found = self.directory(directory)?.current.get(name);
            found.copied().ok_or(IoErrorKind::NotFound)
        })
    }

    pub(super) fn find_file(&self, path: &Path) -> Result<NodeId, IoErrorKind> {
        let node = self.find(path)?;
        match self.nodes[node.0] {
            Some(Node::File(_)) => Ok(node),
            Some(Node::Directory(_)) | None => Err(IoErrorKind::Errno(libc::EISDIR)),
        }
    }

    pub(super) fn find_directory(&self, path: &Path) -> Result<NodeId, IoErrorKind> {
        let node = self.find(path)?;
        self.directory(node).map(|_| node)
    }

    /// Names and sizes of what a directory holds, sorted; a directory within counts no bytes.
    pub(super) fn list(&self, path: &Path) -> Result<Vec<(OsString, u64)>, IoErrorKind> {
        let node = self.find(path)?;
        let entries = self.directory(node)?.current.iter();
        Ok(entries.map(|(name, node)| (name.clone(), self.bytes(*node))).collect())
    }

    fn bytes(&self, node: NodeId) -> u64 {
        match &self.nodes[node.0] {
            Some(Node::File(file)) => file.content.bytes(),
            Some(Node::Directory(_)) | None => 0,
        }
    }

    pub(super) fn create_file(&mut self, path: &Path, bytes: u64) -> Result<NodeId, IoErrorKind> {
        let place = self.place(path)?;
        if self.directory(place.directory)?.current.contains_key(&place.name) {
            return Err(IoErrorKind::AlreadyExists);
        }
        let file = FileNode { content: Content::new(bytes), users: 0, linked: true };
        Ok(self.link(place, Node::File(Box::new(file))))
    }

    /// Makes the missing directories of `path`, each one a change of its parent.
    pub(super) fn create_directories(&mut self, path: &Path) -> Result<(), IoErrorKind> {
        let mut parent = ROOT;
        for name in names(path) {
            parent = match self.directory(parent)?.current.get(name) {
                Some(found) => *found,
                None => {
                    let place = Place { directory: parent, name: name.to_owned() };
                    self.link(place, Node::Directory(Directory::default()))
                }
            };
        }
        self.directory(parent).map(|_| ())
    }

    fn link(&mut self, place: Place, node: Node) -> NodeId {
        let free = self.nodes.iter().position(Option::is_none);
        let id = NodeId(free.unwrap_or(self.nodes.len()));
        if id.0 == self.nodes.len() {
            self.nodes.push(None);
        }
        self.nodes[id.0] = Some(node);
        self.make(Change::Link { place, node: id });
        id
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> Result<(), IoErrorKind> {
        let node = self.find_file(path)?;
        let place = self.place(path)?;
        self.file(node).linked = false;
        self.make(Change::Unlink { place });
        Ok(())
    }

    /// Atomic; a file that had the new name loses it.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<(), IoErrorKind> {
        let moved = self.find(from)?;
        let (from, to) = (self.place(from)?, self.place(to)?);
        if from == to {
            return Ok(());
        }
        if let Some(replaced) = self.directory(to.directory)?.current.get(&to.name).copied() {
            let both_files = [moved, replaced]
                .iter()
                .all(|node| matches!(self.nodes[node.0], Some(Node::File(_))));
            if !both_files {
                return Err(IoErrorKind::Errno(libc::EISDIR));
            }
            self.file(replaced).linked = false;
        }
        self.make(Change::Rename { from, to });
        Ok(())
    }

    fn place(&self, path: &Path) -> Result<Place, IoErrorKind> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(IoErrorKind::Errno(libc::EINVAL));
        };
        Ok(Place { directory: self.find_directory(parent)?, name: name.to_owned() })
    }

    fn make(&mut self, change: Change) {
        self.apply(&change, View::Current);
        self.journal.push((self.changes, change));
        self.changes.0 += 1;
    }

    fn apply(&mut self, change: &Change, view: View) {
        match change {
            Change::Link { place, node } => {
                let replaced = self.entries(place, view).insert(place.name.clone(), *node);
                assert!(replaced.is_none());
            }
            Change::Unlink { place } => {
                let removed = self.entries(place, view).remove(&place.name);
                assert!(removed.is_some());
            }
            Change::Rename { from, to } => {
                let moved = self.entries(from, view).remove(&from.name);
                let moved = moved.expect("a prefix that has the rename has what it renames");
                self.entries(to, view).insert(to.name.clone(), moved);
            }
        }
    }

    fn entries(&mut self, place: &Place, view: View) -> &mut BTreeMap<OsString, NodeId> {
        match (&mut self.nodes[place.directory.0], view) {
            (Some(Node::Directory(directory)), View::Current) => &mut directory.current,
            (Some(Node::Directory(directory)), View::Durable) => &mut directory.durable,
            (Some(Node::File(_)) | None, _) => panic!("a place is in a directory"),
        }
    }

    fn directory(&self, node: NodeId) -> Result<&Directory, IoErrorKind> {
        match &self.nodes[node.0] {
            Some(Node::Directory(directory)) => Ok(directory),
            Some(Node::File(_)) | None => Err(IoErrorKind::Errno(libc::ENOTDIR)),
        }
    }

    /// Makes the directory's changes before `until` durable, and whatever a rename between
    /// directories makes them depend on.
    pub(super) fn sync(&mut self, directory: NodeId, until: ChangeCount) {
        let mut involved = vec![directory];
        let mut chosen = vec![false; self.journal.len()];
        for (index, (number, change)) in self.journal.iter().enumerate().rev() {
            let directories = change.directories();
            let covered = directories.iter().any(|directory| involved.contains(directory));
            if number.0 < until.0 && covered {
                chosen[index] = true;
                involved.extend(directories);
            }
        }
        let mut kept = Vec::new();
        for (chosen, (number, change)) in chosen.into_iter().zip(std::mem::take(&mut self.journal))
        {
            if chosen {
                self.apply(&change, View::Durable);
            } else {
                kept.push((number, change));
            }
        }
        self.journal = kept;
        self.collect();
    }

    /// Makes every directory above `path` durable so far.
    pub(super) fn sync_above(&mut self, path: &Path) {
        for above in path.ancestors().skip(1) {
            let directory = self.find_directory(above).expect("the path exists");
            self.sync(directory, self.changes);
        }
    }

    /// The process has died: nothing is open any more.
    pub(super) fn close_all(&mut self) {
        self.files().for_each(|file| file.users = 0);
    }

    /// The power has failed: decides which changes are left, and throws away what has no name.
    pub(super) fn crash(
        &mut self,
        severity: Severity,
        random: &mut Generator,
        counts: &mut Counts,
    ) {
        let mut ended: Vec<NodeId> = Vec::new();
        for (_, change) in std::mem::take(&mut self.journal) {
            let directories = change.directories();
            let past_end = directories.iter().any(|directory| ended.contains(directory));
            if past_end || random.chance(severity.drop_chance) {
                ended.extend(directories);
                counts.crash_changes_dropped += 1;
            } else {
                self.apply(&change, View::Durable);
                counts.crash_changes_kept += 1;
            }
        }
        for node in self.nodes.iter_mut().flatten() {
            if let Node::Directory(directory) = node {
                directory.current.clone_from(&directory.durable);
            }
        }
        self.collect();
    }

    /// Frees every node that no name, no change to come and no user refers to.
    pub(super) fn collect(&mut self) {
        let linked = self.reachable(vec![ROOT], |directory| vec![&directory.current]);
        let mut roots = vec![ROOT];
        for (_, change) in &self.journal {
            roots.extend(change.directories());
            if let Change::Link { node, .. } = change {
                roots.push(*node);
            }
        }
        let kept = self.reachable(roots, |directory| vec![&directory.current, &directory.durable]);
        for (index, slot) in self.nodes.iter_mut().enumerate() {
            let used = match slot {
                Some(Node::File(file)) => {
                    file.linked = linked[index];
                    file.users > 0
                }
                Some(Node::Directory(_)) | None => false,
            };
            if !kept[index] && !used {
                *slot = None;
            }
        }
    }

    fn reachable(
        &self,
        mut open: Vec<NodeId>,
        entries: impl Fn(&Directory) -> Vec<&BTreeMap<OsString, NodeId>>,
    ) -> Vec<bool> {
        let mut seen = vec![false; self.nodes.len()];
        while let Some(node) = open.pop() {
            if std::mem::replace(&mut seen[node.0], true) {
                continue;
            }
            if let Some(Node::Directory(directory)) = &self.nodes[node.0] {
                open.extend(entries(directory).iter().flat_map(|names| names.values()));
            }
        }
        seen
    }
}

/// A path's parts from the root on; a relative path starts there too.
fn names(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        Component::RootDir | Component::CurDir => None,
        Component::ParentDir | Component::Prefix(_) => {
            panic!("the simulated disk takes plain paths, not {}", path.display())
        }
    })
}
