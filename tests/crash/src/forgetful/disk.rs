//! The forgetful file system without FUSE: files, directories, flushes, and the cut.
//!
//! Each file's durable bytes stand in the backing folder under the file's number. Permissions,
//! owners and times are kept but never lost: nothing here depends on them.

use super::content::Content;
use super::fate::{Cut, CutCounts};
use super::names::{Names, NodeNumber, ROOT};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What was asked of the file system, for the report: a power test of something that never
/// flushes, or flushes after every byte, shows here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCounts {
    /// Writes that a later flush has to cover.
    pub writes: u64,
    /// Writes through to the medium (`O_DSYNC`, `O_SYNC`).
    pub durable_writes: u64,
    /// Bytes of both.
    pub bytes_written: u64,
    /// Flushes of files.
    pub flushes: u64,
    /// Flushes of directories.
    pub directory_flushes: u64,
}

impl DiskCounts {
    /// What was asked since `earlier`.
    #[must_use]
    pub fn since(self, earlier: DiskCounts) -> DiskCounts {
        DiskCounts {
            writes: self.writes - earlier.writes,
            durable_writes: self.durable_writes - earlier.durable_writes,
            bytes_written: self.bytes_written - earlier.bytes_written,
            flushes: self.flushes - earlier.flushes,
            directory_flushes: self.directory_flushes - earlier.directory_flushes,
        }
    }
}

/// Permissions and owner of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) mode: u16,
    pub(super) user: u32,
    pub(super) group: u32,
}

#[derive(Debug)]
struct Node {
    owner: Owner,
    /// `None`: a directory.
    content: Option<Content>,
    open_count: u32,
}

/// What a caller may know of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes {
    pub(super) node: NodeNumber,
    pub(super) owner: Owner,
    pub(super) is_directory: bool,
    pub(super) bytes: u64,
}

/// A file system that forgets at a cut what was not flushed.
#[derive(Debug)]
pub(super) struct Disk {
    backing: PathBuf,
    nodes: BTreeMap<NodeNumber, Node>,
    names: Names,
    next_node: NodeNumber,
    pub(super) counts: DiskCounts,
}

impl Disk {
    /// An empty file system over `backing`, an existing empty folder.
    pub(super) fn new(backing: &Path) -> Disk {
        let owner = Owner { mode: 0o755, user: 0, group: 0 };
        let root = Node { owner, content: None, open_count: 0 };
        Disk {
            backing: backing.to_owned(),
            nodes: BTreeMap::from([(ROOT, root)]),
            names: Names::new(),
            next_node: ROOT + 1,
            counts: DiskCounts::default(),
        }
    }

    pub(super) fn attributes(&self, node: NodeNumber) -> io::Result<Attributes> {
        let found = self.nodes.get(&node).ok_or_else(not_found)?;
        Ok(Attributes {
            node,
            owner: found.owner,
            is_directory: found.content.is_none(),
            bytes: found.content.as_ref().map_or(0, Content::bytes),
        })
    }

    pub(super) fn set_owner(&mut self, node: NodeNumber, owner: Owner) -> io::Result<()> {
        self.nodes.get_mut(&node).ok_or_else(not_found)?.owner = owner;
        Ok(())
    }

    pub(super) fn lookup(&self, directory: NodeNumber, name: &OsStr) -> io::Result<Attributes> {
        self.attributes(self.names.lookup(directory, name).ok_or_else(not_found)?)
    }

    /// Names and attributes, sorted by name.
    pub(super) fn list(&self, directory: NodeNumber) -> io::Result<Vec<(OsString, Attributes)>> {
        let entries = self.names.entries(directory).ok_or_else(not_found)?;
        entries.iter().map(|(name, node)| Ok((name.clone(), self.attributes(*node)?))).collect()
    }

    pub(super) fn create_file(
        &mut self,
        directory: NodeNumber,
        name: &OsStr,
        owner: Owner,
    ) -> io::Result<Attributes> {
        self.must_be_free(directory, name)?;
        let node = self.take_number();
        let mut options = fs::OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).open(self.backing_of(node))?;
        let content = Some(Content::new(file));
        self.nodes.insert(node, Node { owner, content, open_count: 0 });
        self.names.create(directory, name, node);
        self.attributes(node)
    }

    pub(super) fn create_directory(
        &mut self,
        directory: NodeNumber,
        name: &OsStr,
        owner: Owner,
    ) -> io::Result<Attributes> {
        self.must_be_free(directory, name)?;
        let node = self.take_number();
        self.nodes.insert(node, Node { owner, content: None, open_count: 0 });
        self.names.create_directory(directory, name, node);
        self.attributes(node)
    }

    fn must_be_free(&self, directory: NodeNumber, name: &OsStr) -> io::Result<()> {
        if !self.names.is_directory(directory) {
            return Err(not_found());
        }
        match self.names.lookup(directory, name) {
            Some(_) => Err(errno(libc::EEXIST)),
            None => Ok(()),
        }
    }

    fn take_number(&mut self) -> NodeNumber {
        self.next_node += 1;
        self.next_node - 1
    }

    fn backing_of(&self, node: NodeNumber) -> PathBuf {
        self.backing.join(format!("{node}"))
    }

    pub(super) fn remove_file(&mut self, directory: NodeNumber, name: &OsStr) -> io::Result<()> {
        let found = self.lookup(directory, name)?;
        if found.is_directory {
            return Err(errno(libc::EISDIR));
        }
        self.names.remove(directory, name);
        self.collect(found.node)
    }

    pub(super) fn remove_directory(
        &mut self,
        directory: NodeNumber,
        name: &OsStr,
    ) -> io::Result<()> {
        let found = self.lookup(directory, name)?;
        let entries = self.names.entries(found.node).ok_or_else(|| errno(libc::ENOTDIR))?;
        if !entries.is_empty() {
            return Err(errno(libc::ENOTEMPTY));
        }
        self.names.remove(directory, name);
        Ok(())
    }

    pub(super) fn rename(
        &mut self,
        from: (NodeNumber, &OsStr),
        to: (NodeNumber, &OsStr),
        replace: bool,
    ) -> io::Result<()> {
        let moved = self.lookup(from.0, from.1)?;
        if !self.names.is_directory(to.0) {
            return Err(not_found());
        }
        let replaced = self.names.lookup(to.0, to.1);
        match replaced {
            None => {}
            Some(_) if !replace => return Err(errno(libc::EEXIST)),
            Some(node) if node == moved.node => return Ok(()),
            Some(node) => match (moved.is_directory, self.names.entries(node)) {
                (true, None) => return Err(errno(libc::ENOTDIR)),
                (false, Some(_)) => return Err(errno(libc::EISDIR)),
                (true, Some(entries)) if !entries.is_empty() => {
                    return Err(errno(libc::ENOTEMPTY));
                }
                _ => {}
            },
        }
        self.names.rename(from, to);
        replaced.map_or(Ok(()), |node| self.collect(node))
    }

    pub(super) fn exchange(
        &mut self,
        one: (NodeNumber, &OsStr),
        two: (NodeNumber, &OsStr),
    ) -> io::Result<()> {
        self.lookup(one.0, one.1)?;
        self.lookup(two.0, two.1)?;
        self.names.exchange(one, two);
        Ok(())
    }

    pub(super) fn open(&mut self, node: NodeNumber) -> io::Result<()> {
        self.nodes.get_mut(&node).ok_or_else(not_found)?.open_count += 1;
        Ok(())
    }

    pub(super) fn release(&mut self, node: NodeNumber) -> io::Result<()> {
        if let Some(found) = self.nodes.get_mut(&node) {
            found.open_count = found.open_count.saturating_sub(1); // a cut sets it to 0
        }
        self.collect(node)
    }

    /// Frees a file that no name and no handle can reach again.
    fn collect(&mut self, node: NodeNumber) -> io::Result<()> {
        let is_free = |node: &Node| node.open_count == 0 && node.content.is_some();
        if self.nodes.get(&node).is_some_and(is_free) && !self.names.may_return(node) {
            self.nodes.remove(&node);
            fs::remove_file(self.backing_of(node))?;
        }
        Ok(())
    }

    fn content(&mut self, node: NodeNumber) -> io::Result<&mut Content> {
        let found = self.nodes.get_mut(&node).ok_or_else(not_found)?;
        found.content.as_mut().ok_or_else(|| errno(libc::EISDIR))
    }

    pub(super) fn read(
        &mut self,
        node: NodeNumber,
        position: u64,
        count: u64,
    ) -> io::Result<Vec<u8>> {
        self.content(node)?.read(position, count)
    }

    pub(super) fn write(
        &mut self,
        node: NodeNumber,
        position: u64,
        data: Vec<u8>,
    ) -> io::Result<()> {
        self.counts.writes += 1;
        self.counts.bytes_written += data.len() as u64;
        self.content(node)?.write(position, data)
    }

    /// A durable write that has not come through yet: it counts when it has.
    pub(super) fn begin_durable(
        &mut self,
        node: NodeNumber,
        position: u64,
        data: Vec<u8>,
    ) -> io::Result<()> {
        self.content(node)?.write(position, data)
    }

    pub(super) fn write_durable(
        &mut self,
        node: NodeNumber,
        position: u64,
        data: &[u8],
    ) -> io::Result<()> {
        self.counts.durable_writes += 1;
        self.counts.bytes_written += data.len() as u64;
        self.content(node)?.write_durable(position, data)
    }

    pub(super) fn resize(&mut self, node: NodeNumber, bytes: u64) -> io::Result<()> {
        self.content(node)?.resize(bytes);
        Ok(())
    }

    /// What a flush of the file that is issued now has to cover.
    pub(super) fn flush_bound(&mut self, node: NodeNumber) -> io::Result<u64> {
        Ok(self.content(node)?.next_number())
    }

    /// Makes durable what was below the bound when the flush was issued.
    pub(super) fn flush_file(&mut self, node: NodeNumber, bound: u64) -> io::Result<()> {
        self.counts.flushes += 1;
        self.content(node)?.flush(bound)
    }

    pub(super) fn flush_directory(&mut self, directory: NodeNumber) -> io::Result<()> {
        self.counts.directory_flushes += 1;
        self.names.flush(directory);
        let nodes: Vec<NodeNumber> = self.nodes.keys().copied().collect();
        nodes.into_iter().try_for_each(|node| self.collect(node))
    }

    /// Changes that no flush has covered: of files, and of names.
    pub(super) fn pending_counts(&self) -> (usize, usize) {
        let contents = self.nodes.values().filter_map(|node| node.content.as_ref());
        (contents.map(Content::pending_count).sum(), self.names.pending_count())
    }

    /// The power goes and comes back: what was not flushed is kept, dropped or torn.
    pub(super) fn cut(&mut self, seed: u64) -> io::Result<CutCounts> {
        let mut cut = Cut::new(seed);
        for node in self.nodes.values_mut() {
            if let Some(content) = &mut node.content {
                content.cut(&mut cut)?;
            }
            node.open_count = 0;
        }
        self.names.cut(&mut cut);
        let reachable = self.names.reachable();
        let lost: Vec<NodeNumber> =
            self.nodes.keys().filter(|node| !reachable.contains(node)).copied().collect();
        for node in lost {
            let gone = self.nodes.remove(&node).expect("it was listed just now");
            if gone.content.is_some() {
                fs::remove_file(self.backing_of(node))?;
            }
        }
        Ok(cut.counts)
    }
}

/// An error with the number that the kernel is to return.
pub(super) fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

fn not_found() -> io::Error {
    errno(libc::ENOENT)
}
