//! Writes an image to a file of its own: frames, then the table, then makes all of it durable.

use std::collections::VecDeque;
use std::rc::Rc;

use runtime::buffer::Buffer;
use runtime::file::{File, IoError, Pending};
use runtime::task;

use crate::catalog::SegmentEntry;
use crate::cluster::{Image, Written};
use crate::sealer;
use crate::table::{Footer, Posting, Table};

/// Frames in flight: enough to keep the device busy, few enough to leave it to appends.
pub(super) const DEPTH: usize = 4;

/// Writes frames and table. They are durable after a flush.
///
/// # Errors
/// The disk's; then the file is of no use.
pub(super) async fn write(
    file: &File,
    image: &Image,
    entry: &SegmentEntry,
    chain: &Footer,
    life: u32,
) -> Result<Table, IoError> {
    let written =
        Written { segment: entry.first, generation: entry.generation, log: entry.log, life };
    let postings = write_frames(file, image, &written).await?;
    let (rows, postings) = image.table(&postings);
    let footer = Footer {
        first: entry.first,
        last: entry.last,
        generation: entry.generation,
        log: entry.log,
        clustered: true,
        has_postings: true,
        frames_end: u32::try_from(image.frames_end()).expect("a run was bounded to fit"),
        next_frame: chain.next_frame,
        last_checksum: chain.last_checksum,
        arrival_ms: chain.arrival_ms,
        life,
        seed: runtime::random::seed(),
        ..Footer::default()
    };
    let table = Table::new(footer, rows, postings, entry.bytes);
    sealer::write_table(file, &table).await?;
    Ok(table)
}

async fn write_frames(
    file: &File,
    image: &Image,
    written: &Written,
) -> Result<Vec<Posting>, IoError> {
    let mut postings = Vec::new();
    let mut pending: VecDeque<Pending<()>> = VecDeque::new();
    for ordinal in 0..image.frame_count() {
        if pending.len() >= DEPTH {
            pending.pop_front().expect("there are writes in flight").await?;
        }
        let (position, bytes) = image.frame_place(ordinal);
        let mut buffer = Buffer::reused(bytes);
        image.encode_frame(ordinal, written, &mut buffer, &mut postings);
        pending.push_back(file.write(position, Rc::new(buffer)));
        if task::should_yield() {
            task::yield_now().await;
        }
    }
    for write in pending {
        write.await?;
    }
    Ok(postings)
}
