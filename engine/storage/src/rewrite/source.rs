//! Reads the frames of a sealed segment one after the other, each byte once.
//!
//! ```text
//!   pieces   |  F F F F|f F F F F F |f ...     one is read while the one before is gathered
//! ```
//! A frame that crosses the border of two pieces is put together; all others are used in place.

use runtime::buffer::Buffer;
use runtime::file::{File, IoError, Pending};
use runtime::task;

use crate::catalog::SegmentEntry;
use crate::cluster::Gathering;
use crate::frame::{self, BLOCK_BYTES};
use crate::planted::{Bug, planted};

/// Read at a time, bytes.
pub(super) const PIECE_BYTES: usize = 1 << 20;

/// What came of reading a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// All of its frames were whole.
    Whole,
    /// A frame is damaged.
    Damaged,
}

/// Adds all frames of a segment, which end at `frames_end`, to `gathering`.
///
/// # Errors
/// The disk's.
pub(super) async fn gather(
    file: &File,
    entry: &SegmentEntry,
    frames_end: u64,
    gathering: &mut Gathering,
) -> Result<Source, IoError> {
    let mut next = Some(0).filter(|_| frames_end > 0).map(|at| read(file, at, frames_end));
    let mut position = 0;
    let mut cut_frame = Vec::new();
    while let Some(pending) = next.take() {
        let piece = pending.await?;
        position += piece.len() as u64;
        if position < frames_end {
            next = Some(read(file, position, frames_end));
        }
        let mut rest: &[u8] = &piece;
        if !cut_frame.is_empty() {
            rest = complete(&mut cut_frame, rest);
            let Some(bytes) = frame_bytes(&cut_frame) else { return Ok(Source::Damaged) };
            if bytes > cut_frame.len() {
                continue;
            }
            if !add(&cut_frame, entry, gathering) {
                return Ok(Source::Damaged);
            }
            cut_frame.clear();
        }
        while !rest.is_empty() {
            let Some(bytes) = frame_bytes(rest) else { return Ok(Source::Damaged) };
            if bytes > rest.len() {
                cut_frame.extend_from_slice(rest);
                break;
            }
            if !add(&rest[..bytes], entry, gathering) {
                return Ok(Source::Damaged);
            }
            rest = &rest[bytes..];
            if task::should_yield() {
                task::yield_now().await;
            }
        }
    }
    Ok(if cut_frame.is_empty() { Source::Whole } else { Source::Damaged })
}

fn read(file: &File, position: u64, end: u64) -> Pending<Buffer> {
    let left = usize::try_from(end - position).expect("a segment has < 2^32 bytes");
    file.read(position, left.min(PIECE_BYTES))
}

/// Moves to the cut frame what it lacks, as far as it is there. Returns what is behind.
fn complete<'a>(cut_frame: &mut Vec<u8>, piece: &'a [u8]) -> &'a [u8] {
    let needed = frame_bytes(cut_frame).expect("it was seen when the frame was cut");
    let lacking = (needed - cut_frame.len()).min(piece.len());
    let (own, rest) = piece.split_at(lacking);
    cut_frame.extend_from_slice(own);
    rest
}

fn frame_bytes(bytes: &[u8]) -> Option<usize> {
    debug_assert!(bytes.len() >= BLOCK_BYTES);
    frame::decode_header(bytes).map(|checked| checked.header.frame_bytes())
}

/// False if the frame is not whole, or not one of this segment.
fn add(bytes: &[u8], entry: &SegmentEntry, gathering: &mut Gathering) -> bool {
    let decoded = match planted(Bug::RewriteTrustsDirectories) {
        false => frame::decode(bytes).ok(),
        true => frame::decode_header(bytes)
            .filter(|checked| frame::directory_is_right(bytes, &checked.header)),
    };
    let Some(checked) = decoded else { return false };
    let header = &checked.header;
    if !header.is_of(entry) {
        return false;
    }
    gathering.add_frame(bytes, header);
    true
}
