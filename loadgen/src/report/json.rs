//! JSON that is read by people as well: a line for each figure of a section, a line for each shard.
//!
//! Containers are broken into lines down to the second level, everything below stands on one line: a
//! document of 4,096 shards is 4,096 lines longer and not 70,000, and two of them can be compared
//! line by line.

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io;

/// Levels that are broken into lines.
const BROKEN: usize = 2;

/// A document as text, with a line end behind it.
#[must_use]
pub fn to_text(document: &impl Serialize) -> String {
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, Lines::default());
    document.serialize(&mut serializer).expect("plain data, and a Vec takes it");
    text.push(b'\n');
    String::from_utf8(text).expect("serde_json writes UTF-8")
}

#[derive(Default)]
struct Lines {
    depth: usize,
    /// Whether something stands in the container that is being written.
    is_filled: bool,
}

impl Lines {
    fn begin(&mut self) {
        self.depth += 1;
        self.is_filled = false;
    }

    fn separate<W: ?Sized + io::Write>(&self, writer: &mut W, is_first: bool) -> io::Result<()> {
        match (is_first, self.depth <= BROKEN) {
            (true, true) => self.new_line(writer),
            (true, false) => Ok(()),
            (false, true) => {
                writer.write_all(b",")?;
                self.new_line(writer)
            }
            (false, false) => writer.write_all(b", "),
        }
    }

    fn new_line<W: ?Sized + io::Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(b"  "))
    }

    fn end<W: ?Sized + io::Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        let is_broken = self.depth <= BROKEN && self.is_filled;
        self.depth -= 1;
        if is_broken {
            self.new_line(writer)?;
        }
        self.is_filled = true;
        writer.write_all(bracket)
    }
}

impl Formatter for Lines {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin();
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.separate(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.is_filled = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin();
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.separate(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.is_filled = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn two_levels_are_broken_into_lines_and_the_third_is_not() {
        let document = json!({
            "a": 1,
            "empty": {"list": [], "map": {}},
            "none": [],
            "shards": [{"id": "x", "peaks": [1, 2]}, {"id": "y", "peaks": []}],
        });
        let expected = r#"{
  "a": 1,
  "empty": {
    "list": [],
    "map": {}
  },
  "none": [],
  "shards": [
    {"id": "x", "peaks": [1, 2]},
    {"id": "y", "peaks": []}
  ]
}
"#;
        let text = to_text(&document);
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
    }
}
