//! A request's or an answer's body as a tree: what JSON and CBOR have in common.
//!
//! The tree knows nothing of operations. It borrows from the body where it can, and has a bound: a
//! body of a few megabytes must not become a tree of hundreds.

use std::borrow::Cow;

use crate::timestamp::Timestamp;

/// Values in one body. The largest request that Kinesis takes has some 2,000 (500 records), one
/// that it takes no longer (10,000 filters) has 30,000; what goes past this is refused as not
/// readable.
pub const VALUES_MAX: u32 = 1 << 16;

/// Structures, lists and maps within each other, as `serde_json` has it.
pub const DEPTH_MAX: u32 = 128;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Nothing; the same as an absent member.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// Bytes; only CBOR has them.
    Bytes(Cow<'a, [u8]>),
    /// A moment; only CBOR has them.
    Time(Timestamp),
    /// Values in order.
    List(Vec<Value<'a>>),
    /// Values by name, in the body's order. A name that comes twice counts as its last.
    Map(Vec<(Cow<'a, str>, Value<'a>)>),
}

/// The body is not JSON or not CBOR, or has too many values, or too deep ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotReadable;
