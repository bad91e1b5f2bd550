//! A thread beside a core for what blocks, away from the core's CPU. What is asked of it happens in
//! order. A core has one for the calls that somebody waits for, and one for closing: to free the
//! blocks of a removed file may take a disk's second, and nobody waits.

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
    /// The thread is called by the core's name and its `duty`.
    pub(super) fn start(core_name: &str, duty: &str) -> io::Result<Self> {
        let (sender, work) = mpsc::channel::<Work>();
        let name = format!("{core_name}-{duty}");
        let thread = thread::Builder::new().name(name).spawn(move || {
            crate::cores::leave_core_cpu();
            for work in work {
                super::abort_on_panic(work);
            }
        })?;
        Ok(Self { work: Some(sender), thread: Some(thread) })
    }

    /// Queues work. It is done even if nobody waits for it.
    pub(super) fn queue(&self, work: Work) {
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
