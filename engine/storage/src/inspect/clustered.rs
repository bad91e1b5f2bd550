//! The file of a rewritten segment: frames that are not chained, ordered by retention and shard.
//!
//! Its table promises how many records each shard has in it; what the whole frames do not hold of
//! that is what a damaged one held.

use runtime::file::IoError;

use super::chain::{Look, Opened, Owner};
use super::log_walk::{Counted, LogWalk};
use super::seen::{Concerned, KnownBy, SegmentStage, Wrong};
use super::table_check::{LastBlock, TableSeen, last_block, read_table};
use crate::frame::BLOCK_BYTES;
use crate::shard::ShardKey;

impl LogWalk<'_, '_> {
    pub(super) async fn clustered(&mut self, opened: &mut Opened) -> Result<(), IoError> {
        let entry = opened.entry;
        let owner = Owner { life: self.life, life_min: 0 };
        let footer = match last_block(&opened.file, &entry).await? {
            LastBlock::Footer(footer) => Some(footer),
            LastBlock::Unsealed | LastBlock::Damaged => None,
        };
        let table = match &footer {
            Some(footer) => read_table(&opened.file, footer).await?,
            None => TableSeen::default(),
        };
        let end = footer.map_or(entry.bytes, |footer| u64::from(footer.frames_end));
        let mut counted = Counted::default();
        let mut findings = Vec::new();
        let mut position = 0;
        while position < end {
            let look = opened.look(owner, position, None).await?;
            if let Look::Expected(checked) = look {
                self.take(opened, position, &checked, &table, &mut counted).await?;
                position += checked.header.frame_bytes() as u64;
                continue;
            }
            let Look::Other { wrong, header, shards } = look else { unreachable!("see above") };
            let from = position + BLOCK_BYTES as u64;
            let next = opened.next_whole(owner, from, end, None).await?;
            if footer.is_none() && next.is_none() {
                break;
            }
            let place = self.report.place(&entry, position);
            let frames = header.map(|checked| checked.header.number..checked.header.number + 1);
            let concerned = Concerned::Log(self.log);
            findings.push((self.report.refused(place, wrong, frames, concerned), shards));
            position = match (header, next) {
                (Some(checked), _) => position + checked.header.frame_bytes() as u64,
                (None, Some((next, _))) => next,
                (None, None) => end,
            };
        }
        let known = findings.iter().flat_map(|(_, shards)| shards.iter().flatten());
        let known: Vec<ShardKey> = known.copied().collect();
        let lacking = self.lacking(&table, &counted, &known);
        for (mut finding, shards) in findings {
            finding.known_by = match (&shards, &lacking) {
                (Some(_), _) => KnownBy::Directory,
                (None, Some(_)) => KnownBy::Gaps,
                (None, None) => KnownBy::Exclusion,
            };
            if let Some(keys) = shards.or(lacking.clone()) {
                finding.concerned = Concerned::Shards(keys);
            }
            self.report.finding(finding);
        }
        match footer {
            Some(footer) => {
                self.damaged_blocks(&entry, &footer, &table);
                if table.disagrees {
                    let place = self.report.place(&entry, u64::from(footer.rows_position));
                    self.report.rebuilt(place, Wrong::TableDisagrees, Vec::new());
                }
                self.take_table(&footer, &table);
            }
            None => {
                self.damaged_footer(&entry);
                self.link = None;
                self.knows_all = false;
            }
        }
        self.segment(&entry, SegmentStage::Sealed, &counted, footer);
        Ok(())
    }

    /// The shards of which the table promises more than the whole frames hold, without those whose
    /// frames are known to be damaged. `None` where the table is not whole.
    fn lacking(
        &self,
        table: &TableSeen,
        counted: &Counted,
        known: &[ShardKey],
    ) -> Option<Vec<ShardKey>> {
        let rows = table.rows.as_ref()?.iter().filter(|row| {
            let held = counted.shards.get(&row.key).copied().unwrap_or(0);
            held < u64::from(row.count) && !known.contains(&row.key)
        });
        Some(rows.map(|row| row.key).collect())
    }
}
