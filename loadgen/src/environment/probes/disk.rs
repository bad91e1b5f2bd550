//! The probes of the disk: sequential writes and reads, and a write with its flush.
//!
//! Everything goes to one file that was written once before: a file of unwritten extents would be
//! slower than the segments that the engine recycles.

use super::samples::Samples;
use super::{ProbeFigures, ProbeFlush, ProbePlan, on_core};
use runtime::buffer::{ALIGNMENT, Buffer};
use runtime::clock::{self, Instant};
use runtime::cores;
use runtime::file::{self, Access, File, IoErrorKind};
use runtime::local::Notify;
use runtime::task;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The size and the number in flight of sequential reads.
const READ_BYTES: usize = 1 << 20;
const READ_DEPTH: usize = 8;
/// A file below this says little about a disk with a cache, bytes.
const FILE_BYTES_MIN: u64 = 16 << 20;
/// As many as a p99 needs (`Samples`); for them a probe may take so many times its span.
const FLUSHES_WANTED: usize = 300;
const PATIENCE: u32 = 3;
/// Usual times of the probes, ms.
const WRITE_MS: u64 = 600;
const FLUSH_MS: u64 = 500;
const FLUSH_BUSY_MS: u64 = 600;
const READ_MS: u64 = 400;

/// What one core finds while nothing else runs.
const QUIET: [&str; 5] = [
    "seq_write_mb_s",
    "write_flush_p50_us",
    "write_flush_p99_us",
    "write_flush_per_s",
    "seq_read_mb_s",
];

/// Fills in the figures of the disk.
pub(super) fn probe(plan: &ProbePlan, figures: &mut ProbeFigures) {
    let quiet = {
        let own = plan.clone();
        on_core(plan.core("probe", plan.cpu, io_memory_bytes(plan)), move || quiet(own))
    };
    match quiet {
        Ok(mut quiet) => {
            figures.seq_write_mb_s = Some(quiet.write_mb_s);
            figures.seq_read_mb_s = Some(quiet.read_mb_s);
            figures.write_flush_per_s = Some(quiet.flushes.per_s());
            figures.write_flush_p50_us = quiet.flushes.keep("write_flush_p50_us", 0.5, figures);
            figures.write_flush_p99_us = quiet.flushes.keep("write_flush_p99_us", 0.99, figures);
        }
        Err(sentence) => {
            for figure in QUIET {
                figures.null_reasons.add(figure, sentence.clone());
            }
        }
    }
    match busy(plan) {
        Ok(mut flushes) => {
            figures.write_flush_busy_p99_us =
                flushes.keep("write_flush_busy_p99_us", 0.99, figures);
        }
        Err(sentence) => figures.null_reasons.add("write_flush_busy_p99_us", sentence),
    }
}

/// Kept for the buffers of whatever is in flight at most, bytes.
fn io_memory_bytes(plan: &ProbePlan) -> usize {
    let writes = plan.depth * plan.block_bytes.next_power_of_two();
    2 * writes.max(READ_DEPTH * READ_BYTES)
}

struct Quiet {
    write_mb_s: f64,
    flushes: Flushes,
    read_mb_s: f64,
}

/// Writes with their flushes, one after the other.
struct Flushes {
    samples: Samples,
    span: Duration,
}

impl Flushes {
    fn per_s(&self) -> f64 {
        self.samples.count() as f64 / self.span.as_secs_f64()
    }

    /// A quantile, or its reason in the figures.
    fn keep(&mut self, figure: &str, share: f64, figures: &mut ProbeFigures) -> Option<f64> {
        let found = self.samples.quantile_us(share);
        if found.is_none() {
            let count = self.samples.count();
            let sentence = format!("only {count} flushes in {} ms", self.span.as_millis());
            figures.null_reasons.add(figure, sentence);
        }
        found
    }
}

async fn quiet(plan: ProbePlan) -> Result<Quiet, String> {
    let file = prepare(&plan).await?;
    let write_mb_s = sequential_write(&plan, &file).await?;
    let flushes = write_flush(&file, plan.span(FLUSH_MS)).await?;
    let read_mb_s = sequential_read(&file, plan.span(READ_MS)).await?;
    Ok(Quiet { write_mb_s, flushes, read_mb_s })
}

/// The same writes and flushes while every CPU has something else to do.
fn busy(plan: &ProbePlan) -> Result<Flushes, String> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut spinners = Vec::new();
    for cpu in cores::online_cpus() {
        let seen = Arc::clone(&stop);
        let config = plan.core(&format!("spin-{cpu}"), Some(cpu), 0);
        match cores::start(config, move || spin(seen)) {
            Ok(spinner) => spinners.push(spinner),
            // Measured with a CPU idle it would not be what its name says.
            Err(error) => {
                end(&stop, spinners);
                return Err(error.to_string());
            }
        }
    }
    let span = plan.span(FLUSH_BUSY_MS);
    let path = plan.file.clone();
    let flushes = on_core(plan.core("probe", plan.cpu, ALIGNMENT), move || async move {
        write_flush(&open(&path, Access::ReadWrite).await?, span).await
    });
    end(&stop, spinners);
    flushes
}

async fn spin(stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        std::hint::spin_loop();
    }
}

fn end(stop: &AtomicBool, spinners: Vec<cores::Core<()>>) {
    stop.store(true, Ordering::Relaxed);
    for spinner in spinners {
        spinner.join();
    }
}

async fn open(path: &Path, access: Access) -> Result<File, String> {
    file::open(path, access).await.map_err(|error| error.to_string())
}

/// The file of an earlier probe, or a new one, written once. One that was left half written has
/// another name.
async fn prepare(plan: &ProbePlan) -> Result<File, String> {
    let sentence = |error: file::IoError| error.to_string();
    let access = match plan.flush {
        ProbeFlush::Dsync => Access::ReadWriteDsync,
        ProbeFlush::Fdatasync | ProbeFlush::Never => Access::ReadWrite,
    };
    let floor = FILE_BYTES_MIN.max(2 * (plan.depth * plan.block_bytes) as u64);
    if file::exists(&plan.file).await.map_err(sentence)? {
        let file = file::open(&plan.file, access).await.map_err(sentence)?;
        if file.bytes() >= floor {
            return Ok(file);
        }
        file::remove(&plan.file).await.map_err(sentence)?;
    }
    let folder = plan.file.parent().ok_or("a file of its own is needed for probes")?;
    file::create_directory_all(folder).await.map_err(sentence)?;
    let free_bytes = file::free_bytes(folder).await.map_err(sentence)?;
    let block_bytes = (READ_BYTES as u64).max(plan.block_bytes as u64);
    let bytes = plan.file_bytes.min(free_bytes / 4) / block_bytes * block_bytes;
    if bytes < floor {
        return Err(format!(
            "{free_bytes} bytes are free below {}: a probe needs {}",
            folder.display(),
            4 * floor
        ));
    }
    let unfinished = unfinished(&plan.file);
    match file::remove(&unfinished).await {
        Ok(()) => {}
        Err(error) if matches!(error.kind, IoErrorKind::NotFound) => {}
        Err(error) => return Err(sentence(error)),
    }
    let file = file::create(&unfinished, Access::ReadWrite, bytes).await.map_err(sentence)?;
    let writes = Writes::new(&file, plan.block_bytes, bytes, None);
    writes.run(plan.depth).await?;
    file.flush().await.map_err(sentence)?;
    file::rename(&unfinished, &plan.file).await.map_err(sentence)?;
    open(&plan.file, access).await
}

fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("unfinished")
}

/// Writes as the engine does: so many in flight, and behind them one flush after the other. All of
/// it counts, and the time until the last byte is durable.
async fn sequential_write(plan: &ProbePlan, file: &File) -> Result<f64, String> {
    let began = clock::now();
    let end = began + plan.span(WRITE_MS);
    let writes = Writes::new(file, plan.block_bytes, file.bytes(), Some(end));
    if plan.flush == ProbeFlush::Fdatasync {
        let flusher = task::spawn(flush_behind(Rc::clone(&writes)));
        writes.run(plan.depth).await?;
        flusher.await?;
    } else {
        writes.run(plan.depth).await?;
    }
    Ok(mb_per_s(writes.written_bytes.get(), clock::now() - began))
}

fn mb_per_s(bytes: u64, span: Duration) -> f64 {
    bytes as f64 / 1e6 / span.as_secs_f64()
}

/// Sequential writes of one file by several tasks.
struct Writes {
    file: File,
    block_bytes: u64,
    /// Where the file is taken to end.
    bytes: u64,
    /// When to stop; `None` is at the end of the file.
    end: Option<Instant>,
    position: Cell<u64>,
    written_bytes: Cell<u64>,
    written: Notify,
    done: Cell<bool>,
}

impl Writes {
    fn new(file: &File, block_bytes: usize, bytes: u64, end: Option<Instant>) -> Rc<Writes> {
        let block_bytes = block_bytes as u64;
        assert!(bytes >= block_bytes);
        Rc::new(Writes {
            file: file.clone(),
            block_bytes,
            bytes: bytes / block_bytes * block_bytes,
            end,
            position: Cell::new(0),
            written_bytes: Cell::new(0),
            written: Notify::new(),
            done: Cell::new(false),
        })
    }

    /// The next place to write, or `None` when it is over.
    fn next(&self) -> Option<u64> {
        let position = self.position.get();
        match self.end {
            None if position == self.bytes => return None,
            Some(end) if clock::now() >= end => return None,
            None | Some(_) => {}
        }
        self.position.set(position + self.block_bytes);
        Some(position % self.bytes)
    }

    async fn run(self: &Rc<Self>, depth: usize) -> Result<(), String> {
        let tasks: Vec<_> =
            (0..depth as u64).map(|seed| task::spawn(write_all(Rc::clone(self), seed))).collect();
        let mut result = Ok(());
        for task in tasks {
            result = result.and(task.await);
        }
        self.done.set(true);
        self.written.notify_all();
        result
    }
}

async fn write_all(writes: Rc<Writes>, seed: u64) -> Result<(), String> {
    let block_bytes = usize::try_from(writes.block_bytes).expect("it was a usize");
    let buffer = Rc::new(noise(block_bytes, seed));
    while let Some(position) = writes.next() {
        let result = writes.file.write(position, Rc::clone(&buffer)).await;
        result.map_err(|error| error.to_string())?;
        writes.written_bytes.set(writes.written_bytes.get() + writes.block_bytes);
        writes.written.notify_all();
    }
    Ok(())
}

/// One flush in flight for as long as there is something to flush.
async fn flush_behind(writes: Rc<Writes>) -> Result<(), String> {
    let mut flushed_bytes = 0;
    loop {
        let notified = writes.written.notified();
        let written_bytes = writes.written_bytes.get();
        if written_bytes > flushed_bytes {
            writes.file.flush().await.map_err(|error| error.to_string())?;
            flushed_bytes = written_bytes;
        } else if writes.done.get() {
            return Ok(());
        } else {
            notified.await;
        }
    }
}

/// Bytes that no layer below can compress or recognise.
fn noise(bytes: usize, seed: u64) -> Buffer {
    let mut buffer = Buffer::zeroed(bytes);
    let mut random = crate::random::Random::new(seed);
    for word in buffer.chunks_exact_mut(8) {
        word.copy_from_slice(&random.bits().to_le_bytes());
    }
    buffer
}

/// 4 KiB and its fdatasync, one after the other through the file.
async fn write_flush(file: &File, span: Duration) -> Result<Flushes, String> {
    let buffer = Rc::new(noise(ALIGNMENT, 0));
    let mut samples = Samples::default();
    let began = clock::now();
    let end = began + span;
    let mut before = began;
    let mut position = 0;
    while before < end || (samples.count() < FLUSHES_WANTED && before < began + span * PATIENCE) {
        file.write(position, Rc::clone(&buffer)).await.map_err(|error| error.to_string())?;
        file.flush().await.map_err(|error| error.to_string())?;
        let after = clock::now();
        samples.push(after - before);
        before = after;
        position = (position + ALIGNMENT as u64) % file.bytes();
    }
    Ok(Flushes { samples, span: before - began })
}

async fn sequential_read(file: &File, span: Duration) -> Result<f64, String> {
    let position = Rc::new(Cell::new(0u64));
    let began = clock::now();
    let end = began + span;
    let tasks: Vec<_> = (0..READ_DEPTH)
        .map(|_| task::spawn(read_some(file.clone(), Rc::clone(&position), end)))
        .collect();
    let mut bytes = 0;
    for task in tasks {
        bytes += task.await?;
    }
    Ok(mb_per_s(bytes, clock::now() - began))
}

async fn read_some(file: File, position: Rc<Cell<u64>>, end: Instant) -> Result<u64, String> {
    let read_bytes = READ_BYTES as u64;
    let span_bytes = file.bytes() / read_bytes * read_bytes;
    let mut bytes = 0;
    while clock::now() < end {
        let at = position.replace(position.get() + read_bytes) % span_bytes;
        file.read(at, READ_BYTES).await.map_err(|error| error.to_string())?;
        bytes += read_bytes;
    }
    Ok(bytes)
}
