//! What is seen, as one JSON object a line. `kind` says what it is; names do not change.

use serde_json::{Value, json};
use storage::inspect::{
    Concerned, Consequence, Finding, FrameSeen, KnownBy, Seen, SegmentSeen, SegmentStage, Totals,
    Wrong,
};

use super::names::ShardNames;
use super::{Folder, Verdict};

pub(super) fn folder(folder: &Folder<'_>) -> String {
    let Folder { data, identity, in_use } = folder;
    line(&json!({
        "kind": "folder",
        "data": data.display().to_string(),
        "logs": identity.logs,
        "segment_bytes": identity.segment_bytes,
        "in_use": in_use,
    }))
}

pub(super) fn verdict(verdict: Verdict, totals: &Totals) -> String {
    let Totals { segments, frames, records, bytes, findings } = totals;
    line(&json!({
        "kind": "verdict",
        "verdict": match verdict { Verdict::Well => "well", Verdict::Damaged => "damaged" },
        "findings": findings,
        "segments": segments,
        "frames": frames,
        "records": records,
        "bytes": bytes,
    }))
}

pub(super) fn seen(seen: &Seen<'_>, names: &ShardNames) -> String {
    match seen {
        Seen::Catalog(look) => {
            let catalog = line(&json!({
                "kind": "catalog",
                "file": look.file.name(),
                "generation": look.generation,
                "position": look.position,
                "next_frame": look.next_frame,
                "life": look.state.life,
            }));
            names.streams().iter().fold(catalog, |lines, stream| {
                lines
                    + &line(&json!({
                        "kind": "stream",
                        "name": stream.name().as_str(),
                        "number": stream.number().0,
                        "shards": stream.shards().shards().len(),
                        "retention_ms": stream.options().retention_ms,
                        "record_bytes_max": stream.options().record_bytes_max.get(),
                        "created_ms": stream.created_ms(),
                    }))
            })
        }
        Seen::Log(log) => line(&json!({
            "kind": "log",
            "log": log.log,
            "segments": log.segments,
            "free_files": log.free_files,
            "orphans": log.orphans,
        })),
        Seen::End(end) => line(&json!({
            "kind": "log_end",
            "log": end.log,
            "next_frame": end.next_frame,
            "shards": end.shards,
            "torn": end.is_torn,
        })),
        Seen::Frame(frame) => frame_line(frame),
        Seen::Part(part) => line(&json!({
            "kind": "part",
            "shard": names.name(part.key),
            "segment": part.segment,
            "position": part.position,
            "first_index": part.first_index,
            "records": part.count,
            "bytes": part.bytes,
            "base_ms": part.base_ms,
        })),
        Seen::Segment(segment) => segment_line(segment),
        Seen::Finding(finding) => finding_line(finding, names),
    }
}

fn frame_line(seen: &FrameSeen) -> String {
    let FrameSeen { header, position } = seen;
    line(&json!({
        "kind": "frame",
        "log": header.log,
        "segment": header.segment,
        "position": position,
        "number": header.number,
        "frame_kind": format!("{:?}", header.kind).to_lowercase(),
        "life": header.life,
        "generation": header.generation,
        "durable_frames": header.durable_frames,
        "base_ms": header.base_ms,
        "bytes": header.frame_bytes(),
        "directory_entries": header.directory_count,
        "payload_bytes": header.payload_bytes,
        "records": header.record_count,
    }))
}

fn segment_line(seen: &SegmentSeen) -> String {
    let SegmentSeen { entry, stage, frames, records, shards, frames_end, footer } = seen;
    let stage = match stage {
        SegmentStage::Sealed => "sealed",
        SegmentStage::Open => "open",
        SegmentStage::Ready => "ready",
        SegmentStage::Missing => "missing",
    };
    let table = footer.as_ref().map(|footer| {
        json!({
            "rows": footer.row_count,
            "rows_position": footer.rows_position,
            "postings": footer.posting_count,
            "next_frame": footer.next_frame,
            "life": footer.life,
        })
    });
    line(&json!({
        "kind": "segment",
        "log": entry.log,
        "first": entry.first,
        "last": entry.last,
        "file": entry.file,
        "generation": entry.generation,
        "bytes": entry.bytes,
        "clustered": entry.clustered,
        "stage": stage,
        "frames": frames,
        "frames_end": frames_end,
        "records": records,
        "shards": shards,
        "table": table,
    }))
}

fn finding_line(finding: &Finding, names: &ShardNames) -> String {
    let Finding { place, wrong, frames, concerned, known_by, consequence } = finding;
    let shards: Vec<_> = match concerned {
        Concerned::Shards(keys) => keys.iter().map(|key| names.name(*key)).collect(),
        Concerned::Log(_) | Concerned::Folder => Vec::new(),
    };
    line(&json!({
        "kind": "finding",
        "wrong": wrong_name(wrong),
        "text": wrong.to_string(),
        "log": place.log,
        "segment": place.segment,
        "file": place.file,
        "position": place.position,
        "frames": frames.as_ref().map(|frames| [frames.start, frames.end]),
        "concerned": match concerned {
            Concerned::Shards(_) => "shards",
            Concerned::Log(_) => "log",
            Concerned::Folder => "folder",
        },
        "shards": shards,
        "known_by": match known_by {
            KnownBy::Directory => "directory",
            KnownBy::Gaps => "gaps",
            KnownBy::Exclusion => "exclusion",
        },
        "consequence": match consequence {
            Consequence::Refused => "refused",
            Consequence::Rebuilt => "rebuilt",
            Consequence::Harmless => "harmless",
        },
    }))
}

fn wrong_name(wrong: &Wrong) -> &'static str {
    match wrong {
        Wrong::FrameHeader => "frame_header",
        Wrong::FrameDirectory => "frame_directory",
        Wrong::FramePayload => "frame_payload",
        Wrong::FrameChain => "frame_chain",
        Wrong::IndexGap => "index_gap",
        Wrong::TableFooter => "table_footer",
        Wrong::TableBlocks { .. } => "table_blocks",
        Wrong::TableDisagrees => "table_disagrees",
        Wrong::FileMissing => "file_missing",
        Wrong::FileBytes { .. } => "file_bytes",
        Wrong::CatalogUnreadable => "catalog_unreadable",
        Wrong::CatalogEntries => "catalog_entries",
        Wrong::CatalogFrame => "catalog_frame",
    }
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}
