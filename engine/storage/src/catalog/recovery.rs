//! From the bytes of the two files to the catalog's content: the decision table of recovery.
//!
//! Pure. There is one write in flight, so a whole later frame of the same generation proves that
//! everything before it had been acknowledged:
//!
//! | at the expected position     | a whole later frame | then                                       |
//! | ---------------------------- | ------------------- | ------------------------------------------ |
//! | whole and chained            |                     | take it                                    |
//! | anything else                | none                | it was torn: the catalog ends here         |
//! | chained, a body not whole    | there               | damaged: take the parts that are whole     |
//! | no header, only marks missing| there               | damaged: go on behind it, nothing is lost  |
//! | no header                    | there               | damaged: which logs cannot be said: refuse |

use xxhash_rust::xxh3::xxh3_64;

use super::damage::{CatalogDamage, CatalogFile};
use super::mutation::{Mutation, Scope, decode, decode_part};
use super::state::CatalogState;
use crate::bytes::read_u64;
use crate::frame::{self, BLOCK_BYTES, CheckedHeader, Defect, FrameHeader, FrameKind};
use crate::planted::{Bug, planted};

/// What stands in the header's field `log`: no log has this number.
pub(super) const CATALOG_LOG: u16 = u16::MAX;

/// Where the catalog ends and what its next frame must carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    /// Generation of the current file.
    pub generation: u32,
    /// Where its next frame goes, bytes.
    pub position: u64,
    /// Number of the next frame.
    pub number: u64,
    /// Header checksum of the last frame.
    pub previous: u64,
    /// Frames with entries so far.
    pub entry_frames: u64,
}

/// What recovery found in a catalog that has been written before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recovered {
    /// Its content; `life` is that of the last frame.
    pub state: CatalogState,
    /// Where to go on.
    pub end: End,
    /// Where the last frame starts, bytes.
    pub last_position: u64,
}

/// An acknowledged frame that cannot be read, not even for whose entries it held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The file.
    pub file: CatalogFile,
    /// Where the damaged frame starts, bytes.
    pub position: u64,
    /// Where the whole frame starts that proves it had been acknowledged, bytes. The position
    /// itself where the frame is whole and its entries make no sense.
    pub witness: u64,
}

/// Rebuilds the content from the bytes of `catalog-a` and `catalog-b`, empty where there is no
/// file. `None`: no catalog was ever acknowledged here.
///
/// # Errors
/// [`Unreadable`] if acknowledged entries are damaged and it cannot be said whose they were.
pub(super) fn recover(a: &[u8], b: &[u8]) -> Result<Option<Recovered>, Unreadable> {
    let generations = [newest_generation(a), newest_generation(b)];
    let Some(generation) = generations.into_iter().flatten().max() else {
        return Ok(None);
    };
    let file = if generations[0] == Some(generation) { CatalogFile::A } else { CatalogFile::B };
    let bytes = if file == CatalogFile::A { a } else { b };
    let mut walk = Walk::new(file, bytes, generation);
    while walk.step()? {}
    Ok(Some(walk.finish()))
}

/// The highest generation among the whole frames of one file. Frames behind the first may be left
/// from an older use of the file, never from a newer one.
fn newest_generation(bytes: &[u8]) -> Option<u32> {
    if planted(Bug::TornSnapshotIsCurrent) {
        let first = frame::decode_header(bytes).filter(|checked| is_ours(&checked.header));
        return first.map(|checked| checked.header.generation);
    }
    whole_frames(bytes, 0).map(|(_, checked)| checked.header.generation).max()
}

/// The whole catalog frames that start on a block boundary at or behind `from`.
fn whole_frames(
    bytes: &[u8],
    from: usize,
) -> impl Iterator<Item = (usize, CheckedHeader)> + use<'_> {
    (from..bytes.len()).step_by(BLOCK_BYTES).filter_map(|position| {
        let checked = frame::decode(&bytes[position..]).ok()?;
        is_ours(&checked.header).then_some((position, checked))
    })
}

fn is_ours(header: &FrameHeader) -> bool {
    let kind = matches!(header.kind, FrameKind::Catalog | FrameKind::Mark | FrameKind::Seal);
    let empty = header.directory_count == 0 && header.payload_bytes == 0;
    kind && header.log == CATALOG_LOG && (empty || header.kind == FrameKind::Catalog)
}

/// A walk along the chain of one file.
struct Walk<'a> {
    file: CatalogFile,
    bytes: &'a [u8],
    state: CatalogState,
    /// What the frame at `end.position` must carry.
    end: End,
    /// Where the frame before it starts.
    last_position: u64,
}

impl Walk<'_> {
    fn new(file: CatalogFile, bytes: &[u8], generation: u32) -> Walk<'_> {
        let end = End { generation, position: 0, number: 0, previous: 0, entry_frames: 0 };
        Walk { file, bytes, state: CatalogState::default(), end, last_position: 0 }
    }

    /// Takes the frame at the end, or what is left of it. `false`: there is none, this is the end.
    fn step(&mut self) -> Result<bool, Unreadable> {
        let position = usize::try_from(self.end.position).expect("a file in memory");
        let rest = &self.bytes[position..];
        let chained = frame::decode_header(rest).filter(|checked| self.chains(&checked.header));
        let defect = frame::decode(rest).err();
        if let Some(checked) = chained
            && defect.is_none()
        {
            let payload = payload(rest, &checked.header);
            let mutations = decode(payload).ok_or(self.unreadable(position))?;
            self.take(&checked, &mutations);
            return Ok(true);
        }
        let Some((witness, witness_header)) = self.witness(position) else {
            return Ok(false);
        };
        match (chained, defect) {
            (Some(checked), Some(Defect::Directory | Defect::Payload)) => {
                self.salvage(rest, &checked).ok_or(self.unreadable(witness))?;
            }
            _ if position > 0 && witness_header.segment == self.end.entry_frames => {
                self.damaged(None);
                self.end.position = witness as u64;
                self.end.number = witness_header.number;
                self.end.previous = witness_header.previous;
            }
            _ => return Err(self.unreadable(witness)),
        }
        Ok(true)
    }

    fn chains(&self, header: &FrameHeader) -> bool {
        let first = self.end.position == 0;
        let number_is_right = first || header.number == self.end.number;
        let entries_are_right = first || header.segment == self.end.entry_frames;
        let link_is_right = header.previous == self.end.previous;
        is_ours(header)
            && header.generation == self.end.generation
            && header.life >= self.state.life
            && number_is_right
            && entries_are_right
            && link_is_right
    }

    /// A whole frame behind `position` that was written after the frame there was durable.
    fn witness(&self, position: usize) -> Option<(usize, FrameHeader)> {
        whole_frames(self.bytes, position + BLOCK_BYTES)
            .map(|(position, checked)| (position, checked.header))
            .find(|(_, header)| {
                header.generation == self.end.generation
                    && header.durable_frames > self.end.number
                    && header.number > self.end.number
            })
    }

    fn take(&mut self, checked: &CheckedHeader, mutations: &[Mutation]) {
        let header = &checked.header;
        mutations.iter().for_each(|mutation| self.state.apply(mutation));
        self.state.life = header.life;
        self.last_position = self.end.position;
        self.end.position += header.frame_bytes() as u64;
        self.end.number = header.number + 1;
        self.end.previous = checked.checksum;
        self.end.entry_frames = header.segment + u64::from(header.kind == FrameKind::Catalog);
    }

    /// Takes what is whole of a chained frame with a damaged directory or payload. `None`: whose
    /// entries are lost cannot be said, or they are the server's, which concern every log.
    fn salvage(&mut self, frame: &[u8], checked: &CheckedHeader) -> Option<()> {
        let header = &checked.header;
        let mut mutations = Vec::new();
        let mut lost = Vec::new();
        if frame::directory_is_right(frame, header) {
            for (entry, start) in frame::directory(frame, header) {
                let part = frame.get(start..start + entry.bytes as usize)?;
                match (decode_part(&entry, part), Scope::from_key(entry.key)?) {
                    (Some(part), _) => mutations.extend(part),
                    (None, Scope::Log(log)) => lost.push(log),
                    (None, Scope::Sets) => return None,
                }
            }
        } else {
            let payload = payload(frame, header);
            let payload_checksum = read_u64(frame, 16);
            if xxh3_64(payload) != payload_checksum {
                return None;
            }
            mutations = decode(payload)?;
        }
        if lost.is_empty() {
            self.damaged(None);
        }
        lost.into_iter().for_each(|log| self.damaged(Some(log)));
        self.take(checked, &mutations);
        Some(())
    }

    fn damaged(&mut self, log: Option<u16>) {
        self.state.damage.push(CatalogDamage {
            file: self.file,
            position: self.end.position,
            number: self.end.number,
            log,
        });
    }

    fn unreadable(&self, witness: usize) -> Unreadable {
        Unreadable { file: self.file, position: self.end.position, witness: witness as u64 }
    }

    /// Joins what this walk found damaged with what earlier ones had, each log once.
    fn finish(mut self) -> Recovered {
        for damage in std::mem::take(&mut self.state.damage) {
            match damage.to_set() {
                // What an earlier opening found first is the cause; this may be its consequence.
                Some((key, _)) if self.state.sets.contains_key(&key) => {}
                Some((key, value)) => self.state.apply(&Mutation::Set { key, value }),
                None => self.state.damage.push(damage),
            }
        }
        let remembered = self.state.sets.iter();
        let remembered = remembered.filter_map(|(key, value)| CatalogDamage::from_set(key, value));
        self.state.damage.extend(remembered);
        let Walk { state, end, last_position, .. } = self;
        Recovered { state, end, last_position }
    }
}

fn payload<'a>(frame: &'a [u8], header: &FrameHeader) -> &'a [u8] {
    &frame[header.payload_start()..header.content_bytes()]
}

#[cfg(test)]
mod tests {
    use super::super::encode::Draft;
    use super::super::mutation::{FileEntry, SegmentEntry};
    use super::*;

    const FILE_BYTES: usize = 32 * BLOCK_BYTES;

    /// The two files as a writer without a disk would leave them, and what it acknowledged.
    struct Image {
        files: [Vec<u8>; 2],
        end: End,
        state: CatalogState,
        /// Position and kind of every frame of the current file.
        frames: Vec<(usize, FrameKind)>,
    }

    impl Image {
        fn new() -> Image {
            let end = End::default().switched();
            let mut state = CatalogState::default();
            state.life = 1;
            let files = [vec![0; FILE_BYTES], vec![0; FILE_BYTES]];
            let mut image = Image { files, end, state, frames: Vec::new() };
            image.write(&Draft::entries(&[]));
            image
        }

        fn write(&mut self, draft: &Draft) {
            let mut out = vec![0; draft.frame_bytes()];
            let start = usize::try_from(self.end.position).unwrap();
            let end = draft.write(&self.end, self.state.life, &mut out);
            let kind = frame::decode_header(&out).unwrap().header.kind;
            self.frames.push((start, kind));
            self.current()[start..start + out.len()].copy_from_slice(&out);
            self.end = end;
        }

        fn current(&mut self) -> &mut Vec<u8> {
            &mut self.files[usize::from(self.end.generation.is_multiple_of(2))]
        }

        fn commit(&mut self, mutations: &[Mutation]) {
            for mutation in mutations {
                self.state.apply(mutation);
            }
            self.write(&Draft::entries(mutations));
        }

        fn mark(&mut self) {
            self.write(&Draft::empty(FrameKind::Mark));
        }

        fn switch(&mut self) {
            self.end = self.end.switched();
            self.frames.clear();
            self.write(&Draft::entries(&self.state.snapshot()));
        }

        fn recover(&self) -> Result<Option<Recovered>, Unreadable> {
            recover(&self.files[0], &self.files[1])
        }

        fn assert_recovers(&self) {
            let recovered = self.recover().unwrap().unwrap();
            assert_eq!(recovered.state, self.state);
            assert_eq!(recovered.end, self.end);
        }
    }

    fn set(number: u64) -> Mutation {
        let value = vec![b'v'; 3000];
        Mutation::Set { key: format!("key-{number}").into_bytes(), value }
    }

    fn segment(log: u16, first: u64) -> Mutation {
        let entry = SegmentEntry {
            log,
            first,
            last: first,
            file: 1,
            generation: 1,
            bytes: 4096,
            clustered: false,
        };
        Mutation::PutSegment(entry)
    }

    /// Segments of two logs, sets, marks and two switches; the current file is `catalog-a`.
    fn long_history() -> Image {
        let mut image = Image::new();
        image.commit(&[segment(0, 0), segment(1, 0), set(0)]);
        image.mark();
        image.switch();
        image.commit(&[segment(0, 1)]);
        image.commit(&[set(1), set(2)]);
        image.mark();
        image.switch();
        image.commit(&[segment(1, 1), segment(0, 2)]);
        image.mark();
        image.commit(&[Mutation::PutFile(FileEntry { log: 1, file: 9, generation: 1, bytes: 1 })]);
        image.mark();
        image
    }

    #[test]
    fn nothing_and_zeros_are_a_new_catalog() {
        assert_eq!(recover(&[], &[]), Ok(None));
        assert_eq!(recover(&[0; FILE_BYTES], &[]), Ok(None));
    }

    #[test]
    fn every_prefix_of_a_history_is_recovered() {
        let mut image = Image::new();
        image.assert_recovers();
        for number in 0..12 {
            match number % 5 {
                0 => image.commit(&[set(number), segment(7, number)]),
                1 => image.commit(&[Mutation::Remove { key: b"key-0".to_vec() }]),
                2 => image.mark(),
                3 => image.switch(),
                _ => image.commit(&[set(1), set(number)]),
            }
            image.assert_recovers();
        }
    }

    #[test]
    fn a_torn_frame_is_the_end_wherever_it_was_torn() {
        let mut image = long_history();
        let before = (image.state.clone(), image.end);
        let start = usize::try_from(image.end.position).unwrap();
        image.commit(&[set(8), set(9), segment(1, 5)]);
        let end = usize::try_from(image.end.position).unwrap();
        for sector in (start..end).step_by(512) {
            let whole = image.files.clone();
            let lost = &mut image.current()[sector..sector + 512];
            let padding = lost.iter().all(|byte| *byte == 0);
            lost.fill(0);
            if !padding {
                let recovered = image.recover().unwrap().unwrap();
                assert_eq!((recovered.state, recovered.end), before, "sector {sector}");
            }
            image.files = whole;
        }
    }

    #[test]
    fn a_torn_snapshot_leaves_the_older_file_current() {
        let mut image = long_history();
        let before = (image.state.clone(), image.end);
        image.switch();
        image.current()[4096] ^= 1;
        let recovered = image.recover().unwrap().unwrap();
        assert_eq!((recovered.state, recovered.end), before);
    }

    /// Flips every byte of every frame in turn and checks what is said about it.
    #[test]
    fn a_flipped_byte_is_found_wherever_a_later_frame_is_a_witness() {
        let mut image = long_history();
        let frames = image.frames.clone();
        let whole = image.state.clone();
        for (ordinal, (start, kind)) in frames.iter().copied().enumerate().rev().skip(1) {
            let header = frame::decode_header(&image.current()[start..]).unwrap().header;
            for at in (0..header.content_bytes()).step_by(3) {
                image.current()[start + at] ^= 0x40;
                let outcome = image.recover();
                image.current()[start + at] ^= 0x40;
                let context = format!("frame {ordinal}, byte {at}");
                if at < HEADER && kind == FrameKind::Catalog {
                    let unreadable = outcome.unwrap_err();
                    assert_eq!(unreadable.position, start as u64, "{context}");
                    assert_eq!(unreadable.file, CatalogFile::A, "{context}");
                    continue;
                }
                if start == 0 && at >= header.payload_start() + LOG_PARTS_BYTES {
                    assert!(outcome.is_err(), "{context}: the sets concern every log");
                    continue;
                }
                let state = outcome.unwrap().unwrap().state;
                assert_eq!(state.damage.len(), 1, "{context}");
                assert_eq!(state.damage[0].position, start as u64, "{context}");
                let lossless = at < header.payload_start();
                assert_eq!(state.damage[0].log.is_none(), lossless, "{context}");
                assert!(state.sets.contains_key(b"key-2".as_slice()), "{context}");
                match state.damage[0].log {
                    None => assert_eq!(state.segments, whole.segments, "{context}"),
                    Some(log) => assert_eq!(of_others(&state, log), of_others(&whole, log)),
                }
            }
        }
    }

    const HEADER: usize = frame::HEADER_BYTES;

    /// The parts before the sets of the last snapshot in `long_history`: three segments.
    const LOG_PARTS_BYTES: usize = 3 * (12 + 16 + 32);

    fn of_others(state: &CatalogState, log: u16) -> Vec<SegmentEntry> {
        state.segments.values().filter(|entry| entry.log != log).copied().collect()
    }

    #[test]
    fn damage_is_remembered_through_a_switch() {
        let mut image = long_history();
        let (start, _) = image.frames[1];
        image.current()[start + HEADER + 2 * frame::DIRECTORY_ENTRY_BYTES] ^= 1;
        let found = image.recover().unwrap().unwrap();
        assert_eq!(found.state.damage[0].log, Some(0));
        image.state = found.state.clone();
        image.switch();
        let again = image.recover().unwrap().unwrap();
        assert_eq!(again.state, found.state);
    }

    #[test]
    fn any_bytes_are_recovered_or_refused_without_a_panic() {
        let mut image = long_history();
        let mut random = 7_u64;
        for _ in 0..300 {
            let files = image.files.clone();
            for _ in 0..4 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let file = &mut image.files[(random >> 63) as usize];
                let at = (random >> 20) as usize % (12 * BLOCK_BYTES);
                file[at] = (random >> 8) as u8;
            }
            if let Ok(Some(recovered)) = image.recover() {
                assert!(recovered.end.number <= image.end.number);
            }
            image.files = files;
        }
    }
}
