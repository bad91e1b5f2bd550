//! What is seen, in words for people. Findings start at the line's begin, all else is indented.

use std::fmt::Write;

use storage::catalog::CatalogLook;
use storage::inspect::{
    Concerned, Consequence, EndSeen, Finding, FrameSeen, KnownBy, LogSeen, PartSeen, Seen,
    SegmentSeen, SegmentStage, Totals,
};
use storage::shard::ShardKey;

use super::names::ShardNames;
use super::{Folder, Verdict};

/// Shards that a finding lists by name; JSON lists all.
const SHARDS_LISTED_MAX: usize = 16;

pub(super) fn folder(folder: &Folder<'_>) -> String {
    let Folder { data, identity, in_use } = folder;
    let mut text = format!(
        "{}: {} logs, segments of {} bytes\n",
        data.display(),
        identity.logs,
        grouped(identity.segment_bytes)
    );
    if *in_use {
        text += "  in use by another process: read as it is, without the lock. A segment that is \
                 rewritten under way may be taken for damage\n";
    }
    text
}

pub(super) fn seen(seen: &Seen<'_>, names: &ShardNames) -> String {
    match seen {
        Seen::Catalog(look) => catalog(look, names),
        Seen::Log(log) => log_begins(log),
        Seen::Frame(frame) => frame_line(frame),
        Seen::Part(part) => part_line(part, names),
        Seen::Segment(segment) => segment_line(segment),
        Seen::End(end) => log_ends(end),
        Seen::Finding(finding) => finding_lines(finding, names),
    }
}

pub(super) fn verdict(verdict: Verdict, totals: &Totals) -> String {
    let Totals { segments, frames, records, bytes, findings } = totals;
    let read = format!(
        "{} segments, {} frames, {} records, {} bytes",
        grouped(*segments),
        grouped(*frames),
        grouped(*records),
        grouped(*bytes)
    );
    match verdict {
        Verdict::Well => format!("well: {read}; every checksum is right\n"),
        Verdict::Damaged => format!("DAMAGED: {findings} findings; {read}\n"),
    }
}

fn catalog(look: &CatalogLook, names: &ShardNames) -> String {
    let CatalogLook { state, file, generation, position, next_frame } = look;
    let mut text = format!(
        "  catalog: {file}, generation {generation}, {next_frame} frames so far, ends at {}; \
         opened {} times\n",
        grouped(*position),
        state.life
    );
    for stream in names.streams() {
        let options = stream.options();
        // Writing to a String cannot fail.
        writeln!(
            text,
            "  stream {}: number {}, {} shards, kept {} h, records to {} KiB",
            stream.name(),
            stream.number().0,
            stream.shards().shards().len(),
            options.retention_ms / 3_600_000,
            options.record_bytes_max.get() / 1024
        )
        .expect("a String takes all");
    }
    text
}

fn log_begins(seen: &LogSeen) -> String {
    let LogSeen { log, segments, free_files, orphans } = seen;
    let orphans = match orphans {
        0 => String::new(),
        count => format!(", {count} unknown files that the next start removes"),
    };
    format!("  log {log}: {segments} files with segments, {free_files} free{orphans}\n")
}

fn log_ends(seen: &EndSeen) -> String {
    let next = match seen.next_frame {
        Some(number) => format!("before frame {number}"),
        None => "nobody knows before which frame".to_owned(),
    };
    let torn = if seen.is_torn { "; behind it a frame is torn, never acknowledged" } else { "" };
    format!("  log {} ends {next}, {} shards{torn}\n", seen.log, grouped(seen.shards as u64))
}

fn segment_line(seen: &SegmentSeen) -> String {
    let SegmentSeen { entry, stage, frames, records, shards, frames_end, footer } = seen;
    let stage = match stage {
        SegmentStage::Sealed if entry.clustered => "sealed, rewritten",
        SegmentStage::Sealed => "sealed",
        SegmentStage::Open => "open",
        SegmentStage::Ready => "ready",
        SegmentStage::Missing => "MISSING",
    };
    let numbers = match entry.first == entry.last {
        true => entry.first.to_string(),
        false => format!("{}..{}", entry.first, entry.last),
    };
    let table = footer.as_ref().map_or(String::new(), |footer| {
        format!("; table: {} rows, {} postings", footer.row_count, footer.posting_count)
    });
    format!(
        "    segment {numbers}: {:03}-{:08}.seg generation {}, {} bytes, {stage}; {} frames to {}, \
         {} records of {} shards{table}\n",
        entry.log,
        entry.file,
        entry.generation,
        grouped(entry.bytes),
        grouped(*frames),
        grouped(*frames_end),
        grouped(*records),
        grouped(*shards as u64)
    )
}

fn frame_line(seen: &FrameSeen) -> String {
    let FrameSeen { header, position } = seen;
    format!(
        "      frame {} at {}: {:?}, life {}, {} bytes, {} records of {} shards, durable before {}\n",
        header.number,
        grouped(*position),
        header.kind,
        header.life,
        grouped(header.frame_bytes() as u64),
        header.record_count,
        header.directory_count,
        header.durable_frames
    )
}

fn part_line(seen: &PartSeen, names: &ShardNames) -> String {
    format!(
        "      {}: records {}..{} in segment {} at {}, {} bytes\n",
        names.name(seen.key),
        seen.first_index,
        seen.first_index + u64::from(seen.count),
        seen.segment,
        grouped(seen.position),
        grouped(u64::from(seen.bytes))
    )
}

fn finding_lines(finding: &Finding, names: &ShardNames) -> String {
    let Finding { place, wrong, frames, concerned, known_by, consequence } = finding;
    let log = place.log.map_or(String::new(), |log| format!("log {log}, "));
    let segment = place.segment.map_or(String::new(), |segment| format!("segment {segment}, "));
    let frames = match frames {
        Some(frames) if frames.end - frames.start == 1 => format!(" (frame {})", frames.start),
        Some(frames) => format!(" (frames {}..{})", frames.start, frames.end),
        None => String::new(),
    };
    let how = match known_by {
        KnownBy::Directory => "says its directory",
        KnownBy::Gaps => "say later directories and tables",
        KnownBy::Exclusion => "all that nothing clears",
    };
    let then = match consequence {
        Consequence::Refused => "the engine refuses them and serves the rest",
        Consequence::Rebuilt => "no record is lost; the engine builds the table anew",
        Consequence::Harmless => "nothing is lost",
    };
    let file = &place.file;
    let position = grouped(place.position);
    format!(
        "WRONG {log}{segment}position {position} ({file}): {wrong}{frames}\n      shards: {} \
         ({how}); {then}\n",
        concerned_words(concerned, names)
    )
}

fn concerned_words(concerned: &Concerned, names: &ShardNames) -> String {
    match concerned {
        Concerned::Log(log) => format!("every shard of log {log}"),
        Concerned::Folder => "every shard of the folder".to_owned(),
        Concerned::Shards(keys) if keys.is_empty() => "none".to_owned(),
        Concerned::Shards(keys) => shard_list(keys, names),
    }
}

fn shard_list(keys: &[ShardKey], names: &ShardNames) -> String {
    let listed = keys.iter().take(SHARDS_LISTED_MAX).map(|key| names.name(*key));
    let listed = listed.collect::<Vec<_>>().join(", ");
    match keys.len().checked_sub(SHARDS_LISTED_MAX) {
        Some(more) if more > 0 => format!("{listed} and {} more", grouped(more as u64)),
        _ => listed,
    }
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        let check = |number, expected: &str| assert_eq!(grouped(number), expected);
        check(0, "0");
        check(999, "999");
        check(1_000, "1,000");
        check(12_345_678, "12,345,678");
    }

    #[test]
    fn long_lists_are_cut() {
        let names = ShardNames::default();
        let keys: Vec<_> = (0..20).map(ShardKey).collect();
        assert!(shard_list(&keys, &names).ends_with("0xf and 4 more"));
        assert_eq!(shard_list(&keys[..2], &names), "0x0, 0x1");
    }
}
