//! A child process and the moment of its death. Waiting is always for the child's next sign or for
//! the moment, whichever comes first; nothing sleeps and asks again.

use crate::child::{Life, Mode, Subject, planted};
use crate::report::crash_name;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Bytes of a child's standard error that a report shows.
const STDERR_TAIL_BYTES: usize = 2_000;

/// What a wait ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The listing is complete.
    Listed,
    /// The process has ended, or closed its output.
    Ended,
    /// Neither, in the time given.
    Nothing,
}

/// A running child.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: ChildStdout,
    stderr: PathBuf,
}

impl Process {
    /// Starts `program` on a life; what it says on standard error goes to `stderr`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(program: &Path, life: &Life, stderr: &Path) -> io::Result<Process> {
        let mut command = Command::new(program);
        command.arg("child").args(arguments(life));
        // Held open: a child whose parent dies reads the end of its input, and ends.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(stderr)?);
        let mut child = command.spawn()?;
        let output = child.stdout.take().expect("the output is piped");
        Ok(Process { child, output, stderr: stderr.to_owned() })
    }

    /// Waits for the child's next sign, `limit` at most.
    ///
    /// # Errors
    /// The pipe cannot be read.
    pub fn wait(&mut self, limit: Duration) -> io::Result<Sign> {
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        let mut watched = [PollFd::new(&self.output, PollFlags::IN)];
        if poll(&mut watched, Some(&limit))? == 0 {
            return Ok(Sign::Nothing);
        }
        let mut sign = [0; 64];
        Ok(if self.output.read(&mut sign)? > 0 { Sign::Listed } else { Sign::Ended })
    }

    /// Kills it with SIGKILL, if it still runs.
    ///
    /// # Errors
    /// It cannot be killed or waited for.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }

    /// Waits for its end, which its output has announced.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn join(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// The end of what it said on standard error.
    #[must_use]
    pub fn last_words(&self) -> String {
        let said = fs::read(&self.stderr).unwrap_or_default(); // a report about it goes on without
        let start = said.len().saturating_sub(STDERR_TAIL_BYTES);
        String::from_utf8_lossy(&said[start..]).trim().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where an error is on its way up, the child must not live on; that it is dead is no error.
        if self.child.kill().is_ok() {
            self.child.wait().ok(); // nobody is left to tell
        }
    }
}

/// The command line that `main.rs` turns back into the life.
fn arguments(life: &Life) -> Vec<std::ffi::OsString> {
    let mut arguments = vec!["--run".into(), life.run.to_string().into()];
    let mut add = |name: &str, value: std::ffi::OsString| {
        arguments.push(name.into());
        arguments.push(value);
    };
    add("--life", life.life.to_string().into());
    add("--data", life.data.clone().into());
    add("--journal", life.journal.clone().into());
    add("--listing", life.listing.clone().into());
    let mode = match life.mode {
        Mode::Write => "write",
        Mode::List => "list",
    };
    add("--mode", mode.into());
    add("--crash", crash_name(life.crash).into());
    match life.subject {
        Subject::Gyre(bug) => {
            add("--engine", "gyre".into());
            if let Some(bug) = bug {
                add("--plant", planted::name(bug).into());
            }
        }
        Subject::Toy(bug) => {
            add("--engine", "toy".into());
            if let Some(bug) = bug {
                add("--bug", bug.name().into());
            }
        }
    }
    arguments
}
