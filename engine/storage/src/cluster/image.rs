//! The live records of a run of segments in memory, in the order in which they are to be written.
//!
//! Serves readers until the clustered file takes its place, and gives the bytes of that file.

use xxhash_rust::xxh3::xxh3_64;

use super::FRAME_BYTES_TARGET;
use super::gathering::{Hole, Piece, Place};
use crate::bytes::{read_u16, read_u32, write_u32};
use crate::frame::{
    self, DIRECTORY_ENTRY_BYTES, DirectoryEntry, FrameHeader, FrameKind, HEADER_BYTES,
};
use crate::record::encoded_bytes;
use crate::shard::ShardKey;
use crate::table::{Posting, Row, tail_bytes};

/// A part of a shard, borrowed from the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImagePart<'a> {
    /// Index of the first record.
    pub first_index: u64,
    /// Records.
    pub count: u32,
    /// Base of the arrival times, Unix ms.
    pub base_ms: u64,
    /// The records.
    pub bytes: &'a [u8],
}

impl ImagePart<'_> {
    /// Index behind the last record.
    pub fn end_index(&self) -> u64 {
        self.first_index + u64::from(self.count)
    }
}

/// One frame to come: a range of the pieces.
#[derive(Clone, Copy, Debug)]
struct Cut {
    from: usize,
    to: usize,
    base_ms: u64,
    position: u32,
    content_bytes: usize,
}

/// What does not stand in the records: who writes the frames.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// First segment that the file will cover.
    pub segment: u64,
    /// Generation of the file.
    pub generation: u32,
    /// Log.
    pub log: u16,
    /// Life of the log.
    pub life: u32,
    /// Frames that stand before those of the image.
    pub frames_before: u64,
    /// Where those of the image begin, bytes.
    pub position: u32,
}

/// See the file's head.
pub struct Image {
    places: Vec<Place>,
    by_key: Vec<(ShardKey, u32)>,
    pieces: Vec<Piece>,
    arena: Vec<u8>,
    rows: Vec<Row>,
    holes: Vec<Hole>,
    cuts: Vec<Cut>,
    frames_end: u64,
}

impl Image {
    pub(super) fn new(
        places: Vec<Place>,
        by_key: Vec<(ShardKey, u32)>,
        pieces: Vec<Piece>,
        arena: Vec<u8>,
        rows: Vec<Row>,
        holes: Vec<Hole>,
    ) -> Image {
        let (cuts, frames_end) = cut(&pieces);
        Image { places, by_key, pieces, arena, rows, holes, cuts, frames_end }
    }

    /// What is missing. An image with holes must not be written.
    pub fn holes(&self) -> &[Hole] {
        &self.holes
    }

    /// Bytes of the file that holds the image: frames and table.
    pub fn file_bytes(&self) -> u64 {
        self.frames_end + tail_bytes(self.rows.len(), self.pieces.len())
    }

    /// First byte behind the last frame.
    pub fn frames_end(&self) -> u64 {
        self.frames_end
    }

    /// The rows of the table behind its last segment.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Postings that all its frames give.
    pub fn piece_count(&self) -> usize {
        self.pieces.len()
    }

    /// Frames that `encode_frame` gives.
    pub fn frame_count(&self) -> usize {
        self.cuts.len()
    }

    /// The memory of the arena, to be used again.
    pub fn into_arena(self) -> Vec<u8> {
        self.arena
    }

    fn pieces_of(&self, key: ShardKey) -> &[Piece] {
        let Ok(at) = self.by_key.binary_search_by_key(&key, |(key, _)| *key) else { return &[] };
        let ordinal = self.by_key[at].1;
        let from = self.pieces.partition_point(|piece| piece.place < ordinal);
        let to = self.pieces.partition_point(|piece| piece.place <= ordinal);
        &self.pieces[from..to]
    }

    /// The parts of a shard from the one that holds record `from` on, or the first behind it.
    pub fn parts(&self, key: ShardKey, from: u64) -> impl Iterator<Item = ImagePart<'_>> {
        let pieces = self.pieces_of(key);
        let first = pieces.partition_point(|piece| piece.end_index() <= from);
        pieces[first..].iter().map(|piece| ImagePart {
            first_index: piece.first_index,
            count: piece.count,
            base_ms: piece.base_ms,
            bytes: &self.arena[piece.start..piece.start + piece.bytes],
        })
    }

    /// The indices of a shard that the image should hold: first, and behind the last.
    pub fn range(&self, key: ShardKey) -> Option<(u64, u64)> {
        let at = self.by_key.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        let place = &self.places[self.by_key[at].1 as usize];
        Some((place.first_index, place.end_index))
    }

    /// Where frame `ordinal` stands in the file and its bytes, padding included.
    pub fn frame_place(&self, ordinal: usize) -> (u64, usize) {
        let cut = &self.cuts[ordinal];
        (u64::from(cut.position), cut.content_bytes.next_multiple_of(frame::BLOCK_BYTES))
    }

    /// Writes frame `ordinal` to all of `out`, and adds the postings of its parts.
    pub fn encode_frame(
        &self,
        ordinal: usize,
        written: &Written,
        out: &mut [u8],
        postings: &mut Vec<Posting>,
    ) {
        let cut = &self.cuts[ordinal];
        let pieces = &self.pieces[cut.from..cut.to];
        assert_eq!(postings.len(), cut.from, "frames are encoded in order");
        let header = self.header(ordinal, cut, written);
        assert_eq!(out.len(), header.frame_bytes());
        let mut start = header.payload_start();
        for (at, piece) in pieces.iter().enumerate() {
            let entry = DirectoryEntry {
                key: self.places[piece.place as usize].key,
                first_index: piece.first_index,
                count: piece.count,
                bytes: piece.bytes as u32,
            };
            frame::write_directory_entry(out, at, &entry);
            let part = &mut out[start..start + piece.bytes];
            part.copy_from_slice(&self.arena[piece.start..piece.start + piece.bytes]);
            shift_arrivals(part, piece.base_ms - cut.base_ms);
            postings.push(Posting {
                position: written.position + cut.position + start as u32,
                bytes: entry.bytes,
                first_index: piece.first_index,
                count: piece.count,
                base_ms: cut.base_ms,
                checksum: xxh3_64(part),
            });
            start += piece.bytes;
        }
        assert_eq!(start, header.content_bytes());
        out[start..].fill(0);
        frame::seal(out, &header);
    }

    fn header(&self, ordinal: usize, cut: &Cut, written: &Written) -> FrameHeader {
        let pieces = &self.pieces[cut.from..cut.to];
        let payload_bytes: usize = pieces.iter().map(|piece| piece.bytes).sum();
        FrameHeader {
            kind: FrameKind::Clustered,
            previous: 0,
            number: written.frames_before + ordinal as u64,
            durable_frames: 0,
            segment: written.segment,
            base_ms: cut.base_ms,
            life: written.life,
            generation: written.generation,
            log: written.log,
            directory_count: pieces.len() as u32,
            payload_bytes: u32::try_from(payload_bytes).expect("a frame has < 2^32 bytes"),
            record_count: pieces.iter().map(|piece| piece.count).sum(),
        }
    }

    /// Whose the postings are that the frames gave.
    pub fn keyed(&self, postings: Vec<Posting>) -> impl Iterator<Item = (ShardKey, Posting)> {
        assert_eq!(postings.len(), self.pieces.len());
        let keys = self.pieces.iter().map(|piece| self.places[piece.place as usize].key);
        keys.zip(postings)
    }
}

/// The rows and postings of a file's table, from the rows of the segment behind which it ends and
/// the postings of all its frames, those of a shard in index order.
pub fn table_of(rows: &[Row], mut postings: Vec<(ShardKey, Posting)>) -> (Vec<Row>, Vec<Posting>) {
    postings.sort_by_key(|(key, _)| *key);
    let mut rows = rows.to_vec();
    let mut ordered = Vec::with_capacity(postings.len());
    for row in &mut rows {
        let from = postings.partition_point(|(key, _)| *key < row.key);
        let to = postings.partition_point(|(key, _)| *key <= row.key);
        let own = postings[from..to].iter().map(|(_, posting)| *posting);
        row.count = own.clone().map(|posting| posting.count).sum();
        row.bytes = own.clone().map(|posting| posting.bytes).sum();
        row.first_posting = u32::try_from(ordered.len()).expect("a segment has < 2^32 parts");
        row.postings = u32::try_from(own.len()).expect("a segment has < 2^32 parts");
        ordered.extend(own);
    }
    (rows, ordered)
}

impl Piece {
    fn end_index(&self) -> u64 {
        self.first_index + u64::from(self.count)
    }
}

/// Cuts the pieces into frames: one part of a shard in each, and arrival times that fit.
fn cut(pieces: &[Piece]) -> (Vec<Cut>, u64) {
    let mut cuts: Vec<Cut> = Vec::new();
    let mut position = 0_u64;
    let mut from = 0;
    while from < pieces.len() {
        let mut base_ms = pieces[from].base_ms;
        let mut last_ms = pieces[from].last_ms;
        let mut content_bytes = HEADER_BYTES + DIRECTORY_ENTRY_BYTES + pieces[from].bytes;
        let mut to = from + 1;
        while let Some(piece) = pieces.get(to) {
            let next_bytes = content_bytes + DIRECTORY_ENTRY_BYTES + piece.bytes;
            let next_base_ms = base_ms.min(piece.base_ms);
            let next_last_ms = last_ms.max(piece.last_ms);
            let fits = next_bytes <= FRAME_BYTES_TARGET
                && next_last_ms - next_base_ms <= u64::from(u32::MAX)
                && piece.place != pieces[to - 1].place;
            if !fits {
                break;
            }
            (content_bytes, base_ms, last_ms) = (next_bytes, next_base_ms, next_last_ms);
            to += 1;
        }
        let cut_position = u32::try_from(position).expect("a run's live bytes fit a segment");
        cuts.push(Cut { from, to, base_ms, position: cut_position, content_bytes });
        position += content_bytes.next_multiple_of(frame::BLOCK_BYTES) as u64;
        from = to;
    }
    (cuts, position)
}

/// Adds `shift_ms` to the arrival time of every record of a part.
fn shift_arrivals(part: &mut [u8], shift_ms: u64) {
    if shift_ms == 0 {
        return;
    }
    let shift_ms = u32::try_from(shift_ms).expect("a frame's arrival times were cut to fit");
    let mut at = 0;
    while at < part.len() {
        let record = &mut part[at..];
        let delta_ms = read_u32(record, 8) + shift_ms;
        at += encoded_bytes(usize::from(read_u16(record, 4)), read_u32(record, 0) as usize);
        write_u32(record, 8, delta_ms);
    }
}
