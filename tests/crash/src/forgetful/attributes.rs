//! What the kernel is told of a file or folder, and what it says of a new one.

use super::disk::{Attributes, Owner};
use fuser::{FileAttr, FileType, INodeNo, Request};
use std::time::UNIX_EPOCH;

pub(super) fn owner_of(request: &Request, mode: u32) -> Owner {
    Owner { mode: permissions(mode), user: request.uid(), group: request.gid() }
}

pub(super) fn permissions(mode: u32) -> u16 {
    u16::try_from(mode & 0o7777).expect("twelve bits")
}

pub(super) fn kind_of(found: Attributes) -> FileType {
    if found.is_directory { FileType::Directory } else { FileType::RegularFile }
}

pub(super) fn attributes_of(found: Attributes) -> FileAttr {
    FileAttr {
        ino: INodeNo(found.node),
        size: found.bytes,
        blocks: found.bytes.div_ceil(super::SECTOR_BYTES as u64),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: kind_of(found),
        perm: found.owner.mode,
        nlink: if found.is_directory { 2 } else { 1 },
        uid: found.owner.user,
        gid: found.owner.group,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}
