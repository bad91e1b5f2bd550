//! Looks at single frames: what stands at a place, and whether it is the one expected there.

use runtime::file::{self, Access, File, IoError, IoErrorKind};

use crate::catalog::SegmentEntry;
use crate::frame::{self, BLOCK_BYTES, CheckedHeader, Defect, FrameHeader};
use crate::pool;
use crate::recovery::scan::Scan;
use crate::shard::ShardKey;

use super::seen::Wrong;

/// What the next frame of a log must carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub number: u64,
    pub previous: u64,
}

impl Link {
    /// The link behind a frame.
    pub(super) fn behind(checked: &CheckedHeader) -> Link {
        Link { number: checked.header.number + 1, previous: checked.checksum }
    }

    /// The link that a frame itself is behind.
    pub(super) fn before(checked: &CheckedHeader) -> Link {
        Link { number: checked.header.number, previous: checked.header.previous }
    }
}

/// A segment's file, opened.
pub(super) struct Opened {
    pub entry: SegmentEntry,
    pub file: File,
    pub scan: Scan,
}

/// Opens the file of a segment; `None` if it is not there.
pub(super) async fn open(
    folder: &std::path::Path,
    entry: &SegmentEntry,
) -> Result<Option<Opened>, IoError> {
    let path = folder.join("segments").join(pool::file_name(entry.log, entry.file));
    match file::open(&path, Access::Read).await {
        Ok(file) => Ok(Some(Opened { entry: *entry, scan: Scan::new(file.clone()), file })),
        Err(error) if error.kind == IoErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The expected frame, whole.
    Expected(CheckedHeader),
    /// Something else.
    Other {
        /// What would be wrong with it, if a frame had been acknowledged here.
        wrong: Wrong,
        /// The header, if it is the expected one and only what is behind it is damaged.
        header: Option<CheckedHeader>,
        /// The shards of its directory, where that is whole as well.
        shards: Option<Vec<ShardKey>>,
    },
}

/// What the frames of one segment must belong to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub life: u32,
    /// Life of the frame before: lower ones were abandoned. 0 where it is not known.
    pub life_min: u32,
}

impl Opened {
    /// Forgets what was read: the next look reads again.
    pub(super) fn look_anew(&mut self) {
        self.scan = Scan::new(self.file.clone());
    }

    /// Looks at a place for the frame behind `link`, or for any where that is not known.
    pub(super) async fn look(
        &mut self,
        owner: Owner,
        position: u64,
        link: Option<Link>,
    ) -> Result<Look, IoError> {
        let entry = self.entry;
        let nothing = Look::Other { wrong: Wrong::FrameHeader, header: None, shards: None };
        let Some(bytes) = self.scan.frame(position).await? else { return Ok(nothing) };
        let Some(checked) = frame::decode_header(bytes) else { return Ok(nothing) };
        if !belongs(&checked.header, &entry, owner) {
            return Ok(nothing);
        }
        let is_expected = link.is_none_or(|link| link == Link::before(&checked));
        let wrong = match frame::decode(bytes) {
            Ok(_) if !is_expected => Wrong::FrameChain,
            Ok(_) => return Ok(Look::Expected(checked)),
            Err(Defect::Directory) => Wrong::FrameDirectory,
            Err(Defect::Payload) => Wrong::FramePayload,
            Err(Defect::Header | Defect::Cut { .. }) => Wrong::FrameHeader,
        };
        let is_readable = is_expected && matches!(wrong, Wrong::FramePayload);
        let shards = is_readable.then(|| {
            frame::directory(bytes, &checked.header).map(|(entry, _)| entry.key).collect()
        });
        let is_body = matches!(wrong, Wrong::FrameDirectory | Wrong::FramePayload);
        let header = (is_expected && is_body).then_some(checked);
        Ok(Look::Other { wrong, header, shards })
    }

    /// The next whole frame of this segment at or behind `from` and before `end`, whose number is
    /// above `missing`.
    pub(super) async fn next_whole(
        &mut self,
        owner: Owner,
        from: u64,
        end: u64,
        missing: Option<u64>,
    ) -> Result<Option<(u64, CheckedHeader)>, IoError> {
        let entry = self.entry;
        let mut position = from;
        while position + (BLOCK_BYTES as u64) <= end {
            if let Some(bytes) = self.scan.frame(position).await?
                && let Ok(checked) = frame::decode(bytes)
                && belongs(&checked.header, &entry, owner)
                && missing.is_none_or(|missing| checked.header.number > missing)
            {
                return Ok(Some((position, checked)));
            }
            position += BLOCK_BYTES as u64;
        }
        Ok(None)
    }
}

fn belongs(header: &FrameHeader, entry: &SegmentEntry, owner: Owner) -> bool {
    header.is_of(entry) && (owner.life_min..=owner.life).contains(&header.life)
}
