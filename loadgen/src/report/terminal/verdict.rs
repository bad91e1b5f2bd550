//! Whether all this can be believed, and what it comes to.

use super::style::Style;
use crate::amount::show_count;
use crate::exit_code::ExitCode;
use crate::outcome::{Outcome, SloOutcome, Verdict, Verification};
use crate::report::document::Document;
use crate::stats::steady::State;

pub(super) fn section(outcome: &Outcome, document: &Document, style: Style) -> String {
    let mut text = format!("\n{}", verified(&outcome.verify, style));
    let valid = document.validity.ok;
    let steady = outcome.load.steady.state;
    let is_steady = matches!(steady, State::Steady | State::Unknown);
    text += &format!(
        " Valid {} · Steady {}",
        style.verdict(if valid { "yes" } else { "no" }, valid),
        style.verdict(steadiness(steady), is_steady),
    );
    if !document.slo.is_empty() {
        let rows: Vec<String> = document.slo.iter().map(|slo| slo_row(slo, style)).collect();
        text += &format!(" · SLO {}", rows.join("  "));
    }
    if document.interrupted {
        text += &style.verdict(" · interrupted", false);
    }
    let code = outcome.exit;
    text +=
        &format!("   → exit {}\n", style.verdict(&code.number().to_string(), code == ExitCode::Ok));
    for reason in &document.validity.reasons {
        text += &format!("   {reason}\n");
    }
    if let Some(error) = &outcome.load.first_error {
        text += &format!("   the first error: {error}\n");
    }
    if outcome.engine.data_kept {
        text += &format!(" data   {}\n", outcome.engine.data.display());
    }
    text
}

fn verified(verify: &Verification, style: Style) -> String {
    let verdict = verify.verdict;
    let held = verdict == Verdict::Ok;
    let words = match verdict {
        Verdict::Ok => "every record read back, once, whole, in order ✓",
        Verdict::Failed => "✗ failed",
        Verdict::Partial => "as far as it could be checked",
        Verdict::NotVerified => "nothing was read back",
    };
    let mut text = format!(
        " {}  {} records · {}",
        style.bold("Verified"),
        show_count(verify.checked),
        style.verdict(words, held),
    );
    let counts = [
        ("missing", verify.missing),
        ("duplicated", verify.duplicated),
        ("corrupt", verify.corrupt),
        ("out of order", verify.out_of_order),
        ("in a wrong shard", verify.wrong_shard),
        ("with a wrong sequence number", verify.sequence_violations),
        ("of unknown outcome", verify.unknown_outcome),
        ("expired early", verify.expired_early),
        ("not read", verify.not_read),
        ("counted only", verify.unwatched),
    ];
    for (name, count) in counts.iter().filter(|(_, count)| *count > 0) {
        text += &format!(" · {} {name}", show_count(*count));
    }
    if !verify.took.is_zero() {
        text += &format!(" · in {:.1} s", verify.took.as_secs_f64());
    }
    text + "\n"
}

const fn steadiness(state: State) -> &'static str {
    match state {
        State::Steady => "yes",
        State::NotSteady => "no",
        State::Overloaded => "no: overloaded",
        State::Unknown => "unknown (too short)",
    }
}

fn slo_row(row: &SloOutcome, style: Style) -> String {
    let mark = match (row.pass, row.undecided) {
        (true, _) => "✓",
        (false, true) => "?",
        (false, false) => "✗",
    };
    let mark = style.verdict(mark, row.pass);
    format!("{} {mark} ({})", row.expression, row.observed)
}
