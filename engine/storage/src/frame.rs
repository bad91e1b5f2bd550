//! A frame's bytes: header, directory and payload, to values and back. See FORMAT.md for the layout.
//!
//! Pure: it never reads a file or a clock, and never trusts a field before its checksum.

use crate::bytes::{Bytes, read_u16, read_u32, read_u64, write_u16, write_u32, write_u64};
use crate::catalog::SegmentEntry;
use crate::shard::ShardKey;
use xxhash_rust::xxh3::xxh3_64;

/// Frames start on this boundary and are padded to it, bytes.
pub const BLOCK_BYTES: usize = 4096;
/// The fixed part before the directory, bytes.
pub const HEADER_BYTES: usize = 128;
/// One shard's entry in the directory, bytes.
pub const DIRECTORY_ENTRY_BYTES: usize = 24;
/// The largest frame: a record of 10 MiB with its key, its directory and room to spare, bytes.
pub const FRAME_BYTES_MAX: usize = 12 << 20;

const MAGIC: u64 = u64::from_le_bytes(*b"GYREFRM1");
const VERSION: u8 = 1;
const CHECKSUMMED_FROM: usize = 16;

const _: () = assert!(FRAME_BYTES_MAX.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(HEADER_BYTES < BLOCK_BYTES);

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// Records as they arrived; chained.
    Records = 1,
    /// A witness that the frame before was acknowledged; chained.
    Mark = 2,
    /// The first frame of a life; chained.
    Seal = 3,
    /// Mutations of the catalog; chained within its file.
    Catalog = 4,
    /// Records of a rewritten segment; not chained.
    Clustered = 5,
}

impl FrameKind {
    fn from_byte(byte: u8) -> Option<FrameKind> {
        Some(match byte {
            1 => FrameKind::Records,
            2 => FrameKind::Mark,
            3 => FrameKind::Seal,
            4 => FrameKind::Catalog,
            5 => FrameKind::Clustered,
            _ => return None,
        })
    }
}

/// The header's fields, without the checksums that are computed when it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the frame is for.
    pub kind: FrameKind,
    /// Header checksum of the frame before in this log, 0 for the first.
    pub previous: u64,
    /// Ordinal over the life of the log.
    pub number: u64,
    /// Frames of the log that were durable when this one was sealed: all with a number below.
    pub durable_frames: u64,
    /// Segment that the frame was written to.
    pub segment: u64,
    /// Least arrival time of its records, Unix ms.
    pub base_ms: u64,
    /// How often the log had been opened.
    pub life: u32,
    /// Generation of the file.
    pub generation: u32,
    /// Log that the frame belongs to.
    pub log: u16,
    /// Entries in the directory.
    pub directory_count: u32,
    /// Bytes behind the directory.
    pub payload_bytes: u32,
    /// Records in the payload.
    pub record_count: u32,
}

/// One shard's part of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Whose records these are.
    pub key: ShardKey,
    /// Index of the first.
    pub first_index: u64,
    /// How many, at least one.
    pub count: u32,
    /// How many bytes of the payload, at least one record header.
    pub bytes: u32,
}

impl FrameHeader {
    /// Bytes of header, directory and payload, without padding.
    pub fn content_bytes(&self) -> usize {
        self.payload_start() + self.payload_bytes as usize
    }

    /// Bytes that the frame takes on disk: its content, rounded up to a block.
    pub fn frame_bytes(&self) -> usize {
        self.content_bytes().next_multiple_of(BLOCK_BYTES)
    }

    /// Whether this is a frame of the segment that the manifest says a file holds, and not of
    /// another use of it. An earlier life may have abandoned it all the same: whoever has no chain
    /// to go by must see to it that lives do not fall from frame to frame.
    pub fn is_of(&self, entry: &SegmentEntry) -> bool {
        let is_of_kind = match self.kind {
            FrameKind::Records | FrameKind::Mark | FrameKind::Seal => !entry.clustered,
            FrameKind::Clustered => entry.clustered,
            FrameKind::Catalog => false,
        };
        is_of_kind
            && self.log == entry.log
            && self.segment == entry.first
            && self.generation == entry.generation
    }

    /// Where the payload starts, bytes from the frame's start.
    pub fn payload_start(&self) -> usize {
        HEADER_BYTES + self.directory_count as usize * DIRECTORY_ENTRY_BYTES
    }
}

/// Writes the header of a frame whose directory and payload stand in `frame` already, and returns
/// the header checksum, which the next frame's `previous` must carry.
///
/// `frame` is the whole frame with its padding, which must be zero already.
pub fn seal(frame: &mut [u8], header: &FrameHeader) -> u64 {
    assert_eq!(frame.len(), header.frame_bytes());
    let payload_start = header.payload_start();
    let payload_checksum = xxh3_64(&frame[payload_start..header.content_bytes()]);
    let directory_checksum = xxh3_64(&frame[HEADER_BYTES..payload_start]);
    write_u64(frame, 0, MAGIC);
    write_u64(frame, 16, payload_checksum);
    write_u64(frame, 24, header.previous);
    write_u64(frame, 32, header.number);
    write_u64(frame, 40, header.durable_frames);
    write_u64(frame, 48, header.segment);
    write_u64(frame, 56, header.base_ms);
    write_u32(frame, 64, header.life);
    write_u32(frame, 68, header.generation);
    write_u16(frame, 72, header.log);
    frame[74] = header.kind as u8;
    frame[75] = VERSION;
    write_u32(frame, 76, header.directory_count);
    write_u32(frame, 80, header.payload_bytes);
    write_u32(frame, 84, header.record_count);
    write_u64(frame, 88, directory_checksum);
    frame[96..HEADER_BYTES].fill(0);
    let checksum = xxh3_64(&frame[CHECKSUMMED_FROM..HEADER_BYTES]);
    write_u64(frame, 8, checksum);
    checksum
}

/// Writes entry `ordinal` of the directory.
pub fn write_directory_entry(frame: &mut [u8], ordinal: usize, entry: &DirectoryEntry) {
    debug_assert!(entry.count > 0);
    let at = HEADER_BYTES + ordinal * DIRECTORY_ENTRY_BYTES;
    let slot = &mut frame[at..at + DIRECTORY_ENTRY_BYTES];
    write_u64(slot, 0, entry.key.0);
    write_u64(slot, 8, entry.first_index);
    write_u32(slot, 16, entry.count);
    write_u32(slot, 20, entry.bytes);
}

/// Why bytes are not a whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// No frame starts here: the magic or the header checksum is wrong.
    Header,
    /// The header is right; the directory's checksum is not, or its sums are not the header's.
    Directory,
    /// Header and directory are right, the payload's checksum is not.
    Payload,
    /// The header is right, but the bytes end before the frame does.
    Cut {
        /// Bytes that the whole frame takes.
        needed: usize,
    },
}

/// A header whose checksum is right, with that checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedHeader {
    /// The fields.
    pub header: FrameHeader,
    /// The header checksum, for the chain.
    pub checksum: u64,
}

/// Reads the header at the start of `bytes`, if its checksum is right.
pub fn decode_header(bytes: &[u8]) -> Option<CheckedHeader> {
    if bytes.len() < HEADER_BYTES || read_u64(bytes, 0) != MAGIC {
        return None;
    }
    let checksum = xxh3_64(&bytes[CHECKSUMMED_FROM..HEADER_BYTES]);
    if checksum != read_u64(bytes, 8) || bytes[75] != VERSION {
        return None;
    }
    let header = FrameHeader {
        kind: FrameKind::from_byte(bytes[74])?,
        previous: read_u64(bytes, 24),
        number: read_u64(bytes, 32),
        durable_frames: read_u64(bytes, 40),
        segment: read_u64(bytes, 48),
        base_ms: read_u64(bytes, 56),
        life: read_u32(bytes, 64),
        generation: read_u32(bytes, 68),
        log: read_u16(bytes, 72),
        directory_count: read_u32(bytes, 76),
        payload_bytes: read_u32(bytes, 80),
        record_count: read_u32(bytes, 84),
    };
    let fits = u64::from(header.directory_count) * DIRECTORY_ENTRY_BYTES as u64
        + u64::from(header.payload_bytes)
        <= (FRAME_BYTES_MAX - HEADER_BYTES) as u64;
    fits.then_some(CheckedHeader { header, checksum })
}

/// Checks all three checksums of the frame at the start of `bytes`.
///
/// # Errors
/// The first defect, in the order header, cut, directory, payload.
pub fn decode(bytes: &[u8]) -> Result<CheckedHeader, Defect> {
    let checked = decode_header(bytes).ok_or(Defect::Header)?;
    let header = &checked.header;
    if bytes.len() < header.frame_bytes() {
        return Err(Defect::Cut { needed: header.frame_bytes() });
    }
    if !directory_is_right(bytes, header) {
        return Err(Defect::Directory);
    }
    let payload = &bytes[header.payload_start()..header.content_bytes()];
    if xxh3_64(payload) != read_u64(bytes, 16) {
        return Err(Defect::Payload);
    }
    Ok(checked)
}

/// Whether the directory of a frame with a right header has its checksum and adds up to the header's
/// records and payload: parts can be taken by it without another look.
pub fn directory_is_right(bytes: &[u8], header: &FrameHeader) -> bool {
    let directory = &bytes[HEADER_BYTES..header.payload_start()];
    xxh3_64(directory) == read_u64(bytes, 88) && adds_up(directory, header)
}

fn adds_up(directory: &[u8], header: &FrameHeader) -> bool {
    let (mut records, mut part_bytes) = (0_u64, 0_u64);
    for entry in directory.chunks_exact(DIRECTORY_ENTRY_BYTES).map(decode_entry) {
        records += u64::from(entry.count);
        part_bytes += u64::from(entry.bytes);
    }
    records == u64::from(header.record_count) && part_bytes == u64::from(header.payload_bytes)
}

/// The entries of a directory that was found right, each with the start of its part in the payload.
pub fn directory<'a>(
    frame: &'a [u8],
    header: &FrameHeader,
) -> impl Iterator<Item = (DirectoryEntry, usize)> + use<'a> {
    let entries = &frame[HEADER_BYTES..header.payload_start()];
    let mut start = header.payload_start();
    entries.chunks_exact(DIRECTORY_ENTRY_BYTES).map(move |entry| {
        let entry = decode_entry(entry);
        let part_start = start;
        start += entry.bytes as usize;
        (entry, part_start)
    })
}

fn decode_entry(bytes: Bytes<'_>) -> DirectoryEntry {
    DirectoryEntry {
        key: ShardKey(read_u64(bytes, 0)),
        first_index: read_u64(bytes, 8),
        count: read_u32(bytes, 16),
        bytes: read_u32(bytes, 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<u8>, FrameHeader) {
        let header = FrameHeader {
            kind: FrameKind::Records,
            previous: 7,
            number: 42,
            durable_frames: 40,
            segment: 3,
            base_ms: 1_700_000_000_000,
            life: 2,
            generation: 5,
            log: 1,
            directory_count: 2,
            payload_bytes: 40,
            record_count: 2,
        };
        let mut frame = vec![0; header.frame_bytes()];
        let entry = |key, first_index| DirectoryEntry {
            key: ShardKey(key),
            first_index,
            count: 1,
            bytes: 20,
        };
        write_directory_entry(&mut frame, 0, &entry(9, 100));
        write_directory_entry(&mut frame, 1, &entry(4, 0));
        let start = header.payload_start();
        frame[start..start + 40].fill(0xab);
        seal(&mut frame, &header);
        (frame, header)
    }

    #[test]
    fn what_is_sealed_is_decoded() {
        let (frame, header) = sample();
        assert_eq!(decode(&frame).unwrap().header, header);
        let parts: Vec<_> = directory(&frame, &header).collect();
        assert_eq!(parts.len(), 2);
        assert_eq!((parts[0].0.key, parts[0].1), (ShardKey(9), header.payload_start()));
        assert_eq!((parts[1].0.key, parts[1].1), (ShardKey(4), header.payload_start() + 20));
    }

    #[test]
    fn every_flipped_byte_of_the_content_is_a_defect_of_its_place() {
        let (frame, header) = sample();
        for at in 0..header.content_bytes() {
            let mut damaged = frame.clone();
            damaged[at] ^= 0x10;
            // The checksums of directory and payload stand in the header and are covered by it.
            let expected = match at {
                0..HEADER_BYTES => Defect::Header,
                _ if at < header.payload_start() => Defect::Directory,
                _ => Defect::Payload,
            };
            assert_eq!(decode(&damaged), Err(expected), "byte {at}");
        }
    }

    #[test]
    fn a_directory_that_does_not_add_up_is_a_defect_whatever_its_checksum() {
        let (frame, header) = sample();
        let check = |count: u32, bytes: u32, expected: Result<(), Defect>| {
            let mut forged = frame.clone();
            let entry = DirectoryEntry { key: ShardKey(9), first_index: 100, count, bytes };
            write_directory_entry(&mut forged, 0, &entry);
            seal(&mut forged, &header);
            assert_eq!(decode(&forged).map(drop), expected, "{count} records, {bytes} bytes");
        };
        check(1, 20, Ok(()));
        check(2, 20, Err(Defect::Directory));
        check(1, 21, Err(Defect::Directory));
        check(1, u32::MAX, Err(Defect::Directory));
        check(1, 0_u32.wrapping_sub(20), Err(Defect::Directory));
    }

    #[test]
    fn any_bytes_and_any_cut_are_refused_without_a_panic() {
        let (frame, header) = sample();
        for bytes in 0..frame.len() {
            let defect = decode(&frame[..bytes]).unwrap_err();
            let needed = header.frame_bytes();
            let expected =
                if bytes < HEADER_BYTES { Defect::Header } else { Defect::Cut { needed } };
            assert_eq!(defect, expected);
        }
        assert_eq!(decode(&[0xff; 8192]), Err(Defect::Header));
    }
}
