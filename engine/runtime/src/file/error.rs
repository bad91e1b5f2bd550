//! What went wrong with which file, in a form to act on and in a sentence to print.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Opening a file.
    Open,
    /// Creating a file and allocating its blocks.
    Create,
    /// A write.
    Write,
    /// A read.
    Read,
    /// A flush (fdatasync).
    Flush,
    /// Creating a directory and its parents.
    CreateDirectory,
    /// Listing a directory.
    List,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Making a directory's names durable (fsync).
    SyncDirectory,
    /// Looking whether a file exists.
    Exists,
    /// Asking a file system for its free space.
    FreeBytes,
    /// Taking a directory's lock.
    Lock,
}

impl Operation {
    /// The verb, as in "cannot `verb` FILE".
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Create => "create",
            Self::Write => "write",
            Self::Read => "read",
            Self::Flush => "flush",
            Self::CreateDirectory => "create the directory",
            Self::List => "list the directory",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::SyncDirectory => "make durable the names in",
            Self::Exists => "look for",
            Self::FreeBytes => "ask for the free space of",
            Self::Lock => "lock the directory",
        }
    }

    const fn has_position(self) -> bool {
        matches!(self, Self::Write | Self::Read)
    }
}

/// How it went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IoErrorKind {
    /// The system's error number (errno(3)).
    Errno(i32),
    /// Fewer bytes than asked for were written or read.
    Short {
        /// Bytes asked for.
        expected: usize,
        /// Bytes done.
        done: usize,
    },
    /// The file system or the quota is full.
    NoSpace,
    /// There is no such file or directory.
    NotFound,
    /// There is one already.
    AlreadyExists,
    /// Another process holds the lock.
    Locked,
}

impl IoErrorKind {
    /// The kind that stands for an error number.
    pub const fn of_errno(errno: i32) -> Self {
        match errno {
            libc::ENOSPC | libc::EDQUOT => Self::NoSpace,
            libc::ENOENT => Self::NotFound,
            libc::EEXIST => Self::AlreadyExists,
            errno => Self::Errno(errno),
        }
    }
}

/// A failed operation on a file or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IoError {
    /// What was being done.
    pub operation: Operation,
    /// To which file or directory.
    pub path: PathBuf,
    /// Where in the file; 0 for operations on the whole of it.
    pub position: u64,
    /// How it failed.
    pub kind: IoErrorKind,
}

impl IoError {
    /// A failure at a position of a file.
    pub fn new(operation: Operation, path: &Path, position: u64, kind: IoErrorKind) -> Self {
        Self { operation, path: path.to_path_buf(), position, kind }
    }

    /// A failure that the system has given a number to.
    pub(crate) fn of_errno(operation: Operation, path: &Path, position: u64, errno: i32) -> Self {
        Self::new(operation, path, position, IoErrorKind::of_errno(errno))
    }

    /// A failure of a standard library's call.
    pub(crate) fn of_io(operation: Operation, path: &Path, error: &io::Error) -> Self {
        // Errors that the library makes up itself (a path with a NUL byte) have no number.
        Self::of_errno(operation, path, 0, error.raw_os_error().unwrap_or(libc::EINVAL))
    }
}

impl fmt::Display for IoError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cannot {} {}", self.operation.verb(), self.path.display())?;
        if self.operation.has_position() {
            write!(formatter, " at byte {}", self.position)?;
        }
        match self.kind {
            IoErrorKind::Errno(errno) => {
                write!(formatter, ": {}", io::Error::from_raw_os_error(errno))
            }
            IoErrorKind::Short { expected, done } => {
                write!(formatter, ": only {done} of {expected} bytes were done")
            }
            IoErrorKind::NoSpace => formatter
                .write_str(": the file system or the quota is full; free some space and try again"),
            IoErrorKind::NotFound => formatter.write_str(": it does not exist"),
            IoErrorKind::AlreadyExists => formatter.write_str(": it exists already"),
            IoErrorKind::Locked => formatter
                .write_str(": another process uses it; stop that one or choose another directory"),
        }
    }
}

impl std::error::Error for IoError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(operation: Operation, kind: IoErrorKind, expected: &str) {
        let error = IoError::new(operation, Path::new("/data/0.log"), 8192, kind);
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn sentences_name_the_file_and_the_place() {
        check(
            Operation::Write,
            IoErrorKind::Short { expected: 8192, done: 4096 },
            "cannot write /data/0.log at byte 8192: only 4096 of 8192 bytes were done",
        );
        check(
            Operation::Flush,
            IoErrorKind::of_errno(libc::EIO),
            "cannot flush /data/0.log: Input/output error (os error 5)",
        );
        check(
            Operation::Create,
            IoErrorKind::of_errno(libc::EDQUOT),
            "cannot create /data/0.log: the file system or the quota is full; free some space and \
             try again",
        );
        check(
            Operation::Open,
            IoErrorKind::of_errno(libc::ENOENT),
            "cannot open /data/0.log: it does not exist",
        );
    }
}
