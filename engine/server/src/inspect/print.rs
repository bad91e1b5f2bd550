//! Prints what is seen, as text or as JSON lines, and remembers the first failure to write.

use std::io::{self, Write};

use storage::inspect::{Seen, Totals};

use super::names::ShardNames;
use super::{Folder, Verdict, json, text};

/// See the module.
pub(crate) struct Printer<'a> {
    is_json: bool,
    names: &'a ShardNames,
    out: &'a mut dyn Write,
    failure: Option<io::Error>,
}

impl<'a> Printer<'a> {
    pub(crate) fn new(is_json: bool, names: &'a ShardNames, out: &'a mut dyn Write) -> Printer<'a> {
        Printer { is_json, names, out, failure: None }
    }

    pub(crate) fn folder(&mut self, folder: &Folder<'_>) {
        let printed = match self.is_json {
            true => json::folder(folder),
            false => text::folder(folder),
        };
        self.print(&printed);
    }

    pub(crate) fn seen(&mut self, seen: &Seen<'_>) {
        let printed = match self.is_json {
            true => json::seen(seen, self.names),
            false => text::seen(seen, self.names),
        };
        self.print(&printed);
    }

    pub(crate) fn verdict(&mut self, verdict: Verdict, totals: &Totals) {
        let printed = match self.is_json {
            true => json::verdict(verdict, totals),
            false => text::verdict(verdict, totals),
        };
        self.print(&printed);
    }

    /// # Errors
    /// The first failure to write.
    pub(crate) fn end(self) -> io::Result<()> {
        self.failure.map_or(Ok(()), Err)
    }

    fn print(&mut self, printed: &str) {
        if self.failure.is_none() {
            self.failure = self.out.write_all(printed.as_bytes()).err();
        }
    }
}
