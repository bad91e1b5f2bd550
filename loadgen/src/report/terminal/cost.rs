//! What a record cost, and how near the run came to what the machine can do.

use super::style::Style;
use crate::environment::reasons::Reasons;
use crate::report::Finished;
use crate::report::document::Document;
use crate::report::round::to_digits;

pub(super) fn section(finished: &Finished<'_>, document: &Document, style: Style) -> String {
    let server = &document.resources.server;
    let acked = document.load.counters.acked_records.max(1) as f64;
    let flushes = server.flushes.map(|flushes| flushes as f64 / acked);
    let reasons = &server.null_reasons;
    let mut text = format!(
        "\n {}  CPU {} µs · {} syscalls · {} flushes · {} bytes written per payload byte\n",
        style.bold("Cost of a record"),
        shown(server.cpu_us_per_record, "cpu_us_per_record", reasons),
        shown(server.syscalls_per_record, "syscalls_per_record", reasons),
        shown(flushes, "flushes", reasons),
        shown(server.bytes_written_per_payload_byte, "bytes_written_per_payload_byte", reasons),
    );
    text += &generator(document);
    let roofline = &document.roofline;
    let ratio = |ratio: Option<f64>, of: &str| {
        ratio.map_or_else(String::new, |ratio| format!(" · {of} {:.0} %", 100.0 * ratio))
    };
    text += &format!(
        " {}  {}{}{}\n",
        style.bold("Bottleneck"),
        if roofline.bottleneck.is_empty() { "unknown" } else { &roofline.bottleneck },
        ratio(roofline.disk_write_ratio, "disk, of its probe:"),
        ratio(roofline.flush_ratio, "flushes, of theirs:"),
    );
    text + &probes(finished)
}

fn shown(figure: Option<f64>, name: &str, reasons: &Reasons) -> String {
    match (figure, reasons.of(name)) {
        (Some(figure), _) => to_digits(figure, 3).to_string(),
        (None, Some(reason)) => format!("n/a ({reason})"),
        (None, None) => "n/a".to_owned(),
    }
}

fn generator(document: &Document) -> String {
    let generator = &document.resources.generator;
    let pct = |figure: Option<f64>| {
        figure.map_or_else(|| "n/a".to_owned(), |pct| format!("{} %", to_digits(pct, 3)))
    };
    let engine = pct(document.resources.server.cpu_pct);
    let longest = generator.self_stall_max_us;
    let longest =
        longest.map_or_else(|| "n/a".to_owned(), |us| format!("{} ms", to_digits(us / 1e3, 3)));
    format!(
        "   engine CPU {engine} of one · generator at work {}, longest stall of its own {longest}\n",
        pct(generator.load_pct),
    )
}

/// The ceiling that the ratios refer to.
fn probes(finished: &Finished<'_>) -> String {
    let probes = &finished.environment.probes.mean;
    let Some(seq_write) = probes.seq_write_mb_s else { return String::new() };
    let mut text = format!(
        "   probes  {seq_write:.0} MB/s flushed, {} KiB × {} in flight",
        probes.seq_write_block_bytes >> 10,
        probes.seq_write_depth,
    );
    if let (Some(p50), Some(per_s)) = (probes.write_flush_p50_us, probes.write_flush_per_s) {
        text += &format!(" · 4 KiB write + flush p50 {p50:.0} µs, {per_s:.0}/s");
    }
    text + "\n"
}
