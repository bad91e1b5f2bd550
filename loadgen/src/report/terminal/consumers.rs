//! What those got who read while it was written, and whether the disk had to help.

use super::grid::ms;
use super::style::Style;
use crate::amount::{show_bytes, show_count};
use crate::outcome::{ConsumersOutcome, Outcome, Verdict};
use crate::report::document::Document;
use crate::report::figures::{KindFigures, P50};
use crate::report::round::to_digits;
use crate::stats::recorder::Kind;

/// Empty where nobody consumed.
pub(super) fn section(
    outcome: &Outcome,
    document: &Document,
    figures: &[Option<KindFigures>; Kind::ALL.len()],
    style: Style,
) -> String {
    let Some(consumers) = &outcome.load.consumers else { return String::new() };
    let mut text = format!(
        "\n {}  {} · {} records came · {}",
        style.bold("Consumers"),
        show_count(u64::from(consumers.count)),
        show_count(consumers.received_records),
        verdict(consumers, style),
    );
    if let Some(ns) = consumers.cpu_ns_per_record {
        let records = consumers.received_records as f64 / consumers.chunks.max(1) as f64;
        let (ns, records) = (to_digits(ns, 3), to_digits(records, 2));
        text += &format!(" · {ns} ns a record, {records} of them a chunk");
    }
    text += "\n";
    let mut facts = Vec::from_iter(distance(figures));
    facts.push(format!("read from the disk meanwhile: {}", disk(document)));
    text + &format!("   {}\n", facts.join(" · "))
}

fn verdict(consumers: &ConsumersOutcome, style: Style) -> String {
    let words = match consumers.verdict {
        Verdict::Ok => "everything acknowledged, in order ✓",
        Verdict::Partial => "not waited for to the end",
        Verdict::Failed | Verdict::NotVerified => "✗ failed",
    };
    let mut text = style.verdict(words, consumers.verdict == Verdict::Ok);
    let counts = [
        ("missing", consumers.missing_records),
        ("corrupt", consumers.corrupt_records),
        ("chunks out of order", consumers.out_of_order_chunks),
    ];
    for (name, count) in counts.iter().filter(|(_, count)| *count > 0) {
        text += &format!(" · {} {name}", show_count(*count));
    }
    text
}

/// How much later than its producer a consumer knows of a record, by the medians.
fn distance(figures: &[Option<KindFigures>; Kind::ALL.len()]) -> Option<String> {
    let median = |kind: Kind| figures[kind as usize].as_ref()?.quantiles[P50].ns();
    let (response, end_to_end) = (median(Kind::Response)?, median(Kind::EndToEnd)?);
    let sign = if end_to_end < response { '-' } else { '+' };
    let apart = ms(end_to_end.abs_diff(response));
    Some(format!("end to end p50 = response p50 {sign} {apart} ms"))
}

fn disk(document: &Document) -> String {
    let (server, host) = (&document.resources.server, &document.resources.host);
    let known = |figure: Option<u64>, show: fn(u64) -> String| figure.map_or("n/a".into(), show);
    format!(
        "{} pieces for readers, {} by the engine in all, {} by anyone",
        known(server.cache_misses, show_count),
        known(server.read_bytes, show_bytes),
        known(host.device_read_bytes, show_bytes),
    )
}
