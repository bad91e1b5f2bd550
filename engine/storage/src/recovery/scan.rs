//! Reads a segment's file by windows, so that any frame in it can be looked at.

use runtime::buffer::Buffer;
use runtime::file::{File, IoError};

use crate::frame::{self, BLOCK_BYTES, HEADER_BYTES};

/// What is read at a time, bytes.
const WINDOW_BYTES: u64 = 1 << 20;

/// A window over one file.
pub(crate) struct Scan {
    file: File,
    start: u64,
    window: Option<Buffer>,
}

impl Scan {
    pub(crate) fn new(file: File) -> Scan {
        Scan { file, start: 0, window: None }
    }

    /// The bytes from `position` on, at least those of the frame whose header stands there; fewer
    /// where the file ends before. `None` behind the file's end.
    pub(crate) async fn frame(&mut self, position: u64) -> Result<Option<&[u8]>, IoError> {
        assert!(position.is_multiple_of(BLOCK_BYTES as u64));
        if position >= self.file.bytes() {
            return Ok(None);
        }
        self.load(position, BLOCK_BYTES as u64).await?;
        let needed = frame::decode_header(self.from(position))
            .map_or(HEADER_BYTES, |checked| checked.header.frame_bytes());
        self.load(position, needed as u64).await?;
        Ok(Some(self.from(position)))
    }

    fn from(&self, position: u64) -> &[u8] {
        let window = self.window.as_ref().expect("a window was loaded");
        &window[(position - self.start) as usize..]
    }

    async fn load(&mut self, position: u64, bytes: u64) -> Result<(), IoError> {
        let file_bytes = self.file.bytes();
        let end = (position + bytes).min(file_bytes);
        if let Some(window) = &self.window
            && position >= self.start
            && end <= self.start + window.len() as u64
        {
            return Ok(());
        }
        let window_end = (position + bytes.max(WINDOW_BYTES)).min(file_bytes);
        let window_bytes = (window_end - position).next_multiple_of(BLOCK_BYTES as u64);
        self.window = Some(self.file.read(position, window_bytes as usize).await?);
        self.start = position;
        Ok(())
    }
}
