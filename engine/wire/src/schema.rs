//! The table of members: what each operation takes and gives, as the API's model says it.
//!
//! Every structure has one list of [`Member`]s, made by the `structure!` macro from the same lines
//! as its Rust type. Reading, checking and writing follow it, and so does the table in PROTOCOL.md.

use model::api_error::Bounds;

use crate::pattern::Pattern;

/// One member of a structure.
#[derive(Debug)]
pub struct Member {
    /// The API's name.
    pub name: &'static str,
    /// What it holds.
    pub shape: &'static Shape,
    /// Whether it must be there.
    pub is_required: bool,
}

/// What a member, an element or a value holds. Bounds are constraints of requests; those of answers
/// are the model's, and nobody checks them.
#[derive(Debug)]
pub enum Shape {
    /// A text; its length counts characters.
    Text {
        /// How long.
        length: Option<Bounds>,
        /// How it must look.
        pattern: Option<Pattern>,
    },
    /// One of these texts, in the order in which AWS lists them.
    OneOf(&'static [&'static str]),
    /// A whole number of 32 bits.
    Integer {
        /// At least this.
        least: Option<i64>,
        /// At most this.
        most: Option<i64>,
    },
    /// A whole number of 64 bits.
    Long,
    /// True or false.
    Boolean,
    /// A moment.
    Timestamp,
    /// Bytes, at most so many.
    Blob {
        /// Largest number of bytes.
        bytes_max: u64,
    },
    /// Values in order.
    List {
        /// How many.
        length: Option<Bounds>,
        /// Each of them.
        element: &'static Shape,
    },
    /// Texts by name.
    Map {
        /// How many.
        length: Bounds,
        /// Lengths of names.
        key: Bounds,
        /// Lengths of texts.
        value: Bounds,
    },
    /// Members.
    Structure(&'static [Member]),
}
