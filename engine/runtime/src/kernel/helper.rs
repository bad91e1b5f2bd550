//! The thread beside a core that makes the system calls which block.
//!
//! One, so that what is asked of it happens in order; away from the core's CPU.

use std::any::Any;
use std::io;
use std::sync::mpsc;
use std::thread;

type Work = Box<dyn FnOnce() + Send>;

pub(super) struct Helper {
    /// Bounded by the number of the core's tasks and open files: each waits for one answer, or is
    /// closed once. `None` only while it is dropped.
    work: Option<mpsc::Sender<Work>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Helper {
    pub(super) fn start(core_name: &str) -> io::Result<Self> {
        let (sender, work) = mpsc::channel::<Work>();
        let thread =
            thread::Builder::new().name(format!("{core_name}-block")).spawn(move || {
                crate::cores::leave_core_cpu();
                for work in work {
                    super::abort_on_panic(work);
                }
            })?;
        Ok(Self { work: Some(sender), thread: Some(thread) })
    }

    /// Queues work. It is done even if nobody waits for it.
    pub(super) fn run(&self, work: Work) {
        let sender = self.work.as_ref().expect("only the drop takes it");
        assert!(sender.send(work).is_ok(), "the thread ends only after its queue");
    }
}

impl Drop for Helper {
    /// Waits until all is done.
    fn drop(&mut self) {
        drop(self.work.take());
        let ended: Option<Result<(), Box<dyn Any + Send>>> =
            self.thread.take().map(thread::JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))), "a panic in its work aborts the process");
    }
}
