//! The probes of memory, loopback and timers.

use super::samples::Samples;
use super::{ProbeFigures, ProbePlan, on_core};
use runtime::{clock, cores};
use std::hint::black_box;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::num::NonZeroU64;
use std::time::Duration;

/// Far more than any cache holds together with its copy, bytes.
const COPY_BYTES: usize = 64 << 20;
/// A short request, bytes.
const ECHO_BYTES: usize = 64;
/// The pace of a generator in a hurry.
const NAP: Duration = Duration::from_micros(100);
/// Usual times of the probes, ms.
const COPY_MS: u64 = 150;
const ECHO_MS: u64 = 200;
const SLEEP_MS: u64 = 300;

/// Fills in the figures of everything but the disk.
pub(super) fn probe(plan: &ProbePlan, figures: &mut ProbeFigures) {
    let span = plan.span(COPY_MS);
    let copied = on_core(plan.core("probe", plan.cpu, 0), move || async move { Ok(copy(span)) });
    figures.memcpy_gb_s = figures.null_reasons.keep("memcpy_gb_s", copied);
    let span = plan.span(SLEEP_MS);
    let slept = on_core(plan.core("probe", plan.cpu, 0), move || sleep(span));
    figures.sleep_overshoot_p99_us = figures.null_reasons.keep("sleep_overshoot_p99_us", slept);
    let answered = loopback(plan);
    figures.loopback_rtt_p50_us = figures.null_reasons.keep("loopback_rtt_p50_us", answered);
}

/// Memory copied in GB a second, each byte counted once.
fn copy(span: Duration) -> f64 {
    let from = vec![0x5a_u8; COPY_BYTES];
    // Touched before it is measured, as the engine's buffers are.
    let mut to = vec![0xa5_u8; COPY_BYTES];
    let began = clock::now();
    let mut rounds = 0u32;
    loop {
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
        rounds += 1;
        let taken = clock::now() - began;
        if taken >= span {
            return f64::from(rounds) * COPY_BYTES as f64 / 1e9 / taken.as_secs_f64();
        }
    }
}

/// How late a core wakes that had nothing else to do. Its thread's timers may be 1 ns late at most
/// by themselves; by default the kernel adds up to 50 µs.
async fn sleep(span: Duration) -> Result<f64, String> {
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))
        .map_err(|errno| format!("the timer slack cannot be set: {errno}"))?;
    let mut samples = Samples::default();
    let end = clock::now() + span;
    while clock::now() < end {
        let due = clock::now() + NAP;
        clock::sleep_until(due).await;
        samples.push(clock::now() - due);
    }
    let count = samples.count();
    let millis = span.as_millis();
    samples.quantile_us(0.99).ok_or_else(|| format!("only {count} naps in {millis} ms"))
}

/// The median of a short request and its answer between two cores.
fn loopback(plan: &ProbePlan) -> Result<f64, String> {
    let sentence = |error: std::io::Error| format!("loopback: {error}");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(sentence)?;
    let address = listener.local_addr().map_err(sentence)?;
    let near = TcpStream::connect(address).map_err(sentence)?;
    let (far, _) = listener.accept().map_err(sentence)?;
    near.set_nodelay(true).map_err(sentence)?;
    far.set_nodelay(true).map_err(sentence)?;
    let config = plan.core("echo", plan.other_cpu, 0);
    let echo = cores::start(config, move || async move { echo(far) });
    let echo = echo.map_err(|error| error.to_string())?;
    let span = plan.span(ECHO_MS);
    let asked = on_core(plan.core("probe", plan.cpu, 0), move || async move { ask(near, span) });
    // The other end is closed by now, so this one ends.
    let echoed = echo.join();
    asked.and_then(|found| echoed.map(|()| found).map_err(sentence))
}

fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut bytes = [0; ECHO_BYTES];
    loop {
        match stream.read_exact(&mut bytes) {
            Ok(()) => stream.write_all(&bytes)?,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn ask(mut stream: TcpStream, span: Duration) -> Result<f64, String> {
    let mut bytes = [0x5a; ECHO_BYTES];
    let mut samples = Samples::default();
    let end = clock::now() + span;
    loop {
        let sent = clock::now();
        if sent >= end {
            break;
        }
        let answered = stream.write_all(&bytes).and_then(|()| stream.read_exact(&mut bytes));
        answered.map_err(|error| format!("loopback: {error}"))?;
        samples.push(clock::now() - sent);
    }
    samples.quantile_us(0.5).ok_or_else(|| "too few answers over loopback".to_owned())
}
