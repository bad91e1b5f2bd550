//! What a completion of the ring means for a read, a write or a flush: done, go on, or failed.
//!
//! A transfer goes on where the kernel has done a part, or was disturbed before it did anything.
//! Going on from the last block that was done whole keeps direct I/O aligned, and writes the same
//! bytes to the same place. A flush that has begun is never repeated: the kernel tells of a lost
//! write once, and a second flush would not hear of it.

use super::error::IoErrorKind;
use crate::buffer::ALIGNMENT;

/// Disturbances after which an operation counts as failed. It is handed over again at once, so what
/// lasts longer would keep a core busy.
const DISTURBANCES_MAX: u32 = 64;

/// What is to be done after a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: all is done.
    Whole,
    /// Hand over the rest.
    Rest,
    Failed(IoErrorKind),
}

/// How far an operation has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    expected: usize,
    /// Bytes of whole blocks.
    done: usize,
    /// Bytes that were ever done: it goes on only while they grow.
    furthest: usize,
    disturbances: u32,
}

impl Transfer {
    pub(super) fn new(expected: usize) -> Self {
        Self { expected, done: 0, furthest: 0, disturbances: 0 }
    }

    /// Bytes that need not be handed over again; always whole blocks.
    pub(super) fn done(&self) -> usize {
        self.done
    }

    /// Takes a read's or write's result: the bytes that were done of the rest, or a negative error
    /// number.
    pub(super) fn advance(&mut self, result: i32) -> Next {
        let Ok(bytes) = usize::try_from(result) else {
            return match result.wrapping_neg() {
                // A signal, a lack of requests or of threads: nothing was done.
                libc::EINTR | libc::EAGAIN | libc::ECANCELED => self.disturbed(result),
                errno => Next::Failed(IoErrorKind::of_errno(errno)),
            };
        };
        let done = self.done + bytes;
        assert!(done <= self.expected);
        if done == self.expected {
            return Next::Whole;
        }
        if done <= self.furthest {
            // The end of the file, or nothing that another attempt would change.
            return Next::Failed(IoErrorKind::Short { expected: self.expected, done });
        }
        self.furthest = done;
        self.done = done - done % ALIGNMENT;
        Next::Rest
    }

    /// Takes a flush's result: 0 or a negative error number.
    pub(super) fn flushed(&mut self, result: i32) -> Next {
        match result.wrapping_neg() {
            0 => Next::Whole,
            // The ring says so of what it has not begun, for it had no thread. EINTR and EAGAIN come
            // from the file system, which may have met a lost write before and keep silent now.
            libc::ECANCELED => self.disturbed(result),
            errno => Next::Failed(IoErrorKind::of_errno(errno)),
        }
    }

    fn disturbed(&mut self, result: i32) -> Next {
        self.disturbances += 1;
        if self.disturbances < DISTURBANCES_MAX {
            return Next::Rest;
        }
        Next::Failed(IoErrorKind::of_errno(result.wrapping_neg()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outcome of a transfer of 12 KiB whose completions are `results`, and where it then is.
    fn check(results: &[i32], expected: Next, done: usize) {
        let mut transfer = Transfer::new(12 << 10);
        let (last, before) = results.split_last().expect("there is a result");
        for result in before {
            assert_eq!(transfer.advance(*result), Next::Rest);
        }
        assert_eq!(transfer.advance(*last), expected);
        assert_eq!(transfer.done(), done);
    }

    fn short(done: usize) -> Next {
        Next::Failed(IoErrorKind::Short { expected: 12 << 10, done })
    }

    #[test]
    fn a_part_is_followed_by_the_rest_from_a_whole_block() {
        check(&[12 << 10], Next::Whole, 0);
        check(&[4096], Next::Rest, 4096);
        check(&[4096, 8192], Next::Whole, 4096);
        check(&[4096 + 512], Next::Rest, 4096);
        check(&[4096 + 512, 4096], Next::Rest, 8192);
        check(&[4096 + 512, 4096, 4096], Next::Whole, 8192);
        check(&[512, 12 << 10], Next::Whole, 0);
    }

    #[test]
    fn what_does_not_come_further_is_short() {
        check(&[0], short(0), 0);
        check(&[4096, 0], short(4096), 4096);
        check(&[4096 + 512, 512], short(4096 + 512), 4096);
        check(&[512, 512], short(512), 0);
    }

    #[test]
    fn disturbances_are_borne_for_a_while() {
        for errno in [libc::EINTR, libc::EAGAIN, libc::ECANCELED] {
            check(&[4096, -errno, -errno, 8192], Next::Whole, 4096);
            let lasting = vec![-errno; 64];
            check(&lasting, Next::Failed(IoErrorKind::Errno(errno)), 0);
        }
        for (errno, kind) in [
            (libc::EIO, IoErrorKind::Errno(libc::EIO)),
            (libc::ENOSPC, IoErrorKind::NoSpace),
            (libc::EBADF, IoErrorKind::Errno(libc::EBADF)),
        ] {
            check(&[-errno], Next::Failed(kind), 0);
        }
    }

    #[test]
    fn a_flush_that_may_have_begun_is_never_repeated() {
        assert_eq!(Transfer::new(0).flushed(0), Next::Whole);
        assert_eq!(Transfer::new(0).flushed(-libc::ECANCELED), Next::Rest);
        for errno in [libc::EIO, libc::EINTR, libc::EAGAIN, libc::EROFS] {
            let failed = Next::Failed(IoErrorKind::Errno(errno));
            assert_eq!(Transfer::new(0).flushed(-errno), failed);
        }
        assert_eq!(Transfer::new(0).flushed(-libc::ENOSPC), Next::Failed(IoErrorKind::NoSpace));
        let mut unlucky = Transfer::new(0);
        while unlucky.flushed(-libc::ECANCELED) == Next::Rest {}
        assert_eq!(unlucky.disturbances, 64);
    }
}
