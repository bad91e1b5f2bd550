//! What can go wrong on the simulated disk, network and clock, how often, and how often it did.
//!
//! A fault has a chance for each operation, or is planned for one operation to come. Why each must
//! be survived: devices and file systems return every one of these errors to a correct program.

use std::time::Duration;

use super::random::Generator;

/// A fault that [`super::Disk::plan_fault`] can aim at one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The write fails with EIO. Any of its sectors may have been written, and a later flush may
    /// make them durable.
    WriteError,
    /// The write ends early. The part before has been written, nothing after it.
    ShortWrite,
    /// The flush fails with EIO. What it covered stays readable, but no later flush makes it
    /// durable, even if that succeeds (Linux forgets that the pages were dirty).
    FlushError,
    /// The read fails with EIO.
    ReadError,
    /// A change or a sync of a directory fails with EIO. The change may have happened.
    DirectoryError,
    /// There is no room for the file that is created.
    NoSpace,
    /// The connection is reset as bytes are sent or received. What was on its way is lost.
    ConnectionReset,
    /// The process has no descriptor left for the connection that it accepts.
    NoDescriptor,
}

/// How long operations of one kind take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// Shortest time.
    pub min: Duration,
    /// Longest time of a usual operation; any time between is equally likely.
    pub max: Duration,
    /// Chance of an operation that takes up to `slow_max`: a device's garbage collection.
    pub slow_chance: f64,
    /// Longest time of a slow operation.
    pub slow_max: Duration,
}

impl Latency {
    /// Usual operations only.
    #[must_use]
    pub const fn between(min: Duration, max: Duration) -> Self {
        Self { min, max, slow_chance: 0.0, slow_max: max }
    }

    pub(super) fn draw_ns(&self, random: &mut Generator, counts: &mut Counts) -> u64 {
        if random.chance(self.slow_chance) {
            counts.slow_operations += 1;
            return random.between(nanoseconds(self.max), nanoseconds(self.slow_max));
        }
        random.between(nanoseconds(self.min), nanoseconds(self.max))
    }
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("a simulated time is below 584 years")
}

/// Chances of faults (0 to 1, for each operation of its kind) and the disk's dimensions.
///
/// By default nothing fails, and latencies are those of an ordinary NVMe drive.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// Chance of [`Fault::WriteError`].
    pub write_error_chance: f64,
    /// Chance of [`Fault::ShortWrite`].
    pub short_write_chance: f64,
    /// Chance of [`Fault::FlushError`].
    pub flush_error_chance: f64,
    /// Chance of [`Fault::ReadError`].
    pub read_error_chance: f64,
    /// Chance of [`Fault::DirectoryError`].
    pub directory_error_chance: f64,
    /// Chance of [`Fault::ConnectionReset`], for each call that sends or receives.
    pub connection_reset_chance: f64,
    /// Chance of [`Fault::NoDescriptor`], for each connection that is accepted.
    pub no_descriptor_chance: f64,
    /// Room on the disk; all files together, allocated but unwritten parts included.
    pub bytes_max: Option<u64>,
    /// Chance, for each reading of the wall clock, that somebody has set it.
    pub wall_jump_chance: f64,
    /// How far such a jump goes at most, forward or back.
    pub wall_jump_max: Duration,
    /// Time of a read.
    pub read_latency: Latency,
    /// Time of a write. Where `min` and `max` differ, writes complete out of order.
    pub write_latency: Latency,
    /// Time of a flush; an O_DSYNC write takes a write's and a flush's.
    pub flush_latency: Latency,
    /// Time of an operation on a directory, and of opening a file.
    pub directory_latency: Latency,
    /// Time of a segment from one end of a connection to the other.
    pub network_latency: Latency,
}

impl Default for Faults {
    fn default() -> Self {
        const fn microseconds(min: u64, max: u64) -> Latency {
            Latency::between(Duration::from_micros(min), Duration::from_micros(max))
        }
        Self {
            write_error_chance: 0.0,
            short_write_chance: 0.0,
            flush_error_chance: 0.0,
            read_error_chance: 0.0,
            directory_error_chance: 0.0,
            connection_reset_chance: 0.0,
            no_descriptor_chance: 0.0,
            bytes_max: None,
            wall_jump_chance: 0.0,
            wall_jump_max: Duration::from_secs(2 * 3600),
            read_latency: microseconds(20, 120),
            write_latency: microseconds(15, 150),
            flush_latency: microseconds(50, 400),
            directory_latency: microseconds(10, 100),
            network_latency: microseconds(10, 200),
        }
    }
}

impl Faults {
    pub(super) fn chance(&self, fault: Fault) -> f64 {
        match fault {
            Fault::WriteError => self.write_error_chance,
            Fault::ShortWrite => self.short_write_chance,
            Fault::FlushError => self.flush_error_chance,
            Fault::ReadError => self.read_error_chance,
            Fault::DirectoryError => self.directory_error_chance,
            Fault::ConnectionReset => self.connection_reset_chance,
            Fault::NoDescriptor => self.no_descriptor_chance,
            // Room is counted, not drawn.
            Fault::NoSpace => 0.0,
        }
    }
}

/// What has happened on a disk since it was made: the coverage of a simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Operations submitted, of every kind.
    pub operations: u64,
    /// Reads submitted.
    pub reads: u64,
    /// Bytes of the reads submitted.
    pub read_bytes: u64,
    /// Writes submitted.
    pub writes: u64,
    /// Bytes of the writes submitted.
    pub written_bytes: u64,
    /// Flushes submitted.
    pub flushes: u64,
    /// Writes that failed with EIO.
    pub write_errors: u64,
    /// Writes that ended early.
    pub short_writes: u64,
    /// Flushes that failed.
    pub flush_errors: u64,
    /// Reads that failed.
    pub read_errors: u64,
    /// Operations on directories that failed with EIO.
    pub directory_errors: u64,
    /// Creations refused for want of room.
    pub no_space: u64,
    /// Connections that were established.
    pub connections: u64,
    /// Connections that were reset by a fault.
    pub connection_resets: u64,
    /// Connections that waited for want of a descriptor.
    pub no_descriptors: u64,
    /// Operations that took longer than the usual longest time.
    pub slow_operations: u64,
    /// Jumps of the wall clock.
    pub wall_jumps: u64,
    /// Deaths of the process alone, with writes or not.
    pub kills: u64,
    /// Power cuts.
    pub crashes: u64,
    /// Writes not durable at a power cut that were found whole, unless a later one lay over them.
    pub crash_writes_kept: u64,
    /// Those of which nothing was left.
    pub crash_writes_dropped: u64,
    /// Those of which some sectors were left.
    pub crash_writes_torn: u64,
    /// Files that were found shorter than they had been.
    pub crash_sizes_lost: u64,
    /// Changes of directories, not synced, that were found done.
    pub crash_changes_kept: u64,
    /// Those that were found undone.
    pub crash_changes_dropped: u64,
}

impl Counts {
    pub(super) fn count(&mut self, fault: Fault) {
        let counter = match fault {
            Fault::WriteError => &mut self.write_errors,
            Fault::ShortWrite => &mut self.short_writes,
            Fault::FlushError => &mut self.flush_errors,
            Fault::ReadError => &mut self.read_errors,
            Fault::DirectoryError => &mut self.directory_errors,
            Fault::NoSpace => &mut self.no_space,
            Fault::ConnectionReset => &mut self.connection_resets,
            Fault::NoDescriptor => &mut self.no_descriptors,
        };
        *counter += 1;
    }
}
