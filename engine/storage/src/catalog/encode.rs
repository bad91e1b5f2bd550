//! The frame that carries a list of mutations. See FORMAT.md, "Catalog".
//!
//! Pure: fills a buffer that the caller brings.

use super::mutation::{Encoded, Mutation, encode};
use super::recovery::{CATALOG_LOG, End};
use crate::frame::{self, DIRECTORY_ENTRY_BYTES, FRAME_BYTES_MAX, FrameHeader, FrameKind};
use crate::frame::{HEADER_BYTES, write_directory_entry};

/// Logs that a folder can have: their directory entries must fit into every frame.
pub(super) const LOGS_MAX: usize = 1024;
/// Bytes of mutations that fit into one frame whatever logs they name.
pub(super) const PAYLOAD_BYTES_MAX: usize =
    FRAME_BYTES_MAX - HEADER_BYTES - (LOGS_MAX + 1) * DIRECTORY_ENTRY_BYTES;

/// A frame that is not placed yet.
pub(super) struct Draft {
    kind: FrameKind,
    encoded: Encoded,
}

impl Draft {
    /// A frame of entries.
    pub(super) fn entries(mutations: &[Mutation]) -> Draft {
        let encoded = encode(mutations.iter());
        assert!(encoded.payload.len() <= PAYLOAD_BYTES_MAX);
        assert!(encoded.directory.len() <= LOGS_MAX + 1);
        Draft { kind: FrameKind::Catalog, encoded }
    }

    /// A frame without entries: a mark or a seal.
    pub(super) fn empty(kind: FrameKind) -> Draft {
        assert!(matches!(kind, FrameKind::Mark | FrameKind::Seal));
        Draft { kind, encoded: encode(std::iter::empty()) }
    }

    /// Bytes that the frame takes in the file, padding included.
    pub(super) fn frame_bytes(&self) -> usize {
        self.header(&End::default(), 0).frame_bytes()
    }

    /// Writes the frame for the place `end` into `out`, which is zeroed and of its size, and
    /// returns the end behind it.
    pub(super) fn write(&self, end: &End, life: u32, out: &mut [u8]) -> End {
        let header = self.header(end, life);
        assert_eq!(out.len(), header.frame_bytes());
        for (ordinal, entry) in self.encoded.directory.iter().enumerate() {
            write_directory_entry(out, ordinal, entry);
        }
        let payload = header.payload_start()..header.content_bytes();
        out[payload].copy_from_slice(&self.encoded.payload);
        let previous = frame::seal(out, &header);
        End {
            generation: end.generation,
            position: end.position + out.len() as u64,
            number: end.number + 1,
            previous,
            entry_frames: end.entry_frames + u64::from(self.kind == FrameKind::Catalog),
        }
    }

    fn header(&self, end: &End, life: u32) -> FrameHeader {
        let count = |count: usize| u32::try_from(count).expect("a frame is far below 4 GiB");
        FrameHeader {
            kind: self.kind,
            previous: end.previous,
            number: end.number,
            // One write is in flight at a time: everything before it has been flushed.
            durable_frames: end.number,
            segment: end.entry_frames,
            base_ms: 0,
            life,
            generation: end.generation,
            log: CATALOG_LOG,
            directory_count: count(self.encoded.directory.len()),
            payload_bytes: count(self.encoded.payload.len()),
            record_count: self.encoded.count,
        }
    }
}

impl End {
    /// The start of the other file, where the snapshot goes.
    pub(super) fn switched(&self) -> End {
        End { generation: self.generation + 1, position: 0, previous: 0, ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::super::mutation::tests::samples;
    use super::super::recovery::recover;
    use super::super::state::CatalogState;
    use super::*;

    /// Written once by this code, checked by hand against FORMAT.md: an empty snapshot, a frame
    /// with one mutation of each kind, and a mark.
    const GOLDEN: &[u8] = include_bytes!("../../golden/catalog-a");

    #[test]
    fn the_golden_file_is_written() {
        let drafts =
            [Draft::entries(&[]), Draft::entries(&samples()), Draft::empty(FrameKind::Mark)];
        let mut end = End::default().switched();
        let mut file = Vec::new();
        for draft in drafts {
            let mut frame = vec![0; draft.frame_bytes()];
            end = draft.write(&end, 1, &mut frame);
            file.extend(frame);
        }
        assert!(file == GOLDEN);
    }

    #[test]
    fn the_golden_file_is_read() {
        let recovered = recover(GOLDEN, &[]).unwrap().unwrap();
        let mut expected = CatalogState::default();
        samples().iter().for_each(|mutation| expected.apply(mutation));
        expected.life = 1;
        assert_eq!(recovered.state, expected);
        let End { generation, position, number, entry_frames, .. } = recovered.end;
        assert_eq!((generation, position, number, entry_frames), (1, 3 * 4096, 3, 2));
    }
}
