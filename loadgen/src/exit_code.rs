//! What the process says when it ends, as a number that scripts may rely on.
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | ok |
//! | 1 | an SLO broken, overloaded, or a regression |
//! | 2 | usage |
//! | 3 | the run is void: contended, the generator decided, not comparable |
//! | 4 | correctness: loss, duplicate, order, corruption, limits |
//! | 5 | inconclusive |
//! | 6 | could not run or finish |
//! | 70 | our own bug |
//! | 130 | interrupted; what was measured is written |

/// One way to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// 0.
    Ok,
    /// 1: an SLO broken, overloaded, or a regression.
    SloBroken,
    /// 2: the command line or a scenario file is wrong.
    Usage,
    /// 3: the figures say nothing about the subject.
    Void,
    /// 4: the subject lost, doubled, reordered or changed a record, or broke its limits.
    Incorrect,
    /// 5: neither better nor worse can be said.
    Inconclusive,
    /// 6: target unreachable, kernel or disk refused, out of space.
    CouldNotRun,
    /// 70: an invariant of our own is broken (`EX_SOFTWARE` of sysexits.h).
    OwnBug,
    /// 130: Ctrl-C or SIGTERM (128 + SIGINT).
    Interrupted,
}

impl ExitCode {
    /// The number for the shell.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::SloBroken => 1,
            Self::Usage => 2,
            Self::Void => 3,
            Self::Incorrect => 4,
            Self::Inconclusive => 5,
            Self::CouldNotRun => 6,
            Self::OwnBug => 70,
            Self::Interrupted => 130,
        }
    }

    /// Which of several wins: 4 before 6 before 3 before 1 before 5.
    ///
    /// Our own bug and wrong usage come before all of these, since nothing else can be trusted then.
    /// An interruption comes after 4 and 6, which it cannot have caused, and before the verdicts on
    /// figures (3, 1, 5), which a part of a run does not support.
    const fn rank(self) -> u8 {
        match self {
            Self::OwnBug => 8,
            Self::Usage => 7,
            Self::Incorrect => 6,
            Self::CouldNotRun => 5,
            Self::Interrupted => 4,
            Self::Void => 3,
            Self::SloBroken => 2,
            Self::Inconclusive => 1,
            Self::Ok => 0,
        }
    }

    /// The one to end with when both are true.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

#[cfg(test)]
mod tests {
    use super::ExitCode;

    #[test]
    fn the_worst_of_several_wins() {
        let check = |codes: &[ExitCode], expected: u8| {
            let forwards = codes.iter().fold(ExitCode::Ok, |sum, code| sum.and(*code));
            let backwards = codes.iter().rev().fold(ExitCode::Ok, |sum, code| sum.and(*code));
            assert_eq!([forwards.number(), backwards.number()], [expected; 2], "{codes:?}");
        };
        use ExitCode::*;
        check(&[], 0);
        check(&[Inconclusive], 5);
        check(&[Inconclusive, SloBroken], 1);
        check(&[Inconclusive, SloBroken, Void], 3);
        check(&[Inconclusive, SloBroken, Void, CouldNotRun], 6);
        check(&[Inconclusive, SloBroken, Void, CouldNotRun, Incorrect], 4);
        check(&[Void, Interrupted, SloBroken], 130);
        check(&[Interrupted, Incorrect], 4);
        check(&[Incorrect, OwnBug], 70);
    }
}
