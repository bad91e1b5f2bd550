//! What a round becomes: a JSON line for `results/reliability`, and a sentence for people.

use crate::child::{Subject, planted};
use crate::rounds::{Crash, Plan, Round};
use loadgen::report::provenance::Provenance;
use serde_json::{Value, json};

/// One line, version 1: the names are fixed.
#[must_use]
pub fn json_line(plan: &Plan, round: &Round, provenance: &Provenance) -> String {
    let violations: Vec<String> = round.violations.iter().map(ToString::to_string).collect();
    let disk = match plan.crash {
        Crash::Kill => Value::Null,
        Crash::Power => json!({
            "writes": round.disk.writes,
            "durable_writes": round.disk.durable_writes,
            "bytes_written": round.disk.bytes_written,
            "flushes": round.disk.flushes,
            "directory_flushes": round.disk.directory_flushes,
            "sectors_kept": round.cut.sectors_kept,
            "sectors_dropped": round.cut.sectors_dropped,
            "sectors_torn": round.cut.sectors_torn,
            "names_kept": round.cut.names_kept,
            "names_dropped": round.cut.names_dropped,
        }),
    };
    let line = json!({
        "schema_version": 1,
        "git": provenance.git,
        "binary_sha256": provenance.binary_sha256,
        "crash": crash_name(plan.crash),
        "engine": subject_name(plan.subject),
        "seed": plan.seed,
        "round": round.number,
        "folder": round.folder,
        "lives": round.lives,
        "moments": round.moments,
        "sent_records": round.counts.sent,
        "acked_records": round.counts.acked,
        "unacked_lost_records": round.counts.gone,
        "listed_records": round.listed,
        "disk": disk,
        "violation_count": round.violation_count,
        "violations": violations,
        "failure": round.failure,
        "passed": round.passed(),
    });
    line.to_string()
}

/// One round on one line of a terminal.
#[must_use]
pub fn sentence(plan: &Plan, round: &Round) -> String {
    let verdict = if round.passed() { "ok" } else { "FAILED" };
    let mut line = format!(
        "{} {:3} {verdict:6} folder {:2}, {} lives; {} sent, {} acked, {} listed; {}",
        crash_name(plan.crash),
        round.number,
        round.folder,
        round.lives,
        round.counts.sent,
        round.counts.acked,
        round.listed,
        round.moments.join("; "),
    );
    if plan.crash == Crash::Power {
        let cut = &round.cut;
        line += &format!(
            "; unflushed sectors {} kept, {} dropped, {} torn, names {} kept, {} dropped",
            cut.sectors_kept,
            cut.sectors_dropped,
            cut.sectors_torn,
            cut.names_kept,
            cut.names_dropped,
        );
    }
    for violation in &round.violations {
        line += &format!("\n    {violation}");
    }
    let hidden = round.violation_count - round.violations.len() as u64;
    if hidden > 0 {
        line += &format!("\n    and {hidden} more");
    }
    if let Some(failure) = &round.failure {
        line += &format!("\n    {failure}");
    }
    if let Some(witness) = &round.witness {
        line += &format!("\n    kept in {}", witness.display());
    }
    line
}

/// As on the command line.
#[must_use]
pub fn crash_name(crash: Crash) -> &'static str {
    match crash {
        Crash::Kill => "kill",
        Crash::Power => "power",
    }
}

/// The engine, with its bug if it has one.
#[must_use]
pub fn subject_name(subject: Subject) -> String {
    match subject {
        Subject::Gyre(None) => "gyre".to_owned(),
        Subject::Gyre(Some(bug)) => format!("gyre with {}", planted::name(bug)),
        Subject::Toy(None) => "toy".to_owned(),
        Subject::Toy(Some(bug)) => format!("toy with {}", bug.name()),
    }
}
