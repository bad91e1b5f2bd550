//! Reads all frames of a sealed segment in order, several pieces ahead.

use std::collections::VecDeque;

use runtime::buffer::Buffer;
use runtime::file::{File, IoError, Pending};
use runtime::task;

use crate::catalog::SegmentEntry;
use crate::frame::{self, BLOCK_BYTES, Defect, FrameHeader};

/// What is read at a time, bytes.
const PIECE_BYTES: u64 = 1 << 20;
/// Pieces in flight.
const DEPTH: usize = 8;

/// A segment's file on the way from its first frame to its last.
struct Walk<'a> {
    file: &'a File,
    end: u64,
    ahead: VecDeque<Pending<Buffer>>,
    /// Up to where reads were submitted, bytes.
    submitted: u64,
    /// What was read and not walked yet, and where it stands in the file.
    carry: Vec<u8>,
    walked: usize,
    carry_position: u64,
}

/// The last frame that was taken.
#[derive(Clone, Copy, Default)]
struct Last {
    life: u32,
    next_number: u64,
}

impl Last {
    fn behind(header: &FrameHeader) -> Last {
        Last { life: header.life, next_number: header.number + 1 }
    }

    /// Neither lives nor numbers fall along a log. What an earlier life abandoned behind its end
    /// stands behind the next life's seal.
    fn may_precede(self, header: &FrameHeader) -> bool {
        header.life >= self.life && header.number >= self.next_number
    }
}

/// Gives every whole frame of the segment to `take`, with its position; returns the positions of
/// what is no whole frame of it. What an earlier life abandoned is none.
///
/// # Errors
/// The disk's.
pub(crate) async fn walk(
    file: &File,
    entry: &SegmentEntry,
    frames_end: u32,
    mut take: impl FnMut(u64, &[u8], &FrameHeader),
) -> Result<Vec<u64>, IoError> {
    let mut walk = Walk {
        file,
        end: u64::from(frames_end),
        ahead: VecDeque::new(),
        submitted: 0,
        carry: Vec::new(),
        walked: 0,
        carry_position: 0,
    };
    let mut damaged: Vec<u64> = Vec::new();
    let mut is_lost = false;
    let mut last = Last::default();
    loop {
        let position = walk.carry_position + walk.walked as u64;
        if position >= walk.end {
            return Ok(damaged);
        }
        let bytes = &walk.carry[walk.walked..];
        let belongs = |header: &FrameHeader| header.is_of(entry) && last.may_precede(header);
        let (walked, is_whole) = match frame::decode(bytes) {
            Ok(checked) if belongs(&checked.header) => {
                take(position, bytes, &checked.header);
                last = Last::behind(&checked.header);
                (checked.header.frame_bytes(), true)
            }
            Err(Defect::Header | Defect::Cut { .. }) if walk.has_more() => {
                if bytes.len() < BLOCK_BYTES || is_cut(bytes, walk.end - position) {
                    walk.read_more().await?;
                    continue;
                }
                (BLOCK_BYTES, false)
            }
            _ => match frame::decode_header(bytes).filter(|checked| belongs(&checked.header)) {
                Some(checked) => (checked.header.frame_bytes(), false),
                None => (BLOCK_BYTES, false),
            },
        };
        if !is_whole && !is_lost {
            damaged.push(position);
        }
        is_lost = !is_whole;
        walk.walked += walked;
        if task::should_yield() {
            task::yield_now().await;
        }
    }
}

/// Whether a frame starts here that ends behind what was read, but not behind the last frame.
fn is_cut(bytes: &[u8], left: u64) -> bool {
    let needed = frame::decode_header(bytes).map(|checked| checked.header.frame_bytes());
    needed.is_some_and(|needed| needed > bytes.len() && needed as u64 <= left)
}

impl Walk<'_> {
    fn has_more(&self) -> bool {
        self.submitted < self.end || !self.ahead.is_empty()
    }

    async fn read_more(&mut self) -> Result<(), IoError> {
        while self.ahead.len() < DEPTH && self.submitted < self.end {
            let bytes = (self.end - self.submitted).min(PIECE_BYTES);
            self.ahead.push_back(self.file.read(self.submitted, bytes as usize));
            self.submitted += bytes;
        }
        let piece = self.ahead.pop_front().expect("there is more to read").await?;
        self.carry.drain(..self.walked);
        self.carry_position += self.walked as u64;
        self.walked = 0;
        self.carry.extend_from_slice(&piece);
        Ok(())
    }
}
