//! The shards: how much each took, against what it may.

use super::grid::grid;
use super::style::Style;
use crate::amount::{show_count, show_three_places};
use crate::outcome::Outcome;
use crate::report::document::Document;
use crate::report::document::shards::ShardRow;
use crate::report::sparkline::sparkline;
use crate::stats::throughput::Counters;
use model::limits::{SHARD_WRITE_BYTES_PER_SECOND, SHARD_WRITE_RECORDS_PER_SECOND};

/// Up to so many shards each has its line; of more the hottest have.
const LINES_MAX: usize = 8;

pub(super) fn section(outcome: &Outcome, document: &Document, style: Style) -> String {
    let rows = &document.shards;
    let counted_ns = outcome.load.shards.counted_ns;
    let mut text = format!("\n{}", summary(document, style));
    let mut hottest: Vec<&ShardRow> = rows.iter().collect();
    hottest.sort_by_key(|row| std::cmp::Reverse(row.accepted_bytes));
    text += &per_shard(&hottest, counted_ns);
    let shares = shares(rows);
    text += &format!("   util  {}", sparkline(&shares));
    if let Some(skew) = document.skew.max_over_mean {
        text += &format!("   skew max/mean {}", show_three_places(skew));
    }
    if let Some(top) = document.skew.top_keys.first() {
        text += &format!(" · top key \"{}\" {} %", top.key, top.share_pct);
    }
    text += "\n";
    if rows.len() > shares.len().min(crate::report::sparkline::CELLS_MAX) {
        text += &style.faint("         each cell is the highest of the shards it covers\n");
    }
    let shown = hottest.len().min(LINES_MAX);
    if hottest.len() > LINES_MAX {
        hottest.truncate(shown);
    } else {
        hottest.sort_by(|one, other| one.id.cmp(&other.id));
    }
    text += &lines(&hottest, counted_ns);
    text + &limits(outcome, document, style)
}

fn summary(document: &Document, style: Style) -> String {
    let rows = &document.shards;
    let mut text = format!(" {}  {}", style.bold("Shards"), show_count(rows.len() as u64));
    // Of equals the last is taken: from behind, that is the first.
    let hottest = rows.iter().rev().filter_map(|row| Some((row, utilisation(row)?)));
    if let Some((row, util)) = hottest.max_by(|one, other| one.1.total_cmp(&other.1)) {
        if let Some(limit) = row.binding_limit {
            let of = match limit.word() {
                "records" => {
                    format!("{} records/s", show_count(SHARD_WRITE_RECORDS_PER_SECOND.into()))
                }
                _ => format!("{} B/s", show_count(SHARD_WRITE_BYTES_PER_SECOND.into())),
            };
            text += &format!(
                " · binding limit: {} · hottest {} {util:.0} % of {of}",
                limit.word(),
                row.id
            );
        }
    } else {
        text += " · no limits";
    }
    let load = &document.load.counters;
    if load.throttled_records > 0 {
        let share = 100.0 * load.throttled_records as f64 / load.sent_records.max(1) as f64;
        let throttled = show_count(load.throttled_records);
        text += &format!(" · throttled {throttled} ({share:.2} %)");
    }
    text + "\n"
}

/// How many MB/s a shard took: the middle, and both ends.
fn per_shard(hottest: &[&ShardRow], counted_ns: u64) -> String {
    let mb_s = |row: &&ShardRow| Counters::per_second(row.accepted_bytes, counted_ns) / 1e6;
    let (Some(most), Some(least)) = (hottest.first(), hottest.last()) else {
        return String::new();
    };
    let middle = hottest[hottest.len() / 2];
    format!(
        "   MB/s a shard, keys included  least {} · median {} · most {}\n",
        small(mb_s(least)),
        small(mb_s(&middle)),
        small(mb_s(most)),
    )
}

fn small(mb_s: f64) -> String {
    if mb_s >= 0.9995 { show_three_places(mb_s) } else { format!("{mb_s:.4}") }
}

/// Each shard's part of its nearer limit, or, without limits, of the hottest shard's records.
fn shares(rows: &[ShardRow]) -> Vec<f64> {
    let most = rows.iter().map(|row| row.accepted_records).max().unwrap_or(0).max(1);
    let share = |row: &ShardRow| match utilisation(row) {
        Some(pct) => pct / 100.0,
        None => row.accepted_records as f64 / most as f64,
    };
    rows.iter().map(share).collect()
}

fn utilisation(row: &ShardRow) -> Option<f64> {
    Some(row.util_bytes_pct?.max(row.util_records_pct?))
}

fn lines(rows: &[&ShardRow], counted_ns: u64) -> String {
    let per_s = |count: u64| Counters::per_second(count, counted_ns);
    let line = |row: &&ShardRow| {
        vec![
            format!("  {}", row.id),
            show_count(per_s(row.offered_records).round() as u64),
            show_count(per_s(row.accepted_records).round() as u64),
            small(per_s(row.accepted_bytes) / 1e6),
            utilisation(row).map_or_else(|| "-".to_owned(), |pct| format!("{pct:.1}")),
            show_count(row.throttled_records),
            show_count(u64::from(row.peak_1s_records)),
            row.response_p99_us
                .map_or_else(|| "n/a".to_owned(), |us| super::grid::ms((us * 1e3) as u64)),
        ]
    };
    let table: Vec<Vec<String>> = rows.iter().map(line).collect();
    let header =
        ["  shard", "offered/s", "acked/s", "MB/s", "util %", "throttled", "peak 1 s", "p99 ms"];
    grid(&header, &table)
}

fn limits(outcome: &Outcome, document: &Document, style: Style) -> String {
    let shards = &outcome.load.shards;
    if shards.limits.is_none() {
        return "   limits  off: nothing is checked\n".to_owned();
    }
    let sum = |of: fn(&ShardRow) -> Option<u32>| -> u64 {
        document.shards.iter().filter_map(of).map(u64::from).sum()
    };
    let over = sum(|row| row.over_accept_s);
    if !shards.all_writers_seen && over == 0 {
        return "   limits  not checked (several generator cores, each sees its own calls)\n"
            .to_owned();
    }
    let unjust = shards.all_writers_seen.then(|| sum(|row| row.unjust_throttle_s));
    let conforms = over == 0 && unjust == Some(0);
    let word = if conforms { "✓ conforms" } else { "✗ does not conform" };
    let unjust = unjust.map_or_else(|| "n/a (several generator cores)".to_owned(), show_count);
    format!(
        "   limits  {} over-accepted seconds · {unjust} seconds with unjust throttles   {}\n",
        show_count(over),
        style.verdict(word, conforms),
    )
}
