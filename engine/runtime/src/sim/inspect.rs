//! A test's own hands on the simulated disk: no latency, no faults, no need of a run.
//!
//! What these change counts as done by the medium, not by a program: it is durable at once.

use std::path::Path;

use super::content::PAGE_BYTES;
use super::disk::Disk;

impl Disk {
    /// All bytes of a file as a reader sees them now.
    ///
    /// # Panics
    /// When there is no such file, as all functions here.
    #[must_use]
    pub fn read_raw(&self, path: &Path) -> Vec<u8> {
        self.with(|state| {
            let node = state.tree.find_file(path);
            let node = node.unwrap_or_else(|kind| panic!("{}: {kind:?}", path.display()));
            state.tree.file(node).content.read_all()
        })
    }

    /// Overwrites bytes of a file, durably, whatever state they were in.
    ///
    /// # Panics
    /// When there is no such file, or it ends before.
    pub fn write_raw(&self, path: &Path, position: u64, bytes: &[u8]) {
        self.change_raw(path, position, bytes.len(), |from, part| {
            part.copy_from_slice(&bytes[from..from + part.len()]);
        });
    }

    /// Inverts one byte of a file, as bit rot would.
    ///
    /// # Panics
    /// When there is no such file, or it ends before.
    pub fn flip_byte(&self, path: &Path, position: u64) {
        self.change_raw(path, position, 1, |_, part| part[0] = !part[0]);
    }

    fn change_raw(
        &self,
        path: &Path,
        position: u64,
        bytes: usize,
        change: impl Fn(usize, &mut [u8]),
    ) {
        self.with(|state| {
            let node = state.tree.find_file(path);
            let node = node.unwrap_or_else(|kind| panic!("{}: {kind:?}", path.display()));
            state.tree.file(node).content.change(position, bytes, change);
        });
    }

    /// Names and bytes of what a directory holds, sorted; a directory within has 0 bytes. Empty
    /// where there is no such directory.
    #[must_use]
    pub fn list_raw(&self, directory: &Path) -> Vec<(String, u64)> {
        let entries = self.with(|state| state.tree.list(directory));
        // A power cut can take the whole directory, which is no surprise to a test.
        let entries = entries.unwrap_or_default().into_iter();
        entries.map(|(name, bytes)| (name.to_string_lossy().into_owned(), bytes)).collect()
    }

    /// Bytes of all files, allocated but unwritten parts and removed but open files included.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.with(|state| state.tree.allocated_bytes())
    }

    /// Puts a durable file there, with durable directories above it: a test's starting point.
    ///
    /// # Panics
    /// When there is a file of that name, or the length is no multiple of 4096.
    pub fn create_raw(&self, path: &Path, bytes: &[u8]) {
        assert!(bytes.len().is_multiple_of(PAGE_BYTES));
        self.with(|state| {
            let made = path.parent().map_or(Ok(()), |above| state.tree.create_directories(above));
            let made = made.and_then(|()| state.tree.create_file(path, bytes.len() as u64));
            let node = made.unwrap_or_else(|kind| panic!("{}: {kind:?}", path.display()));
            let content = &mut state.tree.file(node).content;
            content.change(0, bytes.len(), |from, part| {
                part.copy_from_slice(&bytes[from..from + part.len()]);
            });
            content.make_durable(content.credit());
            state.tree.sync_above(path);
        });
    }
}
