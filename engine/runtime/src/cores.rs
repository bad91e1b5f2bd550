//! Cores: threads pinned to a CPU, each with its own io_uring, clock, memory and tasks.
//!
//! A core parks in the ring as soon as it has nothing to do: the kernel's own workers for completion
//! and flush need the CPU. The affinity that the process was started with is the set to choose from, and what threads that
//! must keep off the cores go back to.

use std::future::Future;
use std::rc::Rc;
use std::sync::{OnceLock, mpsc};
use std::thread;

use core_affinity::CoreId;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::driver;
use crate::environment;
pub use crate::environment::StartError;
use crate::kernel;

/// What a core is to be.
#[derive(Clone, Debug)]
pub struct CoreConfig {
    /// The thread's name; Linux shows 15 characters of it.
    pub name: String,
    /// The CPU that it is pinned to; `None` leaves the choice to the scheduler.
    pub cpu: Option<usize>,
    /// Memory that is kept for the buffers of writes and reads to come, in bytes. What does not fit
    /// works but is slower.
    pub io_memory_bytes: usize,
}

/// A running core.
#[derive(Debug)]
#[must_use = "a core that nobody joins dies with the process, whatever it is doing"]
pub struct Core<T> {
    name: String,
    /// `None` where the core could not be prepared; `start` sees to that case itself.
    thread: thread::JoinHandle<Option<T>>,
}

impl<T> Core<T> {
    /// Waits until the core's main future is done, and all operations with it. Blocks the thread.
    ///
    /// # Panics
    /// When the core panicked outside its tasks (inside, the process is gone).
    pub fn join(self) -> T {
        match self.thread.join() {
            Ok(output) => output.expect("`start` returns only cores that were prepared"),
            Err(_) => panic!("core '{}' panicked", self.name),
        }
    }
}

/// Starts a core on a new thread, and returns once its ring is there. The core ends
/// when the future that `main` makes is done and no operation is in flight; other tasks are then
/// left where they stand.
///
/// # Errors
/// When io_uring, the CPU or the thread cannot be had; the sentence says what to do.
///
/// # Panics
/// A panic in any of its tasks aborts the process.
pub fn start<T, F, Fut>(config: CoreConfig, main: F) -> Result<Core<T>, StartError>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
    T: Send + 'static,
{
    environment::check_io_uring()?;
    process_cpus();
    let name = config.name.clone();
    let (sender, prepared) = mpsc::sync_channel(1);
    let thread = thread::Builder::new()
        .name(config.name.clone())
        .spawn(move || {
            let core = prepare(&config);
            let error = core.as_ref().err().cloned();
            sender.send(error).expect("`start` waits for this");
            core.ok().map(|core| run(core, main))
        })
        .map_err(|error| StartError::of_thread(&error))?;
    let core = Core { name, thread };
    match prepared.recv() {
        Ok(None) => Ok(core),
        Ok(Some(error)) => {
            let ended = core.thread.join();
            assert!(matches!(ended, Ok(None)));
            Err(error)
        }
        Err(mpsc::RecvError) => Err(StartError::Ring { errno: None }),
    }
}

/// Makes the calling thread a core until the future that `main` makes is done and no operation is
/// in flight. Afterwards the thread has its affinity back.
///
/// # Errors
/// As [`start`].
///
/// # Panics
/// On a thread that is a core already. A panic in any of its tasks aborts the process.
pub fn block_on<T, F, Fut>(config: CoreConfig, main: F) -> Result<T, StartError>
where
    F: FnOnce() -> Fut + 'static,
    Fut: Future<Output = T> + 'static,
    T: 'static,
{
    environment::check_io_uring()?;
    process_cpus();
    let before = sched_getaffinity(None).ok();
    let output = prepare(&config).map(|core| run(core, main));
    if let (Some(before), Some(_)) = (before, config.cpu) {
        // The CPUs may have gone offline meanwhile; then the kernel has already moved the thread.
        sched_setaffinity(None, &before).ok();
    }
    output
}

/// The CPUs that this process may use, in ascending order: what it was started with (taskset,
/// cgroup), whatever its threads are pinned to now.
pub fn online_cpus() -> Vec<usize> {
    let cpus = process_cpus();
    (0..CpuSet::MAX_CPU).filter(|cpu| cpus.is_set(*cpu)).collect()
}

/// Pins the calling thread, for threads that are not cores.
///
/// # Errors
/// When the CPU is not there or not allowed.
pub fn pin_current_thread(cpu: usize) -> Result<(), StartError> {
    process_cpus();
    // `core_affinity` indexes a set of fixed size with it.
    if cpu < CpuSet::MAX_CPU && core_affinity::set_for_current(CoreId { id: cpu }) {
        return Ok(());
    }
    Err(StartError::Cpu { cpu, allowed: online_cpus() })
}

/// A thread that was started by a core, and inherited its CPU, goes back to all CPUs.
pub(crate) fn leave_core_cpu() {
    // Without it the work is done all the same, only on the core's CPU.
    sched_setaffinity(None, process_cpus()).ok();
}

/// The affinity at the first call, which every function here that changes one makes before.
fn process_cpus() -> &'static CpuSet {
    static CPUS: OnceLock<CpuSet> = OnceLock::new();
    CPUS.get_or_init(|| {
        sched_getaffinity(None).expect("a thread can read its own affinity in a set of 1,024 CPUs")
    })
}

/// The same in the form that the C library takes.
pub(crate) fn process_cpu_set() -> libc::cpu_set_t {
    // SAFETY: a set of CPUs is an array of plain bits: all zero is the empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for cpu in online_cpus() {
        // SAFETY: the macro's function writes within the set's 1,024 bits, and `online_cpus` names
        // none beyond them.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    set
}

/// Pins the thread and makes what a core needs: ring, doorbell, threads for what blocks.
fn prepare(config: &CoreConfig) -> Result<Rc<kernel::Core>, StartError> {
    // Before anything is allocated, so that the memory is of the CPU's own node.
    if let Some(cpu) = config.cpu {
        pin_current_thread(cpu)?;
    }
    kernel::prepare(&config.name, config.io_memory_bytes)
}

fn run<T, F, Fut>(core: Rc<kernel::Core>, main: F) -> T
where
    F: FnOnce() -> Fut + 'static,
    Fut: Future<Output = T> + 'static,
    T: 'static,
{
    let _driver = driver::enter_kernel();
    kernel::run(core, main)
}
