//! Holds the house rules that the compiler and clippy do not: who may import whom, what stands at
//! the top level, how long a file and a function may be, what each file begins with.
//!
//! Each rule is a function from text to violations, so that its own test can break it with a few
//! lines; `tests/house.rs` applies all of them to the tracked files of this repository.

#![forbid(unsafe_code)]

pub mod layout;
pub mod manifests;
pub mod repository;
pub mod source;
pub mod words;

use std::fmt;

/// One broken rule at one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Path from the repository's root, with `/`.
    pub file: String,
    /// Line counted from 1; 0 where the rule is about the file as a whole.
    pub line: usize,
    /// What is wrong and what to do instead, as a sentence.
    pub rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(formatter, "{}: {}", self.file, self.rule)
        } else {
            write!(formatter, "{}:{}: {}", self.file, self.line, self.rule)
        }
    }
}

/// A violation about a whole file.
#[must_use]
pub fn in_file(file: &str, rule: String) -> Violation {
    Violation { file: file.to_owned(), line: 0, rule }
}

/// A violation at a line counted from 1.
#[must_use]
pub fn at_line(file: &str, line: usize, rule: String) -> Violation {
    Violation { file: file.to_owned(), line, rule }
}
