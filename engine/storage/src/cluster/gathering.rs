//! Copies the kept parts of frames, as they come, to the places of their shards in one arena.

use super::{Image, Kept, PIECE_BYTES_MAX, Selection};
use crate::bytes::{read_u16, read_u32, write_u32};
use crate::frame::{self, DirectoryEntry, FrameHeader};
use crate::record::{RECORD_HEADER_BYTES, encoded_bytes};
use crate::shard::ShardKey;
use crate::table::{Row, lower_bound};

/// Records that the tables promise and no whole frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Whose.
    pub key: ShardKey,
    /// Index of the first that is missing.
    pub first_index: u64,
    /// Index behind the last that is missing.
    pub end_index: u64,
}

/// One shard's stretch of the arena.
pub(super) struct Place {
    pub key: ShardKey,
    /// Where the next part goes, and where the stretch ends.
    cursor: usize,
    end: usize,
    pub first_index: u64,
    /// Index of the next record that is expected, and behind the last.
    next_index: u64,
    pub end_index: u64,
    /// Its newest piece; `NONE` before the first.
    newest: u32,
}

const NONE: u32 = u32::MAX;

/// Consecutive records of one shard in the arena, with arrival times relative to `base_ms`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Ordinal of its shard's place: the order of the output.
    pub place: u32,
    pub start: usize,
    pub bytes: usize,
    pub first_index: u64,
    pub count: u32,
    pub base_ms: u64,
    pub last_ms: u64,
}

/// An image in the making.
pub struct Gathering {
    places: Vec<Place>,
    /// Ordinals of the places by shard key.
    by_key: Vec<(ShardKey, u32)>,
    /// Behind the entry of `by_key` that was found last: frames list shards in similar orders.
    hint: usize,
    pieces: Vec<Piece>,
    arena: Vec<u8>,
    rows: Vec<Row>,
    holes: Vec<Hole>,
    /// The only shard of a pass in which it does not fit: what does is gathered, part by part.
    partial: Option<(ShardKey, Kept)>,
}

/// Holes that are told apart; with more, the image is as little to be trusted.
const HOLES_MAX: usize = 256;

impl Gathering {
    /// Lays out the arena for `selection`; `arena` is memory to be used again, of any content.
    pub fn new(selection: Selection, arena: Vec<u8>) -> Gathering {
        Gathering::pass(selection, arena, u64::MAX)
    }

    /// As `new`, for what [`Selection::take_pass`] gave for `bytes_max`.
    pub fn pass(selection: Selection, mut arena: Vec<u8>, bytes_max: u64) -> Gathering {
        let Selection { mut kept, rows, .. } = selection;
        let mut partial = None;
        if let [(key, only)] = kept.iter_mut().collect::<Vec<_>>().as_mut_slice()
            && only.bytes > bytes_max
        {
            partial = Some((**key, **only));
            only.bytes = bytes_max;
        }
        // A shard that the newest table lacks was deleted meanwhile.
        let is_listed = |key: &ShardKey| rows.binary_search_by_key(key, |row| row.key).is_ok();
        let mut ordered: Vec<_> = kept.into_iter().filter(|(key, _)| is_listed(key)).collect();
        ordered.sort_by_key(|(key, kept)| (kept.retention_ms, *key));
        let mut places = Vec::with_capacity(ordered.len());
        let mut cursor = 0;
        for (key, kept) in ordered {
            let bytes = usize::try_from(kept.bytes).expect("a run is bounded by a segment");
            let end = cursor + bytes;
            let first_index = kept.first_index;
            let end_index = kept.next_index;
            places.push(Place {
                key,
                cursor,
                end,
                first_index,
                next_index: first_index,
                end_index,
                newest: NONE,
            });
            cursor = end;
        }
        arena.resize(cursor, 0);
        let ordinals = places.iter().zip(0..).map(|(place, ordinal)| (place.key, ordinal));
        let mut by_key: Vec<_> = ordinals.collect();
        by_key.sort_unstable();
        let holes = Vec::new();
        Gathering { places, by_key, hint: 0, pieces: Vec::new(), arena, rows, holes, partial }
    }

    /// Takes the kept parts of a whole frame. Frames of a segment come in their order, segments in
    /// theirs.
    pub fn add_frame(&mut self, frame: &[u8], header: &FrameHeader) {
        for (entry, start) in frame::directory(frame, header) {
            let Some(ordinal) = self.find(entry.key) else { continue };
            let place = &mut self.places[ordinal as usize];
            let entry_end = entry.first_index + u64::from(entry.count);
            if entry.first_index < place.first_index || entry.first_index >= place.end_index {
                continue;
            }
            let mut fits = place.cursor + entry.bytes as usize <= place.end;
            if let Some((_, kept)) = self.partial
                && !fits
                && u64::from(entry.bytes) <= kept.bytes
            {
                if place.next_index > place.first_index {
                    // It and all behind it are gathered in the next pass.
                    place.end_index = place.next_index;
                    continue;
                }
                place.end = place.cursor + entry.bytes as usize;
                self.arena.resize(place.end, 0);
                fits = true;
            }
            if entry.first_index < place.next_index || entry_end > place.end_index || !fits {
                // The table and the frames contradict each other.
                let hole =
                    Hole { key: entry.key, first_index: entry.first_index, end_index: entry_end };
                self.note(hole);
                continue;
            }
            if entry.first_index > place.next_index {
                let first_index = place.next_index;
                let hole = Hole { key: entry.key, first_index, end_index: entry.first_index };
                self.note(hole);
            }
            self.take(ordinal, &frame[start..start + entry.bytes as usize], &entry, header.base_ms);
        }
    }

    /// Puts back what a pass has left of its only shard. To be called when all frames were added.
    pub fn put_back(&self, selection: &mut Selection) {
        let Some((key, kept)) = self.partial else { return };
        // A shard without a place was deleted meanwhile.
        let Some(place) = self.places.first().filter(|place| place.end_index < kept.next_index)
        else {
            return;
        };
        assert!(place.end_index > kept.first_index, "a pass takes at least one part");
        let taken: usize = self.pieces.iter().map(|piece| piece.bytes).sum();
        let bytes = kept.bytes - taken as u64;
        selection.bytes += bytes;
        selection.kept.insert(key, Kept { first_index: place.end_index, bytes, ..kept });
    }

    fn note(&mut self, hole: Hole) {
        if self.holes.len() < HOLES_MAX {
            self.holes.push(hole);
        }
    }

    fn find(&mut self, key: ShardKey) -> Option<u32> {
        let next = self.by_key.get(self.hint).filter(|(found, _)| *found == key);
        let at = match next {
            Some(_) => self.hint,
            None => lower_bound(self.by_key.len(), |at| self.by_key[at].0 < key),
        };
        let (found, ordinal) = *self.by_key.get(at)?;
        (found == key).then(|| {
            self.hint = at + 1;
            ordinal
        })
    }

    /// Copies a part and makes its arrival times relative to the base of its piece.
    fn take(&mut self, ordinal: u32, part: &[u8], entry: &DirectoryEntry, frame_base_ms: u64) {
        let place = &mut self.places[ordinal as usize];
        let mut start = place.cursor;
        let end = start + part.len();
        self.arena[start..end].copy_from_slice(part);
        let mut index = entry.first_index;
        let continues = place.newest != NONE && place.next_index == index;
        let mut newest = continues.then_some(place.newest);
        while let Some(record) = record_at(&self.arena[start..end]) {
            let arrival_ms = frame_base_ms + u64::from(record.delta_ms);
            let piece =
                match newest.filter(|&at| self.pieces[at as usize].takes(&record, arrival_ms)) {
                    Some(at) => at,
                    None => {
                        self.pieces.push(Piece {
                            place: ordinal,
                            start,
                            bytes: 0,
                            first_index: index,
                            count: 0,
                            base_ms: arrival_ms,
                            last_ms: arrival_ms,
                        });
                        (self.pieces.len() - 1) as u32
                    }
                };
            newest = Some(piece);
            let piece = &mut self.pieces[piece as usize];
            piece.bytes += record.bytes;
            piece.count += 1;
            piece.last_ms = arrival_ms;
            write_u32(&mut self.arena[start..], 8, (arrival_ms - piece.base_ms) as u32);
            start += record.bytes;
            index += 1;
        }
        place.newest = newest.unwrap_or(NONE);
        place.cursor = end;
        place.next_index = entry.first_index + u64::from(entry.count);
        if start != end || index != place.next_index {
            // The bytes have their checksum, but are no records: what they held is not known.
            let end_index = place.next_index.max(index);
            place.newest = NONE;
            self.note(Hole { key: entry.key, first_index: entry.first_index, end_index });
        }
    }

    /// Bytes that the gathering and its image hold, apart from the arena.
    pub fn memory_bytes(&self) -> usize {
        self.places.len() * size_of::<Place>()
            + self.by_key.len() * size_of::<(ShardKey, u32)>()
            + self.pieces.len() * size_of::<Piece>()
            + self.rows.len() * size_of::<Row>()
    }

    /// Ends the gathering when all frames of the run were added.
    pub fn finish(mut self) -> Image {
        for ordinal in 0..self.places.len() {
            let place = &self.places[ordinal];
            if place.next_index < place.end_index {
                let Place { key, next_index: first_index, end_index, .. } = *place;
                self.note(Hole { key, first_index, end_index });
            }
        }
        let Gathering { places, by_key, mut pieces, arena, rows, holes, .. } = self;
        pieces.sort_unstable_by_key(|piece| (piece.place, piece.first_index));
        Image::new(places, by_key, pieces, arena, rows, holes)
    }
}

struct RecordAt {
    bytes: usize,
    delta_ms: u32,
}

/// The record at the start of `bytes`, if it is there in full.
fn record_at(bytes: &[u8]) -> Option<RecordAt> {
    if bytes.len() < RECORD_HEADER_BYTES {
        return None;
    }
    let data_bytes = read_u32(bytes, 0) as usize;
    let key_bytes = usize::from(read_u16(bytes, 4));
    let record_bytes = encoded_bytes(key_bytes, data_bytes);
    let delta_ms = read_u32(bytes, 8);
    (record_bytes <= bytes.len()).then_some(RecordAt { bytes: record_bytes, delta_ms })
}

impl Piece {
    fn takes(&self, record: &RecordAt, arrival_ms: u64) -> bool {
        let has_room = self.bytes + record.bytes <= PIECE_BYTES_MAX;
        let delta_ms = arrival_ms.checked_sub(self.base_ms);
        has_room && delta_ms.is_some_and(|delta_ms| u32::try_from(delta_ms).is_ok())
    }
}
